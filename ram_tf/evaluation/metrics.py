"""What is measured of a rollout over a split: accuracy, its interval, confusion."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ram_tf.evaluation.anytime import curve_of_probabilities, suggest_threshold

BORDER = 0.9  # Of the largest mean; a coordinate beyond it counts as at the border.
GRID = 16  # Cells a side, to count where glimpses land.
_WIDE = 0.1  # An interval wider than this is of some 300 images or fewer.
_TOO_FEW = "; so few images can hardly tell"
_MANY = 0.25  # A share of coordinates there that is worth a warning.


class Predictions(NamedTuple):
    """What one rollout over n images gave.

    Attributes:
      step_probabilities: float32 [n, T, N]; T is 1 for a whole-image classifier.
      locations: float32 [n, T, 2]; no column for a whole-image classifier.
      labels: int32 [n].
    """

    step_probabilities: np.ndarray
    locations: np.ndarray
    labels: np.ndarray


def summarise(
    rollouts: Iterable[Predictions], bound: Sequence[float] = (1.0, 1.0)
) -> dict[str, Any]:
    """Returns the measures over rollouts of one policy, ready for JSON.

    Args:
      rollouts: of the policy.
      bound: as of `border_share`.

    Returns:
      accuracy (of rollout 0), accuracy_mean (of all), accuracy_ensemble (of the mean
      probabilities), num_rollouts, num_images, interval (Wilson 95 % of accuracy),
      accuracy_by_glimpse (rollout 0), by_threshold (rollout 0, stopped when it is sure:
      `curve_of_probabilities`), confusion_matrix [N][N] (rows: true class),
      border_share (of the chosen coordinates of rollout 0).
    """
    rollouts = list(rollouts)
    first = rollouts[0]
    labels = first.labels
    accuracies = []
    mean = np.zeros_like(first.step_probabilities[:, -1], np.float64)
    for found in rollouts:
        last = found.step_probabilities[:, -1]
        accuracies.append(float(np.mean(is_right(last, labels))))
        mean += last / len(rollouts)
    steps = first.step_probabilities.shape[1]
    num_classes = mean.shape[1]
    confusion = np.zeros([num_classes, num_classes], int)
    np.add.at(confusion, (labels, first.step_probabilities[:, -1].argmax(-1)), 1)
    return {
        "accuracy": accuracies[0],
        "accuracy_mean": float(np.mean(accuracies)),
        "accuracy_ensemble": float(np.mean(is_right(mean, labels))),
        "num_rollouts": len(rollouts),
        "num_images": len(labels),
        "interval": wilson_interval(accuracies[0], len(labels)),
        "accuracy_by_glimpse": [
            float(np.mean(is_right(first.step_probabilities[:, t], labels)))
            for t in range(steps)
        ],
        "by_threshold": curve_of_probabilities(first.step_probabilities, labels),
        "confusion_matrix": confusion.tolist(),
        "border_share": border_share(first.locations, bound),
    }


def wilson_interval(accuracy: float, count: int) -> list[float]:
    """Returns the 95 % score interval of a fraction (Wilson 1927), [low, high]."""
    z = 1.959963984540054
    spread = z**2 / count
    centre = (accuracy + spread / 2) / (1 + spread)
    half = (
        z
        / (1 + spread)
        * math.sqrt(accuracy * (1 - accuracy) / count + spread / (4 * count))
    )
    return [max(0.0, centre - half), min(1.0, centre + half)]


def is_right(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns bool [n]: whether the most likely class is the label."""
    return probabilities.argmax(-1) == labels


def summary_lines(found: dict[str, Any]) -> list[str]:
    """Returns a line for each policy of what `evaluate` found, and warnings."""
    lines = []
    for policy, measures in found["policies"].items():
        low, high = (100 * bound for bound in measures["interval"])
        line = f"  {policy}: {100 * measures['accuracy']:.2f} % [{low:.2f}, {high:.2f}]"
        if measures["num_rollouts"] > 1:
            line += (
                f"; {measures['num_rollouts']} rollouts: "
                f"{100 * measures['accuracy_mean']:.2f} % each on average, "
                f"{100 * measures['accuracy_ensemble']:.2f} % by their mean probability"
            )
        lines.append(line)
    return [*lines, *_stopping_lines(found), *policy_warnings(found)]


def _stopping_lines(found: dict[str, Any]) -> list[str]:
    """Says what stopping early saves: of validation alone, where one may choose."""
    measures = found["policies"][found["policy"]]
    curve = measures["by_threshold"] if found["split"] == "validation" else []
    accuracy, count = measures["accuracy"], measures["num_images"]
    threshold = suggest_threshold(curve, accuracy, count)
    return [
        f"  {found['policy']}, stopped at a probability of {threshold:g}: "
        f"{100 * row['accuracy']:.2f} % after {row['mean_glimpses']:.1f} of "
        f"{len(measures['accuracy_by_glimpse'])} glimpses"
        for row in curve
        if row["threshold"] == threshold
    ]


def border_share(locations: np.ndarray, bound: Sequence[float] = (1.0, 1.0)) -> float:
    """Returns the share of chosen coordinates at the border; 0 where none is chosen.

    Args:
      locations: float32 [n, T, 2]; the first is given, not chosen.
      bound: the largest mean (y, x) of the policy; BORDER is a share of it.
    """
    chosen = np.abs(locations[:, 1:])
    return float(np.mean(chosen > BORDER * np.asarray(bound))) if chosen.size else 0.0


def step_length(locations: np.ndarray) -> float:
    """Returns the mean distance from a glimpse to the next, in half images."""
    steps = np.diff(locations, axis=1)
    return float(np.mean(np.linalg.norm(steps, axis=-1))) if steps.size else 0.0


def glimpse_distance(locations: np.ndarray) -> float:
    """Returns the mean distance between two glimpses of an image, in half images."""
    first, second = np.triu_indices(locations.shape[1], 1)
    apart = locations[:, first] - locations[:, second]
    return float(np.mean(np.linalg.norm(apart, axis=-1))) if apart.size else 0.0


def landing_shares(locations: np.ndarray) -> np.ndarray:
    """Returns where glimpses land: the share of locations in each cell of a grid.

    Args:
      locations: float32 [n, 2], (y, x) in [-1, 1]; n is at least 1.

    Returns:
      float64 [GRID, GRID], rows from top to bottom; the sum is 1.
    """
    sides = [[-1.0, 1.0], [-1.0, 1.0]]
    counts, _, _ = np.histogram2d(locations[:, 0], locations[:, 1], GRID, sides)
    return counts / len(locations)


def location_entropy(locations: np.ndarray) -> float:
    """Returns the entropy of where the chosen glimpses land, in bits.

    Over all images and glimpses together, on the grid of `landing_shares`: 0 when all
    land in one cell, log2(GRID^2) = 8 when they are spread evenly.

    Args:
      locations: float32 [n, T, 2]; the first is given, not chosen.
    """
    chosen = locations[:, 1:].reshape(-1, 2)
    if not len(chosen):
        return 0.0
    shares = landing_shares(chosen)
    shares = shares[shares > 0]
    return float(np.sum(shares * -np.log2(shares)))


def policy_warnings(evaluation: dict[str, Any]) -> list[str]:
    """Returns a line for each sign that a learned policy has not learned.

    Args:
      evaluation: as evaluation.json holds it.
    """
    policies = evaluation["policies"]
    if not {"learned", "random"} <= set(policies):
        return []
    learned, random = policies["learned"], policies["random"]
    if len(learned["accuracy_by_glimpse"]) == 1:  # Nothing is decided.
        return []
    lines = []
    # Sampled locations are at the border by their noise too.
    at_means = evaluation.get("eval_locations") != "sample"
    share = learned.get("border_share", 0.0)
    if share > _MANY and at_means:
        lines.append(
            f"warning: {100 * share:.0f} % of the policy's coordinates are at the "
            f"border, beyond {BORDER} of the largest mean; see docs/findings.md"
        )
    lowest, highest = random["interval"]
    if learned["accuracy"] <= highest:
        few = highest - lowest > _WIDE
        worse = learned["accuracy"] < lowest and not few
        verdict = "worse" if worse else "not surely better"
        lines.append(
            f"warning: the learned policy ({100 * learned['accuracy']:.2f} %) is "
            f"{verdict} than random glimpses ({100 * random['accuracy']:.2f} %, 95 % "
            f"interval {100 * lowest:.2f} to {100 * highest:.2f})"
            + (_TOO_FEW if few else "")
        )
    return lines
