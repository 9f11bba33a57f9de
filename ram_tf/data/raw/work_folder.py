"""A folder for half-made files, removed however the work ends; used by prepare."""

import contextlib
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from ram_tf.files import locked

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
        with locked(out, wait=True):
            for left in out.glob(f"{_PREFIX}*"):
                with contextlib.suppress(OSError), locked(left) as free:
                    if free:
                        shutil.rmtree(left, ignore_errors=True)
            made = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=out)
            stack.enter_context(locked(pathlib.Path(made.name)))
            folder = stack.enter_context(made)  # Last, to go before its lock does.
        yield pathlib.Path(folder)
