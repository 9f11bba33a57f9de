"""What other seeds of a run's experiment have reached: from the committed results."""

import dataclasses
import pathlib

from ram_tf.config import Config
from ram_tf.runs.results_json import read_results


def seed_accuracies(
    config: Config, test_accuracy: float, results_dir: str | pathlib.Path = ""
) -> dict[str, float]:
    """Returns the test accuracy of every seed of a run's Config, its own included.

    Args:
      config: of the run.
      test_accuracy: of the run. It counts for its own seed, also where `results_dir`
        has that seed as another machine trained it.
      results_dir: with <experiment>/seed<k>.json; "" is none.

    Raises:
      RamError: when a result there is broken.
    """
    found = {config.seed: test_accuracy}
    folder = pathlib.Path(results_dir) / config.experiment
    for path in sorted(folder.glob("seed*.json")) if results_dir else []:
        other = read_results(path)
        same = dataclasses.replace(config, seed=other["seed"])
        if other["config_digest"] != same.digest():
            continue
        found.setdefault(other["seed"], other["test_accuracy"])
    return {str(seed): found[seed] for seed in sorted(found)}
