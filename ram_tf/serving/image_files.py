"""Reads image files for a model, as the data of its training were read."""

import concurrent.futures
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ram_tf.data import image_ops, picture
from ram_tf.data.picture_files import read_content
from ram_tf.errors import RamError, one_line
from ram_tf.files import array_names, read_arrays
from ram_tf.runtime.cpu_affinity import usable_cores

_CHUNK = 64  # Files that are read ahead of their predictions.


class ReadImages(NamedTuple):
    """What a file holds.

    Attributes:
      images: uint8 [n, H, W, C], as the model takes them.
      labels: integers [n], or None when the file has none.
      stored_size: (h, w) of them in the file.
      said: what was done to each of them, when they were prepared.
    """

    images: np.ndarray
    labels: np.ndarray | None
    stored_size: tuple[int, int]
    said: tuple[str, ...] = ()


def read_ahead(
    paths: Sequence[str], read: Callable[[str], ReadImages]
) -> Iterator[list[ReadImages | RamError]]:
    """Reads files in parallel; yields what some of them hold, in their order.

    Args:
      paths: the files.
      read: of one file, as `read_images`; what it raises stands in the file's place.
    """

    def try_read(path: str) -> ReadImages | RamError:
        try:
            return read(path)
        except RamError as error:
            return error

    # A large picture takes a gigabyte and more: no more of them than cores.
    threads = len(usable_cores())
    with concurrent.futures.ThreadPoolExecutor(threads, "images") as pool:
        for at in range(0, len(paths), _CHUNK):
            yield list(pool.map(try_read, paths[at : at + _CHUNK]))


def read_images(
    path: str,
    shape: tuple[int, ...],
    resize: bool,
    num_classes: int,
    background: str = "white",
    prepare: Callable[[np.ndarray], tuple[np.ndarray, str]] | None = None,
) -> ReadImages:
    """Reads a file: a picture, or an .npz with `images` and perhaps `labels`.

    Images are resized, and pictures made gray or colour, as the data of training were.
    Arrays need the channels of the model.

    Args:
      path: the file.
      shape: (H, W, C) of the model.
      resize: whether images of another size are resized; else they are refused.
      num_classes: N.
      background: behind what is transparent, as in training.
      prepare: makes an image of the file, [h, w, C], one that the model takes, and says
        what it did; None resizes.

    Raises:
      RamError: when the file is no image, or of another size and `resize` is False, or
        its arrays are of other types, or an image cannot be prepared.
    """
    labels = None
    if path.endswith(".npz"):
        images, labels = _read_npz(path)
        if images.dtype != np.uint8:  # Else fractions would be cut to 0 in silence.
            raise RamError(f"{path}: expected images of uint8, found {images.dtype}")
        if len(images.shape) != 4 or images.shape[-1] != shape[-1] or 0 in images.shape:
            raise RamError(
                f"{path}: expected images [n, H, W, {shape[-1]}], found {images.shape}"
            )
    else:
        color = picture.background_color(background)
        try:
            images = picture.decode(read_content(path), color)[None]
        except FileNotFoundError:
            raise RamError(f"{path}: expected an image, found no such file") from None
        except (OSError, ValueError) as error:  # RamError is one.
            said = one_line(error, 300)
            if not isinstance(error, RamError):
                said = f"expected an image ({picture.KINDS}), found: {said}"
            said = said.replace("), found", ") or an .npz with `images`, found", 1)
            raise RamError(f"{path}: {said}") from None
    if labels is not None:
        _check_labels(path, labels, len(images), num_classes)
    height, width = images.shape[1:3]
    if (height, width) != tuple(shape[:2]):
        if not resize:
            raise RamError(
                f"{path}: expected {shape[0]}x{shape[1]} pixels, found "
                f"{height}x{width} (height x width; --resize=true resizes)"
            )
        if prepare is None:
            images = image_ops.resize(images, *shape[:2]).numpy()
    steps: list[str] = []
    if prepare is not None:
        images, steps = _prepared(path, images, prepare)
    # After the size, as in training, whose roundings these are then.
    images = with_channels(images, shape[-1])
    return ReadImages(images, labels, (height, width), tuple(steps))


def name_of(path: str, index: int, count: int) -> str:
    """Returns the name of an image of a file that holds `count` of them."""
    return path if count == 1 else f"{path}[{index}]"


def _prepared(
    path: str,
    images: np.ndarray,
    prepare: Callable[[np.ndarray], tuple[np.ndarray, str]],
) -> tuple[np.ndarray, list[str]]:
    made, said = [], []
    for index, image in enumerate(images):
        try:
            one, what = prepare(image)
        except RamError as error:
            raise RamError(f"{name_of(path, index, len(images))}: {error}") from None
        made.append(one)
        said.append(what)
    return np.stack(made), said


def with_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Makes uint8 [..., 1 or 3] gray or colour, as the sources of training do."""
    if images.shape[-1] == channels:
        return images
    convert = image_ops.to_gray if channels == 1 else image_ops.to_color
    return picture.in_strips(lambda strip: convert(strip).numpy(), images, channels)


def _read_npz(path: str) -> tuple[np.ndarray, np.ndarray | None]:
    expected = "an .npz with `images`"
    names = array_names(pathlib.Path(path), expected)
    if "images" not in names:
        found = ", ".join(names) or "nothing"
        raise RamError(f"{path}: expected {expected}, found {found}")
    wanted = [name for name in ("images", "labels") if name in names]  # No others.
    arrays = read_arrays(pathlib.Path(path), expected, wanted)
    return arrays["images"], arrays.get("labels")


def _check_labels(path: str, labels: np.ndarray, count: int, num_classes: int) -> None:
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise RamError(
            f"{path}: expected {count} integers as labels, found "
            f"{labels.dtype}{list(labels.shape)}"
        )
    if not all(0 <= label < num_classes for label in labels):
        raise RamError(f"{path}: expected labels from 0 to {num_classes - 1}")
