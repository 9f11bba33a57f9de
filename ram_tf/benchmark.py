"""Measures speed and memory: python -m ram_tf.benchmark [--flagfile=...] [--json].

Over 250 lines: a third is what `--help` says; the rest picks rows and prints them.
"""

import dataclasses
import json
import pathlib
import shlex
import sys
from collections.abc import Iterator
from typing import Any

from ram_tf.benchmarks.isolated import run_fresh
from ram_tf.benchmarks.page import COLUMNS, TIMED
from ram_tf.benchmarks.stopwatch import FULL, QUICK, Budget
from ram_tf.benchmarks.suite import GROUPS, ROWS, Row
from ram_tf.benchmarks.time_to_accuracy import (
    TARGETS,
    Missing,
    of_results,
    time_to_accuracy,
)
from ram_tf.config import Config
from ram_tf.entry_point import entry_point, note
from ram_tf.errors import RamError
from ram_tf.flags import (
    Arguments,
    Setting,
    config_settings,
    experiment_name,
    flag,
    parse,
)
from ram_tf.runtime.stop_signals import ended_by_signal

USAGE = """Measures training, evaluation, the exported model, the input pipeline, start
and memory, each in a process of its own, and this machine's matrix-product rate.

  python -m ram_tf.benchmark --flagfile=experiments/mnih/mnist_6g.cfg
  python -m ram_tf.benchmark --flagfile=... --measure=training --batch_size=20 --json
  python -m ram_tf.benchmark --suite=all --json > docs/performance/mine.jsonl
  python -m ram_tf.benchmark --suite=time_to_accuracy
  python -m ram_tf.benchmark --flagfile=... --measure=time_to_accuracy --target=0.98

The machine should be idle. time_to_accuracy trains for hours and is in no other suite:
for each row it trains three seeds, one after the other. The time of a seed ends at the
first evaluation after which validation accuracy stays at the target or above; the
median seed is reported.

Prints one line per measurement; with --json one object: measure, command, experiment,
setting, model, batch_size, images_per_second, images_per_gflop (per GFLOP/s of the
matrix-product rate), mfu, matmul_gflops, p50_ms, p99_ms, peak_mb, compile_s, seconds,
target_percent, reached, steps, best_percent, where they apply. `command` repeats
the measurement; it leaves out --json, --quick and --data_dir."""

# Of one flagfile; the others belong to the suite.
MEASURES = (
    "training",
    "evaluation",
    "pipeline",
    "serving_latency",
    "serving_throughput",
    "first_step",
)
# What every row of a suite may share: where the data are, or others for a try.
_SHARED = ("data_dir", "dataset")

SETTINGS = [
    *config_settings(),
    Setting("json", False, "Print one JSON object per measurement."),
    Setting(
        "suite",
        "none",
        "The standard list of measurements, or a part of it, instead of one flagfile.",
        choices=("none", "all", *GROUPS, TIMED),
    ),
    Setting(
        "measure",
        "all",
        "Which measurement of the flagfile.",
        choices=("all", *MEASURES, TIMED),
    ),
    Setting(
        "target",
        0.98,
        "Validation accuracy, a fraction up to 1, that --measure=time_to_accuracy "
        "waits for.",
        low=0,
    ),
    Setting(
        "from_results",
        False,
        "Work --suite=time_to_accuracy out from the curves in --results_dir.",
    ),
    Setting("results_dir", "results", "Where --from_results finds its curves."),
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
    line: dict[str, Any] = {"measure": row.measure, "command": command(row)}
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
    if row.measure == TIMED:
        found = time_to_accuracy(
            config,
            budget,
            **row.options,
            report=lambda text: note(f"{row.experiment}, {text}"),
        )
    else:
        found = run_fresh(row.measure, config, budget, **row.options)
    line |= {name: _rounded(value) for name, value in found.items()}
    return line


def _rounded(value: Any) -> Any:
    """Cuts floats to six digits: more is noise in a file that is kept."""
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def command(row: Row) -> str:
    """Returns the command that repeats a row, of a suite alone where it can be.

    Where the data are is left out: another machine has them elsewhere.
    """
    words = ["python", "-m", "ram_tf.benchmark"]
    if row.measure in (*MEASURES, TIMED):
        of_suite = f"experiments/{row.experiment}.cfg"
        flagfile = of_suite if row.group else row.flagfile
        words += [f"--flagfile={flagfile}"] if flagfile else []
        words += [*row.flags, f"--measure={row.measure}"]
        words += [flag(name, value) for name, value in row.options.items()]
    else:
        words.append(f"--suite={row.group}")
    return shlex.join(words)


def _check_flags(arguments: Arguments) -> None:
    """Raises RamError for a flag that --suite or --from_results leaves unread."""
    own = {setting.name for setting in config_settings()} | {"measure", "target"}
    if arguments.suite != "none":
        why = "not with --suite, whose rows set their own flags"
        arguments.refuse(own - set(_SHARED), why)
    if arguments.from_results:
        read = {"suite", "json", "results_dir", "from_results"}
        why = "not with --from_results, which measures nothing"
        arguments.refuse(arguments.given - read, why)


def _rows(arguments: Arguments) -> Iterator[tuple[Row, Config]]:
    if arguments.suite != "none":
        given = [
            flag(name, arguments.values[name])
            for name in _SHARED
            if name in arguments.given
        ]
        rows = _timed_rows(arguments) if arguments.suite == TIMED else ROWS
        for row in rows:
            if arguments.suite in ("all", row.group):
                yield row, row.config(arguments.experiments_dir, given)
        return
    row = _own_row(arguments)
    config = arguments.config()
    for measurement in MEASURES:
        if arguments.measure in ("all", measurement):
            yield dataclasses.replace(row, measure=measurement), config
    if arguments.measure == TIMED:
        options = {"target": arguments.target}
        yield dataclasses.replace(row, measure=TIMED, options=options), config


def _own_row(arguments: Arguments) -> Row:
    """Returns the row of one flagfile and of the flags beside it."""
    settings = config_settings()
    name, flagfile, words = "defaults", "", []
    if arguments.flagfile is not None:
        name = experiment_name(arguments.flagfile)
        flagfile = str(arguments.flagfile)
        words = [f"--flagfile={flagfile}"]
    before = parse(settings, words).values
    flags = [
        flag(setting.name, arguments.values[setting.name])
        for setting in settings
        if setting.name != "data_dir"
        and arguments.values[setting.name] != before[setting.name]
    ]
    return Row("", "", name, tuple(flags), flagfile=flagfile)


def _timed_rows(arguments: Arguments) -> list[Row]:
    rows = [Row(TIMED, "machine")]
    for experiment, (target, flags) in TARGETS.items():
        flagfile = pathlib.Path(arguments.experiments_dir) / f"{experiment}.cfg"
        if flagfile.exists():
            options = {"target": target}
            rows.append(Row(TIMED, TIMED, experiment, flags, options))
        else:
            note(f"skipped {experiment}: there is no {flagfile}")
    return rows


def _past_lines(arguments: Arguments) -> Iterator[dict[str, Any]]:
    """Yields the lines of the suite of times as committed curves tell them."""
    if arguments.suite != TIMED:
        raise RamError(
            f"--from_results: expected --suite={TIMED}, found {arguments.suite}"
        )
    note("Seconds of training alone, shared out by steps: curves hold no times.")
    for experiment, (target, _) in TARGETS.items():
        try:
            found = of_results(pathlib.Path(arguments.results_dir) / experiment, target)
        except Missing as error:
            note(f"skipped {experiment}: {error}")
            continue
        rounded = {name: _rounded(value) for name, value in found.items()}
        yield {"measure": TIMED, "experiment": experiment, **rounded}


def show(line: dict[str, Any]) -> str:
    """Returns a line for people."""
    cells = [(n, h, f.format(line[n])) for h, n, f in COLUMNS if line.get(n)]
    names = ("measure", "experiment", "setting")
    what = " ".join(text for name, _, text in cells if name in names)
    found = (f"{heading} {text}" for name, heading, text in cells if name not in names)
    return f"{what}: {', '.join(found)}"


def _command(arguments: Arguments) -> None:
    # Or a training that is being timed would outlive a benchmark that was stopped.
    with ended_by_signal():
        _measure_all(arguments)


def _measure_all(arguments: Arguments) -> None:
    budget = QUICK if arguments.quick else FULL
    text = json.dumps if arguments.json else show
    failures = []
    _check_flags(arguments)
    if arguments.from_results:
        for line in _past_lines(arguments):
            print(text(line))
        return
    if arguments.target > 1:
        raise RamError(
            f"--target={arguments.target:g}: expected a fraction of at most 1, such as "
            "0.98"
        )
    # All flagfiles are read before the first minute is spent.
    for row, config in list(_rows(arguments)):
        try:
            line = measure(row, config, budget)
        except RamError as error:
            if isinstance(error, Missing) and row.group:
                note(f"skipped {row.experiment}: {error}")
                continue
            # One broken row should not cost the others.
            failures.append(f"{row.measure} {row.experiment}".strip() + f": {error}")
            continue
        if arguments.quick:
            line["quick"] = True
        if row.group and "dataset" in arguments.given:
            line["dataset"] = arguments.dataset
        print(text(line), flush=True)
    if failures:
        raise RamError(f"{len(failures)} measurements failed; {'; '.join(failures)}")


main = entry_point(_command, SETTINGS, USAGE)


if __name__ == "__main__":
    sys.exit(main())
