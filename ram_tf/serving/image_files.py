"""Reads image files for an exported model, as the data of its training were read."""

import pathlib
from typing import Any

from ram_tf.errors import RamError, one_line
from ram_tf.files import read_arrays


def read_images(
    path: str,
    shape: tuple[int, ...],
    resize: bool,
    num_classes: int,
    background: str = "white",
) -> Any:
    """Reads a file into uint8 [n, H, W, C], and integer labels [n] or None.

    Images are made gray or colour, and resized, as the data of training were.

    Args:
      path: the file: a picture, or an .npz.
      shape: (H, W, C) of the model.
      resize: whether pictures of another size are resized.
      num_classes: N.
      background: behind what is transparent, as in training.

    Raises:
      RamError: when the file is no image, or of another size and `resize` is False, or
        its arrays are of other types.
    """
    import numpy as np
    import tensorflow as tf

    from ram_tf.data import image_ops as images_lib
    from ram_tf.data import picture
    from ram_tf.data.picture_files import read_content

    labels = None
    if path.endswith(".npz"):
        arrays = read_arrays(pathlib.Path(path), "an .npz with `images`")
        if "images" not in arrays:
            found = ", ".join(arrays) or "nothing"
            raise RamError(f"{path}: expected an .npz with `images`, found {found}")
        images, labels = arrays["images"], arrays.get("labels")
    else:
        color = picture.background_color(background)
        try:
            with picture.quiet():
                images = picture.decode(read_content(path), color)[None]
        except (OSError, ValueError) as error:  # RamError is one.
            said = one_line(error, 300)
            if not isinstance(error, RamError):
                said = f"expected an image ({picture.KINDS}), found: {said}"
            said = said.replace("), found", ") or an .npz with `images`, found", 1)
            raise RamError(f"{path}: {said}") from None
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
