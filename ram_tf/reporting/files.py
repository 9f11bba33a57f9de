"""Reads what a run leaves beside its result: the learning curve and the examples."""

import csv
import pathlib
import zipfile
from typing import NamedTuple

import numpy as np

from ram_tf.errors import RamError


class Curve(NamedTuple):
    """Accuracy on validation over training.

    Attributes:
      steps: training steps, rising.
      accuracies: fractions, one a step.
    """

    steps: list[int]
    accuracies: list[float]


class Examples(NamedTuple):
    """Test images and what a model did on them.

    Attributes:
      images: uint8 [n, H, W, C].
      labels: int32 [n].
      locations: float32 [n, T, 2], (y, x) in [-1, 1].
      probabilities: float32 [n, T, N], the answer after each glimpse.
      class_names: the N classes.
    """

    images: np.ndarray
    labels: np.ndarray
    locations: np.ndarray
    probabilities: np.ndarray
    class_names: list[str]


def read_curve(path: pathlib.Path) -> Curve | None:
    """Reads seed<k>.curve.csv, None when there is none.

    Raises:
      RamError: when the file is broken.
    """
    if not path.exists():
        return None
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        steps = [int(float(row["step"])) for row in rows]
        accuracies = [float(row["validation_accuracy"]) for row in rows]
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise RamError(
            f"{path}: expected columns step and validation_accuracy, found: "
            f"{type(error).__name__} {error}"
        ) from None
    if not all(0 <= accuracy <= 1 for accuracy in accuracies):
        raise RamError(f"{path}: expected accuracies from 0 to 1, found others")
    return Curve(steps, accuracies) if steps else None


def read_examples(path: pathlib.Path) -> Examples | None:
    """Reads seed<k>.examples.npz, None when there is none.

    Raises:
      RamError: when the file is broken.
    """
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = Examples(
                np.asarray(arrays["images"], np.uint8),
                np.asarray(arrays["labels"], np.int32),
                np.asarray(arrays["locations"], np.float32),
                np.asarray(arrays["probabilities"], np.float32),
                [str(name) for name in arrays["class_names"]],
            )
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise RamError(
            f"{path}: expected the examples of a run, found: "
            f"{' '.join(str(error).split())}"
        ) from None
    count, steps = found.probabilities.shape[:2]
    shapes = [array.shape for array in found[1:4]]
    expected = [(count,), (count, steps, 2), (count, steps, len(found.class_names))]
    if not steps or not shapes[1][1]:  # A baseline classifier has no locations.
        expected[1] = (count, 0, 2)
    if found.images.ndim != 4 or len(found.images) != count or shapes != expected:
        raise RamError(
            f"{path}: expected labels, locations and probabilities of shapes "
            f"{expected}, found {shapes}"
        )
    return found
