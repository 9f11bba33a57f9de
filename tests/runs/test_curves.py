"""Tests of the learning curve on disk."""

import pytest

from ram_tf.errors import RamError
from ram_tf.runs.curves import curve_text, read_curve

NEW = "glimpse_distance"  # A column that earlier versions did not write.


def test_curve_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "seed0.curve.csv"
    rows = [
        {"step": 10, "accuracy": 0.1, "validation_accuracy": 0.3},
        # Of a newer version, which resumed the run.
        {"step": 20, "accuracy": 1 / 3, "validation_accuracy": 0.5, NEW: 0.7},
    ]
    path.write_text(curve_text(rows))
    assert path.read_text().splitlines()[:2] == [
        f"step,accuracy,validation_accuracy,{NEW}",
        "10,0.1,0.3,",
    ]
    assert read_curve(path) == ([10, 20], [0.3, 0.5], [0.1, 1 / 3], [None, 0.7])


def test_curve_without_an_evaluation_is_none(tmp_path):
    path = tmp_path / "seed0.curve.csv"
    assert read_curve(path) is None
    path.write_text(curve_text([]))
    assert path.read_text() == "" and read_curve(path) is None


@pytest.mark.parametrize("accuracy", [1.5, -0.1, float("nan")])
@pytest.mark.parametrize("column", ["accuracy", "validation_accuracy"])
def test_accuracy_that_is_no_fraction_is_refused(column, accuracy, tmp_path):
    path = tmp_path / "seed0.curve.csv"
    row = {"step": 10, "accuracy": 0.5, "validation_accuracy": 0.5, column: accuracy}
    path.write_text(curve_text([row]))
    with pytest.raises(RamError, match="expected accuracies from 0 to 1"):
        read_curve(path)
