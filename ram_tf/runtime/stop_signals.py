"""How a process is asked to stop: SIGTERM and Ctrl-C, answered soon and safely.

There are two ways to take a signal. `handling` sets Python's own handlers, which run
in the main thread between two steps of Python. That is enough for commands that do not
compute with TensorFlow, and for the training loop in somebody else's program. The
command train uses `answering`: a thread takes the signals, because the main thread may
be inside TensorFlow for many seconds while it compiles.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator

from ram_tf.entry_point import note
from ram_tf.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_ENDING = (signal.SIGTERM, signal.SIGHUP)
_POLL_SECONDS = 0.25


class StopRequest:
    """Whether a signal asked to stop, and whether the training loop handles it.

    Attributes:
      number: the signal that asked to stop; None while none did.
      deferred: whether to exit at once would lose training steps, or other workers.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.deferred = False

    def check(self) -> None:
        """Raises Interrupted when somebody asked to stop."""
        if self.number is not None:
            raise Interrupted(self.number)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Notes SIGTERM and SIGINT inside a `with`.

        For the training loop in any program; a command uses `answering` around it.
        """

        def note(number: int) -> None:
            self.number = number

        with handling(SIGNALS, note):
            yield


@contextlib.contextmanager
def handling(numbers: Iterable[int], handle: Callable[[int], None]) -> Iterator[None]:
    """Calls a function for each signal that comes inside a `with`.

    Only in the main thread. A signal that the process was started to ignore, as by
    nohup or for a job in the background, stays ignored.

    Args:
      numbers: the signals.
      handle: called with the number of the signal, in the main thread.
    """

    def handler(number: int, frame: object) -> None:
        handle(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in numbers:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            if signal.getsignal(number) is handler:  # Not if `handle` set another.
                signal.signal(number, earlier)


@contextlib.contextmanager
def ended_by_signal() -> Iterator[None]:
    """Makes a signal end a command in order, so that its half-made files are removed.

    SIGTERM, or SIGHUP of a terminal that is closed. Python's default is to end at once.

    Raises:
      SystemExit: with status 128 + signal.
    """
    received = 0

    def end(number: int) -> None:
        nonlocal received
        # `timeout` sends it twice, and the second must not cut the removal short.
        for each in _ENDING:
            signal.signal(each, signal.SIG_IGN)
        received = number
        raise SystemExit(128 + number)

    with handling(_ENDING, end):
        try:
            yield
        except SystemExit:
            if received:
                note(f"stopped by signal {received:d}")
            raise


@contextlib.contextmanager
def answering(stop: StopRequest) -> Iterator[None]:
    """Takes SIGTERM and SIGINT for a whole command, whatever it is doing.

    While the request is deferred, the first signal is noted, and the loop saves after
    the running compiled call. Otherwise (during start, compilation and evaluation), and
    at a second signal, the process exits at once with status 128 + signal. That is
    safe: every file is written whole or not at all, and the kernel frees the lock.

    Args:
      stop: where the signal is noted.
    """
    # A shell gives background jobs an ignored SIGINT: that is to be kept.
    mine = {n for n in SIGNALS if signal.getsignal(n) is not signal.SIG_IGN}
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Threads inherit the mask. TensorFlow, not imported yet, installs a SIGTERM handler
    # of its own for jobs of several workers; blocked, the signal never gets there.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, mine)
    ended = threading.Event()
    # Its own descriptor: the process's is closed while images are read.
    standard_error = None
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            standard_error = os.dup(sys.stderr.fileno())

    def wait() -> None:
        while not ended.is_set():
            found = signal.sigtimedwait(mine, _POLL_SECONDS)
            # CPython gives a struct of garbage, not None, when another signal cuts the
            # wait short at its very end.
            if found is None or found.si_signo not in mine:
                continue
            if not stop.deferred or stop.number is not None:
                _leave(found.si_signo, standard_error)
            stop.number = found.si_signo

    thread = threading.Thread(target=wait, name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        if standard_error is not None:
            os.close(standard_error)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave(number: int, standard_error: int | None) -> None:
    if standard_error is not None:
        # A progress bar may be in the line.
        text = (
            f"\nstopped by signal {number}; the same command continues from the last "
            "checkpoint, if there is one\n"
        )
        with contextlib.suppress(OSError):
            os.write(standard_error, text.encode())
    os._exit(128 + number)
