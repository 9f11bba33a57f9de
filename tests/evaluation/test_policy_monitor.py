"""What is measured of a policy while it trains, and the warnings at its end."""

import math

import numpy as np
import pytest
import tensorflow as tf

from ram_tf.data.sources.base import ImageSet
from ram_tf.data.tasks import Task
from ram_tf.evaluation import policy_monitor
from ram_tf.evaluation.evaluator import Evaluator
from ram_tf.evaluation.metrics import (
    border_share,
    glimpse_distance,
    is_right,
    landing_shares,
    location_entropy,
    policy_warnings,
    step_length,
)
from ram_tf.evaluation.policy_monitor import ROUTES, PolicyMonitor
from ram_tf.models.losses import hybrid_loss
from ram_tf.viz.geometry import cut_patches, top_left_px

# Two images, three glimpses.
LOCATIONS = np.array(
    [[[0, 0], [0.3, 0.4], [0.3, 1.0]], [[1, 1], [1, 1], [-0.95, 0]]], np.float32
)


def test_border_share_counts_chosen_coordinates_alone():
    # Of eight chosen: 1.0; 1, 1 and -0.95.
    assert border_share(LOCATIONS) == 4 / 8
    assert border_share(LOCATIONS[:, :1]) == 0.0


def test_border_share_is_of_the_largest_mean():
    # Of y, two beyond 0.36: 0.5 and -0.475; of x, two beyond 0.45.
    assert border_share(LOCATIONS * 0.5, bound=(0.4, 0.5)) == 4 / 8
    assert border_share(LOCATIONS * 0.5, bound=(0.4, 0.6)) == 2 / 8
    assert border_share(LOCATIONS * 0.5) == 0.0


def test_step_length_is_the_mean_distance_to_the_next_glimpse():
    expected = (0.5 + 0.6 + 0 + math.hypot(1.95, 1)) / 4
    assert step_length(LOCATIONS) == pytest.approx(expected, rel=1e-6)
    assert step_length(LOCATIONS[:, :1]) == 0.0


def test_glimpse_distance_is_over_all_pairs():
    pairs = [0.5, math.hypot(0.3, 1), 0.6, 0, math.hypot(1.95, 1)]
    expected = (sum(pairs) + pairs[-1]) / 6
    assert glimpse_distance(LOCATIONS) == pytest.approx(expected, rel=1e-6)


def test_landing_shares_count_rows_from_the_top():
    random = np.random.default_rng(0)
    places = random.uniform(-1, 1, [500, 2]).astype(np.float32)
    places[0] = (1, -1)  # The border belongs to the last cell.
    expected = np.zeros([16, 16])
    for y, x in places.astype(np.float64):
        expected[min(int((y + 1) * 8), 15), min(int((x + 1) * 8), 15)] += 1 / 500
    np.testing.assert_allclose(landing_shares(places), expected, atol=1e-12)


def test_location_entropy_is_of_chosen_locations_in_bits():
    # Half of them in one cell, a quarter in each of two: 1.5 bits, the first left out.
    ends = [[-0.9, -0.9], [-0.9, -0.9], [0.9, 0.9], [0.1, 0.9]]
    locations = np.array([[[0.5, 0.5], end] for end in ends], np.float32)
    assert location_entropy(locations) == pytest.approx(1.5)
    assert location_entropy(locations[:1]) == 0.0
    assert location_entropy(locations[:, :1]) == 0.0


def test_location_entropy_of_even_glimpses_is_eight_bits():
    cells = (np.arange(16) + 0.5) / 8 - 1
    grid = np.stack(np.meshgrid(cells, cells), -1).reshape(-1, 1, 2)
    locations = np.concatenate([np.zeros_like(grid), grid], 1).astype(np.float32)
    assert location_entropy(locations) == pytest.approx(8.0)
    # What random glimpses give: of 1,000 images a little less.
    random = np.random.default_rng(0).uniform(-1, 1, [1000, 6, 2])
    assert 7.9 < location_entropy(random.astype(np.float32)) < 8.0


def evaluation(learned, random, share):
    return {
        "policies": {
            "learned": {
                "accuracy": learned,
                "border_share": share,
                "accuracy_by_glimpse": [0.2, learned],
            },
            "random": {"accuracy": random, "interval": [random - 0.02, random + 0.02]},
        }
    }


def test_warnings_name_a_policy_at_the_border_or_no_better_than_random():
    assert policy_warnings(evaluation(0.9, 0.7, 0.1)) == []
    (line,) = policy_warnings(evaluation(0.9, 0.7, 0.52))
    assert "52 %" in line
    assert "border" in line
    (line,) = policy_warnings(evaluation(0.71, 0.7, 0.1))
    assert "not surely better than random" in line
    few = evaluation(0.5, 0.9, 0.1)  # An interval that wide is of few images.
    few["policies"]["random"]["interval"] = [0.59, 0.98]
    (line,) = policy_warnings(few)
    assert "not surely better than random" in line and "can hardly tell" in line
    (line,) = policy_warnings(evaluation(0.1, 0.7, 0.1))
    assert "(10.00 %) is worse than random glimpses (70.00 %, 95 % interval 68" in line


def test_warnings_are_of_the_policy_not_of_noise_nor_of_a_single_glimpse():
    sampled = evaluation(0.9, 0.7, 0.52) | {"eval_locations": "sample"}
    assert policy_warnings(sampled) == []
    one_glimpse = evaluation(0.7, 0.7, 0.0)
    one_glimpse["policies"]["learned"]["accuracy_by_glimpse"] = [0.7]
    assert policy_warnings(one_glimpse) == []


def monitor(model):
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (40, 12, 12, 1), np.uint8)
    labels = numbers.integers(0, 5, 40).astype(np.int32)
    return PolicyMonitor(model, ImageSet(images, labels), Task())


@pytest.mark.parametrize("location_bound", [1.0, 0.0])
def test_monitor_sees_a_policy_at_the_border(make_model, location_bound):
    model = make_model(location_bound=location_bound)
    model.compile()
    observe = monitor(model)
    before = observe()
    locations = observe.predictions.locations
    assert before["step_length"] == pytest.approx(step_length(locations))
    assert before["glimpse_distance"] == pytest.approx(glimpse_distance(locations))
    model.location_network.mean.bias.assign([10.0, -10.0])
    after = observe()
    assert before["border_share"] < 0.5
    assert after["border_share"] == 1.0
    # All but the first glimpse are at one corner, so the first step is the only one.
    largest = 1.0 if location_bound else 1.0 - 4 / 12
    first, *later = np.moveaxis(observe.predictions.locations, 1, 0)
    np.testing.assert_allclose(later, np.full_like(later, largest) * [1, -1], atol=1e-5)
    step = np.linalg.norm(first - later[0], axis=-1).mean()
    assert after["step_length"] == pytest.approx(step / len(later), rel=1e-4)
    assert after["accuracy_random"] == before["accuracy_random"]


def test_monitor_looks_at_the_images_of_validation(make_model, monkeypatch):
    monkeypatch.setattr(policy_monitor, "SLICE", 15)
    model = make_model((20, 20, 1), initial_location="random")
    model.compile()
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (40, 12, 12, 1), np.uint8)
    split = ImageSet(images, numbers.integers(0, 5, 40).astype(np.int32))
    # Clutter is cut from the other images of the split.
    task = Task("cluttered", canvas_size=20, clutter_size=4)
    observe = PolicyMonitor(model, split, task)
    accuracy = observe()["accuracy_learned"]
    whole = Evaluator(model, split, task).predict()
    np.testing.assert_allclose(
        observe.predictions.step_probabilities, whole.step_probabilities[:15], atol=1e-6
    )
    right = is_right(whole.step_probabilities[:15, -1], whole.labels[:15])
    assert accuracy == np.mean(right)


@pytest.mark.parametrize(
    "channels, scales, pixel_range", [(1, 1, "unit"), (1, 1, "byte"), (3, 2, "unit")]
)
def test_monitor_draws_what_the_model_saw(
    channels, scales, pixel_range, make_model, monkeypatch
):
    model = make_model((12, 12, channels), num_scales=scales)
    model.compile()
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (20, 12, 12, channels), np.uint8)
    labels = np.arange(20, dtype=np.int32) % 5
    names = ["ant", "bee", "cat", "dog", "eel"]
    split, task = ImageSet(images, labels), Task(pixel_range=pixel_range)
    observe = PolicyMonitor(model, split, task, False, names)
    observe()
    drawn = []

    def keep(*given):
        drawn.append(given)
        return np.zeros([2, 2, 3], np.uint8)

    monkeypatch.setattr("ram_tf.evaluation.policy_monitor.draw_path", keep)
    assert observe.draw_paths().shape == (8, 2, 2, 3)
    seen = observe.predictions
    for (image, corners, patches, title, right), index in zip(
        drawn, [0, 3, 5, 8, 11, 14, 16, 19], strict=True
    ):
        np.testing.assert_array_equal(image, images[index])
        for t, location in enumerate(seen.locations[index]):
            expected = cut_patches(images[index], location, 4, scales)
            np.testing.assert_allclose(patches[t], expected, atol=1)
            for k in range(scales):
                corner = top_left_px(location, (12, 12), 4 * 2**k)
                np.testing.assert_array_equal(corners[t, k], corner)
        last = seen.step_probabilities[index, -1]
        answer = last.argmax()
        said = f"predicts {names[answer]} ({100 * last[answer]:.0f} %)"
        assert title.startswith(said)
        assert right == (answer == labels[index])
        assert title.endswith(f", is {names[labels[index]]}") != right


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


def test_gradient_norms_are_those_of_the_terms_before_their_weights(make_model):
    model = make_model(policy_gradient_scope="core", reinforce_weight=0.3)
    model.compile()
    observe = monitor(model)
    found = observe()
    with tf.GradientTape(persistent=True) as tape:
        rollout = model.rollout(*observe._given)
        terms = hybrid_loss(
            rollout.step_logits, rollout.log_probs, rollout.baselines, observe._labels
        )
    for term, part in (
        ("cross_entropy", "action_network"),
        ("baseline_mse", "baseline_network"),
        ("reinforce", "location_network"),
        ("reinforce", "core"),
    ):
        weights = getattr(model, part).trainable_variables
        gradients = tape.gradient(getattr(terms, term), weights)
        norm = np.sqrt(sum(np.sum(np.square(g)) for g in gradients))
        assert found[f"gradient_{term}_{part}"] == pytest.approx(norm, rel=1e-4)


def test_gradients_start_where_the_model_does(make_model):
    model = make_model(initial_location="center", num_glimpses=2)
    model.compile()
    observe = monitor(model)
    images, first, noise = observe._given
    np.testing.assert_array_equal(first, np.zeros([32, 2]))
    # The same noise as from random places.
    other = make_model(initial_location="random", num_glimpses=2)
    other.compile()
    _, places, same = monitor(other)._given
    assert np.ptp(places) > 1
    np.testing.assert_array_equal(noise, same)
