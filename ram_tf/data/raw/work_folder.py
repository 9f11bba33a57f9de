"""A folder for half-made files, removed however the work ends; used by prepare."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

_PREFIX = ".prepare-"


@contextlib.contextmanager
def work_folder(out: pathlib.Path) -> Iterator[pathlib.Path]:
    """Makes a folder in `out` for a `with`, and removes it afterwards.

    Folders that killed processes left are removed first. A lock says that a folder is
    in use; on a file system without locks no folder is removed.

    Args:
      out: an existing folder.

    Raises:
      OSError: when it cannot be made.
    """
    with contextlib.ExitStack() as stack:
        # So that no other process removes the new folder before it is locked.
        with _lock(out, wait=True):
            for left in out.glob(f"{_PREFIX}*"):
                with contextlib.suppress(OSError), _lock(left) as free:
                    if free:
                        shutil.rmtree(left, ignore_errors=True)
            made = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=out)
            stack.enter_context(_lock(pathlib.Path(made.name)))
            folder = stack.enter_context(made)  # Last, to go before its lock does.
        yield pathlib.Path(folder)


@contextlib.contextmanager
def _lock(folder: pathlib.Path, *, wait: bool = False) -> Iterator[bool]:
    """Locks a folder for a `with`; gives whether the lock was free."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        got = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:  # In use, or a file system without locks.
            got = False
        yield got
    finally:
        os.close(descriptor)
