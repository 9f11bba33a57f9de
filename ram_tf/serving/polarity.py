"""Light on dark or dark on light: what a gray model learned, and what an image is.

A model of white digits on black answers for black digits on paper as for any image,
and is wrong. The two differ at the border, which shows the ground alone. Colour says
nothing of the kind, so models of colour images have no polarity.
"""

from collections.abc import Sequence

import numpy as np

LIGHT_ON_DARK, DARK_ON_LIGHT = "light on dark", "dark on light"
_LIGHT = 128  # The grey level from which on a ground is light.
_ALIKE = 0.95  # The share of images that makes a polarity one of all.


def border(gray: np.ndarray) -> np.ndarray:
    """Returns the outermost pixels of [h, w], the corners twice."""
    return np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])


def border_level(gray: np.ndarray) -> float:
    """Returns the median of the outermost pixels of [h, w]."""
    return float(np.median(border(gray)))


def polarity(gray: np.ndarray) -> str:
    """Returns LIGHT_ON_DARK or DARK_ON_LIGHT, of uint8 [h, w] or [h, w, 1]."""
    is_light = border_level(gray.reshape(gray.shape[:2])) >= _LIGHT
    return DARK_ON_LIGHT if is_light else LIGHT_ON_DARK


def common_polarity(images: Sequence[np.ndarray] | np.ndarray) -> str:
    """Returns the polarity that at least 95 % of images have, else "".

    Args:
      images: uint8 [h, w, C] each, at least one; of colour images it is "".
    """
    if images[0].shape[-1] != 1:
        return ""
    found = [polarity(image) for image in images]
    for one in (LIGHT_ON_DARK, DARK_ON_LIGHT):
        if found.count(one) >= _ALIKE * len(found):
            return one
    return ""
