"""The four IDX files of MNIST and Fashion-MNIST, as people have them, checked.

Used by prepare. Gzipped or not, what comes out are the bytes of the plain files that
the builders of TFDS read.
"""

import gzip
import pathlib

import numpy as np

from ram_tf.data.raw_files import UNREADABLE, check_labels, find_file
from ram_tf.errors import RamError, one_line

COUNTS = {"train": 60_000, "t10k": 10_000}
# The sets share their file names, but not their first labels.
FIRST_LABELS = {
    "mnist": (5, 0, 4, 1, 9, 2, 1, 3, 1, 4),
    "fashion_mnist": (9, 0, 0, 3, 0, 2, 7, 2, 5, 5),
}


def read_mnist(raw_dir: pathlib.Path, dataset: str) -> dict[str, bytes]:
    """Reads the four IDX files of MNIST or Fashion-MNIST, gzipped or not.

    Args:
      raw_dir: holds them, at any depth; `train-images.idx3-ubyte` is found as well.
      dataset: "mnist" or "fashion_mnist".

    Returns:
      Their contents by name, "train-images-idx3-ubyte" and so on.

    Raises:
      RamError: for a missing, truncated, corrupt or wrong file; it names the file.
    """
    contents = {}
    for part, count in COUNTS.items():
        for kind, shape in (
            ("images-idx3-ubyte", (count, 28, 28)),
            ("labels-idx1-ubyte", (count,)),
        ):
            name = f"{part}-{kind}"
            path, content = _read_idx(raw_dir, name)
            contents[name] = _check_idx(path, content, shape)
    labels = contents["train-labels-idx1-ubyte"][8:18]
    for other, first in FIRST_LABELS.items():
        if other != dataset and labels == bytes(first):
            raise RamError(
                f"--raw_dir={raw_dir}: expected the files of {dataset}, found those of "
                f"{other}"
            )
    return contents


def _read_idx(raw_dir: pathlib.Path, name: str) -> tuple[pathlib.Path, bytes]:
    dotted = name.replace("-idx", ".idx")
    path = find_file(raw_dir, name, f"{name}.gz", dotted, f"{dotted}.gz")
    if path is None:
        raise RamError(
            f"--raw_dir={raw_dir}: expected {name} or {name}.gz, found neither"
        )
    try:
        content = path.read_bytes()
        return path, gzip.decompress(content) if path.suffix == ".gz" else content
    except UNREADABLE as error:
        raise RamError(
            f"{path}: expected a whole file, found: {one_line(error)}"
        ) from None


def _check_idx(path: pathlib.Path, content: bytes, shape: tuple[int, ...]) -> bytes:
    header = bytes((0, 0, 8, len(shape))) + np.array(shape, ">u4").tobytes()
    size = len(header) + int(np.prod(shape))
    sizes = "x".join(str(side) for side in shape)
    if content[: len(header)] != header:
        raise RamError(
            f"{path}: expected an IDX file of {sizes} bytes (header {header.hex()}), "
            f"found {content[: len(header)].hex() or 'nothing'}"
        )
    if len(content) != size:
        raise RamError(
            f"{path}: expected {size} bytes ({sizes} and a header), found "
            f"{len(content)}"
        )
    if len(shape) == 1:
        check_labels(path, np.frombuffer(content, np.uint8, offset=len(header)))
    return content
