"""What is measured of a policy while it trains, and the warnings at its end."""

import math

import numpy as np
import pytest

from ram_tf.data.sources.base import ImageSet
from ram_tf.data.tasks import Task
from ram_tf.evaluation.metrics import (
    border_share,
    glimpse_distance,
    policy_warnings,
    step_length,
)
from ram_tf.evaluation.policies import ROUTES, PolicyMonitor

# Two images, three glimpses.
LOCATIONS = np.array(
    [[[0, 0], [0.3, 0.4], [0.3, 1.0]], [[1, 1], [1, 1], [-0.95, 0]]], np.float32
)


def test_border_share_counts_chosen_coordinates_alone():
    # Of eight chosen: 1.0; 1, 1 and -0.95.
    assert border_share(LOCATIONS) == 4 / 8
    assert border_share(LOCATIONS[:, :1]) == 0.0


def test_step_length_is_the_mean_distance_to_the_next_glimpse():
    expected = (0.5 + 0.6 + 0 + math.hypot(1.95, 1)) / 4
    assert step_length(LOCATIONS) == pytest.approx(expected, rel=1e-6)
    assert step_length(LOCATIONS[:, :1]) == 0.0


def test_glimpse_distance_is_over_all_pairs():
    pairs = [0.5, math.hypot(0.3, 1), 0.6, 0, math.hypot(1.95, 1)]
    expected = (sum(pairs) + pairs[-1]) / 6
    assert glimpse_distance(LOCATIONS) == pytest.approx(expected, rel=1e-6)


def evaluation(learned, random, share):
    return {
        "policies": {
            "learned": {"accuracy": learned, "border_share": share},
            "random": {"accuracy": random, "interval": [random - 0.02, random + 0.02]},
        }
    }


def test_warnings_name_a_policy_at_the_border_or_no_better_than_random():
    assert policy_warnings(evaluation(0.9, 0.7, 0.1)) == []
    (line,) = policy_warnings(evaluation(0.9, 0.7, 0.52))
    assert "52 %" in line
    assert "border" in line
    (line,) = policy_warnings(evaluation(0.71, 0.7, 0.1))
    assert "no better than random" in line


def monitor(model):
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (40, 12, 12, 1), np.uint8)
    labels = numbers.integers(0, 5, 40).astype(np.int32)
    return PolicyMonitor(model, ImageSet(images, labels), Task())


def test_monitor_sees_a_policy_at_the_border(make_model):
    model = make_model()
    model.compile()
    observe = monitor(model)
    before = observe()
    model.location_network.mean.bias.assign([10.0, -10.0])
    after = observe()
    assert before["border_share"] < 0.5
    assert after["border_share"] == 1.0
    # All but the first glimpse are at one corner.
    assert after["step_length"] < before["glimpse_distance"] + 2
    assert after["accuracy_random"] == before["accuracy_random"]


@pytest.mark.parametrize("scope", ["location", "core"])
def test_monitor_measures_the_gradient_of_each_term_by_network(scope, make_model):
    model = make_model(policy_gradient_scope=scope)
    model.compile()
    found = monitor(model)()
    for term, parts in ROUTES.items():
        for part in parts:
            norm = found[f"gradient_{term}_{part}"]
            reaches = term != "reinforce" or part == "location_network"
            assert (norm > 0) == (reaches or scope == "core"), (term, part)
