"""The command that prints tables: python -m ram_tf.tables --results_dir=results."""

import pathlib
from collections.abc import Sequence

from ram_tf.entry_point import entry_point
from ram_tf.errors import RamError
from ram_tf.files import write_atomic
from ram_tf.flags import Arguments, Setting, names_of, seeds_of
from ram_tf.tables.catalogue import read_sources
from ram_tf.tables.collect import Table, TableRow, collect
from ram_tf.tables.markdown import render

USAGE = """Prints the tables of results as Markdown, the printed figures beside ours.

  python -m ram_tf.tables --results_dir=results [--tables=table1,table2] [--seeds=0,1]

Rows that were not run yet say so. A row with a stale, missing, failed or broken seed
has no mean; the seed is named, and the exit status is 1."""

EXPERIMENTS_DIR = Setting("experiments_dir", "experiments", "Folder of flagfiles.")
RESULTS_DIR = Setting("results_dir", "results", "Folder of results.")
TABLES = Setting("tables", "", "Tables, separated by commas; empty is all.")
QUICK = Setting("quick", False, "Results of the tiny budget of QUICK=1, not real ones.")

SETTINGS = [
    EXPERIMENTS_DIR,
    RESULTS_DIR,
    TABLES,
    Setting(
        "seeds",
        "",
        "Seeds that a row must have once it has any, separated by commas; empty is "
        "those it has.",
    ),
    QUICK,
    Setting("out", "", "File to write instead of standard output."),
]


def require_no_faults(measured: Sequence[Table | TableRow]) -> None:
    """Raises a RamError that names every faulty seed, if there is one."""
    faults = [fault for found in measured for fault in found.faults]
    if faults:
        raise RamError(
            f"expected a current result of every seed, found {'; '.join(faults)}"
        )


def require_results(results_dir: str | pathlib.Path) -> None:
    """Raises a RamError when there is no folder of results."""
    if not pathlib.Path(results_dir).is_dir():
        raise RamError(
            f"--results_dir={results_dir}: expected a folder of results, found none"
        )


def _command(arguments: Arguments) -> None:
    require_results(arguments.results_dir)
    tables = collect(
        arguments.experiments_dir,
        arguments.results_dir,
        tables=names_of(arguments.tables),
        seeds=seeds_of(arguments.seeds),
        quick=arguments.quick,
    )
    text = render(tables, read_sources(arguments.experiments_dir))
    if arguments.out:
        write_atomic(pathlib.Path(arguments.out), text)
    else:
        print(text, end="")
    require_no_faults(tables)


main = entry_point(_command, SETTINGS, USAGE)
