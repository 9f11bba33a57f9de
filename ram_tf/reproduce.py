"""Trains every row that has no current result: python -m ram_tf.reproduce --tables=...

A failed run does not stop the others. Exit status: 0 when all rows have their results;
1 when runs failed, which are named; 130 or 143 after Ctrl-C or SIGTERM: the running
training has saved its state, and the same command continues.
"""

import pathlib
import sys

from ram_tf.entry_point import entry_point, say
from ram_tf.errors import RamError
from ram_tf.files import write_atomic
from ram_tf.flags import Arguments, Setting, config_settings, names_of, seeds_of
from ram_tf.tables.catalogue import (
    ExperimentRow,
    find_experiments,
    read_sources,
    read_tables,
)
from ram_tf.tables.collect import collect, collect_row
from ram_tf.tables.command import (
    EXPERIMENTS_DIR,
    QUICK,
    RESULTS_DIR,
    require_no_faults,
)
from ram_tf.tables.markdown import render
from ram_tf.tables.reproduction import Reproduction, require_no_real_results
from ram_tf.training.processes import Trainings, train_each

USAGE = """Trains every row that has no current result, then prints the tables.

  python -m ram_tf.reproduce --tables=table1,table2 [--seeds=0,1]
  python -m ram_tf.reproduce --experiments=table1/fc,best/mnist_6g

A result is current when <results_dir>/<table>/<row>/seed<k>.json has the
config_digest of the flagfile. Runs are in <runs_dir>/<table>/<row>/seed<k> and resume
where they stopped."""

SETTINGS = [
    Setting("experiments", "", "Rows, as <table>/<row>, separated by commas."),
    Setting("tables", "", "Tables, separated by commas: all their rows."),
    Setting("seeds", "0", "Seeds, separated by commas."),
    EXPERIMENTS_DIR,
    RESULTS_DIR,
    Setting("runs_dir", "runs", "Folder of the runs."),
    *config_settings(["data_dir"]),
    QUICK,
    Setting(
        "jobs",
        1,
        "Trainings at a time, each on its share of the cores. With more than one, "
        "progress bars are not shown.",
        low=1,
    ),
]


def _experiments(arguments: Arguments) -> tuple[list[ExperimentRow], list[str]]:
    """Returns the rows to make and the tables to print."""
    folder = arguments.experiments_dir
    named = find_experiments(folder, names_of(arguments.experiments))
    tables = names_of(arguments.tables)
    if not named and not tables:
        raise RamError("--tables or --experiments is required")
    rows = {experiment.name: experiment for experiment in named}
    if tables:
        for table in read_tables(folder, tables):
            rows.update((found.name, found) for found in table.experiments)
    shown = dict.fromkeys([*tables, *(row.table for row in rows.values())])
    return list(rows.values()), list(shown)


def _glimpses(experiment: ExperimentRow) -> int:
    """Returns how many glimpses a row trains on: about how long it takes."""
    config = experiment.config()
    glimpses = config.num_glimpses if config.model == "ram" else 0
    return config.train_steps * config.batch_size * glimpses


def _command(arguments: Arguments) -> None:
    experiments, shown = _experiments(arguments)
    seeds = seeds_of(arguments.seeds)
    if not seeds:
        raise RamError("--seeds is empty: at least one seed is required")
    quick, results_dir = arguments.quick, arguments.results_dir
    if quick:
        require_no_real_results(experiments, results_dir)
    if arguments.jobs > 1:  # Or a long row would be left at the end, on one core alone.
        experiments.sort(key=_glimpses, reverse=True)
    places = results_dir, arguments.runs_dir, arguments.data_dir
    jobs = [
        Reproduction(experiment, seed, *places, quick)
        for seed in seeds
        for experiment in experiments
    ]
    with Trainings(arguments.jobs) as trainings:
        failed = train_each(jobs, trainings, say)
    trainings.check(f"{len(failed)} of {len(jobs)} results to go")
    sources = read_sources(arguments.experiments_dir)
    # With every seed that a row has, so that the same figures stand everywhere.
    tables = collect(arguments.experiments_dir, results_dir, quick=quick)
    if any(row.seeds for table in tables for row in table.rows):
        write_atomic(pathlib.Path(results_dir) / "tables.md", render(tables, sources))
    say(render([table for table in tables if table.table in shown], sources), end="")
    if failed:
        raise RamError(f"{len(failed)} of {len(jobs)} runs failed: {', '.join(failed)}")
    require_no_faults(
        [
            collect_row(experiment, results_dir, seeds=seeds, quick=quick)
            for experiment in experiments
        ]
    )


main = entry_point(_command, SETTINGS, USAGE)


if __name__ == "__main__":
    sys.exit(main())
