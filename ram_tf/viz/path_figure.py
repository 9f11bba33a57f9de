"""A picture of glimpse paths: where the model looked, what it saw, what it predicted.

Needs matplotlib, the extra `figures`; draws without a screen.
"""

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import Any

from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.evaluation.palette import FAINT, INK, RIGHT, WRONG, glimpse_colours
from ram_tf.viz.geometry import UNKNOWN, GlimpsePath, PathRecord
from ram_tf.viz.path_panels import (
    MAX_CLASSES,
    draw_image,
    draw_patches,
    draw_probabilities,
)

_LONGEST_NAME = 24  # Letters of a class name; it is cut there.
_LEAST_SIDE = 2.0  # Inches, of the image.
_COLUMNS = 2  # Images side by side.
_TILE, _ROW = 0.5, 0.245  # Inches: of a patch, of a class in the chart.


def check_matplotlib() -> None:
    """Raises RamError when matplotlib is missing."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise RamError(
            "matplotlib is not installed: pip install 'ram-tf[figures]'"
        ) from None


@contextlib.contextmanager
def plain_text() -> Iterator[None]:
    """Draws text as it is written: the `$` of a name begins no formula.

    Raises:
      RamError: when matplotlib is missing.
    """
    check_matplotlib()
    import matplotlib

    with matplotlib.rc_context({"text.parse_math": False}):
        yield


def title_of(config: Config) -> str:
    """Returns the first line of a picture: how a model looks."""
    scales = f" at {config.num_scales} scales" if config.num_scales > 1 else ""
    side = config.patch_size
    glimpses = "glimpse" if config.num_glimpses == 1 else "glimpses"
    return (
        f"Where the model looks: {config.num_glimpses} {glimpses} of "
        f"{side}×{side} pixels{scales}"
    )


@plain_text()
def to_png(figure: Any) -> bytes:
    """Returns the PNG of a figure; equal figures have equal bytes."""
    buffer = io.BytesIO()
    # Without the version of matplotlib, which would make equal pictures differ.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


@plain_text()
def draw_paths(
    paths: Sequence[GlimpsePath],
    record: PathRecord,
    title: str,
    subtitle: str = "",
    shown: int | None = None,
) -> Any:
    """Draws examples, two side by side.

    Args:
      paths: what to draw.
      record: the run they come from.
      title: the first line.
      subtitle: the second, smaller.
      shown: how many glimpses of each; None shows all. Where things stand does not
        depend on it: pictures of 1, 2, ... glimpses make an animation.

    Returns:
      A matplotlib Figure.

    Raises:
      RamError: when matplotlib is missing.
    """
    from matplotlib.figure import Figure

    scales, steps = record.config.num_scales, record.config.num_glimpses
    colours = glimpse_colours(steps)
    chart = min(len(record.class_names), MAX_CLASSES) * _ROW
    # Of the image: as high as what is beside it.
    side = max(scales * _TILE + chart + 0.15, _LEAST_SIDE)
    names = [_short(name) for name in record.class_names]
    beside = max(steps, 4) * _TILE
    columns = min(_COLUMNS, len(paths))
    rows = -(-len(paths) // columns)
    # In inches from the left and from the top: every part has its size.
    left, top = 0.4, 1.85
    below = 1.3 if scales == 1 else 1.5  # Scales have a line of their own there.
    gap = 0.5 + 0.1 * max(map(len, names))  # The names stand in it.
    last = (steps if shown is None else shown) - 1
    verdicts = [_verdict(path, names, last) for path in paths]
    # Of every step, or the frames of an animation would differ in size.
    timed = [last] if shown is None else range(steps)
    said = [_verdict(path, names, step)[0] for path in paths for step in timed]
    longest = max(map(len, said))
    block_width = max(side + gap + beside + 0.6, 0.4 + 0.135 * longest)
    written = max(0.19 * len(title), 0.105 * len(subtitle))
    width = max(left + columns * block_width, 2 * left + written)
    height = top + rows * (side + below) - 0.4
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")

    def place(x: float, y: float, wide: float, high: float) -> Any:
        box = (x / width, 1 - (y + high) / height, wide / width, high / height)
        return figure.add_axes(box)

    for y, text, size, colour in ((0.3, title, 22, INK), (0.75, subtitle, 13, FAINT)):
        figure.text(
            left / width, 1 - y / height, text, size=size, color=colour, va="top",
            weight="bold" if colour == INK else "normal",
        )  # fmt: skip
    for index, path in enumerate(paths):
        x = left + index % columns * block_width
        y = top + index // columns * (side + below)
        text, colour = verdicts[index]
        figure.text(
            x / width, 1 - (y - 0.38) / height, text, size=15, weight="bold",
            color=colour, va="bottom",
        )  # fmt: skip
        draw_image(place(x, y, side, side), path, record, colours[: last + 1])
        x += side + gap
        high = scales * _TILE
        draw_patches(place(x, y, beside, high), path, record, colours[: last + 1])
        y += high + 0.15
        draw_probabilities(
            place(x, y, beside, chart), path, record, names, _here(path, last)
        )
    return figure


def _here(path: GlimpsePath, step: int) -> int:
    """A step of the path; its last one, where it stopped before."""
    return min(step, len(path.locations) - 1)


def _short(name: str) -> str:
    """A name that fits beside the chart, or into the line above it."""
    if len(name) <= _LONGEST_NAME:
        return name
    return name[: _LONGEST_NAME - 1].rstrip() + "…"


def _verdict(path: GlimpsePath, names: Sequence[str], step: int) -> tuple[str, str]:
    """What the model predicts after a step, and the colour of right or wrong."""
    step = _here(path, step)
    prediction = int(path.probabilities[step].argmax())
    percent = 100 * path.probabilities[step, prediction]
    said = f"predicts {names[prediction]} ({percent:.0f} %)"
    if path.name:
        said = f"{_short(path.name)}: {said}"
    if path.label == UNKNOWN:
        return said, INK
    if prediction == path.label:
        return f"✓ {said}", RIGHT
    return f"✗ {said}, is {names[path.label]}", WRONG
