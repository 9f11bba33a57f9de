"""Runs each measure in a process of its own, with its own memory and caches.

`python -m ram_tf.benchmarks.isolated` is that process: it reads a request as JSON from
standard input and prints the measured fields as JSON.
"""

import contextlib
import dataclasses
import importlib
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from ram_tf.benchmarks.stopwatch import Budget
from ram_tf.config import Config
from ram_tf.entry_point import note
from ram_tf.errors import RamError
from ram_tf.runtime.stop_signals import ended_by_signal

# The module of each measure: a function (config, budget, **options) -> fields.
MEASURES = {
    "machine": "machine",
    "training": "throughput",
    "evaluation": "throughput",
    "pipeline": "throughput",
    "export_fresh": "serving_rate",
    "serving_latency": "serving_rate",
    "serving_throughput": "serving_rate",
    "image_size": "image_size",
    "image_memory": "image_size",
    "image_curve": "image_size",
    "train_help": "startup",
    "first_step": "startup",
}


def run_fresh(
    measure: str, config: Config, budget: Budget, **options: Any
) -> dict[str, Any]:
    """Runs a measure in a fresh process.

    Args:
      measure: a key of MEASURES.
      config: what to measure.
      budget: how long.
      **options: further arguments of the measure, as JSON holds them.

    Returns:
      The fields it found.

    Raises:
      RamError: when it failed; the message is its own, or the last line it wrote.
    """
    request = {
        "measure": measure,
        "config": config.to_dict(),
        "budget": dataclasses.asdict(budget),
        "options": options,
    }
    # It has folders and perhaps a training of its own to remove: Ctrl-C ends this
    # process, and this process asks that one to end, once.
    pipe = subprocess.PIPE
    pipes: dict[str, Any] = {"stdin": pipe, "stdout": pipe, "stderr": pipe}
    with child(["-m", __name__], **pipes, text=True, start_new_session=True) as process:
        output, errors = process.communicate(json.dumps(request))
    if process.returncode:
        line = last_line(errors).removeprefix("error: ")
        raise RamError(line or f"{measure}: found exit status {process.returncode}")
    found: dict[str, Any] = json.loads(last_line(output))
    return found


@contextlib.contextmanager
def child(words: list[str], **options: Any) -> Iterator[subprocess.Popen]:
    """Runs Python in a fresh process, and asks it to end behind the block.

    Args:
      words: of the command, behind the interpreter.
      **options: of subprocess.Popen.

    Yields:
      The process.
    """
    process = subprocess.Popen(
        [sys.executable, *words], env=child_environment(), **options
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def child_environment() -> dict[str, str]:
    """Returns an environment in which a child finds this same package, and is quiet."""
    package_parent = str(pathlib.Path(__file__).parents[2])
    before = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([package_parent, *([before] if before else [])])
    quiet = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3")
    return {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": quiet}


def last_line(text: str) -> str:
    """Returns the last line that is not blank; "" when there is none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def main() -> int:
    """Runs the request on standard input; returns the exit status."""
    request = json.loads(sys.stdin.read())
    measure = request["measure"]
    module = importlib.import_module(f"ram_tf.benchmarks.{MEASURES[measure]}")
    try:
        with ended_by_signal():
            found = getattr(module, measure)(
                Config.from_dict(request["config"]),
                Budget(**request["budget"]),
                **request["options"],
            )
    except RamError as error:
        note(f"error: {error}")
        return 1
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
