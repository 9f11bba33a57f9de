"""Trainings as processes of their own, with signals handed on.

One failure or one leak of memory then stays with its run.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

TRAIN = (sys.executable, "-m", "ram_tf.train")
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Trainings:
    """Runs trainings, from any thread, and hands a signal on to those in work.

    Signals are listened to inside `with`, in the main thread.

    Args:
      show_progress: whether to pass on what they say on standard error.

    Attributes:
      stopped_by: the signal that came, None so far.
    """

    def __init__(self, show_progress: bool = True) -> None:
        self.show_progress = show_progress
        self.stopped_by: int | None = None
        self._processes: set[subprocess.Popen[bytes]] = set()

    def __enter__(self) -> "Trainings":
        self._before = {
            number: signal.signal(number, self._on_signal) for number in _STOPPING
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def run(self, flags: Sequence[str]) -> str:
        """Runs one training, unless a signal came before.

        Args:
          flags: of ram_tf.train.

        Returns:
          The error that it ended with, one line; empty when it finished.
        """
        if self.is_stopped():
            return f"not begun, after signal {self.stopped_by}"
        process = subprocess.Popen(
            [*TRAIN, *flags],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # Ctrl-C would reach it twice, from the terminal and from here.
            start_new_session=True,
        )
        self._processes.add(process)
        if self.is_stopped():  # The signal came while it started.
            process.terminate()
        assert process.stderr is not None
        tail = b""
        while chunk := os.read(process.stderr.fileno(), 4096):
            if self.show_progress:
                os.write(2, chunk)
            tail = (tail + chunk)[-4096:]
        process.stderr.close()
        status = process.wait()
        self._processes.discard(process)
        return "" if status == 0 else _error(status, tail)

    def is_stopped(self) -> bool:
        """Says whether a signal came."""
        return self.stopped_by is not None

    def _on_signal(self, number: int, frame: Any) -> None:
        self.stopped_by = number
        for process in list(self._processes):
            process.terminate()


def _error(status: int, tail: bytes) -> str:
    lines = tail.decode(errors="replace").replace("\r", "\n").splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    if errors:
        return errors[-1].removeprefix("error: ")
    last = lines[-1].strip() if lines else "no word"
    return f"ram_tf.train ended with status {status} after: {last}"
