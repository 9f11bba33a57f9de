"""Runs each training in a process of its own, and passes signals on to it.

So a failure or a leak of memory does not touch the other runs.
"""

import concurrent.futures
import contextlib
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

from ram_tf.errors import Interrupted, RamError
from ram_tf.runtime.cpu_affinity import confine, core_shares
from ram_tf.runtime.progress import environment_of_child
from ram_tf.runtime.stop_signals import handling

TRAIN = (sys.executable, "-m", "ram_tf.train")
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Trainings:
    """Runs trainings from any thread, and passes a signal on to those that run.

    Signals are handled inside `with`, in the main thread.

    Args:
      at_a_time: how many threads call `run`. With several, each training keeps to its
        share of the cores, and their progress bars are not shown.

    Attributes:
      at_a_time: how many together.
      stopped_by: the signal that came; None when none did.
    """

    def __init__(self, at_a_time: int = 1) -> None:
        self.at_a_time = at_a_time
        self.show_progress = at_a_time == 1
        self._shares: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
        for cores in core_shares(at_a_time):
            self._shares.put(cores)
        self.stopped_by: int | None = None
        self._processes: set[subprocess.Popen[bytes]] = set()

    def __enter__(self) -> "Trainings":
        self._handling = handling(_STOPPING, self._on_signal)
        self._handling.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._handling.__exit__(None, None, None)

    def run(self, flags: Sequence[str]) -> str:
        """Runs one training, unless a signal came before.

        Args:
          flags: of ram_tf.train.

        Returns:
          The error that it ended with, one line; empty when it finished.
        """
        cores = self._shares.get()
        try:
            return self._run(flags, cores)
        finally:
            self._shares.put(cores)

    def _run(self, flags: Sequence[str], cores: list[int]) -> str:
        if self.is_stopped():
            return f"not started, after signal {self.stopped_by}"
        process = subprocess.Popen(
            [*TRAIN, *flags],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment_of_child(),
            # Ctrl-C would reach it twice, from the terminal and from here.
            start_new_session=True,
        )
        # It is about to import; threads come later.
        with contextlib.suppress(ProcessLookupError):
            confine(process.pid, cores)
        self._processes.add(process)
        if self.is_stopped():  # The signal came while it started.
            process.terminate()
        assert process.stderr is not None
        tail = b""
        while chunk := os.read(process.stderr.fileno(), 4096):
            # Closed, number 2 may by now be another file; and a log on a full disk is
            # no reason to end a table.
            if self.show_progress and sys.stderr is not None:
                with contextlib.suppress(OSError):
                    os.write(2, chunk)
            tail = (tail + chunk)[-4096:]
        process.stderr.close()
        status = process.wait()
        self._processes.discard(process)
        return "" if status == 0 else _error(status, tail)

    def is_stopped(self) -> bool:
        """Says whether a signal came."""
        return self.stopped_by is not None

    def check(self, state: str) -> None:
        """Raises Interrupted when a signal came.

        Args:
          state: where the work stands, for its message.
        """
        if self.stopped_by is not None:
            raise Interrupted(self.stopped_by, state)

    def _on_signal(self, number: int) -> None:
        self.stopped_by = number
        for process in list(self._processes):
            process.terminate()


class Job(Protocol):
    """One training of a table or a sweep, whether it is finished or not."""

    @property
    def name(self) -> str:
        """What people read, another for each job."""

    def found(self) -> str:
        """Returns what is said of its result; empty until it is finished.

        Raises:
          RamError: when its result is broken.
        """

    def train(self, trainings: Trainings) -> str:
        """Trains it from where it stopped.

        Returns:
          The error that it ended with, one line; empty when it is finished now.

        Raises:
          RamError: when it cannot begin, or its result cannot be kept.
        """


def train_each(
    jobs: Sequence[Job], trainings: Trainings, say: Callable[[str], None]
) -> dict[str, str]:
    """Trains every job that is not finished, as many together as `trainings` allows.

    A failed job does not stop the others, a signal does.

    Args:
      jobs: in the order in which they begin.
      trainings: runs the processes.
      say: called with a line when a job begins and when it ends.

    Returns:
      The errors of the jobs that are not finished, a line each, by name.
    """

    def train(number: int, job: Job) -> str:
        title = f"[{number}/{len(jobs)}] {job.name}"
        if trainings.is_stopped():
            return "stopped"
        try:
            if before := job.found():
                say(f"{title}: {before}, finished before")
                return ""
            say(f"{title}: training")
            error = job.train(trainings)
            found = "" if error else job.found()
        except RamError as fault:
            error = str(fault)
        if not error:
            say(f"{title}: {found}")
        elif not trainings.is_stopped():
            say(f"{title}: failed, {error}")
        return error

    with concurrent.futures.ThreadPoolExecutor(trainings.at_a_time) as pool:
        errors = list(pool.map(train, range(1, len(jobs) + 1), jobs))
    return {job.name: error for job, error in zip(jobs, errors, strict=True) if error}


def _error(status: int, tail: bytes) -> str:
    lines = tail.decode(errors="replace").replace("\r", "\n").splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    if errors:
        return errors[-1].removeprefix("error: ")
    last = lines[-1].strip() if lines else "no output"
    return f"ram_tf.train ended with status {status} after: {last}"
