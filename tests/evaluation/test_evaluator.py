"""Tests of the evaluation protocol: draws, predictions, measures."""

import dataclasses
import io
import math

import numpy as np
import pytest
import tensorflow as tf

from ram_tf.data.sources.base import ImageSet
from ram_tf.data.tasks import Task
from ram_tf.errors import RamError
from ram_tf.evaluation.evaluator import BATCH_SIZE, Evaluator
from ram_tf.evaluation.final_results import _examples, evaluate
from ram_tf.evaluation.metrics import (
    Predictions,
    is_right,
    summarise,
    summary_lines,
    wilson_interval,
)
from ram_tf.models.factory import build_model
from ram_tf.models.whole_image import FCClassifier
from ram_tf.runs.setup import load_run

COUNT = BATCH_SIZE + 10  # Two batches, the second not full.


@pytest.fixture(scope="module")
def image_set() -> ImageSet:
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (COUNT, 12, 12, 1), np.uint8)
    return ImageSet(images, numbers.integers(0, 5, COUNT).astype(np.int32))


def test_predictions_are_those_of_the_models_rollout(image_set, make_model):
    model = make_model()
    found = Evaluator(model, image_set, Task()).predict()
    np.testing.assert_array_equal(found.labels, image_set.labels)
    images = image_set.images.astype(np.float32) / 255
    expected = model.rollout(images, found.locations[:, 0])
    probabilities = tf.nn.softmax(expected.step_logits)
    np.testing.assert_allclose(found.step_probabilities, probabilities, atol=1e-5)
    np.testing.assert_allclose(found.locations, expected.locations, atol=1e-5)


@pytest.mark.slow
def test_predictions_are_the_same_under_xla(image_set, make_model):
    model = make_model()
    plain = Evaluator(model, image_set, Task()).predict()
    compiled = Evaluator(model, image_set, Task(), jit_compile=True).predict()
    for one, two in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)


def test_predictions_use_the_weights_of_now(image_set, make_model):
    model = make_model()
    evaluator = Evaluator(model, image_set, Task())
    before = evaluator.predict()
    model.action_network.logits.bias.assign([9.0, 0.0, 0.0, 0.0, 0.0])
    after = evaluator.predict()
    np.testing.assert_array_equal(before.locations, after.locations)
    assert np.all(after.step_probabilities.argmax(-1) == 0)
    assert evaluator.accuracy() == np.mean(image_set.labels == 0)


def test_draws_come_from_the_rollout_and_not_from_the_runs_seed(image_set, make_model):
    first, other = (
        Evaluator(make_model(seed=seed), image_set, Task()) for seed in (1, 2)
    )
    starts = [evaluator.predict().locations[:, 0] for evaluator in (first, other)]
    np.testing.assert_array_equal(*starts)
    assert np.all(np.abs(starts[0]) <= 1)
    # Uniform in [-1, 1]: mean 0, spread 1 / sqrt(3); four standard errors.
    assert abs(starts[0].mean()) < 4 / math.sqrt(3 * starts[0].size)
    again = first.predict(rollout=1).locations[:, 0]
    assert np.all(np.any(again != starts[0], axis=-1))
    np.testing.assert_array_equal(first.predict(rollout=1).locations[:, 0], again)


def test_first_locations_of_known_bits(image_set, make_model):
    # Guards the published accuracies of learned policies: these must never move.
    found = Evaluator(make_model(), image_set, Task()).predict().locations[:3, 0]
    expected = [[0.5843379, 0.0238216], [0.3752837, -0.1362941], [0.5191796, 0.0790083]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("policy, sample", [("random", False), ("learned", True)])
def test_every_rollout_explores_afresh(policy, sample, image_set, make_model):
    # From the centre, so that the first location makes no difference.
    evaluator = Evaluator(make_model(initial_location="center"), image_set, Task())
    one, other = (
        evaluator.predict(policy, rollout=rollout, sample=sample).locations
        for rollout in (0, 1)
    )
    assert not np.any(one[:, 0]) and not np.any(other[:, 0])
    assert np.all(np.any(one[:, 1:] != other[:, 1:], axis=(1, 2)))


def test_random_locations_of_known_bits(image_set, make_model):
    # Guards the published accuracies of random policies.
    found = Evaluator(make_model(), image_set, Task()).predict("random").locations
    expected = [
        [0.7701433, -0.7633607],
        [0.5469966, -0.8895905],
        [0.7529919, 0.2977273],
    ]
    np.testing.assert_allclose(found[:3, 1], expected, atol=1e-6)


@pytest.mark.parametrize("policy", ["random", "center"])
def test_accuracy_is_of_the_models_own_policy(policy, image_set, make_model):
    model = make_model(policy=policy)
    kernel = model.action_network.logits.kernel
    kernel.assign(np.random.default_rng(1).normal(0, 5, kernel.shape))
    evaluator = Evaluator(model, image_set, Task())
    last = evaluator.predict(policy).step_probabilities[:, -1]
    assert evaluator.accuracy() == np.mean(is_right(last, image_set.labels))


def test_predictions_of_policies_look_where_they_should(image_set, make_model):
    model = make_model(num_glimpses=4)
    evaluator = Evaluator(model, image_set, Task())
    center = evaluator.predict("center").locations
    assert not np.any(center)
    random = evaluator.predict("random").locations
    assert np.all(np.abs(random) <= 1)
    assert abs(random.std() - 1 / math.sqrt(3)) < 0.03
    # Every draw is its own: none repeats from glimpse to glimpse.
    assert np.all(np.any(random[:, 1:] != random[:, :-1], axis=-1))


def test_predictions_from_the_centre_when_the_model_starts_there(image_set, make_model):
    model = make_model(initial_location="center")
    found = Evaluator(model, image_set, Task()).predict()
    assert not np.any(found.locations[:, 0])
    assert np.any(found.locations[:, 1:])


def test_predictions_at_samples_scatter_about_the_means(image_set, make_model):
    model = make_model(location_stddev=0.05, num_glimpses=2)
    evaluator = Evaluator(model, image_set, Task())
    means = evaluator.predict().locations
    sampled = evaluator.predict(sample=True).locations
    np.testing.assert_array_equal(sampled[:, 0], means[:, 0])
    offsets = (sampled - means)[:, 1]
    # Clipping cuts some off; what is inside has the policy's spread.
    inside = np.all(np.abs(sampled[:, 1]) < 1, axis=-1)
    assert inside.mean() > 0.8
    assert abs(offsets[inside].std() - 0.05) < 0.005


def test_predictions_on_whole_images_have_one_step_and_no_locations(
    image_set,
):
    model = FCClassifier(5, 4)
    model.build((None, 12, 12, 1))
    evaluator = Evaluator(model, image_set, Task())
    found = evaluator.predict()
    assert found.step_probabilities.shape == (COUNT, 1, 5)
    assert found.locations.shape == (COUNT, 0, 2)
    images = image_set.images.astype(np.float32) / 255
    expected = model(images).numpy()
    np.testing.assert_allclose(found.step_probabilities[:, 0], expected, atol=1e-6)
    right = expected.argmax(-1) == image_set.labels
    assert evaluator.accuracy() == pytest.approx(right.mean())


def test_evaluator_asks_before_every_batch(image_set, make_model):
    asked = []
    evaluator = Evaluator(
        make_model(num_glimpses=1), image_set, Task(), on_batch=lambda: asked.append(1)
    )
    evaluator.predict()
    assert len(asked) == 2


# --- Measures ------------------------------------------------------------------------


def one_hot(classes):
    """Returns probabilities [n, T, 3] that are sure of these classes."""
    return np.eye(3, dtype=np.float32)[np.array(classes)]


def test_summarise_measures_each_thing_as_it_says():
    labels = np.array([0, 1, 2, 2], np.int32)
    nowhere = np.zeros([4, 2, 2], np.float32)
    # By image, then by glimpse. Rollout 0 is right on images 0 and 2 in the end.
    first = 0.6 * one_hot([[0, 0], [1, 0], [0, 2], [2, 1]])
    # Rollout 1 is right on images 0, 1 and 3, and surer than rollout 0.
    second = 0.9 * one_hot([[0, 0], [1, 1], [2, 0], [2, 2]])
    found = summarise(Predictions(p, nowhere, labels) for p in (first, second))
    assert found["accuracy"] == 2 / 4
    assert found["accuracy_mean"] == (2 / 4 + 3 / 4) / 2
    # Together the surer rollout decides: right on images 0, 1 and 3.
    assert found["accuracy_ensemble"] == 3 / 4
    assert found["accuracy_by_glimpse"] == [3 / 4, 2 / 4]
    assert found["confusion_matrix"] == [[1, 0, 0], [1, 0, 0], [0, 1, 1]]
    assert (found["num_rollouts"], found["num_images"]) == (2, 4)
    assert found["interval"] == wilson_interval(2 / 4, 4)
    # Rollout 0 alone: its probabilities are 0.6 and 0, so that a threshold above 0.6
    # never stops it, and one of at most 0.6 stops it at once.
    stopped = {row["threshold"]: row for row in found["by_threshold"]}
    assert stopped[0.5] == {"threshold": 0.5, "accuracy": 3 / 4, "mean_glimpses": 1.0}
    assert stopped[0.7] == {"threshold": 0.7, "accuracy": 2 / 4, "mean_glimpses": 2.0}


def test_summarise_of_whole_images_has_nothing_to_stop():
    nowhere = np.zeros([2, 0, 2], np.float32)
    labels = np.array([0, 1], np.int32)
    found = summarise([Predictions(one_hot([[0], [0]]), nowhere, labels)])
    assert found["by_threshold"] == []


@pytest.mark.parametrize(("right", "count"), [(9894, 10_000), (3, 7), (1, 2)])
def test_wilson_interval_ends_where_the_score_test_turns(right, count):
    fraction = right / count
    low, high = wilson_interval(fraction, count)
    assert 0 < low < fraction < high < 1
    for end in (low, high):
        # The end is the fraction whose own standard error puts ours at 1.96 of it.
        error = math.sqrt(end * (1 - end) / count)
        assert abs(fraction - end) / error == pytest.approx(1.959964, rel=1e-5)


def test_wilson_interval_stays_inside_at_the_ends():
    low, high = wilson_interval(1.0, 50)
    assert high == 1.0 and 0.9 < low < 1.0
    low, high = wilson_interval(0.0, 50)
    assert low == 0.0 and 0.0 < high < 0.1


# --- A real run ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def experiment(tiny_run):
    return load_run(tiny_run)


def test_evaluate_measures_the_policies_of_a_learned_run(experiment):
    found, _ = evaluate(experiment, "validation", False)
    assert found["split"] == "validation"
    assert list(found["policies"]) == ["learned", "random", "center"]
    learned, random, center = found["policies"].values()
    assert learned["num_images"] == random["num_images"] == 500
    # What is random has the run's rollouts, what is not has one.
    assert (learned["num_rollouts"], random["num_rollouts"]) == (2, 2)
    assert center["num_rollouts"] == 1
    assert learned["accuracy"] > center["accuracy"]
    assert len(learned["accuracy_by_glimpse"]) == 3
    assert np.sum(learned["confusion_matrix"]) == 500
    assert found["class_names"] == [str(digit) for digit in range(10)]


def test_evaluate_measures_stopping_on_the_rollout_of_the_headline(experiment):
    found, evaluator = evaluate(experiment, "validation", False, ("learned",))
    measures = found["policies"]["learned"]
    probabilities, _, labels = evaluator.predict("learned")
    for row in measures["by_threshold"]:
        right = glimpses = 0
        for image, label in zip(probabilities, labels, strict=True):
            sure = [t for t, p in enumerate(image) if p.max() >= row["threshold"]]
            last = sure[0] if sure else len(image) - 1
            right += image[last].argmax() == label
            glimpses += last + 1
        assert row["accuracy"] == pytest.approx(right / 500)
        assert row["mean_glimpses"] == pytest.approx(glimpses / 500)
    means = [row["mean_glimpses"] for row in measures["by_threshold"]]
    assert 1 <= means[0] < means[-1] <= 3


def test_summary_says_on_validation_alone_what_stopping_saves(experiment):
    found, _ = evaluate(experiment, "validation", False, ("learned",), 1)
    measures = found["policies"]["learned"]
    measures["by_threshold"] = [
        {"threshold": 0.5, "accuracy": 0.0, "mean_glimpses": 1.0},
        {"threshold": 0.9, "accuracy": measures["accuracy"], "mean_glimpses": 2.04},
        {"threshold": 0.95, "accuracy": 1.0, "mean_glimpses": 2.5},
    ]
    lines = summary_lines(found)
    shown = f"{100 * measures['accuracy']:.2f} % after 2.0 of 3 glimpses"
    assert lines[1] == f"  learned, stopped at a probability of 0.9: {shown}"
    before = lines[0]
    assert summary_lines({**found, "split": "test"}) == [before]
    measures["by_threshold"] = measures["by_threshold"][:1]  # None keeps the accuracy.
    assert summary_lines(found) == [before]


def test_evaluate_takes_policies_rollouts_and_samples(experiment):
    found, _ = evaluate(experiment, "test", False, ("learned",), 3, "sample")
    assert list(found["policies"]) == ["learned"]
    assert found["policies"]["learned"]["num_rollouts"] == 3
    assert found["eval_locations"] == "sample"
    assert found["policies"]["learned"]["num_images"] == 2000


@pytest.mark.parametrize(("eval_locations", "count"), [("sample", 3), ("mean", 1)])
def test_samples_are_by_chance_wherever_they_begin(eval_locations, count, experiment):
    config = dataclasses.replace(experiment.config, initial_location="center")
    other = dataclasses.replace(experiment, config=config)
    found, _ = evaluate(other, "validation", False, ("learned",), 3, eval_locations)
    assert found["policies"]["learned"]["num_rollouts"] == count


def test_border_is_that_of_the_bound_of_the_run(experiment):
    config = dataclasses.replace(experiment.config, location_bound=0.3)
    model = build_model(config, 10, experiment.image_shape)
    model.location_network.mean.bias.assign([30.0, -30.0])
    other = dataclasses.replace(experiment, config=config, model=model)
    found, _ = evaluate(other, "validation", False, ("learned",), 1)
    assert found["policies"]["learned"]["border_share"] == 1.0


@pytest.mark.parametrize("eval_locations", ["mean", "sample"])
def test_examples_are_of_the_rollout_that_was_measured(experiment, eval_locations):
    found, evaluator = evaluate(
        experiment, "test", False, ("learned",), 1, eval_locations
    )
    with np.load(io.BytesIO(_examples(experiment, evaluator, found))) as kept:
        predicted = kept["probabilities"][:, -1].argmax(-1)
        locations = kept["locations"]
    same, other = (
        evaluator.predict("learned", sample=sample).locations[:20]
        for sample in (eval_locations == "sample", eval_locations == "mean")
    )
    np.testing.assert_array_equal(locations, same)
    assert np.abs(locations - other).max() > 0.01
    assert predicted.shape == (20,)


def test_evaluate_tells_how_many_batches_are_done_over_all_passes(experiment):
    told = []
    _, evaluator = evaluate(
        experiment,
        "validation",
        False,
        on_batch=lambda done, total: told.append((done, total)),
    )
    # 2 + 2 + 1 rollouts of 500 images.
    total = 5 * 500 // BATCH_SIZE
    assert told == [(done, total) for done in range(total + 1)]
    evaluator.predict()  # No part of the total.
    assert len(told) == total + 1


def test_evaluate_refuses_a_policy_of_a_whole_image_classifier(experiment):
    config = dataclasses.replace(experiment.config, model="fc")
    other = dataclasses.replace(experiment, config=config, model=FCClassifier(10, 4))
    with pytest.raises(RamError, match="--policy=random: .* found --model=fc"):
        evaluate(other, "validation", False, ("random",))
