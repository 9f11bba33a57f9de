"""Tests of the cores against Keras' own layers over whole sequences."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ram_tf.errors import RamError
from ram_tf.layers import CORES, ConvLSTMCore, IdentityCore, LSTMCore, RNNCore

BATCH, STEPS = 3, 4


def unroll(core, sequence):
    """Runs a core over [B, T, ...]; returns the outputs, stacked likewise."""
    state = core.initial_state(sequence.shape[0])
    outputs = []
    for t in range(sequence.shape[1]):
        output, state = core(sequence[:, t], state)
        outputs.append(output)
    return tf.stack(outputs, axis=1)


def random_sequence(*shape):
    numbers = np.random.default_rng(0)
    return tf.Variable(numbers.normal(size=(BATCH, STEPS, *shape)).astype(np.float32))


def check_same(core, core_weights, layer, sequence):
    """Outputs, and gradients to weights and to the sequence, are those of the layer."""
    numbers = np.random.default_rng(1)
    layer.build(sequence.shape)
    core.build((None, *sequence.shape[2:]))
    for mine, theirs in zip(core_weights(core), layer.weights, strict=True):
        assert mine.shape == theirs.shape
        value = numbers.normal(0, 0.4, mine.shape)
        mine.assign(value)
        theirs.assign(value)
    with tf.GradientTape(persistent=True) as tape:
        found, expected = unroll(core, sequence), layer(sequence)
        # A factor for each number, so that no gradient is right by symmetry.
        factors = numbers.normal(size=found.shape)
        losses = [tf.reduce_sum(outputs * factors) for outputs in (found, expected)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    pairs = zip(
        tape.gradient(losses[0], [sequence, *core_weights(core)]),
        tape.gradient(losses[1], [sequence, *layer.weights]),
        strict=True,
    )
    for mine, theirs in pairs:
        assert np.any(theirs.numpy() != 0)
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_rnn_core_is_kerass_simple_rnn_with_relu():
    layer = keras.layers.SimpleRNN(5, "relu", return_sequences=True)
    check_same(
        RNNCore(5),
        lambda core: [
            core.from_features.kernel,
            core.from_state.kernel,
            core.from_features.bias,
        ],
        layer,
        random_sequence(7),
    )


def test_rnn_core_begins_with_an_orthogonal_recurrence():
    core = RNNCore(8)
    core.build((None, 5))
    kernel = core.from_state.kernel.numpy()
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(8), atol=1e-5)


def test_lstm_core_is_kerass_lstm():
    layer = keras.layers.LSTM(5, return_sequences=True)
    check_same(LSTMCore(5), lambda core: core.weights, layer, random_sequence(7))


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_conv_lstm_core_is_kerass_conv_lstm(kernel_size):
    layer = keras.layers.ConvLSTM2D(
        5,
        kernel_size,
        padding="same",
        recurrent_activation="sigmoid",
        return_sequences=True,
    )
    core = ConvLSTMCore(5, kernel_size)
    check_same(core, lambda core: core.weights, layer, random_sequence(4, 6, 3))


def test_no_core_passes_features_and_remembers_nothing():
    core = IdentityCore()
    features = np.random.default_rng(0).normal(size=(BATCH, 2, 3)).astype(np.float32)
    assert core.initial_state(BATCH) == ()
    output, state = core(features, ())
    np.testing.assert_array_equal(output, features)
    assert state == ()


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("rnn", [(BATCH, 6)]),
        ("lstm", [(BATCH, 6), (BATCH, 6)]),
        ("conv_lstm", [(BATCH, 4, 4, 6), (BATCH, 4, 4, 6)]),
    ],
)
@pytest.mark.parametrize(
    ("dtype", "kept"), [("float32", "float32"), ("mixed_bfloat16", "bfloat16")]
)
def test_core_starts_from_zeros_of_its_own_type(name, shapes, dtype, kept):
    core = CORES[name](6, dtype=dtype)
    core.build((None, 4, 4, 2))
    state = core.initial_state(BATCH)
    assert [part.shape for part in state] == shapes
    assert all(part.dtype == kept for part in state)
    assert not any(np.any(part.numpy()) for part in state)


@pytest.mark.parametrize("name", CORES)
def test_core_state_has_the_shapes_that_it_takes(name):
    core = CORES[name](*([6] if name != "none" else []))
    features = np.ones([BATCH, 4, 4, 2], np.float32)
    core.build(features.shape)
    before = core.initial_state(BATCH)
    output, after = core(features, before)
    assert [part.shape for part in after] == [part.shape for part in before]
    assert output.shape == core.output_shape_for((BATCH, 4, 4, 2))


@pytest.mark.parametrize("name", CORES)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_no_state_is_a_state_of_zeros(name, dtype):
    core = CORES[name](*([6] if name != "none" else []), dtype=dtype)
    numbers = np.random.default_rng(0)
    features = tf.constant(numbers.normal(size=(BATCH, 4, 4, 2)), core.compute_dtype)
    core.build(features.shape)
    for weight in core.weights:
        weight.assign(numbers.normal(size=weight.shape))
    first = core(features)
    second = core(features, core.initial_state(BATCH))
    for mine, theirs in zip(*map(tf.nest.flatten, (first, second)), strict=True):
        assert mine.dtype == theirs.dtype == core.compute_dtype
        np.testing.assert_allclose(
            tf.cast(mine, "float32"), tf.cast(theirs, "float32"), rtol=1e-2, atol=1e-2
        )
        if dtype == "float32":
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["rnn", "lstm"])
def test_dense_core_flattens_maps(name):
    core, of_vectors = CORES[name](5), CORES[name](5)
    maps = np.random.default_rng(0).normal(size=(BATCH, 2, 3, 4)).astype(np.float32)
    flat = maps.reshape(BATCH, -1)
    core.build(maps.shape)
    of_vectors.build(flat.shape)
    of_vectors.set_weights(core.get_weights())
    state = core.initial_state(BATCH)
    np.testing.assert_array_equal(core(maps, state)[0], of_vectors(flat, state)[0])


def test_conv_lstm_core_refuses_vectors():
    with pytest.raises(RamError, match=r"\(None, 7\).*expects maps \[B, g, g, D\]"):
        ConvLSTMCore(5).build((None, 7))
