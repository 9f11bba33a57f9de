"""Tests of the three glimpse networks against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from ram_tf.errors import RamError
from ram_tf.layers import (
    GLIMPSE_NETWORKS,
    ConvGlimpseNetwork,
    FCGlimpseNetwork,
    InceptionGlimpseNetwork,
)


def random_inputs(side=4, channels=2, batch=3):
    numbers = np.random.default_rng(0)
    patches = numbers.uniform(0, 1, (batch, side, side, channels))
    locations = numbers.uniform(-1, 1, (batch, 2))
    return patches.astype(np.float32), locations.astype(np.float32)


def relu(x):
    return np.maximum(x, 0.0)


def dense(layer, x):
    return x @ layer.kernel.numpy() + layer.bias.numpy()


def randomise(layer):
    """Gives every weight, biases too, a value that a test can see."""
    numbers = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(numbers.normal(0, 0.3, weight.shape))


def test_fc_glimpse_is_the_sum_of_what_and_where():
    patches, locations = random_inputs()
    layer = FCGlimpseNetwork(6, 5)
    layer.build(patches.shape)
    randomise(layer)
    what = dense(layer.what, relu(dense(layer.what_hidden, patches.reshape(3, -1))))
    where = dense(layer.where, relu(dense(layer.where_hidden, locations)))
    np.testing.assert_allclose(
        layer(patches, locations), relu(what + where), rtol=1e-5, atol=1e-6
    )


def test_conv_glimpse_is_the_product_of_what_and_where():
    patches, locations = random_inputs()
    layer = ConvGlimpseNetwork(6, 4)
    layer.build(patches.shape)
    randomise(layer)
    x = tf.constant(patches)
    for name in ("conv_1", "conv_2", None, "conv_3"):
        if name is None:
            x = tf.nn.max_pool2d(x, 2, 2, "VALID")
        else:
            conv = next(part for part in layer.stack if part.name == name)
            x = tf.nn.relu(tf.nn.conv2d(x, conv.kernel, 1, "SAME") + conv.bias)
    what = relu(dense(layer.what, x.numpy().reshape(3, -1)))
    where = relu(dense(layer.where, locations))
    np.testing.assert_allclose(
        layer(patches, locations), what * where, rtol=1e-4, atol=1e-6
    )


def test_conv_glimpse_starts_with_every_unit_open():
    patches, _ = random_inputs()
    layer = ConvGlimpseNetwork(6, 4)
    layer(patches, np.zeros([3, 2], np.float32))
    np.testing.assert_array_equal(layer.where(np.zeros([1, 2])), np.ones([1, 6]))


@pytest.mark.parametrize(
    ("units", "filters", "maps"), [(64, 0, 8), (4, 0, 1), (64, 3, 3)]
)
def test_conv_glimpse_has_maps_by_its_width(units, filters, maps):
    layer = ConvGlimpseNetwork(units, filters)
    layer.build((None, 8, 8, 3))
    kernels = [part.kernel.shape[-1] for part in layer.stack if part.weights]
    assert kernels == [maps, maps, 2 * maps]
    assert layer.get_config()["filters"] == maps


def inception_module(branches, x):
    """Returns the maps of one Inception module, from its weights."""

    def conv(part, x):
        return tf.nn.relu(tf.nn.conv2d(x, part.kernel, 1, "SAME") + part.bias)

    pixel, single, double, pool = branches
    pooled = tf.nn.avg_pool2d(x, 3, 1, "SAME")
    parts = [
        conv(pixel[0], x),
        conv(single[1], conv(single[0], x)),
        conv(double[2], conv(double[1], conv(double[0], x))),
        conv(pool[1], pooled),
    ]
    return tf.concat(parts, axis=-1)


def test_inception_glimpse_joins_its_branches_and_adds_the_location():
    patches, locations = random_inputs(side=6)
    layer = InceptionGlimpseNetwork(8)
    layer.build(patches.shape)
    randomise(layer)
    what = inception_module(layer.branches, patches)
    # 6 is no multiple of 4: the location's 2x2 maps are doubled twice, then cut.
    where = relu(dense(layer.where_hidden, locations)).reshape(3, 2, 2, 8)
    where = layer.where(layer.where_first(where))
    assert where.shape == (3, 8, 8, 8)
    found = layer(patches, locations)
    assert found.shape == (3, 6, 6, 8)
    expected = relu(what + where[:, :6, :6])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_inception_modules_follow_each_other_with_a_pool_between():
    patches, locations = random_inputs(side=5)
    layer = InceptionGlimpseNetwork(8, modules=2)
    layer.build(patches.shape)
    randomise(layer)
    first = inception_module(layer.branches[:4], patches)
    # 5x5 halved and rounded up is 3x3: the last pool of a row has one column.
    padded = np.pad(first, [(0, 0), (0, 1), (0, 1), (0, 0)], constant_values=-np.inf)
    halved = padded.reshape(3, 3, 2, 3, 2, 8).max(axis=(2, 4))
    what = inception_module(layer.branches[4:], halved)
    where = relu(dense(layer.where_hidden, locations)).reshape(3, 1, 1, 8)
    where = layer.where(layer.where_first(where))[:, :3, :3]
    found = layer(patches, locations)
    np.testing.assert_allclose(found, relu(what + where), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("side", "modules", "expected"), [(12, 1, 12), (12, 2, 6), (12, 3, 3), (5, 3, 2)]
)
def test_each_further_inception_module_halves_the_maps(side, modules, expected):
    patches, locations = random_inputs(side)
    layer = InceptionGlimpseNetwork(4, modules)
    shape = (3, expected, expected, 4)
    assert layer(patches, locations).shape == shape
    assert layer.compute_output_shape(patches.shape) == shape


def test_inception_glimpse_refuses_no_module():
    with pytest.raises(RamError, match="modules=0: expected at least 1"):
        InceptionGlimpseNetwork(8, modules=0)


@pytest.mark.parametrize("side", [1, 3, 4, 5, 12])
def test_inception_glimpse_keeps_the_patchs_size(side):
    patches, locations = random_inputs(side)
    assert InceptionGlimpseNetwork(4)(patches, locations).shape == (3, side, side, 4)


@pytest.mark.parametrize("filters", [0, 2, 10])
def test_inception_glimpse_refuses_filters_that_do_not_share_out(filters):
    with pytest.raises(RamError, match=f"filters={filters}: expected a multiple of 4"):
        InceptionGlimpseNetwork(filters)


@pytest.mark.parametrize("name", GLIMPSE_NETWORKS)
def test_glimpse_network_passes_gradient_to_patches_and_locations(name):
    patches, locations = (tf.Variable(x) for x in random_inputs())
    layer = GLIMPSE_NETWORKS[name](8)
    with tf.GradientTape() as tape:
        features = layer(patches, locations)
        total = tf.reduce_sum(features**2)
    assert np.all(features.numpy() >= 0)
    for gradient in tape.gradient(total, [patches, locations]):
        assert np.any(gradient.numpy() != 0)
