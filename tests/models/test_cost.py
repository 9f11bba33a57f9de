"""Tests of the counts of operations and pixels; no cost grows with the image."""

import math

import keras
import pytest
import tensorflow as tf

from ram_tf.config import Config
from ram_tf.evaluation.pixel_budget import PixelBudget
from ram_tf.layers import GlimpseSensor
from ram_tf.models.cost import forward_operations
from ram_tf.models.factory import build_model


def product(inputs: int, outputs: int) -> int:
    """Returns the operations of one row through a kernel [inputs, outputs]."""
    return 2 * inputs * outputs


FC_GLIMPSE = product(64, 128) + product(2, 128) + 2 * product(128, 256)
HEADS = product(256, 2) + product(256, 1)


def inception_module(channels):
    """At a place: four 1x1 from the channels, and three 3x3 between 6 maps."""
    return 4 * product(channels, 6) + 3 * product(9 * 6, 6)


@pytest.mark.parametrize(
    ("settings", "shape", "operations"),
    [
        (
            {"core": "rnn", "num_glimpses": 6},
            (28, 28, 1),
            # The state is multiplied from the second glimpse on.
            6 * FC_GLIMPSE + 11 * product(256, 256) + 5 * HEADS + product(256, 10),
        ),
        (
            {"core": "lstm", "num_glimpses": 2},
            (28, 28, 1),
            2 * FC_GLIMPSE + 12 * product(256, 256) + HEADS + product(256, 10),
        ),
        (
            {"core": "none", "num_glimpses": 1, "location_hidden_units": 32},
            (28, 28, 1),
            FC_GLIMPSE + product(256, 10),  # One glimpse makes no decision.
        ),
        (
            {
                "core": "conv_lstm",
                "glimpse_network": "inception",
                "patch_size": 12,
                "num_scales": 3,
                "num_glimpses": 2,
            },
            (32, 32, 3),
            2
            * (
                144 * inception_module(9)
                # Location: a dense layer, and transposed convolutions that meet each
                # kernel entry at the 3x3 and the 6x6 places of their inputs.
                + product(2, 3 * 3 * 24)
                + (9 + 36) * product(9 * 24, 24)
            )
            # ConvLSTM: features twice and state once, four gates.
            + 144 * 3 * product(9 * 24, 4 * 24)
            + product(144 * 24, 2 + 1)
            + product(144 * 24, 10),
        ),
        (
            {
                "core": "conv_lstm",
                "glimpse_network": "inception",
                "glimpse_modules": 2,
                "patch_size": 8,
                "num_glimpses": 1,
            },
            (32, 32, 3),
            # The first module at 64 places, the second at 16.
            64 * inception_module(3)
            + 16 * inception_module(24)
            + product(2, 24)
            + (1 + 4) * product(9 * 24, 24)
            + 16 * product(9 * 24, 4 * 24)
            + product(16 * 24, 10),
        ),
        (
            {"model": "fc"},
            (28, 28, 1),
            product(784, 256) + product(256, 256) + product(256, 10),
        ),
        (
            {"model": "conv"},
            (28, 28, 1),
            # 4x4 places of a 10x10 kernel, 8 filters.
            16 * product(100, 8) + product(128, 256) + product(256, 10),
        ),
    ],
)
def test_operations_are_two_for_each_product(settings, shape, operations):
    assert forward_operations(build_model(Config(**settings), 10, shape)) == operations


def test_pixel_budget_is_what_the_glimpses_read():
    config = Config(patch_size=12, num_scales=3, num_glimpses=4)
    budget = PixelBudget.of(config, (32, 32, 3))
    assert (budget.read, budget.read_product) == (5184, "4*3*12*12*3")


def test_pixel_budget_of_a_whole_image_classifier_is_the_image():
    budget = PixelBudget.of(Config(model="fc"), (28, 28, 1))
    assert (budget.read, budget.share) == (28 * 28, 100)


def test_operations_do_not_depend_on_the_images_size():
    def count(side):
        model = build_model(Config(num_glimpses=2), 10, (side, side, 1))
        return forward_operations(model)

    assert count(28) == count(512)


SIDE = 2048
VIEWS = ("Placeholder", "Reshape", "Identity")  # The image itself, or no copy of it.
LOOKS = {
    "fc + rnn": {"core": "rnn"},
    "odd patches": {"core": "rnn", "patch_size": 7, "num_scales": 2},
    "inception + conv_lstm": {
        "core": "conv_lstm",
        "core_units": 4,
        "glimpse_network": "inception",
        "glimpse_units": 4,
        "patch_size": 12,
        "num_scales": 3,
    },
}


def large_tensors(config):
    """Returns what of a rollout's graph is as large as its image, by operation type."""
    model = build_model(config, 10, (28, 28, 1))
    function = tf.function(lambda images: model.rollout(images, tf.zeros([1, 2])))
    spec = tf.TensorSpec([1, SIDE, SIDE, 1], tf.uint8)
    graph = function.get_concrete_function(spec).graph.as_graph_def(add_shapes=True)
    inner = [node for f in graph.library.function for node in f.node_def]
    found = []
    for node in [*graph.node, *inner]:
        if node.op in VIEWS:
            continue
        for shape in node.attr["_output_shapes"].list.shape:
            # What might be large, for all that is known, counts.
            sides = [dim.size if dim.size >= 0 else SIDE for dim in shape.dim]
            if shape.unknown_rank or math.prod(sides) >= SIDE * SIDE:
                found.append(node.op)
    return found


@pytest.mark.parametrize("name", LOOKS)
def test_rollout_makes_nothing_as_large_as_its_image(name):
    assert large_tensors(Config(num_glimpses=2, **LOOKS[name])) == []


@pytest.mark.parametrize("wrap", [lambda look: look, tf.function])
def test_large_tensors_show_a_cast_of_the_whole_image(wrap, monkeypatch):
    see = GlimpseSensor.call

    def see_all(self, images, locations):
        @wrap
        def look(images, locations):
            return see(self, tf.cast(images, tf.float32) / 255.0, locations)

        return look(images, locations)

    monkeypatch.setattr(GlimpseSensor, "call", see_all)
    found = large_tensors(Config(num_glimpses=2, core="rnn"))
    assert sorted(set(found)) == ["Cast", "RealDiv"]


def test_operations_of_unknown_layers_are_those_of_their_parts():
    class Wrapped(keras.Sequential):
        pass

    model = Wrapped([keras.layers.Input([3]), keras.layers.Dense(5)])
    assert forward_operations(model) == product(3, 5)
