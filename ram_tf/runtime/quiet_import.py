"""Imports TensorFlow without the lines that its libraries write while they load.

TensorFlow 2.21 logs to standard error before it reads TF_CPP_MIN_LOG_LEVEL. An error of
a command is one line there, and must not be lost among others.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


def import_tensorflow() -> None:
    """Imports TensorFlow and drops what the import writes to standard error.

    Commands call it before the package's own modules import TensorFlow. It does nothing
    when TensorFlow is there already.

    Raises:
      ImportError: as the import itself; what was written is then shown.
    """
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with standard_error_held_back(shown_with_error=True):
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def standard_error_held_back(shown_with_error: bool = False) -> Iterator[None]:
    """Holds back what any library writes to file descriptor 2, and drops it.

    Args:
      shown_with_error: whether it is written after all when the `with` raises.

    C++ code writes to the descriptor, not to sys.stderr. Nothing is held back where
    there is no place for it, or no standard error.
    """
    descriptor = 2
    with contextlib.ExitStack() as stack:
        held = original = None
        with contextlib.suppress(OSError):  # Every folder is read-only, or `2>&-`.
            held = stack.enter_context(tempfile.TemporaryFile())
            original = os.dup(descriptor)
        if held is None or original is None:
            yield
            return
        stack.callback(os.close, original)
        stack.callback(os.dup2, original, descriptor)
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(held.fileno(), descriptor)
        try:
            yield
        except BaseException:
            if shown_with_error:
                held.seek(0)
                os.write(original, held.read())
            raise
