"""Trains every combination and seed of a sweep that is not finished yet."""

import concurrent.futures
import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ram_tf.errors import RamError
from ram_tf.flags import flag
from ram_tf.runs.directory import RunDirectory
from ram_tf.runs.results_json import read_results
from ram_tf.sweeps.grid import Combination
from ram_tf.tables.train_processes import Trainings


@dataclasses.dataclass(frozen=True)
class SweepRun:
    """One training of a sweep.

    Attributes:
      combination: its settings.
      seed: its seed.
      directory: its folder.
      given: the values of the flags that all runs share.
    """

    combination: Combination
    seed: int
    directory: RunDirectory
    given: dict[str, Any]

    @property
    def name(self) -> str:
        """Combination and seed, as people read them."""
        return f"{self.combination.name} seed {self.seed}"

    def flags(self) -> list[str]:
        """Returns the flags of ram_tf.train."""
        values = {**self.given, **self.combination.values, "seed": self.seed}
        values["experiment"] = self.combination.name
        values["run_dir"] = self.directory.path
        return [flag(name, value) for name, value in values.items()]

    def accuracy(self) -> float | None:
        """Returns the validation accuracy, a fraction; None until it is finished.

        Raises:
          RamError: when its results are broken, or of another Config.
        """
        path = self.directory.results
        if not path.exists():
            return None
        results = read_results(path)
        config = self.combination.config({**self.given, "seed": self.seed})
        if results["config_digest"] != config.digest():
            self.directory.check(config)  # Names the fields.
            raise RamError(f"{path}: expected a run of the same Config, found another")
        return float(results["validation_accuracy"])


def runs_of(
    combinations: Iterable[Combination],
    seeds: Sequence[int],
    out_dir: pathlib.Path,
    given: dict[str, Any],
) -> list[SweepRun]:
    """Returns the runs of a sweep: all combinations of the first seed come first."""
    combinations = list(combinations)
    return [
        SweepRun(
            combination,
            seed,
            RunDirectory(out_dir / "runs" / combination.folder / f"seed{seed}"),
            given,
        )
        for seed in seeds
        for combination in combinations
    ]


def train_all(
    runs: Sequence[SweepRun],
    trainings: Trainings,
    at_a_time: int,
    say: Callable[[str], None],
) -> dict[str, str]:
    """Trains every run that is not finished, from where it stopped.

    Args:
      runs: of the sweep.
      trainings: runs the processes.
      at_a_time: how many run together.
      say: called with a line when a run begins and when it ends.

    Returns:
      The errors of the runs that did not finish, a line each, by the run's name.
    """

    def train(number: int, run: SweepRun) -> str:
        title = f"[{number}/{len(runs)}] {run.name}"
        if trainings.is_stopped():
            return "stopped"
        try:
            accuracy, error = run.accuracy(), ""
            ending = ", finished before"
            if accuracy is None:
                say(f"{title}: training")
                error, ending = trainings.run(run.flags()), ""
                accuracy = None if error else run.accuracy()
        except RamError as fault:
            accuracy, error = None, str(fault)
        if accuracy is None and not error:
            error = f"{run.directory.results}: expected results, found none"
        if accuracy is not None:
            say(f"{title}: validation {100 * accuracy:.2f} %{ending}")
        elif not trainings.is_stopped():
            say(f"{title}: failed, {error}")
        return error

    with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        numbered = enumerate(runs, start=1)
        futures = {run.name: pool.submit(train, n, run) for n, run in numbered}
        errors = {name: future.result() for name, future in futures.items()}
    return {name: error for name, error in errors.items() if error}
