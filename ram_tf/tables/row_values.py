"""What the results say of a row, by the words of `row_figures`."""

import re
import statistics
from collections.abc import Callable, Sequence

import numpy as np

from ram_tf.config import Config
from ram_tf.evaluation.metrics import border_share
from ram_tf.runs.curves import Curve, read_curve
from ram_tf.runs.examples import read_examples
from ram_tf.tables.collect import TableRow
from ram_tf.tables.policy_worth import half_width
from ram_tf.tables.seeds import SeedResult

# What else a result says of a row, in percent.
KINDS: dict[str, Callable[[SeedResult], float]] = {
    "": lambda seed: 100 * seed.results["test_accuracy"],
    "validation": lambda seed: 100 * seed.results["validation_accuracy"],
    # Of the last steps that were logged.
    "training": lambda seed: 100 * _curve(seed).training_accuracies[-1],
    # Of ten sets of first locations: a rollout on average; their mean probabilities.
    "rollout": lambda seed: 100 * seed.measures["accuracy_mean"],
    "ensemble": lambda seed: 100 * seed.measures["accuracy_ensemble"],
    # The same weights at other locations.
    "random": lambda seed: _policy(seed, "random"),
    "center": lambda seed: _policy(seed, "center"),
    # Of the coordinates of test images.
    "border": lambda seed: 100 * seed.measures["border_share"],
    # The same of its example images, for results older than that measure.
    "example_border": lambda seed: 100 * border_share(_locations(seed)),
    # The mean size of a chosen coordinate on them, in halves of the image.
    "example_size": lambda seed: float(np.abs(_locations(seed)[:, 1:]).mean()),
    # Between two glimpses of a validation image, at the end; in halves of the image.
    "distance": lambda seed: _distance(seed, _curve(seed).steps[-1]),
}
# With a number behind it: after this glimpse, or in the learning curve at this step.
NUMBERED: dict[str, Callable[[SeedResult, int], float]] = {
    "glimpse": lambda seed, number: (
        100 * seed.measures["accuracy_by_glimpse"][number - 1]
    ),
    # On validation: at this step, and the lowest and the highest from it on.
    "step": lambda seed, number: 100 * _from(seed, number).accuracies[0],
    "lowest": lambda seed, number: 100 * min(_from(seed, number).accuracies),
    "highest": lambda seed, number: 100 * max(_from(seed, number).accuracies),
    "training": lambda seed, number: 100 * _from(seed, number).training_accuracies[0],
    "distance": lambda seed, number: _distance(seed, number),
}
# Of the seeds of a term. `low`, `high` and `half` are of the 95 % interval of a row,
# or of a difference.
WORDS: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,  # Alone, in a cell too.
    "least": min,
    "most": max,
    "range": lambda values: max(values) - min(values),
    "deviation": statistics.stdev,
    "error": lambda values: 100 - statistics.fmean(values),
}
OF_INTERVAL = ("low", "high", "half")


def of_row(row: TableRow, what: str, word: str | None) -> float:
    """Returns a figure of a row; arguments and errors as of `of_seeds`."""
    if word in OF_INTERVAL:
        if row.interval is None or what:
            raise ValueError("no interval")
        low, high = row.interval
        return {"low": low, "high": high, "half": (high - low) / 2}[word]
    return WORDS[word or "mean"](of_seeds(row, what))


def of_difference(
    term: tuple[TableRow, str], less: tuple[TableRow, str], word: str | None
) -> float:
    """Returns the difference of two means; errors as of `of_seeds`."""
    first, second = statistics.fmean(of_seeds(*term)), statistics.fmean(of_seeds(*less))
    difference = first - second
    if word is None:
        return difference
    half = half_width(first, second, term[0].seeds[0].measures["num_images"])
    return {"low": difference - half, "high": difference + half, "half": half}[word]


def of_seeds(row: TableRow, what: str) -> list[float]:
    """Returns a value for each seed; none where the row has no result.

    Args:
      row: of results.
      what: "", a kind, a seed, or a seed and a kind: "training", "0", "0:glimpse3".

    Raises:
      KeyError, IndexError, ValueError: when the results hold no such thing.
    """
    if row.status != "complete":
        return []
    if what == "seeds":
        return [len(row.seeds)]
    if what == "printed":
        figure = row.figure
        return [] if figure is None or figure.accuracy is None else [figure.accuracy]
    seeds: Sequence[SeedResult] = row.seeds
    number, _, rest = what.partition(":")
    if number.isdigit():
        seeds = [seed for seed in seeds if seed.seed == int(number)]
        what = rest
    if numbered := re.fullmatch(r"([a-z]+)(\d+)", what):
        measure = NUMBERED[numbered[1]]
        return [measure(seed, int(numbered[2])) for seed in seeds]
    return [KINDS[what](seed) for seed in seeds]


def _curve(seed: SeedResult) -> Curve:
    curve = read_curve(seed.curve)
    if curve is None:
        raise ValueError("no curve")
    return curve


def _from(seed: SeedResult, step: int) -> Curve:
    """Returns the learning curve from this step on."""
    curve = _curve(seed)
    start = curve.steps.index(step)
    return Curve(
        curve.steps[start:],
        curve.accuracies[start:],
        curve.training_accuracies[start:],
        curve.distances[start:],
    )


def _distance(seed: SeedResult, step: int) -> float:
    distance = _from(seed, step).distances[0]
    if distance is None:
        raise ValueError("not logged")
    return distance


def _locations(seed: SeedResult) -> np.ndarray:
    """Returns where the example images were looked at; means not bounded below 1."""
    if Config.from_dict(seed.results["config"]).location_bound != 1:
        raise ValueError("the border is elsewhere")
    return read_examples(seed.examples).locations


def _policy(seed: SeedResult, policy: str) -> float:
    return float(100 * seed.results["evaluation"]["policies"][policy]["accuracy"])
