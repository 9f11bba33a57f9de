"""Accuracy against the number of glimpses, when a model stops as soon as it is sure."""

from typing import Any

import numpy as np

from ram_tf.data.sources.base import FEW_IMAGES

# Thresholds of a curve; 1 is reached by none but a rounded probability.
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)


def last_glimpse(confidence: np.ndarray, threshold: float) -> np.ndarray:
    """Returns the index int [n] of the glimpse after which each image is decided.

    It is the first whose confidence is at least the threshold, or the last of all.

    Args:
      confidence: floats [n, T], the largest probability after each glimpse.
      threshold: in (0, 1].
    """
    sure = np.asarray(confidence) >= np.float32(threshold)
    sure[:, -1] = True
    return sure.argmax(-1)


def anytime_curve(confidence: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """Returns a row for each threshold of `THRESHOLDS`, ready for JSON.

    Args:
      confidence: floats [n, T], the largest probability after each glimpse.
      right: bool [n, T], whether the most likely class then is the label.

    Returns:
      Rows of threshold, accuracy and mean_glimpses.
    """
    images = np.arange(len(right))
    rows = []
    for threshold in THRESHOLDS:
        last = last_glimpse(confidence, threshold)
        rows.append(
            {
                "threshold": threshold,
                "accuracy": float(np.mean(right[images, last])),
                "mean_glimpses": float(np.mean(last + 1)),
            }
        )
    return rows


def curve_of_probabilities(
    step_probabilities: np.ndarray, labels: np.ndarray
) -> list[dict[str, Any]]:
    """Returns `anytime_curve` of one rollout per image.

    Args:
      step_probabilities: floats [n, T, N], after each glimpse.
      labels: integers [n].

    Returns:
      Rows as of `anytime_curve`; none for T = 1, where nothing can stop early.
    """
    if step_probabilities.shape[1] == 1:
        return []
    right = step_probabilities.argmax(-1) == labels[:, None]
    return anytime_curve(step_probabilities.max(-1), right)


def choose_threshold(curve: list[dict[str, Any]], accuracy: float) -> float:
    """Returns the threshold of the fewest glimpses that keeps an accuracy.

    Args:
      curve: of `anytime_curve`, on validation.
      accuracy: what must be kept: that of all glimpses on the same images.

    Returns:
      A threshold; 0, which is never to stop early, when none keeps it.
    """
    rows = [row for row in curve if row["accuracy"] >= accuracy]
    if not rows:
        return 0.0
    return float(min(rows, key=lambda row: row["mean_glimpses"])["threshold"])


def suggest_threshold(
    curve: list[dict[str, Any]], accuracy: float, num_images: int
) -> float:
    """Returns `choose_threshold`; 0 where there are too few images to choose on.

    Args:
      curve: as of `choose_threshold`.
      accuracy: as of `choose_threshold`.
      num_images: of which the curve is.
    """
    return choose_threshold(curve, accuracy) if num_images >= FEW_IMAGES else 0.0
