"""Measures speed and memory: python -m ram_tf.benchmark [--flagfile=...] [--json]."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from ram_tf.benchmarks.isolated import run_fresh
from ram_tf.benchmarks.page import COLUMNS
from ram_tf.benchmarks.stopwatch import FULL, QUICK, Budget
from ram_tf.benchmarks.suite import GROUPS, ROWS, Row
from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.flags import (
    Arguments,
    Setting,
    config_settings,
    entry_point,
    experiment_name,
)

USAGE = """Measures training, evaluation, the exported model, the input pipeline, start
and memory, each in a process of its own, and this machine's matrix-product rate.

  python -m ram_tf.benchmark --flagfile=experiments/mnih/mnist_6g.cfg
  python -m ram_tf.benchmark --flagfile=... --measure=training --batch_size=20 --json
  python -m ram_tf.benchmark --suite=all --json > docs/performance/mine.jsonl

The machine should be idle. Prints one line a measurement; with --json one object:
measure, experiment, setting, model, batch_size, images_per_second, images_per_gflop
(per GFLOP/s of the matrix-product rate), mfu, matmul_gflops, p50_ms, p99_ms, peak_mb,
compile_s, seconds, where they apply."""

# Of one flagfile; the others belong to the suite.
MEASURES = (
    "training",
    "evaluation",
    "pipeline",
    "serving_latency",
    "serving_throughput",
    "first_step",
)

SETTINGS = [
    *config_settings(),
    Setting("json", False, "Print one JSON object a measurement."),
    Setting(
        "suite",
        "none",
        "The standard list of measurements, or a part of it, instead of one flagfile.",
        choices=("none", "all", *GROUPS),
    ),
    Setting(
        "measure",
        "all",
        "Which measurement of the flagfile.",
        choices=("all", *MEASURES),
    ),
    Setting("experiments_dir", "experiments", "Where --suite finds its flagfiles."),
    Setting(
        "quick",
        False,
        "Only to show that it runs; the figures mean nothing.",
    ),
]


def measure(row: Row, config: Config, budget: Budget) -> dict[str, Any]:
    """Runs one measurement in a fresh process.

    Args:
      row: what to measure; `config` is its own, resolved.
      config: what is measured.
      budget: how long.

    Returns:
      A line: what was measured and what was found.

    Raises:
      RamError: when it failed.
    """
    line: dict[str, Any] = {"measure": row.measure}
    if row.group:
        line["command"] = command(row)
    if row.experiment:
        line |= {
            "experiment": row.experiment,
            "setting": " ".join(row.flags),
            "model": config.model,
            "glimpse_network": config.glimpse_network,
            "core": config.core,
            "batch_size": config.batch_size,
            "jit_compile": config.jit_compile,
            "precision": config.precision,
        }
    found = run_fresh(row.measure, config, budget, **row.options)
    line |= {name: _rounded(value) for name, value in found.items()}
    return line


def _rounded(value: Any) -> Any:
    """Cuts floats to six digits: more is noise in a file that is kept."""
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def command(row: Row) -> str:
    """Returns the command that repeats a row of the suite, alone where it can be."""
    words = ["python -m ram_tf.benchmark"]
    if row.measure in MEASURES:
        words += [f"--flagfile=experiments/{row.experiment}.cfg", *row.flags]
        words.append(f"--measure={row.measure}")
    else:
        words.append(f"--suite={row.group}")
    return " ".join(words)


def _rows(arguments: Arguments) -> Iterator[tuple[Row, Config]]:
    if arguments.suite != "none":
        # What every row may share: where the data are, or another data set for a try.
        given = [
            f"--{name}={arguments.values[name]}"
            for name in ("data_dir", "dataset")
            if name in arguments.given
        ]
        for row in ROWS:
            if arguments.suite in ("all", row.group):
                yield row, row.config(arguments.experiments_dir, given)
        return
    config = arguments.config()
    name = "defaults"
    if arguments.flagfile is not None:
        name = experiment_name(arguments.flagfile)
    for measurement in MEASURES:
        if arguments.measure in ("all", measurement):
            yield Row("", measurement, name), config


def show(line: dict[str, Any]) -> str:
    """Returns a line for people."""
    cells = [(n, h, f.format(line[n])) for h, n, f in COLUMNS if line.get(n)]
    names = ("measure", "experiment", "setting")
    what = " ".join(text for name, _, text in cells if name in names)
    found = (f"{heading} {text}" for name, heading, text in cells if name not in names)
    return f"{what}: {', '.join(found)}"


def _command(arguments: Arguments) -> None:
    budget = QUICK if arguments.quick else FULL
    text = json.dumps if arguments.json else show
    failures = []
    # All flagfiles are read before the first minute is spent.
    for row, config in list(_rows(arguments)):
        try:
            line = measure(row, config, budget)
        except RamError as error:
            # One broken row should not cost the others.
            failures.append(f"{row.measure} {row.experiment}".strip() + f": {error}")
            continue
        if arguments.quick:
            line["quick"] = True
        print(text(line), flush=True)
    if failures:
        raise RamError(f"{len(failures)} measurements failed; {'; '.join(failures)}")


main = entry_point(_command, SETTINGS, USAGE)


if __name__ == "__main__":
    sys.exit(main())
