"""Tests of the location network, its Gaussian policy and the other two heads."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ram_tf.errors import RamError
from ram_tf.layers import ActionNetwork, BaselineNetwork, LocationNetwork
from ram_tf.layers.location import even_locations


def random_locations(count=5, spread=1.0, seed=0):
    return np.random.default_rng(seed).normal(0, spread, (count, 2)).astype(np.float32)


def gaussian_log_prob(locations, means, stddev):
    """Returns log N(l; mu, stddev^2 I), summed over y and x."""
    squares = ((locations - means) / stddev) ** 2
    return np.sum(-squares / 2 - np.log(stddev) - np.log(2 * np.pi) / 2, axis=-1)


@pytest.mark.parametrize("stddev", [0.03, 0.1, 1.0])
def test_log_prob_is_the_gaussians_summed_over_y_and_x(stddev):
    layer = LocationNetwork(stddev)
    means = random_locations(seed=1)
    # Beyond the image too: nothing is clipped.
    locations = means + random_locations(spread=3 * stddev, seed=2)
    found = layer.log_prob(locations, means)
    assert found.shape == (5,)
    expected = gaussian_log_prob(locations, means, stddev)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_log_prob_passes_gradient_to_means_and_none_to_locations():
    layer = LocationNetwork(0.2)
    means = tf.Variable(random_locations())
    locations = tf.Variable(random_locations(seed=4))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer.log_prob(locations, means))
    to_means, to_locations = tape.gradient(total, [means, locations])
    assert to_locations is None
    # d/dmu of -(l - mu)^2 / (2 stddev^2).
    expected = (locations.numpy() - means.numpy()) / 0.2**2
    np.testing.assert_allclose(to_means, expected, rtol=1e-5)


def test_sample_is_mean_plus_scaled_noise_without_gradient():
    layer = LocationNetwork(0.5)
    means, noise = tf.Variable(random_locations()), random_locations(seed=1)
    with tf.GradientTape() as tape:
        sample = layer.sample(means, noise)
        total = tf.reduce_sum(sample)
    np.testing.assert_allclose(sample, means.numpy() + 0.5 * noise, rtol=1e-6)
    assert tape.gradient(total, means) is None


def test_policy_is_a_distribution_over_places():
    layer = LocationNetwork(0.3)
    policy = layer.policy(tf.zeros([20_000, 2]))
    assert policy.event_shape == (2,)
    assert policy.batch_shape == (20_000,)
    drawn = policy.sample(seed=(1, 2)).numpy()
    # Standard errors of mean and spread: 0.3 / sqrt(20,000) and that by sqrt(2).
    np.testing.assert_allclose(drawn.mean(axis=0), [0, 0], atol=3 * 0.0022)
    np.testing.assert_allclose(drawn.std(axis=0), [0.3, 0.3], atol=3 * 0.0015)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 3 / np.sqrt(20_000)


@pytest.mark.parametrize("number", [1, 3, 5, 15])
def test_spread_locations_cover_the_image(number):
    locations = even_locations(number + 1)[1:]
    assert locations.shape == (number, 2)
    assert np.abs(locations).max() < 1
    # The centre is the first glimpse's: none of them is near to it or to another.
    points = np.vstack([[0, 0], locations])
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    nearest = np.min(apart + 9 * np.eye(number + 1))
    # Points of an even grid over the square would be this far from each other.
    assert nearest > 0.5 * 2 / np.sqrt(number + 1)


def test_untrained_means_are_spread_and_each_decision_has_its_own_offset():
    layer = LocationNetwork(0.1, spread=0.8, num_decisions=4, bound=(0.5, 1.0))
    nothing_seen = np.zeros([3, 6], np.float32)
    for decision in (0, 3, tf.constant(2)):
        expected = 0.8 * even_locations(5)[1:][int(decision)] * [0.5, 1.0]
        found = layer(nothing_seen, decision=decision)
        np.testing.assert_allclose(found, [expected] * 3, rtol=1e-5)
    # What was seen moves the mean: the offset is added before tanh.
    seen = random_locations(9, seed=3).reshape(3, 6)
    offsets = np.arctanh(0.8 * even_locations(5)[1:])
    x = seen @ layer.mean.kernel.numpy() + layer.mean.bias.numpy() + offsets[1]
    np.testing.assert_allclose(
        layer(seen, decision=1), np.tanh(x) * [0.5, 1.0], rtol=1e-4
    )
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(seen, decision=1))
    gradient = tf.convert_to_tensor(tape.gradient(total, layer.offsets.value))
    assert np.flatnonzero(np.abs(gradient).sum(axis=1)).tolist() == [1]


def test_spread_location_network_is_restored_from_its_config():
    layer = LocationNetwork(0.1, spread=0.6, num_decisions=2)
    again = LocationNetwork.from_config(layer.get_config())
    x = np.zeros([1, 3], np.float32)
    np.testing.assert_array_equal(layer(x, decision=1), again(x, decision=1))


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"spread": 1.0, "num_decisions": 2}, "spread=1.0: expected a number from 0"),
        ({"spread": -0.1, "num_decisions": 2}, "spread=-0.1: expected a number from"),
        ({"spread": 0.5}, "num_decisions=0: expected at least 1"),
    ],
)
def test_location_network_refuses_a_spread_that_cannot_be(wrong, message):
    with pytest.raises(RamError, match=message):
        LocationNetwork(0.1, **wrong)


def test_location_network_with_a_spread_asks_which_decision():
    layer = LocationNetwork(0.1, spread=0.5, num_decisions=2)
    layer.build((None, 3))
    with pytest.raises(RamError, match="^decision=None: expected the number .*$"):
        layer(np.zeros([1, 3], np.float32))


@pytest.mark.parametrize("input_scale", [1.0, 0.25])
@pytest.mark.parametrize("hidden_units", [0, 6])
def test_means_are_the_bounded_answer_of_dense_layers(hidden_units, input_scale):
    core_output = random_locations(40, spread=20.0).reshape(10, 2, 2, 2)
    layer = LocationNetwork(0.1, hidden_units, input_scale)
    found = layer(core_output).numpy()
    x = input_scale * core_output.reshape(10, 8)
    if hidden_units:
        hidden = layer.hidden
        x = np.maximum(x @ hidden.kernel.numpy() + hidden.bias.numpy(), 0)
    expected = np.tanh(x @ layer.mean.kernel.numpy() + layer.mean.bias.numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert np.all(np.abs(found) <= 1)


def test_a_step_of_adam_moves_the_mean_by_the_scale_of_the_input():
    def moved(size, input_scale):
        core_output = np.ones([1, size], np.float32)
        layer = LocationNetwork(0.1, input_scale=input_scale)
        before = np.arctanh(layer(core_output).numpy())
        with tf.GradientTape() as tape:
            # Adam heeds the sign of the first gradient, not its size.
            loss = 1e-3 * tf.reduce_sum(layer(core_output))
        optimizer = keras.optimizers.Adam(1e-4, epsilon=1e-12)
        optimizer.apply(
            tape.gradient(loss, layer.trainable_variables), layer.trainable_variables
        )
        return before - np.arctanh(layer(core_output).numpy())

    # The rate times the inputs, scaled, and the bias.
    for size, input_scale in ((256, 1.0), (3456, 1.0), (3456, 0.074)):
        expected = np.full([1, 2], 1e-4 * (size * input_scale + 1))
        np.testing.assert_allclose(moved(size, input_scale), expected, rtol=0.02)


@pytest.mark.parametrize("name", ["stddev", "input_scale"])
def test_location_network_refuses_what_is_not_above_0(name):
    with pytest.raises(RamError, match=f"{name}=0.0: expected a number above 0"):
        LocationNetwork(**{name: 0.0})


@pytest.mark.parametrize("bound", [1.5, -0.1, [1, 2], [0.5, 0.5, 0.5]])
def test_location_network_refuses_a_bound_outside_the_image(bound):
    with pytest.raises(RamError, match="expected a number from 0 to 1, or two"):
        LocationNetwork(bound=bound)


def test_location_network_takes_a_bound_of_integers():
    layer = LocationNetwork(bound=(1, 0))
    assert not np.any(layer(np.ones([2, 3], np.float32))[:, 1])


def test_baseline_is_linear_and_stops_its_input():
    core_output = tf.Variable(random_locations(12).reshape(4, 2, 3))
    layer = BaselineNetwork()
    layer.build((None, 2, 3))
    layer.value.bias.assign([0.7])
    with tf.GradientTape() as tape:
        found = layer(core_output)
        total = tf.reduce_sum(found**2)
    to_input, to_kernel = tape.gradient(total, [core_output, layer.value.kernel])
    x = core_output.numpy().reshape(4, 6)
    expected = x @ layer.value.kernel.numpy()[:, 0] + 0.7
    assert found.shape == (4,)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert to_input is None
    assert np.all(to_kernel.numpy() != 0)


def test_action_gives_linear_logits_and_passes_gradient():
    core_output = tf.Variable(random_locations(12).reshape(4, 2, 3))
    layer = ActionNetwork(3)
    with tf.GradientTape() as tape:
        found = layer(core_output)
        total = tf.reduce_sum(found**2)
    x = core_output.numpy().reshape(4, 6)
    np.testing.assert_allclose(found, x @ layer.logits.kernel.numpy(), rtol=1e-4)
    assert np.all(tape.gradient(total, core_output).numpy() != 0)


def test_bound_scales_the_mean():
    outputs = np.random.default_rng(0).normal(0, 3, (6, 7)).astype(np.float32)
    free, bound = LocationNetwork(), LocationNetwork(bound=[0.5, 0.8])
    for layer in (free, bound):
        layer.build((None, 7))
    bound.set_weights(free.get_weights())
    np.testing.assert_allclose(bound(outputs), free(outputs) * [0.5, 0.8], rtol=1e-6)


def test_maps_are_a_pointwise_convolution_before_the_mean():
    outputs = np.random.default_rng(0).normal(0, 1, (4, 3, 3, 6)).astype(np.float32)
    layer = LocationNetwork(maps=2)
    layer.build((None, 3, 3, 6))
    kernel, bias, weights, offset = (weight.numpy() for weight in layer.weights)
    seen = np.maximum(outputs @ kernel[0, 0] + bias, 0).reshape(4, -1)
    np.testing.assert_allclose(layer(outputs), np.tanh(seen @ weights + offset), 1e-4)
