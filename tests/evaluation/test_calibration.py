"""Tests of the calibration error and the Brier score, against loops."""

import numpy as np
import pytest

from ram_tf.evaluation.calibration import expected_calibration_error, squared_errors


def error_by_loop(confidence, right, num_bins):
    """The expected calibration error as Guo et al. 2017 write it."""
    total = 0.0
    for i in range(num_bins):
        members = [
            j
            for j, value in enumerate(confidence)
            if i / num_bins < value <= (i + 1) / num_bins or (i == 0 and value == 0)
        ]
        if members:
            accuracy = np.mean([float(right[j]) for j in members])
            mean = np.mean([confidence[j] for j in members])
            total += len(members) / len(confidence) * abs(accuracy - mean)
    return total


@pytest.mark.parametrize("num_bins", [1, 2, 15])
def test_calibration_error_is_the_mean_gap_of_the_bins(num_bins):
    numbers = np.random.default_rng(0)
    # Not on the edge of a bin, where rounding decides.
    confidence = numbers.uniform(0, 1, 500)
    right = numbers.uniform(0, 1, 500) < confidence**2
    found = expected_calibration_error(confidence, right, num_bins)
    assert found == pytest.approx(error_by_loop(confidence, right, num_bins))
    assert 0.05 < found < 0.5


def test_calibration_error_of_known_predictions():
    # Two in the last bin, one in the eighth: |1 - 0.98| * 2/3 + |0 - 0.5| * 1/3.
    found = expected_calibration_error([0.96, 1.0, 0.5], [True, True, False])
    assert found == pytest.approx((2 * 0.02 + 0.5) / 3)
    assert expected_calibration_error([1.0, 0.0], [True, False]) == 0.0


def test_calibrated_predictions_have_almost_no_error():
    numbers = np.random.default_rng(0)
    confidence = numbers.uniform(0.1, 1, 200_000).astype(np.float32)
    right = numbers.uniform(0, 1, 200_000) < confidence
    assert expected_calibration_error(confidence, right) < 0.005
    assert expected_calibration_error(np.sqrt(confidence), right) > 0.1


def test_squared_errors_are_over_all_classes():
    numbers = np.random.default_rng(0)
    probabilities = numbers.dirichlet(np.ones(4), (6, 3)).astype(np.float32)
    labels = numbers.integers(0, 4, 6)
    found = squared_errors(probabilities, labels)
    assert found.shape == (6, 3)
    for i in range(6):
        for t in range(3):
            truth = np.eye(4)[labels[i]]
            expected = sum((probabilities[i, t] - truth) ** 2)
            assert found[i, t] == pytest.approx(expected)
    one = squared_errors(probabilities[:, 0], labels)
    np.testing.assert_allclose(one, found[:, 0])
