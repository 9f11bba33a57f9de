"""Files and folders written whole or not at all, JSON, and .npz archives.

What is wrong with a file is said in one line.

Over 250 lines: writing whole, locking and reading back rest on each other.
"""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator
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
    with _archive(path, expected) as archive:
        return {
            name: archive[name] for name in (archive.files if names is None else names)
        }


def array_names(path: pathlib.Path, expected: str) -> list[str]:
    """Returns the names of the arrays of an archive, which are not read.

    Arguments and errors as of `read_arrays`.
    """
    with _archive(path, expected) as archive:
        return list(archive.files)


@contextlib.contextmanager
def _archive(path: pathlib.Path, expected: str) -> Iterator[Any]:
    import numpy as np  # Every command imports this module; --help needs no NumPy.

    try:
        # Opened here: np.load leaves a file that it cannot read open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            yield archive
    except FileNotFoundError:
        raise RamError(f"{path}: expected {expected}, found no such file") from None
    except Exception as error:  # Damage can take zip and header readers anywhere.
        raise RamError(
            f"{path}: expected {expected}, found: {one_line(error)}"
        ) from None


def write_atomic(path: pathlib.Path, content: bytes | str) -> None:
    """Writes a file whole or not at all, also through a crash; makes its folder.

    A link stays one: what it points to is replaced. A device is written to.

    Raises:
      RamError: when the file cannot be written; nothing is left behind.
    """
    if isinstance(content, str):
        content = content.encode()
    try:
        with written_beside(path) as temporary, open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            _flush_to_disk(file.fileno())
    except (OSError, ValueError) as error:  # ValueError: "." or a NUL in the name.
        raise RamError(
            f"{path}: expected to write {len(content)} bytes, found: {one_line(error)}"
        ) from None


def _flush_to_disk(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # A device that keeps nothing.
            raise


@contextlib.contextmanager
def written_beside(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives the name of a file to write beside `path`; at the end it becomes `path`.

    Makes the folder. When the `with` raises, `path` is as before and nothing is left.
    A device or a pipe is given itself.

    Raises:
      OSError: when the file cannot be put in its place.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        yield path
        return
    path = pathlib.Path(os.path.realpath(path))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def require_absent(path: pathlib.Path, name: str = "") -> None:
    """Checks, before work begins, that a folder does not exist and can be made.

    Args:
      path: the folder.
      name: what the error calls it, as "--out=x"; "" is its path.

    Raises:
      RamError: when it exists, or the nearest folder above it takes no new one.
    """
    if path.exists():
        raise RamError(f"{name or path}: it exists; remove it or name another")
    above = next(folder for folder in path.absolute().parents if folder.exists())
    fault = None
    if not above.is_dir():
        fault = errno.ENOTDIR
    elif not os.access(above, os.W_OK | os.X_OK):
        fault = errno.EACCES
    if fault is not None:
        raise RamError(
            f"{name or path}: expected a folder to write to, found: "
            f"{os.strerror(fault)}"
        )


@contextlib.contextmanager
def new_folder(
    path: pathlib.Path,
    name: str = "",
    replace: bool = False,
    faults: tuple[type[Exception], ...] = (OSError,),
) -> Iterator[pathlib.Path]:
    """Gives an empty folder to fill beside `path`; at the end it becomes `path`.

    Makes the folders above. When the `with` raises, `path` is as before and nothing is
    left of what was written. What a killed process left there is removed first; a
    folder that it was about to replace gets its name back.

    Args:
      path: the folder.
      name: as in `require_absent`.
      replace: whether `path` may exist, and is replaced.
      faults: what the `with` raises when something cannot be written.

    Raises:
      RamError: when `path` exists and is not to be replaced, cannot be written, or is
        being written by another process.
    """
    if not replace:
        require_absent(path, name)
    temporary, old = (path.with_name(f".{path.name}.{end}") for end in ("tmp", "old"))
    name = name or str(path)
    try:
        if temporary.is_dir():
            with _owned(temporary, name):
                shutil.rmtree(temporary, ignore_errors=True)
        if replace and old.exists() and not path.exists():
            old.rename(path)
        temporary.mkdir(parents=True)
        with _owned(temporary, name):
            try:
                yield temporary
                if replace:
                    _replace(path, temporary, old)
                else:
                    temporary.rename(path)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    except faults as error:
        raise RamError(
            f"{name}: expected a folder to write to, found: {one_line(error)}"
        ) from None


def _replace(path: pathlib.Path, new: pathlib.Path, old: pathlib.Path) -> None:
    """Moves a folder to `path`; what is there is at `old` until that is done."""
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    try:
        new.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _owned(folder: pathlib.Path, name: str) -> Iterator[None]:
    """Keeps other processes from a folder; a file system without locks lets them in."""
    with locked(folder) as free:
        if free is False:
            raise RamError(
                f"{name}: expected no other command that writes it, found one"
            )
        yield


@contextlib.contextmanager
def locked(folder: pathlib.Path, *, wait: bool = False) -> Iterator[bool | None]:
    """Locks a folder for a `with`; the kernel frees the lock of a killed process.

    Args:
      folder: an existing folder.
      wait: whether to wait until the lock is free.

    Returns:
      Gives whether the lock was free; None where the file system has no locks.

    Raises:
      OSError: when the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        free: bool | None = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            free = False
        except OSError:
            free = None
        yield free
    finally:
        os.close(descriptor)


def read_text(path: pathlib.Path, expected: str, name: str = "") -> str:
    """Reads a text file.

    Args:
      path: the file.
      expected: what it should be, for the error.
      name: what the error calls the file, as its flag; "" is its path.

    Raises:
      RamError: when it is missing or no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise RamError(
            f"{name or path}: expected {expected}, found: {reason}"
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


def shown(name: str) -> str:
    """Returns a file's name as text to print; bytes of no text as hexadecimal."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
