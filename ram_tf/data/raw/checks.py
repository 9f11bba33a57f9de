"""Finding and checking the raw files of data sets; used by their readers."""

import fnmatch
import gzip
import hashlib
import pathlib
import zlib

import numpy as np

from ram_tf.errors import RamError, one_line


def find_file(raw_dir: pathlib.Path, *patterns: str) -> pathlib.Path | None:
    """Returns the file of the first pattern that one fits, the least deep; or None."""
    files = sorted(
        (path for path in raw_dir.rglob("*") if path.is_file()),
        key=lambda path: (len(path.parts), path),
    )
    for pattern in patterns:
        for path in files:
            if fnmatch.fnmatchcase(path.name, pattern):
                return path
    return None


def read_file(path: pathlib.Path) -> bytes:
    """Returns the content of a file, unpacked when its name ends in .gz.

    Raises:
      RamError: when the file is missing or damaged.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise RamError(
            f"{path}: expected a whole file, found: {one_line(error)}"
        ) from None


def check_labels(where: object, labels: np.ndarray) -> None:
    """Raises RamError, naming where, unless all labels are in 0..9."""
    wrong = np.flatnonzero(labels > 9)
    if len(wrong):
        raise RamError(
            f"{where}: label {labels[wrong[0]]} of image {wrong[0]}, expected 0 to 9"
        )


def check_digest(where: object, content: bytes, name: str, digest: str) -> None:
    """Raises RamError, naming where, unless the content has this SHA-256.

    Args:
      where: the file, for the message.
      content: its bytes, unpacked.
      name: what it should hold, for the message.
      digest: the SHA-256 of that, in hexadecimal digits.

    Raises:
      RamError: for any other content.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise RamError(
            f"{where}: expected {name}, whose SHA-256 is {digest[:16]}..., found "
            f"{found[:16]}...: damaged, or of another set"
        )
