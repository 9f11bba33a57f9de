"""The colours of everything that is drawn: glimpses in their order, right and wrong."""

from collections.abc import Sequence

import numpy as np

# From the first glimpse to the last; readable on black pixels and for most eyes.
_ORDER = ("#ffd166", "#f78c6b", "#ef476f", "#b05fd0", "#5b8def", "#22c1c3")
# Text, text of less weight, and marks that others stand out from.
INK, FAINT, PALE = "#1c2733", "#77838f", "#a9b4be"
RIGHT, WRONG = "#0a8f6c", "#d1495b"
OUTSIDE = "#3a4654"  # Behind the margins of an image, which patches reach into.


def spectrum(stops: Sequence[str], places: np.ndarray) -> np.ndarray:
    """Returns the colours at places in [0, 1] of an even gradient.

    Args:
      stops: its colours from 0 to 1, as #rrggbb.
      places: [n].

    Returns:
      uint8 [n, 3].
    """
    known = np.array([_levels(stop) for stop in stops])
    at = np.linspace(0, 1, len(stops))
    channels = [np.interp(places, at, channel) for channel in known.T]
    return np.stack(channels, -1).round().astype(np.uint8)


def glimpse_colours(count: int) -> list[str]:
    """Returns the colours of the glimpses in their order, as #rrggbb."""
    rows = spectrum(_ORDER, np.linspace(0, 1, max(count, 2)))[:count]
    return ["#{:02x}{:02x}{:02x}".format(*row) for row in rows]


def ink_on(colour: str) -> str:
    """Returns the colour, as #rrggbb, of text that is readable on another."""
    return INK if np.dot(_levels(colour), (0.3, 0.6, 0.1)) > 140 else "#ffffff"


def _levels(colour: str) -> list[int]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
