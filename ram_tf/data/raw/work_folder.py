"""A folder for what is half-made, which goes however the work ends; used by prepare."""

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
    """Makes a folder in `out` for a `with`, and removes it behind.

    What killed processes left there is removed first. A lock tells that a folder is in
    use; where the file system has no locks nothing is taken for left behind.

    Args:
      out: an existing folder.

    Raises:
      OSError: when it cannot be made.
    """
    with contextlib.ExitStack() as stack:
        # No other process looks for leftovers between the making and the locking.
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
    """Locks a folder for a `with`; gives whether it was to be had."""
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
