"""A folder for what is half-made, which goes however the work ends; used by prepare."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import threading
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


@contextlib.contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Makes SIGTERM end a command in order, so that its folders are removed.

    Python's default is to end at once. Only in the main thread, and not when whoever
    started the process has it ignore the signal.

    Raises:
      SystemExit: with status 143, on SIGTERM.
    """

    def end(number: int, frame: object) -> None:
        # `timeout` sends it twice, and the second must not cut the removal short.
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = signal.getsignal(signal.SIGTERM)
    main = threading.current_thread() is threading.main_thread()
    if not main or before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    except SystemExit:
        print(f"error: stopped by signal {signal.SIGTERM:d}", file=sys.stderr)
        raise
    finally:
        if signal.getsignal(signal.SIGTERM) is end:
            signal.signal(signal.SIGTERM, before)
