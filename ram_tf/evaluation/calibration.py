"""How far the confidence of predictions is from how often they are right."""

import numpy as np

NUM_BINS = 15  # As Guo et al. 2017 use.


def expected_calibration_error(
    confidence: np.ndarray, right: np.ndarray, num_bins: int = NUM_BINS
) -> float:
    """Returns the expected calibration error (Guo et al. 2017, equation 3).

    The predictions are put into bins of equal width by their confidence; a bin's error
    is the difference of its accuracy and its mean confidence, and counts by its share
    of the predictions.

    Args:
      confidence: floats [n] in [0, 1], the probability of the predicted label.
      right: bool [n], whether that label is true.
      num_bins: bins; bin i of m holds confidences in (i/m, (i+1)/m].

    Returns:
      The error, a fraction; 0 is calibrated.
    """
    confidence = np.asarray(confidence, np.float64)
    bins = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    # Sums of a bin, not means: its share of the predictions is in them already.
    right_sums = np.bincount(bins, np.asarray(right, np.float64), num_bins)
    confidence_sums = np.bincount(bins, confidence, num_bins)
    return float(np.abs(right_sums - confidence_sums).sum() / len(confidence))


def squared_errors(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the squared errors of predictions over all N classes, in [0, 2].

    Their mean is the Brier score (Brier 1950).

    Args:
      probabilities: floats [n, ..., N].
      labels: integers [n].

    Returns:
      floats [n, ...].
    """
    errors = np.array(probabilities, np.float64)
    errors[np.arange(len(labels)), ..., labels] -= 1.0
    return np.square(errors).sum(-1)
