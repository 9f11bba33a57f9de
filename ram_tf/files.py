"""Files written whole or not at all, JSON, and .npz archives.

What is wrong with a file is said in one line.
"""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ram_tf.errors import RamError, one_line

if TYPE_CHECKING:
    import numpy as np


def read_arrays(
    path: pathlib.Path, expected: str, names: Iterable[str] | None = None
) -> "dict[str, np.ndarray]":
    """Returns arrays of an archive; nothing in it is unpickled.

    Args:
      path: the file.
      expected: what it should be, for the error.
      names: the arrays to read; None reads all.

    Raises:
      RamError: when the file is missing, damaged, or lacks one of `names`.
    """
    import numpy as np  # Every command imports this module; --help needs no NumPy.

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


def write_atomic(path: pathlib.Path, content: bytes | str) -> None:
    """Writes a file whole or not at all, also through a crash; makes its folder.

    Raises:
      RamError: when the file cannot be written; nothing is left behind.
    """
    if isinstance(content, str):
        content = content.encode()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise RamError(
            f"{path}: expected to write {len(content)} bytes, found: {error.strerror}"
        ) from None


def to_json(value: Any) -> str:
    """Returns indented JSON text that ends in a new line."""
    return json.dumps(value, indent=2) + "\n"


def read_json(path: pathlib.Path) -> Any:
    """Reads a JSON file.

    Raises:
      RamError: when it is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RamError(
            f"{path}: expected a JSON file, found: {error.strerror}"
        ) from None
    except ValueError as error:
        raise RamError(f"{path}: expected JSON, found: {error}") from None


def replace_between(text: str, begin: str, end: str, new: str) -> str | None:
    """Returns a text with what stands between two marks replaced, None without them."""
    head, found_begin, rest = text.partition(begin)
    _, found_end, tail = rest.partition(end)
    return f"{head}{begin}{new}{end}{tail}" if found_begin and found_end else None


def shown(name: str) -> str:
    """Returns a file's name as text to print; bytes of no text as hexadecimal."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
