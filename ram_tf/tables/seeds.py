"""The result of one row and seed: read, and checked against the flagfile."""

import dataclasses
import pathlib
from typing import Any, Literal

from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.runs.results_json import read_results
from ram_tf.tables.catalogue import ExperimentRow

SeedStatus = Literal["current", "stale", "missing", "failed", "broken"]


@dataclasses.dataclass(frozen=True)
class SeedResult:
    """The result of one row and seed.

    Attributes:
      seed: the seed.
      status: "current"; "stale", of another Config; "missing"; "failed", the run ended
        with an error; "broken", the file cannot be read.
      path: results/<table>/<row>/seed<k>.json, whether it exists or not.
      results: what results.json of the run held; empty unless current.
      reason: what is wrong; empty when current.
    """

    seed: int
    status: SeedStatus
    path: pathlib.Path
    results: dict[str, Any]
    reason: str = ""

    @property
    def curve(self) -> pathlib.Path:
        """The learning curve beside the result."""
        return self.path.with_suffix(".curve.csv")

    @property
    def examples(self) -> pathlib.Path:
        """The example images beside the result."""
        return self.path.with_suffix(".examples.npz")

    @property
    def failure(self) -> pathlib.Path:
        """Where the error of a failed run stands, one line."""
        return self.path.with_suffix(".failed")

    @property
    def measures(self) -> dict[str, Any]:
        """The measures of the run's own policy: accuracy, interval, confusion..."""
        evaluation = self.results["evaluation"]
        measures: dict[str, Any] = evaluation["policies"][evaluation["policy"]]
        return measures


def read_seed(
    experiment: ExperimentRow,
    results_dir: str | pathlib.Path,
    seed: int,
    quick: bool = False,
) -> SeedResult:
    """Reads the result of one row and seed, and says whether it is current."""
    path = pathlib.Path(results_dir) / experiment.name / f"seed{seed}.json"
    result = _read_result(path, seed, experiment.config(seed, quick))
    failure = result.failure
    if result.status != "current" and failure.exists():
        text = " ".join(failure.read_text(encoding="utf-8", errors="replace").split())
        return SeedResult(seed, "failed", path, {}, f"failed: {text}")
    return result


def _read_result(path: pathlib.Path, seed: int, config: Config) -> SeedResult:
    if not path.exists():
        return SeedResult(seed, "missing", path, {}, "missing")
    try:
        results = read_results(path)
        if results["config_digest"] != config.digest():
            names = config.differences(Config.from_dict(results["config"]))
            reason = f"stale, of another {', '.join(names) or 'config_digest'}"
            return SeedResult(seed, "stale", path, {}, reason)
    except RamError as error:
        # A Config's fault does not name the file that it is in.
        where = "" if str(path) in str(error) else f"{path}: "
        reason = f"broken, {where}{error}"
        return SeedResult(seed, "broken", path, {}, reason)
    return SeedResult(seed, "current", path, results)
