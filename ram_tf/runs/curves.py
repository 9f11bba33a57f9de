"""The learning curve that a run leaves with its result: written, and read."""

import csv
import io
import pathlib
from typing import NamedTuple

from ram_tf.errors import RamError


class Curve(NamedTuple):
    """Accuracy over training, from evaluation to evaluation.

    Attributes:
      steps: training steps, rising.
      accuracies: on validation after these steps; fractions.
      training_accuracies: of the training steps before; fractions.
      distances: mean distance between two glimpses of a validation image, in halves of
        the image; None where it was not logged.
    """

    steps: list[int]
    accuracies: list[float]
    training_accuracies: list[float]
    distances: list[float | None]


def curve_text(curve: list[dict[str, float]]) -> str:
    """Returns a learning curve as CSV: a header, then a row an evaluation.

    Args:
      curve: the values of each evaluation by the names of their columns.
    """
    text = io.StringIO()
    if curve:
        # A run that a newer version resumed has rows with more columns.
        columns = dict.fromkeys(name for row in curve for name in row)
        writer = csv.DictWriter(text, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(curve)
    return text.getvalue()


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
        training = [float(row["accuracy"]) for row in rows]
        distances = [_number(row.get("glimpse_distance")) for row in rows]
    except (
        OSError,
        KeyError,
        TypeError,
        ValueError,
        OverflowError,
        csv.Error,
    ) as error:
        raise RamError(
            f"{path}: expected columns step, accuracy and validation_accuracy, "
            f"found: {type(error).__name__} {error}"
        ) from None
    if not all(0 <= accuracy <= 1 for accuracy in accuracies + training):
        raise RamError(f"{path}: expected accuracies from 0 to 1, found others")
    return Curve(steps, accuracies, training, distances) if steps else None


def _number(text: str | None) -> float | None:
    return float(text) if text else None
