"""Images and labels that a user gives a model in Python: what is wrong with them.

An error is in the words of the package, where TensorFlow would name its operations.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from ram_tf.errors import RamError, warn

# What a dict of inputs may name: arguments of `RecurrentAttentionModel.rollout`.
INPUTS = frozenset({"images", "initial_locations", "exploration"})


def images_of(given: Any) -> Any:
    """Returns the images of what a model is given, or their shape of its shape.

    That is the images themselves, or a dict that names them and further inputs.

    Raises:
      RamError: when a dict names no images, or what no model takes.
    """
    if not isinstance(given, dict):
        return given
    if "images" not in given or not INPUTS.issuperset(given):
        raise RamError(
            f"inputs named {', '.join(map(repr, given)) or 'nothing'}: expected "
            "'images', and of a RAM 'initial_locations' and 'exploration' if wanted"
        )
    return given["images"]


def check_no_list(images: Any) -> None:
    """Raises RamError for a list of images, which Keras takes for many inputs."""
    if isinstance(images, (list, tuple)) and images and np.ndim(images[0]) < 4:
        raise RamError(
            f"expected images as one array [B, H, W, C], found a "
            f"{type(images).__name__}; np.stack makes one of a list"
        )


def check_labels(labels: Any) -> None:
    """Raises RamError unless labels are class numbers [B] or [B, 1]."""
    shape = None if labels is None else tf.TensorShape(labels.shape)
    if shape is not None and (shape.rank in (None, 1) or shape[1:] == [1]):
        return
    found = "none" if shape is None else f"labels of shape {shape}"
    raise RamError(
        f"expected class numbers as labels [B], found {found}; of one-hot labels, "
        "their argmax"
    )


def check_range_of_labels(labels: Any, num_classes: int) -> None:
    """Raises RamError for what is no class; TensorFlow would name its operations."""
    expected = f"expected labels from 0 to {num_classes - 1}, as num_classes="
    values = np.asarray(labels)
    if values.dtype.kind not in "biuf":
        raise RamError(f"{expected}{num_classes}, found {values.dtype} values")
    is_class = (values >= 0) & (values < num_classes)  # NaN is wrong too.
    if values.dtype.kind == "f":
        is_class &= values == np.floor(values)
    wrong = values[~is_class]
    if wrong.size:
        raise RamError(f"{expected}{num_classes}, found {wrong[0]}")


def check_lengths(images: Any, labels: Any) -> None:
    """Raises RamError unless there is a label for every image."""
    if len(images) != len(labels):
        raise RamError(
            f"expected a label for each image, found {len(images)} images and "
            f"{len(labels)} labels"
        )


def warn_of_size(images: Any, built_for: tuple[Any, ...]) -> None:
    """Warns of images of other sides than those of training, as far as both are known.

    A model looks at images of any size, but its patches then show more or less of them.
    """
    known = zip(images.shape[1:3], built_for[:2], strict=True)
    if any(None not in sides and sides[0] != sides[1] for sides in known):
        found, built = (
            "x".join(map(str, s)) for s in (images.shape[1:3], built_for[:2])
        )
        warn(
            f"images of {found}, where the model was built for {built}: its patches "
            "keep their size, and show another share of an image; resize the images",
        )


def check_size(images: Any, built_for: tuple[Any, ...]) -> None:
    """Raises RamError for images of other sides than a model's that takes no other."""
    found, expected = tuple(images.shape[1:3]), built_for[:2]
    if not tf.TensorShape(found).is_compatible_with(expected):
        found_text, expected_text = ("x".join(map(str, s)) for s in (found, expected))
        raise RamError(
            f"images of {found_text}: expected {expected_text}, as the model was built "
            "for; resize the images"
        )


def warn_of_range(images: Any) -> None:
    """Warns of floating pixels, as far as they are known, that are not in [0, 1]."""
    if not isinstance(images, (np.ndarray, tf.Tensor)) or tf.is_symbolic_tensor(images):
        return
    if not tf.as_dtype(images.dtype).is_floating or not np.size(images):
        return
    lowest, highest = float(np.min(images)), float(np.max(images))
    if not (lowest >= 0 and highest <= 1):  # NaN is no such number either.
        warn(
            f"images with pixels from {lowest:g} to {highest:g}: floats are expected "
            "in [0, 1]; pass uint8, or divide by 255. Only a model trained with "
            "pixel_range=byte takes 0..255 as it is",
        )
