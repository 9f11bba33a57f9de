"""Commands that train, with stand_in_train.py in the place of ram_tf.train."""

import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import pytest

from helpers.processes import ROOT
from ram_tf.training import processes

_PROGRAM = ROOT / "tests/helpers/stand_in_train.py"


def put_in_place(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes commands of this process start the stand-in, which notes its calls."""
    monkeypatch.setattr(processes, "TRAIN", (sys.executable, str(_PROGRAM)))
    # The stand-in needs the package and what lies beside it.
    paths = [str(ROOT), str(ROOT / "tests")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("CALLS", str(folder / "calls"))


def calls_of(folder: pathlib.Path) -> list[str]:
    """Returns the calls of the stand-in: experiment, seed and data_dir of each."""
    path = folder / "calls"
    return path.read_text().splitlines() if path.exists() else []


def stopped(
    command: str,
    flags: Sequence[str],
    folder: pathlib.Path,
    experiment: str,
    number: signal.Signals,
) -> tuple[int, str]:
    """Sends a signal to a command while it trains an experiment.

    Returns:
      Its exit status, and what it said to standard error.
    """
    code = (
        f"import sys; from ram_tf import {command}; "
        "from ram_tf.training import processes; "
        f"processes.TRAIN = (sys.executable, {str(_PROGRAM)!r}); "
        f"sys.exit({command}.main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *flags],
        env={**os.environ, "SLEEP": experiment},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    while not (folder / "calls.sleeping").exists() and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors
