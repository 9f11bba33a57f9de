"""Makes results current: trains every row and seed that has none."""

import concurrent.futures
import pathlib
from collections.abc import Callable, Sequence

from ram_tf.errors import RamError
from ram_tf.files import read_json, write_atomic
from ram_tf.runs.directory import RunDirectory
from ram_tf.tables.catalogue import ExperimentRow
from ram_tf.tables.seeds import SeedResult, read_seed
from ram_tf.tables.train_processes import Trainings


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

    def result(self, experiment: ExperimentRow, seed: int) -> SeedResult:
        """Returns the result of a row and seed, which needs work unless current."""
        return read_seed(experiment, self.results_dir, seed, self.quick)

    def make(self, experiment: ExperimentRow, seed: int, trainings: Trainings) -> str:
        """Trains one row and seed, from where it stopped, and keeps its result.

        A failure is kept too, in seed<k>.failed, unless a signal was the reason.

        Returns:
          The error, one line; empty when the result is current now.

        Raises:
          RamError: when the flagfile is wrong, or a file cannot be written.
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
        if error:
            write_atomic(result.failure, error + "\n")
            return
        write_atomic(result.curve, run.curve.read_bytes())
        write_atomic(result.examples, run.examples.read_bytes())
        # Last: once it is there, the result counts.
        write_atomic(result.path, run.results.read_bytes())
        result.failure.unlink(missing_ok=True)


def require_no_real_results(
    experiments: Sequence[ExperimentRow], results_dir: str
) -> None:
    """Keeps the tiny budget's results from real ones, current or stale, of any row."""
    steps = {experiment.config(quick=True).train_steps for experiment in experiments}
    for path in sorted(pathlib.Path(results_dir).glob("*/*/seed*.json")):
        found = read_json(path)
        if not isinstance(found, dict) or found.get("train_steps") not in steps:
            raise RamError(
                f"--quick, --results_dir={results_dir}: expected a folder without "
                f"real results, found {path}"
            )


def make_all(
    reproduction: Reproduction,
    jobs: Sequence[tuple[ExperimentRow, int]],
    trainings: Trainings,
    at_a_time: int,
    say: Callable[[str], None],
) -> list[str]:
    """Makes every row and seed that needs it, and says how each begins and ends.

    Args:
      reproduction: makes one.
      jobs: rows and seeds.
      trainings: runs the processes.
      at_a_time: how many run together.
      say: called with a line.

    Returns:
      Rows and seeds without a result, by name.
    """

    def make(number: int, experiment: ExperimentRow, seed: int) -> bool:
        title = f"[{number}/{len(jobs)}] {experiment.name} seed {seed}"
        if trainings.is_stopped():
            return False
        try:
            if reproduction.result(experiment, seed).status == "current":
                say(f"{title}: current")
                return True
            say(f"{title}: training")
            error = reproduction.make(experiment, seed, trainings)
        except RamError as fault:  # Of its flagfile, or of writing its files.
            error = str(fault)
        if error:
            if not trainings.is_stopped():
                say(f"{title}: failed, {error}")
            return False
        accuracy = reproduction.result(experiment, seed).measures["accuracy"]
        say(f"{title}: {100 * accuracy:.2f} %")
        return True

    with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        made = [pool.submit(make, n, *job) for n, job in enumerate(jobs, start=1)]
        return [
            f"{experiment.name} seed {seed}"
            for (experiment, seed), future in zip(jobs, made, strict=True)
            if not future.result()
        ]
