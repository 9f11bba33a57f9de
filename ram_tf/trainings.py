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
    """Runs trainings one after the other, and hands a signal on to the one in work."""

    def __init__(self) -> None:
        self.stopped_by: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Trainings":
        self._before = {
            number: signal.signal(number, self._on_signal) for number in _STOPPING
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def run(self, flags: Sequence[str]) -> str:
        """Runs one training.

        Args:
          flags: of ram_tf.train.

        Returns:
          The error that it ended with, one line; empty when it finished.
        """
        process = subprocess.Popen(
            [*TRAIN, *flags],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # Ctrl-C would reach it twice, from the terminal and from here.
            start_new_session=True,
        )
        self._process = process
        if self.stopped_by is not None:  # Came while it started.
            process.terminate()
        assert process.stderr is not None
        tail = b""
        while chunk := os.read(process.stderr.fileno(), 4096):
            os.write(2, chunk)
            tail = (tail + chunk)[-4096:]
        process.stderr.close()
        status = process.wait()
        self._process = None
        if status == 0:
            return ""
        lines = tail.decode(errors="replace").replace("\r", "\n").splitlines()
        errors = [line for line in lines if line.startswith("error: ")]
        if errors:
            return errors[-1].removeprefix("error: ")
        last = lines[-1].strip() if lines else "no word"
        return f"ram_tf.train ended with status {status} after: {last}"

    def _on_signal(self, number: int, frame: Any) -> None:
        self.stopped_by = number
        if self._process is not None:
            self._process.terminate()
