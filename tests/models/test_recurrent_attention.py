"""Tests of the recurrent attention model: rollouts, losses, Keras habits."""

import math
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.layers.location import even_locations
from ram_tf.models.factory import build_model
from ram_tf.models.losses import correct, hybrid_loss
from ram_tf.models.recurrent_attention import RecurrentAttentionModel

NUM_GLIMPSES, NUM_CLASSES = 3, 5


def random_images(count=4, shape=(12, 12, 1), seed=0):
    numbers = np.random.default_rng(seed)
    return numbers.uniform(0, 1, (count, *shape)).astype(np.float32)


def random_places(*shape, seed=1):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def random_noise(count=4, decisions=NUM_GLIMPSES - 1, seed=2):
    numbers = np.random.default_rng(seed)
    return numbers.normal(size=(count, decisions, 2)).astype(np.float32)


def with_large_means(model):
    """Moves the policy's means far apart and away from the centre."""
    numbers = np.random.default_rng(3)
    mean = model.location_network.mean
    mean.kernel.assign(numbers.normal(0, 2, mean.kernel.shape))
    return model


def test_rollout_gives_every_tensor_batch_major_in_float32(make_model):
    found = make_model().rollout(random_images(), random_places(4, 2), random_noise())
    shapes = {name: tuple(x.shape) for name, x in found._asdict().items()}
    assert shapes == {
        "logits": (4, NUM_CLASSES),
        "step_logits": (4, NUM_GLIMPSES, NUM_CLASSES),
        "locations": (4, NUM_GLIMPSES, 2),
        "means": (4, NUM_GLIMPSES - 1, 2),
        "log_probs": (4, NUM_GLIMPSES - 1),
        "baselines": (4, NUM_GLIMPSES - 1),
    }
    assert all(x.dtype == tf.float32 for x in found)


@pytest.mark.parametrize("scope", ["location", "core"])
def test_glimpses_one_by_one_are_a_rollout(make_model, scope):
    model = with_large_means(make_model(policy_gradient_scope=scope))
    images, location = random_images(), tf.constant(random_places(4, 2))
    rollout, state = model.rollout(images, location), None
    for t in range(NUM_GLIMPSES):
        np.testing.assert_array_equal(rollout.locations[:, t], location)
        output, state = model.glimpse(images, location, state)
        logits = model.action_network(output)
        np.testing.assert_array_equal(rollout.step_logits[:, t], logits)
        if t < NUM_GLIMPSES - 1:
            mean = model.next_mean(output, t)
            np.testing.assert_array_equal(rollout.means[:, t], mean)
            baseline = model.baseline_network(output)
            np.testing.assert_array_equal(rollout.baselines[:, t], baseline)
            location = tf.clip_by_value(mean, -1.0, 1.0)


def test_look_is_a_rollout_of_which_probabilities_and_locations_are_kept(make_model):
    model = with_large_means(make_model())
    given = random_images(), random_places(4, 2), random_places(4, NUM_GLIMPSES - 1, 2)
    for policy in (None, "random"):
        rollout = model.rollout(*given, policy)
        probabilities, locations = model.look(*given, policy)
        expected = tf.nn.softmax(rollout.step_logits)
        np.testing.assert_array_equal(probabilities, expected)
        np.testing.assert_array_equal(locations, rollout.locations)


def test_rollout_looks_where_the_policy_says(make_model):
    stddev = 0.8  # So wide that some samples leave the image.
    model = with_large_means(make_model(location_stddev=stddev))
    first, noise = 1.5 * random_places(4, 2), random_noise()
    found = model.rollout(random_images(), first, noise)
    np.testing.assert_array_equal(found.locations[:, 0], np.clip(first, -1, 1))
    samples = found.means.numpy() + stddev * noise
    assert np.any(np.abs(samples) > 1)
    expected = np.clip(samples, -1, 1)
    np.testing.assert_allclose(found.locations[:, 1:], expected, rtol=1e-5)
    # The log-probability is of the sample before it is clipped.
    squares = noise.astype(np.float64) ** 2
    log_probs = np.sum(-squares / 2 - math.log(stddev * math.sqrt(2 * math.pi)), -1)
    np.testing.assert_allclose(found.log_probs, log_probs, rtol=1e-4)


def test_rollout_without_noise_looks_at_the_means(make_model):
    model = with_large_means(make_model())
    found = model.rollout(random_images(), random_places(4, 2))
    np.testing.assert_array_equal(found.locations[:, 1:], found.means)
    assert np.ptp(found.means.numpy()[..., 0]) > 0.1, "images are told apart"


@pytest.mark.parametrize("num_parts", [1, 2])
def test_rollout_starts_at_the_centre_unless_told(num_parts, make_model):
    model = make_model()
    model.num_parts = num_parts
    images = random_images()
    unsaid, said = model.rollout(images), model.rollout(images, np.zeros([4, 2], "f4"))
    assert np.all(unsaid.locations[:, 0] == 0)
    np.testing.assert_array_equal(unsaid.step_logits, said.step_logits)


@pytest.mark.parametrize("size", [(12, 20), (20, 12), (3, 12)])
def test_bound_of_0_keeps_the_smallest_patch_inside_the_image(size, make_model):
    model = make_model((*size, 1), location_bound=0.0, patch_size=4)
    model.location_network.mean.bias.assign([30.0, -30.0])
    rollout = model.rollout(tf.ones([2, *size, 1]))
    largest = np.maximum(0, 1 - 4 / np.array(size))
    np.testing.assert_allclose(rollout.means[0, 0], largest * [1, -1], atol=1e-6)
    patches = model.sensor(tf.ones([1, *size, 1]), rollout.means[:1, 0])
    assert (np.min(patches) == 1.0) == (min(size) >= 4)  # Outside is 0.


def test_bound_is_the_largest_mean(make_model):
    model = make_model(location_bound=0.3)
    model.location_network.mean.bias.assign([30.0, -30.0])
    means = model.rollout(random_images()).means
    np.testing.assert_allclose(means, np.full(means.shape, 0.3) * [1, -1], rtol=1e-6)


def test_every_decision_of_a_rollout_has_its_own_offset(make_model):
    model = make_model(num_glimpses=4, location_spread=0.8)
    kernel = model.location_network.mean.kernel
    kernel.assign(tf.zeros_like(kernel))
    means = model.rollout(random_images(2)).means
    expected = 0.8 * even_locations(4)[1:]
    np.testing.assert_allclose(means, [expected, expected], rtol=1e-5)


def test_rollout_of_a_model_that_was_not_built_builds_it():
    model = RecurrentAttentionModel(
        NUM_CLASSES, patch_size=4, num_glimpses=NUM_GLIMPSES, location_bound=0.0
    )
    rollout = model.rollout(random_images())
    assert model.location_network.bound == [1 - 4 / 12] * 2
    probabilities = tf.nn.softmax(rollout.logits)
    np.testing.assert_array_equal(model(random_images()), probabilities)


def test_rollout_takes_locations_of_any_number_type(make_model):
    model = make_model()
    places = random_places(4, 2)
    expected = model.rollout(random_images(), places)
    found = model.rollout(random_images(), places.astype(np.float64))
    np.testing.assert_array_equal(found.locations, expected.locations)
    numbers = np.random.default_rng(0).uniform(-1, 1, [4, 2, 2])
    for policy in ("learned", "random"):
        chosen = [
            model.rollout(
                random_images(), places, noise[:, : model.num_glimpses - 1], policy
            )
            for noise in (numbers, numbers.astype(np.float32))
        ]
        np.testing.assert_array_equal(chosen[0].locations, chosen[1].locations)
    corners = np.ones([4, 2], np.int64)
    assert np.all(model.rollout(random_images(), corners).locations[:, 0] == 1.0)


def test_rollout_refuses_a_policy_that_there_is_not(make_model):
    message = "^policy='centre': expected one of learned, random, center$"
    with pytest.raises(RamError, match=message):
        make_model().rollout(random_images(), policy="centre")


@pytest.mark.parametrize("num_parts", [1, 2])
def test_rollout_refuses_draws_of_another_shape(num_parts, make_model):
    model = make_model(num_glimpses=3)
    model.num_parts = num_parts
    images = np.zeros([4, 12, 12, 1], "float32")
    with pytest.raises(RamError, match="^6 locations: expected a multiple of the 4 im"):
        model.rollout(images, tf.zeros([6, 2]))
    for shape in ([1, 2, 2], [4, 5, 2], [4, 2]):
        with pytest.raises(RamError, match=r"^exploration of shape .*: expected \(4"):
            model.rollout(images, tf.zeros([4, 2]), tf.zeros(shape))


def test_rollout_of_random_policy_looks_where_it_is_told(make_model):
    model = make_model(policy="random")
    places = random_places(4, NUM_GLIMPSES - 1, 2)
    found = model.rollout(random_images(), random_places(4, 2), places)
    np.testing.assert_array_equal(found.locations[:, 1:], places)
    assert not np.any(found.log_probs)
    assert not np.any(model.rollout(random_images()).locations)


def test_rollout_of_center_policy_stays_at_the_centre(make_model):
    found = make_model(policy="center").rollout(random_images(), tf.zeros([4, 2]))
    assert not np.any(found.locations)
    assert not np.any(found.log_probs)


@pytest.mark.parametrize("policy", ["learned", "random", "center"])
def test_rollout_takes_another_policy_than_its_own(policy, make_model):
    model, other = make_model(), make_model(policy=policy)
    other.set_weights(model.get_weights())
    inputs = random_images(), random_places(4, 2), random_noise()
    overridden, own = model.rollout(*inputs, policy=policy), other.rollout(*inputs)
    for one, two in zip(overridden, own, strict=True):
        np.testing.assert_array_equal(one, two)


def test_rollout_step_logits_are_answers_of_fewer_glimpses(make_model):
    model = with_large_means(make_model(num_glimpses=4))
    inputs = random_images(), random_places(4, 2)
    found = model.rollout(*inputs)
    np.testing.assert_array_equal(found.step_logits[:, -1], found.logits)
    for num_glimpses in (1, 2, 3):
        fewer = make_model(num_glimpses=num_glimpses)
        fewer.set_weights(model.get_weights())
        expected = fewer.rollout(*inputs).logits
        step_logits = found.step_logits[:, num_glimpses - 1]
        np.testing.assert_allclose(step_logits, expected, atol=1e-6)


def test_rollouts_of_one_image_are_those_of_its_copies(make_model):
    model, images = make_model(), random_images(3)
    first, noise = random_places(6, 2), random_noise(6)
    together = model.rollout(images, first, noise)
    copies = model.rollout(np.repeat(images, 2, axis=0), first, noise)
    for one, two in zip(together, copies, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "num_images", "num_rollouts", "num_parts"),
    [
        ({}, 1, 2, 2),
        ({}, 5, 2, 3),
        ({"glimpse_network": "inception", "core": "conv_lstm"}, 5, 1, 2),
    ],
)
def test_parts_of_a_batch_learn_as_the_whole(
    settings, num_images, num_rollouts, num_parts, make_model
):
    results = []
    for parts in (1, num_parts):
        keras.utils.set_random_seed(0)
        model = make_model(num_rollouts=num_rollouts, **settings)
        model.compile(keras.optimizers.SGD(0.1))
        model.num_parts = parts
        images = random_images(num_images)
        labels = np.arange(num_images) % NUM_CLASSES
        terms = tf.function(model.train_step)((images, labels))
        rows = num_images * num_rollouts
        seen = model.rollout(images, random_places(rows, 2), random_noise(rows))
        results.append(([*terms.values(), *seen], model.get_weights()))
    (numbers, weights), (numbers_of_parts, weights_of_parts) = results
    for whole, part in zip(numbers, numbers_of_parts, strict=True):
        np.testing.assert_allclose(part, whole, rtol=1e-4, atol=1e-5)
    for whole, part in zip(weights, weights_of_parts, strict=True):
        np.testing.assert_allclose(part, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_scales": 2, "core": "lstm"},
        {"patch_size": 3, "glimpse_network": "conv"},
        {"core": "conv_lstm", "glimpse_network": "inception"},
    ],
)
def test_rollout_sees_nothing_outside_its_patches(settings, make_model):
    model = with_large_means(make_model(image_shape=(24, 30, 2), **settings))
    images = random_images(8, (24, 30, 2))
    first, noise = random_places(8, 2), random_noise(8)
    before = model.rollout(images, first, noise)
    widest = model.sensor.patch_size * 2 ** (model.sensor.num_scales - 1)
    seen = np.zeros([8, 24, 30], bool)
    for image, locations in zip(seen, before.locations.numpy(), strict=True):
        for centre_px in (locations + 1) / 2 * [23, 29]:
            if widest % 2:
                top, left = np.floor(centre_px + 0.5).astype(int) - (widest - 1) // 2
            else:
                top, left = np.floor(centre_px).astype(int) - widest // 2 + 1
            rows = slice(max(top, 0), max(top + widest, 0))
            image[rows, max(left, 0) : max(left + widest, 0)] = True
    assert 0.02 < seen.mean() < 0.9
    noisy = np.where(seen[..., None], images, 100 * random_images(8, (24, 30, 2), 9))
    after = model.rollout(noisy, first, noise)
    for one, two in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, two)
    # And the other way round: what it saw matters.
    changed = np.where(seen[..., None], 1 - images, images)
    logits = model.rollout(changed, first, noise).logits
    assert np.all(np.any(logits != before.logits, axis=-1))


def test_call_gives_probabilities_from_the_centre_at_the_means(make_model):
    model = with_large_means(make_model())
    images = random_images()
    logits = model.rollout(images, tf.zeros([4, 2])).logits
    np.testing.assert_array_equal(model(images), tf.nn.softmax(logits))
    places = random_places(4, 2)
    given = model({"images": images, "initial_locations": places})
    logits = model.rollout(images, places).logits
    np.testing.assert_array_equal(given, tf.nn.softmax(logits))


def test_predictions_take_no_noise(make_model):
    model = make_model()
    model.compile()
    images = random_images()
    inputs = {"images": images, "exploration": random_noise()}
    np.testing.assert_array_equal(model(inputs), model(images))
    labels = np.zeros(4, "int32")
    found = {
        name: float(value) for name, value in model.test_step((inputs, labels)).items()
    }
    model.reset_metrics()
    assert found == pytest.approx(model.test_step((images, labels)))


def test_call_reads_uint8_as_fractions_of_255(make_model):
    model = make_model()
    images = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 1), np.uint8)
    expected = model(images.astype(np.float32) / 255)
    np.testing.assert_allclose(model(images), expected, rtol=1e-5)


def test_predict_of_an_image_does_not_depend_on_its_batch(make_model):
    model, images = with_large_means(make_model()), random_images(7)
    model.compile()
    together = model.predict(images, batch_size=7, verbose=0)
    np.testing.assert_allclose(together.sum(axis=1), np.ones(7), rtol=1e-5)
    pairs = model.predict(images, batch_size=2, verbose=0)
    np.testing.assert_allclose(pairs, together, atol=1e-6)
    alone = model.predict(images[3:4], verbose=0)
    np.testing.assert_allclose(alone, together[3:4], atol=1e-6)


# --- Parameters, by arithmetic -----------------------------------------------------

DENSE_HEADS = 256 * 2 + 2, 256 + 1, 256 * 10 + 10  # Location, baseline, action.


def fc_glimpse(pixels: int) -> int:
    return (pixels * 128 + 128) + (2 * 128 + 128) + 2 * (128 * 256 + 256)


@pytest.mark.parametrize(
    ("settings", "shape", "parameters"),
    [
        # The paper's RAM on MNIST: 8x8 patches, LSTM of 256.
        (
            {"core": "lstm"},
            (28, 28, 1),
            fc_glimpse(8 * 8) + 4 * (256 * 256 + 256 * 256 + 256) + sum(DENSE_HEADS),
        ),
        # Three scales of 12x12; neither T nor the image's size counts.
        (
            {"core": "lstm", "patch_size": 12, "num_scales": 3, "num_glimpses": 8},
            (60, 60, 1),
            fc_glimpse(12 * 12 * 3) + 4 * (2 * 256 * 256 + 256) + sum(DENSE_HEADS),
        ),
        # Mnih's core, and a location network with a hidden layer.
        (
            {"core": "rnn", "location_hidden_units": 128},
            (28, 28, 1),
            fc_glimpse(8 * 8)
            + (256 * 256 + 256 * 256 + 256)
            + ((256 * 128 + 128) + (128 * 2 + 2))
            + DENSE_HEADS[1]
            + DENSE_HEADS[2],
        ),
        # The paper's model of colour images: 12x12x(3 scales of 3 channels).
        (
            {
                "core": "conv_lstm",
                "glimpse_network": "inception",
                "patch_size": 12,
                "num_scales": 3,
            },
            (32, 32, 3),
            # Inception: 6 maps a branch. Location: 3x3x24, doubled twice to 12x12.
            (4 * (9 * 6 + 6) + 3 * (3 * 3 * 6 * 6 + 6))
            + ((2 * 216 + 216) + 2 * (3 * 3 * 24 * 24 + 24))
            + 4 * (3 * 3 * 24 * 24 + 3 * 3 * 24 * 24 + 24)
            + (12 * 12 * 24 * 2 + 2)
            + (12 * 12 * 24 + 1)
            + (12 * 12 * 24 * 10 + 10),
        ),
    ],
)
def test_model_has_exactly_these_parameters(settings, shape, parameters):
    assert build_model(Config(**settings), 10, shape).count_params() == parameters


# --- Training steps ------------------------------------------------------------------


@pytest.mark.parametrize("num_rollouts", [1, 2])
def test_train_step_reports_the_terms_of_its_loss(num_rollouts, make_model):
    model = make_model(
        num_rollouts=num_rollouts, baseline_weight=0.5, reinforce_weight=0.2
    )
    model.compile(keras.optimizers.SGD(0.0))
    images, labels = random_images(), np.array([0, 1, 2, 3], np.uint8)
    first, noise = random_places(4, 2), random_noise(4 * num_rollouts)
    inputs = {"images": images, "initial_locations": first, "exploration": noise}
    terms = model.train_step((inputs, labels))
    found = model.rollout(images, np.repeat(first, num_rollouts, axis=0), noise)
    labels = np.repeat(labels, num_rollouts).astype(np.int32)
    losses = hybrid_loss(
        found.step_logits,
        found.log_probs,
        found.baselines,
        labels,
        baseline_weight=0.5,
        reinforce_weight=0.2,
    )
    for name, value in losses._asdict().items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-5, err_msg=name)
    right = tf.reduce_mean(correct(found.logits, labels))
    assert terms["accuracy"] == terms["reward"] == right
    assert terms["gradient_norm"] > 0


@pytest.mark.parametrize(
    "credit",
    [
        {"cross_entropy_at": "every"},
        {"decision_return": "to_go"},
        {"decision_return": "gain", "discount": 0.25},
        {"baseline": "leave_one_out"},
        {"normalize_advantages": True},
    ],
)
def test_train_step_learns_from_the_credit_that_was_asked_for(credit, make_model):
    credit = {"reward": "probability", "num_rollouts": 2, **credit}
    model = with_large_means(make_model(**credit))
    model.compile(keras.optimizers.SGD(0.0))
    images, labels = random_images(), np.array([0, 1, 2, 3], np.int32)
    first, noise = random_places(4, 2), random_noise(8)
    inputs = {"images": images, "initial_locations": first, "exploration": noise}
    terms = model.train_step((inputs, labels))
    found = model.rollout(images, np.repeat(first, 2, axis=0), noise)
    given = found.step_logits, found.log_probs, found.baselines, np.repeat(labels, 2)
    expected = hybrid_loss(*given, **credit)._asdict()
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-4, err_msg=name)
    # The credit makes a difference, or this would show nothing.
    plain = hybrid_loss(*given, reward="probability", num_rollouts=2)
    assert abs(plain.loss - expected["loss"]) > 1e-4


def test_reward_that_is_reported_is_the_one_that_is_learned_from(make_model):
    model = make_model(reward="probability")
    model.compile()
    images, labels = random_images(), np.array([0, 1, 2, 3], np.int32)
    terms = model.test_step((images, labels))
    probabilities = tf.nn.softmax(model.rollout(images).logits).numpy()
    expected = probabilities[np.arange(4), labels].mean()
    np.testing.assert_allclose(terms["reward"], expected, rtol=1e-5)


def test_train_step_applies_the_gradient_of_the_loss(make_model):
    model = make_model(reinforce_weight=0.2)
    model.compile(keras.optimizers.SGD(0.1))
    images, labels = random_images(), np.array([0, 1, 2, 3], np.int32)
    first, noise = random_places(4, 2), random_noise()
    with tf.GradientTape() as tape:
        found = model.rollout(images, first, noise)
        loss = hybrid_loss(
            found.step_logits,
            found.log_probs,
            found.baselines,
            labels,
            baseline_weight=1.0,
            reinforce_weight=0.2,
        ).loss
    gradients = tape.gradient(loss, model.trainable_variables)
    before = [variable.numpy() for variable in model.trainable_variables]
    inputs = {"images": images, "initial_locations": first, "exploration": noise}
    terms = model.train_step((inputs, labels))
    for variable, value, gradient in zip(
        model.trainable_variables, before, gradients, strict=True
    ):
        expected = value - 0.1 * gradient.numpy()
        np.testing.assert_allclose(variable, expected, atol=1e-6)
    np.testing.assert_allclose(
        terms["gradient_norm"], tf.linalg.global_norm(gradients), rtol=1e-5
    )


def test_train_step_clips_the_whole_gradient(make_model):
    model = make_model()
    model.compile(keras.optimizers.SGD(1.0), clip_norm=0.01)
    before = [variable.numpy() for variable in model.trainable_variables]
    model.train_step((random_images(), np.array([0, 1, 2, 3])))
    change = [
        variable.numpy() - value
        for variable, value in zip(model.trainable_variables, before, strict=True)
    ]
    np.testing.assert_allclose(tf.linalg.global_norm(change), 0.01, rtol=1e-3)


def drawn(model, iteration=0):
    """Returns first locations and exploration that a training step draws."""
    seen = []
    rollout = model.rollout

    def record(images, initial_locations, exploration):
        seen.extend([initial_locations.numpy(), exploration.numpy()])
        return rollout(images, initial_locations, exploration)

    model.rollout = record
    model.optimizer.iterations.assign(iteration)
    model.train_step((random_images(200), np.zeros(200, np.int32)))
    return seen


def test_train_step_draws_by_seed_and_step(make_model):
    def draws(seed, iteration):
        model = make_model(num_rollouts=2, seed=seed)
        model.compile(keras.optimizers.SGD(0.0))
        return drawn(model, iteration)

    first, noise = draws(seed=1, iteration=5)
    assert first.shape == (400, 2)
    assert noise.shape == (400, NUM_GLIMPSES - 1, 2)
    assert first.min() >= -1 and first.max() <= 1
    # Uniform: mean 0 and spread 1 / sqrt(3); normal: 0 and 1. Four standard errors.
    assert abs(first.mean()) < 4 * 0.58 / math.sqrt(first.size)
    assert abs(first.std() - 1 / math.sqrt(3)) < 0.05
    assert abs(noise.mean()) < 4 / math.sqrt(noise.size)
    assert abs(noise.std() - 1) < 4 / math.sqrt(2 * noise.size)
    for other, same in [((1, 5), True), ((1, 6), False), ((2, 5), False)]:
        again = draws(*other)
        assert np.array_equal(again[0], first) == same
        assert np.array_equal(again[1], noise) == same


@pytest.mark.parametrize(
    "settings", [{"initial_location": "center"}, {"policy": "center"}]
)
def test_train_step_starts_from_the_centre_if_told(settings, make_model):
    model = make_model(**settings)
    model.compile()
    assert not np.any(drawn(model)[0])


def test_train_step_of_random_policy_draws_places(make_model):
    model = make_model(policy="random")
    model.compile()
    first, places = drawn(model)
    assert places.min() >= -1 and places.max() <= 1
    assert abs(places.std() - 1 / math.sqrt(3)) < 0.05
    assert np.isin(places, first).mean() < 0.01, "drawn apart"


def test_model_of_one_glimpse_is_a_plain_classifier(make_model):
    model = make_model(num_glimpses=1, reinforce_weight=1.0)
    model.compile(keras.optimizers.SGD(0.1))
    policy_parts = [model.location_network, model.baseline_network]
    before = [part.get_weights() for part in policy_parts]
    for _ in range(2):
        terms = model.train_step((random_images(), np.array([0, 1, 2, 3])))
    assert terms["reinforce"] == terms["baseline_mse"] == 0.0
    assert terms["loss"] == terms["cross_entropy"] > 0.0
    assert all(np.all(np.isfinite(weight)) for weight in model.get_weights())
    for part, weights in zip(policy_parts, before, strict=True):
        for now, then in zip(part.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(now, then)


def test_model_overfits_eight_images(make_model):
    model = make_model(
        num_classes=8, core_units=32, glimpse_units=32, initial_location="center"
    )
    model.compile(keras.optimizers.Adam(1e-2))
    images, labels = random_images(8), np.arange(8, dtype=np.int32)
    step = tf.function(lambda: model.train_step((images, labels)))
    for _ in range(200):
        step()
    model.reset_metrics()
    measures = model.evaluate(images, labels, return_dict=True, verbose=0)
    assert measures["accuracy"] == 1.0
    assert measures["cross_entropy"] < 0.1


# --- Precision -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings", [{}, {"core": "conv_lstm", "glimpse_network": "inception"}]
)
def test_bfloat16_leaves_places_probabilities_and_losses_in_float32(
    settings, make_model
):
    model = make_model(dtype="mixed_bfloat16", **settings)
    model.compile()
    first, noise = random_places(4, 2), random_noise()
    found = model.rollout(random_images(), first, noise)
    assert all(x.dtype == tf.float32 for x in found)
    # Exactly float32: 8 bits would not hold these.
    np.testing.assert_array_equal(found.locations[:, 0], first)
    squares = noise.astype(np.float64) ** 2
    log_probs = np.sum(-squares / 2 - math.log(0.1 * math.sqrt(2 * math.pi)), -1)
    np.testing.assert_allclose(found.log_probs, log_probs, rtol=1e-4)
    terms = model.train_step((random_images(), np.array([0, 1, 2, 3])))
    assert all(value.dtype == tf.float32 for value in terms.values())
    assert all(variable.dtype == "float32" for variable in model.trainable_variables)
    assert model.core.compute_dtype == "bfloat16"
    assert model.glimpse_network.compute_dtype == "bfloat16"
    assert model(random_images()).dtype == tf.float32


def test_bfloat16_cuts_patches_before_it_rounds_pixels(make_model):
    exact, model = make_model(), make_model(dtype="mixed_bfloat16")
    seen = []
    model.sensor.call = lambda images, locations: (
        seen.append(images) or exact.sensor(images, locations)
    )
    images = random_images()
    model(images)
    assert all(image.dtype == tf.float32 for image in seen)
    np.testing.assert_array_equal(seen[0], images)


# --- As a Keras model ----------------------------------------------------------------


def test_compile_without_arguments_trains_with_adam(make_model):
    model = make_model()
    model.compile()
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    history = model.fit(
        random_images(8), np.arange(8) % NUM_CLASSES, epochs=2, verbose=0
    )
    assert set(history.history) == {
        "loss",
        "cross_entropy",
        "baseline_mse",
        "reinforce",
        "accuracy",
        "reward",
        "gradient_norm",
    }
    assert all(np.isfinite(values).all() for values in history.history.values())


@pytest.mark.parametrize(
    "setting",
    ["glimpse_network", "core", "policy", "initial_location", "policy_gradient_scope"],
)
def test_model_refuses_what_is_no_choice(setting, make_model):
    with pytest.raises(RamError, match=f"^{setting}=gru: expected one of .*, "):
        make_model(**{setting: "gru"})


def test_call_finds_the_images_among_its_keywords(make_model):
    model = make_model()
    images = random_images()
    found = model(training=False, inputs=images)
    np.testing.assert_array_equal(found, model(images))


@pytest.mark.parametrize(
    "argument", ["loss", "metrics", "weighted_metrics", "loss_weights"]
)
def test_compile_refuses_what_the_model_has_of_its_own(argument, make_model):
    with pytest.raises(ValueError, match=f"expected no {argument}: the model"):
        make_model().compile(**{argument: "mse"})


def test_fit_obeys_early_stopping(make_model):
    model = make_model()
    model.compile(keras.optimizers.SGD(0.0))  # Nothing will ever get better.
    images, labels = random_images(8), np.arange(8) % NUM_CLASSES
    history = model.fit(
        images,
        labels,
        validation_data=(images, labels),
        epochs=9,
        verbose=0,
        callbacks=[keras.callbacks.EarlyStopping("val_loss", patience=1)],
    )
    assert len(history.history["val_loss"]) == 2


def test_evaluate_gives_the_loss_at_the_means(make_model):
    model = with_large_means(make_model())
    model.compile()
    images, labels = random_images(6), np.arange(6, dtype=np.int32) % NUM_CLASSES
    measures = model.evaluate(images, labels, return_dict=True, verbose=0)
    found = model.rollout(images, tf.zeros([6, 2]))
    losses = hybrid_loss(
        found.step_logits,
        found.log_probs,
        found.baselines,
        labels,
        baseline_weight=1.0,
        reinforce_weight=0.01,
    )
    for name in ("cross_entropy", "baseline_mse"):
        np.testing.assert_allclose(measures[name], getattr(losses, name), rtol=1e-5)
    # REINFORCE at the means says nothing that early stopping could use.
    assert "reinforce" not in measures
    expected = losses.cross_entropy + losses.baseline_mse
    np.testing.assert_allclose(measures["loss"], expected, rtol=1e-5)


def test_model_comes_back_from_its_config(make_model):
    model = make_model(core="lstm", num_rollouts=3, location_stddev=0.2, seed=5)
    again = RecurrentAttentionModel.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    again.build((None, 12, 12, 1))
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again(random_images()), model(random_images()))


FRESH_PROCESS = """
import sys
import keras
import numpy as np
from ram_tf import RecurrentAttentionModel  # Makes the class known to Keras.
model = keras.models.load_model(sys.argv[1])
data = np.load(sys.argv[2])
np.testing.assert_allclose(
    model.predict(data["images"], verbose=0), data["expected"], atol=1e-6
)
assert type(model) is RecurrentAttentionModel
before = model.optimizer.iterations.numpy()
assert before == 2, before
model.fit(data["images"], data["labels"], verbose=0)
assert model.optimizer.iterations.numpy() == 3
"""


def test_saved_model_goes_on_in_a_fresh_process(make_model, tmp_path):
    model = make_model(core="lstm")
    model.compile()
    images, labels = random_images(8), np.arange(8) % NUM_CLASSES
    model.fit(images, labels, epochs=2, verbose=0)
    expected = model.predict(images, verbose=0)
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", images=images, labels=labels, expected=expected)
    subprocess.run(
        [
            sys.executable,
            "-c",
            FRESH_PROCESS,
            tmp_path / "model.keras",
            tmp_path / "data.npz",
        ],
        check=True,
    )


def test_evaluate_takes_any_number_of_images_whatever_the_rollouts(make_model):
    """One rollout per image is evaluated: there is no other one to leave out."""
    model = make_model(num_rollouts=2, baseline="leave_one_out")
    model.compile()
    images, labels = random_images(5), np.array([0, 1, 2, 3, 4], np.int32)
    model.fit(images, labels, batch_size=5, verbose=0)
    assert model.optimizer.iterations == 1  # No step of numbers that are not finite.
    measures = model.evaluate(images, labels, return_dict=True, verbose=0)
    assert np.isfinite(list(measures.values())).all()
