"""How long training takes until a model is as good as a target, and stays so.

The train command itself is run and watched from outside: every second counts, from its
start, of imports, data, compilation and evaluations.
"""

import dataclasses
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ram_tf.benchmarks.isolated import last_line
from ram_tf.benchmarks.startup import train_process
from ram_tf.benchmarks.stopwatch import Budget
from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.runs.curves import read_curve
from ram_tf.runs.directory import RunDirectory
from ram_tf.runs.results_json import read_results

# Our best recipes: the validation accuracy to reach, and flags on top of the flagfile.
# Trained for its best figure, a recipe keeps a high learning rate for long; where it
# has only to reach the target, fewer steps do.
TARGETS: dict[str, tuple[float, tuple[str, ...]]] = {
    "demo": (0.98, ("--train_steps=8000",)),
    "best/mnist_6g": (0.989, ("--location_spread=0.5", "--train_steps=25000")),
    "best/cluttered60_8g": (0.95, ("--train_steps=25000",)),
    "best/cifar10_inception_4g": (0.60, ()),
}
_POLL_SECONDS = 0.05


class Missing(RamError):
    """The training did not begin, for want of data, say; or there are no results."""


class Evaluation(NamedTuple):
    """One evaluation of a training.

    Attributes:
      step: training steps done.
      accuracy: on validation, a fraction.
      seconds: since the start of the command.
    """

    step: int
    accuracy: float
    seconds: float


def first_lasting(run: Sequence[Evaluation], target: float) -> Evaluation | None:
    """Returns the first evaluation after which none is below a target, or None."""
    found = None
    for evaluation in reversed(run):
        if evaluation.accuracy < target:
            break
        found = evaluation
    return found


def summarise(runs: Sequence[Sequence[Evaluation]], target: float) -> dict[str, Any]:
    """Returns the fields of a line.

    Args:
      runs: the evaluations of each seed, in the order of steps.
      target: the accuracy to reach.

    Returns:
      target_percent; reached, "2 of 3" seeds; best_percent, the median over seeds of
      their highest accuracies; and where the median seed reached it, seconds and steps
      of the median (a seed that did not takes for ever).
    """
    reached = [first_lasting(run, target) for run in runs]
    best = statistics.median(max(each.accuracy for each in run) for run in runs)
    fields = {
        "target_percent": 100 * target,
        "best_percent": 100 * best,
        "reached": f"{sum(each is not None for each in reached)} of {len(runs)}",
    }
    never = Evaluation(0, 0.0, float("inf"))
    order = sorted((each or never for each in reached), key=lambda each: each.seconds)
    median = order[len(order) // 2]  # Of an even number the later: on the safe side.
    if median is not never:
        fields |= {"seconds": median.seconds, "steps": median.step}
    return fields


def time_to_accuracy(
    config: Config,
    budget: Budget,
    target: float,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Trains budget.seeds seeds, one after the other, and times them.

    Args:
      config: what to train; its seed is the first.
      budget: how many seeds, and how many steps at most.
      target: the accuracy to reach.
      report: called with a line for every seed.

    Returns:
      As `summarise`, with `seconds_each`, null where a seed did not reach the target.

    Raises:
      Missing: when the train command ends before it begins to train.
      RamError: when it fails later.
    """
    if budget.train_steps:
        steps = min(budget.train_steps, config.train_steps)
        config = dataclasses.replace(config, train_steps=steps, eval_every=1)
    runs = []
    for seed in range(config.seed, config.seed + budget.seeds):
        run = watch_training(dataclasses.replace(config, seed=seed))
        runs.append(run)
        found = first_lasting(run, target)
        lasted = f"{run[-1].seconds:.0f} s in all, {100 * run[-1].accuracy:.2f} %"
        where = f"{found.seconds:.0f} s, step {found.step}" if found else "not reached"
        report(f"seed {seed}: {where} ({lasted})")
    reached = [first_lasting(run, target) for run in runs]
    each = [None if found is None else found.seconds for found in reached]
    return {**summarise(runs, target), "seconds_each": each}


def watch_training(config: Config) -> list[Evaluation]:
    """Runs the train command up to its last evaluation, before it reads test.

    Raises:
      Missing: as `time_to_accuracy`.
      RamError: likewise.
    """
    found: list[Evaluation] = []
    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory(pathlib.Path(folder) / "run")
        config = dataclasses.replace(config, run_dir=str(directory.path))
        log = pathlib.Path(folder) / "log"
        with train_process(config, log) as (process, started):
            while not found or found[-1].step < config.train_steps:
                ended = process.poll() is not None
                seconds = time.perf_counter() - started
                rows = _evaluated(directory.curve)
                if ended and not (rows and rows[-1][0] == config.train_steps):
                    line = last_line(log.read_text(errors="replace"))
                    line = line.removeprefix("error: ") or "no message"
                    if not directory.config.exists():
                        raise Missing(line)
                    raise RamError(f"ram_tf.train: expected a training, found: {line}")
                found += [Evaluation(*row, seconds) for row in rows[len(found) :]]
                time.sleep(_POLL_SECONDS)
    return found


def _evaluated(path: pathlib.Path) -> list[tuple[int, float]]:
    """Returns the step and the validation accuracy of every evaluation so far."""
    curve = read_curve(path)
    if curve is None:
        return []
    return list(zip(curve.steps, curve.accuracies, strict=True))


def of_results(folder: pathlib.Path, target: float) -> dict[str, Any]:
    """Works out the fields of a line from results/<table>/<row>.

    A curve holds no times: an evaluation is given its share, by steps, of the seconds
    that the run trained. The start of the command is not in them.

    Raises:
      Missing: when there is no result with a curve.
      RamError: when a file is broken.
    """
    runs = []
    for path in sorted(folder.glob("seed*.json")):
        curve = path.with_suffix(".curve.csv")
        if curve.exists():
            results = read_results(path)
            pace = results["wall_seconds"] / results["train_steps"]
            runs.append([Evaluation(*row, pace * row[0]) for row in _evaluated(curve)])
    if not any(runs):
        raise Missing(f"{folder}: expected seed*.json and seed*.curve.csv, found none")
    return {**summarise([run for run in runs if run], target), "from_results": True}
