"""Reads .npz archives: whole, or one line that says what is wrong with the file."""

import pathlib
from collections.abc import Iterable

import numpy as np

from ram_tf.errors import RamError, one_line


def read_arrays(
    path: pathlib.Path, expected: str, names: Iterable[str] | None = None
) -> dict[str, np.ndarray]:
    """Returns arrays of an archive; nothing in it is unpickled.

    Args:
      path: the file.
      expected: what it should be, for the error.
      names: the arrays to read; None reads all.

    Raises:
      RamError: when the file is missing, damaged, or lacks one of `names`.
    """
    try:
        # Opened here: np.load leaves a file that it cannot read open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {
                name: archive[name]
                for name in (archive.files if names is None else names)
            }
    except FileNotFoundError:
        raise RamError(f"{path}: expected {expected}, found no such file") from None
    except Exception as error:  # Damage can take zip and header readers anywhere.
        raise RamError(
            f"{path}: expected {expected}, found: {one_line(error)}"
        ) from None
