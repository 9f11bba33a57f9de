"""Picture files read in parallel, each once: pixels, and a digest of the content."""

import collections
import concurrent.futures
import dataclasses
import functools
import hashlib
import os
import stat
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ram_tf.data import picture
from ram_tf.errors import RamError, one_line

_CHUNK = 64  # Files that a thread takes at a time.
_SMALL = 1_000_000  # Bytes of pixels up to which pictures are resized together.


@dataclasses.dataclass
class PictureFile:
    """A file as it was read.

    Attributes:
      path: the file.
      digest: SHA-256 of its content; of its name when it cannot be read.
      stored_shape: (h, w, C) of the picture in the file; None for a broken one.
      pixels: uint8 [h, w, C], resized when that was asked for; None for a broken one,
        and for one that is not of the first one's size where they are not resized.
      error: what is wrong with it, without its path.
    """

    path: str
    digest: bytes
    stored_shape: tuple[int, int, int] | None = None
    pixels: np.ndarray | None = None
    error: str = ""


def read_content(path: str) -> bytes:
    """Returns the bytes of a file.

    Raises:
      OSError: when it cannot be read.
      ValueError: when it has no end, as a device, or its name has a NUL.
    """
    with open(path, "rb") as file:
        if stat.S_ISCHR(os.fstat(file.fileno()).st_mode):
            raise ValueError("a device")
        return file.read()


def read_files(
    paths: Sequence[str],
    background: picture.Color,
    image_size: int = 0,
    num_threads: int = 1,
    on_read: Callable[[int, int], None] = lambda done, total: None,
) -> list[PictureFile]:
    """Reads files in parallel; the order is that of the paths.

    Args:
      paths: the files.
      background: behind what is transparent.
      image_size: side that pictures are resized to; 0 keeps their size.
      num_threads: how many read side by side.
      on_read: called, now and then, with how many are read and how many there are.
    """
    resize = _resizer(image_size) if image_size else None
    chunks = [paths[at : at + _CHUNK] for at in range(0, len(paths), _CHUNK)]

    def read_chunk(chunk: Sequence[str]) -> list[PictureFile]:
        with picture.quiet():  # Once for all of them: it takes as long as a small one.
            files = [_read(path, background, resize) for path in chunk]
        if resize is not None:
            _resize_together(files, resize)
        return files

    pool = concurrent.futures.ThreadPoolExecutor(num_threads, "pictures")
    files: list[PictureFile] = []
    try:
        size: tuple[int, ...] = ()
        for chunk in pool.map(read_chunk, chunks):
            for file in chunk if resize is None else ():
                found = file.stored_shape[:2] if file.stored_shape else ()
                size = size or found
                if found != size:
                    # Photographs of several sizes would fill the memory before they
                    # are refused.
                    file.pixels = None
            files += chunk
            on_read(len(files), len(paths))
        return files
    finally:
        pool.shutdown(cancel_futures=True)


def _read(
    path: str, background: picture.Color, resize: Callable[[Any], np.ndarray] | None
) -> PictureFile:
    try:
        content = read_content(path)
    except (OSError, ValueError) as error:
        digest = hashlib.sha256(os.fsencode(path)).digest()
        reason = f"expected an image, found: {one_line(error)}"
        return PictureFile(path, digest, error=reason)
    found = PictureFile(path, hashlib.sha256(content).digest())
    try:
        pixels = picture.decode(content, background)
        height, width, channels = pixels.shape
        found.stored_shape = height, width, channels
        if resize is not None and pixels.nbytes > _SMALL:  # Never many of these.
            pixels = resize(pixels[None])[0]
        found.pixels = pixels
    except RamError as error:
        found.error = str(error)
    return found


def _resize_together(
    files: list[PictureFile], resize: Callable[[Any], np.ndarray]
) -> None:
    """Resizes what is still of its own size, in one call a shape."""
    shapes = collections.defaultdict(list)
    for file in files:
        if file.pixels is not None:
            shapes[file.pixels.shape].append(file)
    for alike in shapes.values():
        resized = resize(np.array([file.pixels for file in alike]))
        for file, pixels in zip(alike, resized, strict=True):
            file.pixels = pixels


@functools.cache
def _resizer(side: int) -> Callable[[Any], np.ndarray]:
    import tensorflow as tf

    from ram_tf.data.image_ops import resize

    compiled = tf.function(
        lambda images: resize(images, side, side),
        input_signature=[tf.TensorSpec([None, None, None, None], tf.uint8)],
        autograph=False,
    )

    def run(pixels: np.ndarray) -> np.ndarray:
        return pixels if pixels.shape[1:3] == (side, side) else compiled(pixels).numpy()

    return run
