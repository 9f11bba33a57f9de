"""Reads image files for an exported model, as the data of its training were read."""

import pathlib
from typing import Any

from ram_tf.errors import RamError, one_line
from ram_tf.files import read_arrays


def read_images(
    path: str, shape: tuple[int, ...], resize: bool, num_classes: int
) -> Any:
    """Reads a file into uint8 [n, H, W, C], and integer labels [n] or None.

    Images are made gray or colour, and resized, as the data of training were.

    Raises:
      RamError: when the file is no image, or of another size and `resize` is False, or
        its arrays are of other types.
    """
    import numpy as np
    import tensorflow as tf

    from ram_tf.data import image_ops as images_lib

    labels = None
    if path.endswith(".npz"):
        arrays = read_arrays(pathlib.Path(path), "an .npz with `images`")
        if "images" not in arrays:
            found = ", ".join(arrays) or "nothing"
            raise RamError(f"{path}: expected an .npz with `images`, found {found}")
        images, labels = arrays["images"], arrays.get("labels")
    else:
        try:
            content = tf.io.read_file(path)
            image, _ = images_lib.decode(content)
        except tf.errors.OpError as error:
            raise RamError(
                f"{path}: expected an image (PNG, JPEG, GIF, BMP) or an .npz with "
                f"`images`, found: {one_line(error)}"
            ) from None
        images = image[None]
        if images.shape[-1] != shape[-1]:
            convert = images_lib.to_gray if shape[-1] == 1 else images_lib.to_color
            images = convert(images)
    if images.dtype != np.uint8:  # Else fractions would be cut to 0 in silence.
        raise RamError(f"{path}: expected images of uint8, found {images.dtype}")
    if len(images.shape) != 4 or images.shape[-1] != shape[-1]:
        raise RamError(
            f"{path}: expected images [n, H, W, {shape[-1]}], found {images.shape}"
        )
    count = images.shape[0]
    if labels is not None and (
        labels.shape != (count,) or labels.dtype.kind not in "iu"
    ):
        raise RamError(
            f"{path}: expected {count} integers as labels, found "
            f"{labels.dtype}{list(labels.shape)}"
        )
    if labels is not None and not all(0 <= label < num_classes for label in labels):
        raise RamError(f"{path}: expected labels from 0 to {num_classes - 1}")
    if tuple(images.shape[1:3]) != tuple(shape[:2]):
        if not resize:
            raise RamError(
                f"{path}: expected {shape[0]}x{shape[1]} pixels, found "
                f"{images.shape[1]}x{images.shape[2]} "
                "(height x width; --resize resizes)"
            )
        images = images_lib.resize(images, *shape[:2])
    return tf.constant(images), labels
