"""Trains every row that has no current result: python -m ram_tf.reproduce --tables=...

A failed run does not stop the others. Exit status: 0 all rows have their results; 1
some run failed, all are named; 130 or 143 after Ctrl-C or SIGTERM: the run in work
saved, and the same command goes on.
"""

import concurrent.futures
import pathlib
import sys
from collections.abc import Sequence

from ram_tf.errors import RamError
from ram_tf.flags import Arguments, Setting, config_settings, run_command
from ram_tf.run_directory import RunDirectory, read_json, write_atomic
from ram_tf.tables.catalogue import (
    Experiment,
    find_experiments,
    read_sources,
    read_tables,
)
from ram_tf.tables.collect import collect
from ram_tf.tables.command import (
    EXPERIMENTS_DIR,
    QUICK,
    RESULTS_DIR,
    names_of,
    require_no_faults,
    seeds_of,
)
from ram_tf.tables.markdown import render
from ram_tf.tables.seeds import SeedResult, read_seed
from ram_tf.trainings import Trainings

USAGE = """Trains and evaluates what has no current result, then prints the tables.

  python -m ram_tf.reproduce --tables=table1,table2 [--seeds=0,1]
  python -m ram_tf.reproduce --experiments=table1/fc,best/mnist_6g

A result is current when <results_dir>/<table>/<row>/seed<k>.json has the
config_digest of the flagfile. Runs, in <runs_dir>/<table>/<row>/seed<k>, resume where
they stopped."""

SETTINGS = [
    Setting("experiments", "", "Rows, <table>/<row>, by comma."),
    Setting("tables", "", "Tables, by comma: all their rows."),
    Setting("seeds", "0", "Seeds, by comma."),
    EXPERIMENTS_DIR,
    RESULTS_DIR,
    Setting("runs_dir", "runs", "Folder of the runs."),
    *config_settings(["data_dir"]),
    QUICK,
    Setting(
        "jobs",
        1,
        "Trainings at a time, each on its share of the cores; progress is shown of one "
        "only.",
        low=1,
    ),
]


class Reproduction:
    """Makes results current, row by row.

    Args:
      results_dir: where results go.
      runs_dir: where runs are.
      data_dir: passed on to ram_tf.train, unless empty.
      quick: the tiny budget of QUICK=1.
    """

    def __init__(
        self, results_dir: str, runs_dir: str, data_dir: str = "", quick: bool = False
    ) -> None:
        self.results_dir = results_dir
        self.runs_dir = pathlib.Path(runs_dir)
        self.data_dir = data_dir
        self.quick = quick

    def result(self, experiment: Experiment, seed: int) -> SeedResult:
        """Returns the result of a row and seed, which needs work unless current."""
        return read_seed(experiment, self.results_dir, seed, self.quick)

    def make(self, experiment: Experiment, seed: int, trainings: Trainings) -> str:
        """Trains one row and seed, from where it stopped, and files its result.

        A failure is filed too, as seed<k>.failed, unless a signal was the reason.

        Returns:
          The error, one line; empty when the result is current now.

        Raises:
          RamError: when the flagfile is at fault, or a file cannot be written.
        """
        run = RunDirectory(self.runs_dir / experiment.name / f"seed{seed}")
        flags = [*experiment.flags(seed, self.quick), f"--run_dir={run.path}"]
        if self.data_dir:
            flags.append(f"--data_dir={self.data_dir}")
        error = trainings.run(flags)
        if error and trainings.is_stopped():
            return error
        try:
            self._file(run, self.result(experiment, seed), error)
        except OSError as fault:
            return f"{fault.filename}: {fault.strerror}"
        if not error and self.result(experiment, seed).status != "current":
            return f"{run.results}: expected the Config of the flagfile, found another"
        return error

    def _file(self, run: RunDirectory, result: SeedResult, error: str) -> None:
        result.path.parent.mkdir(parents=True, exist_ok=True)
        if error:
            write_atomic(result.failure, error + "\n")
            return
        write_atomic(result.curve, run.curve.read_bytes())
        write_atomic(result.examples, run.examples.read_bytes())
        # Last: once it is there, the result counts.
        write_atomic(result.path, run.results.read_bytes())
        result.failure.unlink(missing_ok=True)


def _experiments(arguments: Arguments) -> tuple[list[Experiment], list[str]]:
    """Returns the rows to make and the tables to print."""
    folder = arguments.experiments_dir
    named = find_experiments(folder, names_of(arguments.experiments))
    tables = names_of(arguments.tables)
    if not named and not tables:
        raise RamError("--tables, --experiments: expected at least one, found none")
    rows = {experiment.name: experiment for experiment in named}
    if tables:
        for table in read_tables(folder, tables):
            rows.update((found.name, found) for found in table.experiments)
    shown = dict.fromkeys([*tables, *(row.table for row in rows.values())])
    return list(rows.values()), list(shown)


def _require_no_real_results(
    experiments: Sequence[Experiment], seeds: Sequence[int], results_dir: str
) -> None:
    """Keeps the tiny budget's results from real ones, current or stale."""
    for experiment in experiments:
        for seed in seeds:
            path = read_seed(experiment, results_dir, seed).path
            steps = experiment.config(seed, quick=True).train_steps
            found = read_json(path) if path.exists() else {"train_steps": steps}
            if not isinstance(found, dict) or found.get("train_steps") != steps:
                raise RamError(
                    f"--quick, --results_dir={results_dir}: expected a folder without "
                    f"real results, found {path}"
                )


def _make_all(
    reproduction: Reproduction,
    jobs: Sequence[tuple[Experiment, int]],
    trainings: Trainings,
    at_a_time: int,
) -> list[str]:
    """Makes every row and seed that needs it; returns those without a result."""

    def make(number: int, experiment: Experiment, seed: int) -> bool:
        title = f"[{number}/{len(jobs)}] {experiment.name} seed {seed}"
        if trainings.is_stopped():
            return False
        try:
            if reproduction.result(experiment, seed).status == "current":
                print(f"{title}: current", flush=True)
                return True
            print(f"{title}: training", flush=True)
            error = reproduction.make(experiment, seed, trainings)
        except RamError as fault:  # Of its flagfile, or of writing its files.
            error = str(fault)
        if error:
            if not trainings.is_stopped():
                print(f"{title}: failed, {error}", flush=True)
            return False
        accuracy = reproduction.result(experiment, seed).measures["accuracy"]
        print(f"{title}: {100 * accuracy:.2f} %", flush=True)
        return True

    with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        made = [pool.submit(make, n, *job) for n, job in enumerate(jobs, start=1)]
        return [
            f"{experiment.name} seed {seed}"
            for (experiment, seed), future in zip(jobs, made, strict=True)
            if not future.result()
        ]


def _command(arguments: Arguments) -> int | None:
    experiments, shown = _experiments(arguments)
    seeds = seeds_of(arguments.seeds)
    if not seeds:
        raise RamError("--seeds: expected at least one, found none")
    quick, results_dir = arguments.quick, arguments.results_dir
    reproduction = Reproduction(
        results_dir, arguments.runs_dir, arguments.data_dir, quick
    )
    if quick:
        _require_no_real_results(experiments, seeds, results_dir)
    jobs = [(experiment, seed) for seed in seeds for experiment in experiments]
    with Trainings(arguments.jobs) as trainings:
        failed = _make_all(reproduction, jobs, trainings, arguments.jobs)
    if trainings.stopped_by is not None:
        print(
            f"stopped by signal {trainings.stopped_by}, {len(failed)} of {len(jobs)} "
            "results to go; the same command goes on",
            file=sys.stderr,
        )
        return 128 + trainings.stopped_by
    sources = read_sources(arguments.experiments_dir)
    tables = collect(arguments.experiments_dir, results_dir, quick=quick, seeds=seeds)
    if any(row.seeds for table in tables for row in table.rows):
        page = collect(arguments.experiments_dir, results_dir, quick=quick)
        write_atomic(pathlib.Path(results_dir) / "tables.md", render(page, sources))
    tables = [table for table in tables if table.table in shown]
    print(render(tables, sources), end="")
    if failed:
        raise RamError(f"{len(failed)} of {len(jobs)} runs failed: {', '.join(failed)}")
    require_no_faults(tables)
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return run_command(_command, SETTINGS, argv, usage=USAGE)


if __name__ == "__main__":
    sys.exit(main())
