"""A picture becomes an image like those that a model was trained on.

What `predict --prepare` and the app do with files and drawings. Without it a picture is
resized and nothing else.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ram_tf.data import image_ops
from ram_tf.serving.image_files import with_channels
from ram_tf.serving.mnist_digit import SIDE, mnist_digit, place_digit
from ram_tf.serving.polarity import polarity


class Prepared(NamedTuple):
    """What a model is shown.

    Attributes:
      image: uint8 [H, W, C].
      said: what was done to get it, one sentence or more.
    """

    image: np.ndarray
    said: str


def prepare(pixels: np.ndarray, metadata: Mapping[str, Any]) -> Prepared:
    """Makes a picture like the images of a model's training.

    An image of a gray model's size, or for a gray model of any other data than MNIST's
    digits, is inverted when its polarity is not that of training. A picture for a model
    of MNIST's digits becomes one of them: white on black, cut out, scaled and centred.
    Colour is never inverted.

    Args:
      pixels: uint8 [h, w, 1 or 3].
      metadata: of an export or a preset: `image_shape`, `class_names`, and where they
        are known `polarity` and `config`.

    Raises:
      RamError: when a digit is expected, and nothing differs from the paper.
    """
    height, width, channels = metadata["image_shape"]
    has_size = pixels.shape[:2] == (height, width)
    if not has_size and takes_digits(metadata):
        return _like_mnist(with_channels(pixels, 1)[..., 0], metadata)
    # Size and then channels, as in training, whose roundings these are then.
    image = pixels if has_size else image_ops.resize(pixels, height, width).numpy()
    image = with_channels(image, channels)
    steps = []
    learned = metadata.get("polarity", "")
    if learned and polarity(image) != learned:
        image = 255 - image
        steps.append(f"Inverted, because the model learned {learned}.")
    if not has_size:
        steps.append(
            f"Resized to {height}x{width} pixels (height x width), as images were in "
            "training."
        )
    return Prepared(image, " ".join(steps) or "No change was needed.")


def takes_digits(metadata: Mapping[str, Any]) -> bool:
    """Whether a model was trained on MNIST's digits, so that drawings fit it."""
    dataset = str(metadata.get("config", {}).get("dataset", ""))
    digits = [str(digit) for digit in range(10)]
    return dataset.startswith("mnist") and list(metadata["class_names"]) == digits


def _like_mnist(gray: np.ndarray, metadata: Mapping[str, Any]) -> Prepared:
    height, width, channels = metadata["image_shape"]
    digit, centre, inverted = mnist_digit(gray)
    steps = ["inverted because its border is bright"] if inverted else []
    steps.append("scaled to 20x20 pixels")
    size = metadata.get("config", {}).get("image_size") or SIDE
    if size != SIDE:  # As it was in training, from MNIST's own.
        digit = image_ops.resize(digit[..., None], size, size).numpy()[..., 0]
    if (height, width) == digit.shape:
        steps.append("centred by its mass")
    else:
        digit = place_digit(digit, centre, height, width)
        steps.append(f"put where it was, on {height}x{width} black pixels")
    said = f"Made like a digit of MNIST: {', '.join(steps)}."
    return Prepared(with_channels(digit[..., None], channels), said)
