"""Makes the result of a row and seed current: trains it, and keeps what it left."""

import dataclasses
import pathlib
from collections.abc import Sequence

from ram_tf.errors import RamError
from ram_tf.files import read_json, write_atomic
from ram_tf.runs.directory import RunDirectory
from ram_tf.tables.catalogue import ExperimentRow
from ram_tf.tables.seeds import SeedResult, read_seed
from ram_tf.training.processes import Trainings


@dataclasses.dataclass(frozen=True)
class Reproduction:
    """Makes the result of one row and seed current.

    Attributes:
      experiment: the row.
      seed: the seed.
      results_dir: where results go.
      runs_dir: where runs are.
      data_dir: passed on to ram_tf.train, unless empty.
      quick: the tiny budget of QUICK=1.
    """

    experiment: ExperimentRow
    seed: int
    results_dir: str
    runs_dir: str
    data_dir: str = ""
    quick: bool = False

    @property
    def name(self) -> str:
        """Row and seed, as people read them."""
        return f"{self.experiment.name} seed {self.seed}"

    def result(self) -> SeedResult:
        """Returns its result, which needs work unless current."""
        return read_seed(self.experiment, self.results_dir, self.seed, self.quick)

    def found(self) -> str:
        """Returns the accuracy of a current result as `train_each` says it."""
        result = self.result()
        if result.status != "current":
            return ""
        return f"{100 * result.measures['accuracy']:.2f} %"

    def train(self, trainings: Trainings) -> str:
        """Trains it from where it stopped, and keeps its result.

        A failure is kept too, in seed<k>.failed, unless a signal was the reason.

        Returns:
          The error, one line; empty when the result is current now.

        Raises:
          RamError: when the flagfile is wrong, or a file cannot be written.
        """
        experiment, seed = self.experiment, self.seed
        folder = pathlib.Path(self.runs_dir, experiment.name, f"seed{seed}")
        run = RunDirectory(folder)
        flags = [*experiment.flags(seed, self.quick), f"--run_dir={run.path}"]
        if self.data_dir:
            flags.append(f"--data_dir={self.data_dir}")
        error = trainings.run(flags)
        if error and trainings.is_stopped():
            return error
        try:
            self._file(run, error)
        except OSError as fault:
            return f"{fault.filename}: {fault.strerror}"
        if not error and self.result().status != "current":
            return f"{run.results}: expected the Config of the flagfile, found another"
        return error

    def _file(self, run: RunDirectory, error: str) -> None:
        result = self.result()
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
