"""How long a person waits: for --help, and for the first training step."""

import contextlib
import dataclasses
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from ram_tf.benchmarks.isolated import child, child_environment, last_line
from ram_tf.benchmarks.stopwatch import Budget
from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.flags import flag

_POLL_SECONDS = 0.01
_PATIENCE_SECONDS = 300.0


def train_help(config: Config, budget: Budget) -> dict[str, Any]:
    """Times `python -m ram_tf.train --help`, start of the interpreter included.

    Returns:
      seconds: the median of several.
    """
    command = [sys.executable, "-m", "ram_tf.train", "--help"]
    times = []
    for _ in range(budget.windows):
        before = time.perf_counter()
        subprocess.run(
            command,
            env=child_environment(),
            check=True,
            stdout=subprocess.DEVNULL,
        )
        times.append(time.perf_counter() - before)
    return {"seconds": statistics.median(times)}


def first_step(config: Config, budget: Budget) -> dict[str, Any]:
    """Times the train command from its start to its first step.

    The command itself is run, asked for a checkpoint after every step, and stopped when
    the first has appeared: writing it is part of the time.

    Returns:
      seconds.

    Raises:
      RamError: when the command fails or takes five minutes.
    """
    with tempfile.TemporaryDirectory() as folder:
        run_dir = pathlib.Path(folder) / "run"
        config = dataclasses.replace(config, run_dir=str(run_dir), checkpoint_every=1)
        # With this many steps it cannot end before it is stopped.
        config = dataclasses.replace(config, train_steps=max(config.train_steps, 10**6))
        log = pathlib.Path(folder) / "log"
        with train_process(config, log) as (process, before):
            found = _wait_for_checkpoint(process, run_dir, before)
        if found is None:
            raise RamError(
                "ram_tf.train: expected a first training step, found: "
                f"{last_line(log.read_text(errors='replace'))}"
            )
    return {"seconds": found}


@contextlib.contextmanager
def train_process(
    config: Config, log: pathlib.Path
) -> Iterator[tuple[subprocess.Popen, float]]:
    """Runs the train command, and stops it behind the block.

    Args:
      config: the run.
      log: file for what it writes to standard error.

    Yields:
      The process, and time.perf_counter() of its start.
    """
    flags = [flag(name, value) for name, value in config.to_dict().items()]
    with log.open("wb") as output:
        before = time.perf_counter()
        words = ["-m", "ram_tf.train", *flags]
        with child(words, stdout=subprocess.DEVNULL, stderr=output) as process:
            yield process, before


def _wait_for_checkpoint(
    process: subprocess.Popen, run_dir: pathlib.Path, before: float
) -> float | None:
    while process.poll() is None:
        seconds = time.perf_counter() - before
        if any(run_dir.glob("checkpoints/step_*")):
            return seconds
        if seconds > _PATIENCE_SECONDS:
            return None
        time.sleep(_POLL_SECONDS)
    return None
