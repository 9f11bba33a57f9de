"""One training for every combination and seed of a sweep."""

import dataclasses
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from ram_tf.errors import RamError
from ram_tf.flags import flag
from ram_tf.runs.directory import RunDirectory
from ram_tf.runs.results_json import read_results
from ram_tf.sweeps.grid import Combination
from ram_tf.training.processes import Trainings


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

    def results(self) -> dict[str, Any] | None:
        """Returns what its results.json holds; None until it is finished.

        Raises:
          RamError: when the file is broken, or of another Config.
        """
        path = self.directory.results
        if not path.exists():
            return None
        results = read_results(path)
        config = self.combination.config({**self.given, "seed": self.seed})
        if results["config_digest"] != config.digest():
            self.directory.check(config)  # Names the fields.
            raise RamError(f"{path}: expected a run of the same Config, found another")
        return results

    def found(self) -> str:
        """Returns its accuracy as `train_each` says it."""
        results = self.results()
        if results is None:
            return ""
        return f"validation {100 * results['validation_accuracy']:.2f} %"

    def train(self, trainings: Trainings) -> str:
        """Trains it from where it stopped; returns the error, empty without."""
        error = trainings.run(self.flags())
        if not error and not self.directory.results.exists():
            return f"{self.directory.results}: expected results, found none"
        return error


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
