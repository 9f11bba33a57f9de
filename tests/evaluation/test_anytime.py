"""Tests of accuracy against glimpses, against loops."""

import numpy as np
import pytest

from ram_tf.evaluation.anytime import (
    THRESHOLDS,
    anytime_curve,
    choose_threshold,
    curve_of_probabilities,
    last_glimpse,
    suggest_threshold,
)


@pytest.fixture
def answers():
    numbers = np.random.default_rng(0)
    probabilities = numbers.dirichlet(np.ones(3) / 4, (200, 5)).astype(np.float32)
    labels = numbers.integers(0, 3, 200)
    return probabilities, labels


def test_last_glimpse_is_the_first_sure_one_or_the_last():
    confidence = np.array([[0.5, 0.9, 0.4], [0.2, 0.3, 0.8], [0.95, 0.1, 0.1]])
    before = confidence.copy()
    assert last_glimpse(confidence, 0.9).tolist() == [1, 2, 0]
    assert last_glimpse(confidence, 0.5).tolist() == [0, 2, 0]
    assert last_glimpse(confidence, 0.99).tolist() == [2, 2, 2]
    np.testing.assert_array_equal(confidence, before)


def test_curve_is_what_a_loop_over_glimpses_finds(answers):
    probabilities, labels = answers
    confidence = probabilities.max(-1)
    right = probabilities.argmax(-1) == labels[:, None]
    curve = anytime_curve(confidence, right)
    assert curve == curve_of_probabilities(probabilities, labels)
    assert [row["threshold"] for row in curve] == list(THRESHOLDS)
    for row in curve:
        hits, glimpses = 0, 0
        for image in range(200):
            for t in range(5):
                if max(probabilities[image, t]) >= row["threshold"] or t == 4:
                    break
            glimpses += t + 1
            hits += int(np.argmax(probabilities[image, t])) == labels[image]
        assert row["accuracy"] == pytest.approx(hits / 200)
        assert row["mean_glimpses"] == pytest.approx(glimpses / 200)
    means = [row["mean_glimpses"] for row in curve]
    assert means == sorted(means) and means[0] < means[-1]


def test_chosen_threshold_takes_the_fewest_glimpses_that_cost_nothing():
    curve = [
        {"threshold": 0.5, "accuracy": 0.8, "mean_glimpses": 1.5},
        {"threshold": 0.9, "accuracy": 0.91, "mean_glimpses": 2.5},
        {"threshold": 0.99, "accuracy": 0.92, "mean_glimpses": 3.5},
    ]
    assert choose_threshold(curve, 0.9) == 0.9
    assert choose_threshold(curve, 0.915) == 0.99
    assert choose_threshold(curve, 0.95) == 0.0


def test_curve_of_one_glimpse_is_empty(answers):
    probabilities, labels = answers
    assert curve_of_probabilities(probabilities[:, :1], labels) == []


def test_nothing_is_chosen_of_an_empty_curve():
    assert choose_threshold([], 0.9) == 0.0


def test_nothing_is_suggested_on_few_images():
    curve = [{"threshold": 0.5, "accuracy": 0.9, "mean_glimpses": 1.5}]
    assert suggest_threshold(curve, 0.9, 100) == 0.5
    assert suggest_threshold(curve, 0.9, 99) == 0.0
