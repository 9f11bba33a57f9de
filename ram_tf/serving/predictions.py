"""Lines that say what a model predicts: as text for people, as JSON and as CSV."""

import csv
import io
import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Prediction(NamedTuple):
    """What a model says of one image.

    Attributes:
      name: of the image.
      values: arrays by name: probabilities [N], label, locations [T, 2] and others.
      truth: the true label, or None when it is not known.
    """

    name: str
    values: dict[str, np.ndarray]
    truth: int | None

    @property
    def label(self) -> int:
        """The predicted label."""
        return int(self.values["label"])


def csv_header(top: int) -> str:
    """Returns the first line of CSV."""
    columns = ["image", "label", "true_label"]
    for rank in range(1, top + 1):
        columns += [f"class_{rank}", f"probability_{rank}"]
    return ",".join(columns)


def line(
    prediction: Prediction, class_names: Sequence[str], top: int, kind: str
) -> str:
    """Returns the line of a prediction.

    Args:
      prediction: to be told.
      class_names: the N classes.
      top: how many of the most likely classes it names.
      kind: "text", "json" or "csv".
    """
    probabilities = prediction.values["probabilities"]
    likely = [
        (class_names[label], float(probabilities[label]))
        for label in np.argsort(-probabilities, kind="stable")[:top]
    ]
    if kind == "json":
        return json.dumps(_json(prediction, class_names, likely))
    if kind == "csv":
        buffer = io.StringIO()
        truth = "" if prediction.truth is None else prediction.truth
        row = [prediction.name, prediction.label, truth]
        for name, probability in likely:
            row += [name, f"{probability:.6f}"]
        # Only what is in the terminator is quoted: both kinds of line breaks.
        csv.writer(buffer, lineterminator="\r\n").writerow(row)
        return buffer.getvalue().removesuffix("\r\n")
    percents = [f"{name} ({100 * value:.1f} %)" for name, value in likely]
    text = f"{prediction.name}: {', '.join(percents)}"
    if prediction.truth not in (None, prediction.label):
        text += f", wrong: it is {class_names[prediction.truth]}"
    # A name may have a line break: one line per image.
    return re.sub(r"[\x00-\x1f\x7f]", lambda found: repr(found[0])[1:-1], text)


def _json(
    prediction: Prediction, class_names: Sequence[str], likely: list[tuple[str, float]]
) -> dict[str, Any]:
    values = {key: value.tolist() for key, value in prediction.values.items()}
    found = {"image": prediction.name, "class": class_names[prediction.label], **values}
    if len(likely) > 1:
        found["top"] = [{"class": name, "probability": p} for name, p in likely]
    if prediction.truth is not None:
        found["true_label"] = prediction.truth
    return found
