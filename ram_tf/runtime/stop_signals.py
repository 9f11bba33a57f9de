"""How a run is asked to stop: SIGTERM and Ctrl-C, answered soon and in a safe place.

The training loop reads a `StopRequest` between compiled calls. A command has a thread
take the signals besides, because Python's own handlers wait for the main thread, which
may be inside TensorFlow for many seconds while it compiles.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator

from ram_tf.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_POLL_SECONDS = 0.25


class StopRequest:
    """What a signal asked, and whether the training loop will answer it.

    Attributes:
      number: the signal that asked to stop; None while none did.
      deferred: whether leaving at once would lose training steps, or other workers.
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
        """Notes SIGTERM and SIGINT inside a `with`, in the main thread only.

        For the training loop in any program; a command uses `answering` around it.
        """
        before = {}

        def note(number: int, frame: object) -> None:
            self.number = number

        if threading.current_thread() is threading.main_thread():
            before = {number: signal.signal(number, note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def answering(stop: StopRequest) -> Iterator[None]:
    """Takes SIGTERM and SIGINT for a whole command, whatever it is doing.

    While the request is deferred the first signal is noted, and the loop saves behind
    the running compiled call. Else (start, compilation, what is done after training),
    and at a second signal, the process leaves at once with status 128 + signal: every
    file is written whole or not at all, and the kernel frees the lock.

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

    def wait() -> None:
        while not ended.is_set():
            found = signal.sigtimedwait(mine, _POLL_SECONDS)
            # CPython gives a struct of garbage, not None, when another signal cuts the
            # wait short at its very end.
            if found is None or found.si_signo not in mine:
                continue
            if not stop.deferred or stop.number is not None:
                _leave(found.si_signo)
            stop.number = found.si_signo

    thread = threading.Thread(target=wait, name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave(number: int) -> None:
    # A progress bar may be in the line.
    print(
        f"\nstopped by signal {number}; the same command goes on from the last "
        "checkpoint, if there is one",
        file=sys.stderr,
        flush=True,
    )
    os._exit(128 + number)
