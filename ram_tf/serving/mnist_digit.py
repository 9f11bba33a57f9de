"""A digit on paper becomes one as in MNIST, by what the makers of MNIST did.

White on black, its box scaled to 20x20 with its proportions kept, and its centre of
mass put into the middle of 28x28 pixels.
"""

import numpy as np
from PIL import Image

from ram_tf.errors import RamError
from ram_tf.serving.polarity import DARK_ON_LIGHT, border, border_level, polarity

SIDE = 28  # Pixels, of MNIST's images.
_BOX = 20  # Pixels, of the digit in them.
_LONGEST = 280  # Pixels of a picture's side, about; the mean of many has less noise.
_FAINTEST, _PALEST = 0.05, 0.5  # Of the strongest ink: what may still be paper.
_NO_DIGIT = "expected a digit, found nothing that differs from the paper"
_LEAST_CONTRAST = 24  # Grey levels between ink and paper; less is none.


def mnist_digit(gray: np.ndarray) -> tuple[np.ndarray, tuple[float, float], bool]:
    """Brings a digit to MNIST's look.

    Args:
      gray: uint8 [h, w], ink on paper of another brightness.

    Returns:
      uint8 [28, 28]; the (y, x) of the digit's centre of mass in the picture, as
      fractions of its height and width; and whether the picture was inverted.

    Raises:
      RamError: when there is no ink.
    """
    shrunk = Image.fromarray(gray).reduce(max(1, round(max(gray.shape) / _LONGEST)))
    gray = np.asarray(shrunk)
    inverted = polarity(gray) == DARK_ON_LIGHT
    ink = (255 - gray if inverted else gray).astype(np.float32)
    ink = np.maximum(ink - border_level(ink), 0)
    strongest = float(np.percentile(ink, 99.9)) if ink.size > 10_000 else ink.max()
    brightest = min(4, ink.size)
    of_few = np.partition(ink.ravel(), -brightest)[-brightest:].mean()
    strongest = max(strongest, float(of_few))
    if strongest < _LEAST_CONTRAST:
        raise RamError(_NO_DIGIT)
    # Paper is never even, as its border shows; MNIST's is.
    uneven = 3 * float(np.std(border(gray))) / strongest
    ink = np.clip(ink / strongest, 0, 1)
    ink[ink < min(max(uneven, _FAINTEST), _PALEST)] = 0
    ink *= _in_strokes(ink > 0)
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    top, left = rows[0], columns[0]
    cropped = ink[top : rows[-1] + 1, left : columns[-1] + 1]
    y, x = _centre_of_mass(cropped)
    place = ((top + y + 0.5) / gray.shape[0], (left + x + 0.5) / gray.shape[1])
    scale = _BOX / max(cropped.shape)
    height, width = (max(1, round(side * scale)) for side in cropped.shape)
    small = Image.fromarray((255 * cropped).astype(np.uint8)).resize(
        (width, height),
        Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR,
    )
    box = np.asarray(small, np.uint8)
    if not box.any():  # Strokes so faint that nothing of them is left.
        raise RamError(_NO_DIGIT)
    # Thin lines become grey when they shrink; a digit of MNIST has white ones.
    box = np.clip(box * (255 / int(box.max())), 0, 255).round().astype(np.uint8)
    y, x = _centre_of_mass(box)
    half = SIDE / 2  # Where MNIST has the centres of mass, to the pixel.
    row = min(max(round(half - y), 0), SIDE - height)
    column = min(max(round(half - x), 0), SIDE - width)
    digit = np.zeros([SIDE, SIDE], np.uint8)
    digit[row : row + height, column : column + width] = box
    return digit, place, inverted


def place_digit(
    digit: np.ndarray, centre: tuple[float, float], height: int, width: int
) -> np.ndarray:
    """Puts a digit on a larger black canvas, its middle at fractions of the sides."""
    canvas = np.zeros([height, width], np.uint8)
    size = len(digit)
    row, column = (
        min(max(round(at * side - size / 2), 0), side - size)
        for at, side in zip(centre, (height, width), strict=True)
    )
    canvas[row : row + size, column : column + size] = digit
    return canvas


def _in_strokes(ink: np.ndarray) -> np.ndarray:
    """Tells which pixels of ink are part of a stroke, and not single ones of noise.

    Every pixel of ink is kept when none has company, as in pictures of a few pixels.
    """
    # The pixel itself is counted too: on a line of one pixel's width it has two others.
    stroke = ink & (_count_around(ink) > 2)
    # The ends of a line have one neighbour, which is in the stroke.
    return ink & (_count_around(stroke) > 0) if stroke.any() else ink


def _count_around(mask: np.ndarray) -> np.ndarray:
    """Counts what is true among the 3x3 pixels around each pixel."""
    height, width = mask.shape
    padded = np.pad(mask.astype(int), 1)
    shifted = (
        padded[y : y + height, x : x + width] for y in range(3) for x in range(3)
    )
    return np.sum(list(shifted), axis=0)


def _centre_of_mass(ink: np.ndarray) -> tuple[float, float]:
    total = float(ink.sum())
    rows, columns = ink.sum(1), ink.sum(0)
    y = float(rows @ np.arange(len(rows))) / total
    x = float(columns @ np.arange(len(columns))) / total
    return y, x
