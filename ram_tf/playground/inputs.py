"""What people give the app: a file that they drop, and noise on its pixels."""

import os

import numpy as np

from ram_tf.data import picture
from ram_tf.errors import RamError

MAX_BYTES = 20_000_000  # Of a file; no photo of a camera is larger.


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
        return picture.decode(content, picture.background_color(background))
    except RamError as error:
        raise RamError(f"{name}: {error}") from None


def add_noise(image: np.ndarray, stddev: float) -> np.ndarray:
    """Adds Gaussian noise of grey levels to uint8 pixels, the same at every call."""
    noise = np.random.default_rng(0).normal(0.0, stddev, image.shape)
    return np.clip(image + noise, 0, 255).round().astype(np.uint8)
