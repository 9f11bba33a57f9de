"""Tests of the two baseline classifiers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.models.factory import build_model
from ram_tf.models.whole_image import ConvClassifier, FCClassifier

KINDS = {"fc": FCClassifier, "conv": ConvClassifier}


def make(kind, **kwargs):
    model = KINDS[kind](num_classes=5, fc_units=8, **kwargs)
    model.build((None, 20, 20, 2))
    return model


def random_images(count=4):
    numbers = np.random.default_rng(0)
    return numbers.uniform(0, 1, (count, 20, 20, 2)).astype(np.float32)


def test_fc_classifier_is_two_relu_layers():
    model = make("fc")
    images = random_images()
    x = images.reshape(4, -1)
    for layer in model.stack[1:]:
        x = x @ layer.kernel.numpy() + layer.bias.numpy()
        if layer is not model.stack[-1]:
            x = np.maximum(x, 0)
    np.testing.assert_allclose(model.logits(images), x, rtol=1e-4, atol=1e-5)
    odds = np.exp(x - x.max(axis=1, keepdims=True))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model(images), probabilities, rtol=1e-4, atol=1e-6)


def test_conv_classifier_is_a_convolution_and_a_relu_layer():
    model = make("conv")
    images = random_images()
    convolution, _, hidden, last = model.stack
    # 10x10 at stride 5 on 20x20: 3x3 places.
    kernel = convolution.kernel.numpy().reshape(-1, 8)
    x = np.zeros([4, 3, 3, 8])
    for row in range(3):
        for column in range(3):
            window = images[:, 5 * row : 5 * row + 10, 5 * column : 5 * column + 10]
            x[:, row, column] = window.reshape(4, -1) @ kernel
    x = np.maximum(x + convolution.bias.numpy(), 0).reshape(4, -1)
    x = np.maximum(x @ hidden.kernel.numpy() + hidden.bias.numpy(), 0)
    expected = x @ last.kernel.numpy() + last.bias.numpy()
    np.testing.assert_allclose(model.logits(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_look_is_one_prediction_and_no_location(kind):
    model, images = make(kind), random_images()
    probabilities, locations = model.look(images, np.zeros([4, 2]), policy="random")
    np.testing.assert_array_equal(probabilities[:, 0], model(images))
    assert probabilities.shape == (4, 1, 5)
    assert locations.shape == (4, 0, 2) and locations.dtype == tf.float32
    assert model.policy == "whole_image"


@pytest.mark.parametrize(
    ("kind", "shape", "parameters"),
    [
        # The paper's: 28x28 digits, 256 units, 10 classes.
        ("fc", (28, 28, 1), (784 * 256 + 256) + (256 * 256 + 256) + (2560 + 10)),
        # (28 - 10) // 5 + 1 = 4 places a side, 8 filters.
        ("conv", (28, 28, 1), (800 + 8) + (4 * 4 * 8 * 256 + 256) + (2560 + 10)),
        # Colour: 3 channels; (32 - 10) // 5 + 1 = 5 places.
        ("conv", (32, 32, 3), (2400 + 8) + (5 * 5 * 8 * 256 + 256) + (2560 + 10)),
    ],
)
def test_classifier_has_exactly_these_parameters(kind, shape, parameters):
    assert build_model(Config(model=kind), 10, shape).count_params() == parameters


def test_conv_classifier_has_the_stride_of_its_config():
    # 32 - 10 + 1 = 23 places a side.
    parameters = (800 + 8) + (23 * 23 * 8 * 256 + 256) + (2560 + 10)
    config = Config(model="conv", conv_stride=1)
    assert build_model(config, 10, (32, 32, 1)).count_params() == parameters


@pytest.mark.parametrize("kind", KINDS)
def test_classifier_reads_uint8_as_fractions_of_255(kind):
    model = make(kind)
    images = np.random.default_rng(0).integers(0, 256, (3, 20, 20, 2), np.uint8)
    expected = model(images.astype(np.float32) / 255)
    np.testing.assert_allclose(model(images), expected, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_classifier_learns_by_fit_and_comes_back_from_a_file(kind, tmp_path):
    model = make(kind)
    images, labels = random_images(8), np.arange(8, dtype=np.uint8) % 5
    model.compile(keras.optimizers.Adam(1e-2))
    many = np.tile(images, (60, 1, 1, 1)), np.tile(labels, 60)
    model.fit(*many, batch_size=8, shuffle=False, verbose=0)
    measures = model.evaluate(images, labels, return_dict=True, verbose=0)
    assert measures["accuracy"] == 1.0
    assert measures["loss"] == measures["cross_entropy"] < 0.5
    expected = model.predict(images, verbose=0)
    assert np.array_equal(expected.argmax(-1), labels)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_classifier_answers_in_float32_under_bfloat16(kind):
    model = make(kind, dtype="mixed_bfloat16")
    images = random_images()
    assert model.logits(images).dtype == tf.float32
    assert all(weight.dtype == "float32" for weight in model.weights)
    np.testing.assert_allclose(tf.reduce_sum(model(images), axis=1), np.ones(4), 1e-6)


def test_conv_classifier_refuses_images_smaller_than_its_kernel():
    message = "^--model=conv: .* at least 10 pixels a side, found 9x28$"
    with pytest.raises(RamError, match=message):
        build_model(Config(model="conv"), 10, (9, 28, 1))
    with pytest.raises(RamError, match=message):
        ConvClassifier()(np.zeros([1, 9, 28, 1], np.float32))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("fc", {"fc_units": 0}),
        ("conv", {"fc_units": 0}),
        ("conv", {"fc_units": 2.5}),
        ("conv", {"conv_stride": 0}),
    ],
)
def test_classifier_refuses_arguments_as_a_run_does(kind, settings):
    ((name, value),) = settings.items()
    with pytest.raises(RamError) as mine:
        KINDS[kind](**settings)
    assert str(mine.value).startswith(f"{name}={value}: expected an integer of at lea")
    with pytest.raises(RamError) as of_a_run:
        Config(**settings)
    assert str(of_a_run.value) == f"--{mine.value}"
