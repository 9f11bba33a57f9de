"""A drawing or a file becomes an image as a model saw them in training.

A digit is brought to MNIST's look, whose makers did the same: white on black, its box
scaled to 20x20 with its proportions kept, and its centre of mass put into the middle of
28x28 pixels.
"""

import os
from typing import NamedTuple

import numpy as np
from PIL import Image

from ram_tf.data import image_ops, picture
from ram_tf.errors import RamError
from ram_tf.serving.image_files import with_channels
from ram_tf.serving.predictor import Predictor

MAX_BYTES = 20_000_000  # Of a file; no photo of a camera is larger.
_SIDE, _BOX = 28, 20  # Of MNIST's images and of the digit in them.
_FAINTEST, _PALEST = 0.05, 0.5  # Of the strongest ink: what may still be paper.
_LEAST_CONTRAST = 24  # Grey levels between ink and paper; less is none.


class ModelInput(NamedTuple):
    """What a model is shown.

    Attributes:
      image: uint8 [H, W, C].
      said: what was done to get it, one sentence or more.
    """

    image: np.ndarray
    said: str


def read_upload(path: str, background: str) -> np.ndarray:
    """Reads a picture file, uint8 [h, w, 1 or 3].

    Raises:
      RamError: when it is too large, or no whole picture.
    """
    name = os.path.basename(path)
    size = os.path.getsize(path)
    if size > MAX_BYTES:
        raise RamError(
            f"{name}: expected at most {MAX_BYTES:,} bytes, found {size:,} bytes"
        )
    with open(path, "rb") as file:
        content = file.read()
    try:
        with picture.quiet():
            return picture.decode(content, picture.background_color(background))
    except RamError as error:
        raise RamError(f"{name}: {error}") from None


def takes_digits(model: Predictor) -> bool:
    """Whether a model was trained on MNIST's digits, so that drawings fit it."""
    dataset = str(model.metadata.get("config", {}).get("dataset", ""))
    digits = [str(digit) for digit in range(10)]
    return dataset.startswith("mnist") and model.class_names == digits


def fit_to_model(pixels: np.ndarray, model: Predictor) -> ModelInput:
    """Makes a picture an input of a model.

    Args:
      pixels: uint8 [h, w, 1 or 3].
      model: that it is for.

    Raises:
      RamError: when a model of digits is given a picture without contrast.
    """
    height, width, channels = model.image_shape
    if pixels.shape[:2] == (height, width):
        gray_border = _border_level(with_channels(pixels, 1)[..., 0])
        if not takes_digits(model) or gray_border < 128:
            return ModelInput(
                with_channels(pixels, channels), "The image has the model's size."
            )
    if not takes_digits(model):
        resized = image_ops.resize(with_channels(pixels, channels), height, width)
        said = f"Resized to {width}×{height} pixels, as images were in training."
        return ModelInput(resized.numpy(), said)
    gray = with_channels(pixels, 1)[..., 0]
    digit, centre, inverted = mnist_digit(gray)
    steps = ["inverted because its border is bright"] if inverted else []
    steps.append("scaled to 20×20 pixels")
    if (height, width) == (_SIDE, _SIDE):
        steps.append("centred by its mass")
    else:
        digit = _place(digit, centre, height, width)
        steps.append(f"put where it was, on {width}×{height} black pixels")
    said = f"Made like a digit of MNIST: {', '.join(steps)}."
    return ModelInput(with_channels(digit[..., None], channels), said)


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
    inverted = _border_level(gray) >= 128
    ink = (255 - gray if inverted else gray).astype(np.float32)
    ink = np.maximum(ink - _border_level(ink), 0)
    strongest = float(np.percentile(ink, 99.9)) if ink.size > 10_000 else ink.max()
    strongest = max(strongest, float(np.partition(ink.ravel(), -4)[-4:].mean()))
    if strongest < _LEAST_CONTRAST:
        raise RamError("expected a digit, found nothing that differs from the paper")
    # Paper is never even, as its border shows; MNIST's is.
    uneven = 3 * float(np.std(_border(gray))) / strongest
    ink = np.clip(ink / strongest, 0, 1)
    ink[ink < min(max(uneven, _FAINTEST), _PALEST)] = 0
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
    # Thin lines become grey when they shrink; a digit of MNIST has white ones.
    box = np.clip(box * (255 / max(1, int(box.max()))), 0, 255).round().astype(np.uint8)
    y, x = _centre_of_mass(box)
    half = _SIDE / 2  # Where MNIST has the centres of mass, to the pixel.
    row = min(max(round(half - y), 0), _SIDE - height)
    column = min(max(round(half - x), 0), _SIDE - width)
    digit = np.zeros([_SIDE, _SIDE], np.uint8)
    digit[row : row + height, column : column + width] = box
    return digit, place, inverted


def add_noise(image: np.ndarray, stddev: float) -> np.ndarray:
    """Adds Gaussian noise of grey levels to uint8 pixels, the same at every call."""
    noise = np.random.default_rng(0).normal(0.0, stddev, image.shape)
    return np.clip(image + noise, 0, 255).round().astype(np.uint8)


def _border(gray: np.ndarray) -> np.ndarray:
    return np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])


def _border_level(gray: np.ndarray) -> float:
    return float(np.median(_border(gray)))


def _centre_of_mass(ink: np.ndarray) -> tuple[float, float]:
    total = float(ink.sum())
    rows, columns = ink.sum(1), ink.sum(0)
    y = float(rows @ np.arange(len(rows))) / total
    x = float(columns @ np.arange(len(columns))) / total
    return y, x


def _place(
    digit: np.ndarray, centre: tuple[float, float], height: int, width: int
) -> np.ndarray:
    """Puts a digit of 28x28 on a black canvas, its middle at fractions of the sides."""
    canvas = np.zeros([height, width], np.uint8)
    row, column = (
        min(max(round(at * side - _SIDE / 2), 0), side - _SIDE)
        for at, side in zip(centre, (height, width), strict=True)
    )
    canvas[row : row + _SIDE, column : column + _SIDE] = digit
    return canvas
