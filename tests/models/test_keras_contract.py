"""Tests of what Keras' own `fit` and `evaluate` promise, also where data are uneven."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from ram_tf.errors import RamError
from ram_tf.layers import ConvLSTMCore, LocationNetwork
from ram_tf.models.recurrent_attention import RecurrentAttentionModel

NUM_CLASSES = 5


def data(count, channels=1):
    numbers = np.random.default_rng(0)
    images = numbers.uniform(0, 1, (count, 12, 12, channels)).astype(np.float32)
    return images, np.arange(count, dtype=np.int32) % NUM_CLASSES


def sharp(model):
    """Makes a model so sure of its answers that batches differ widely in loss."""
    kernel = model.action_network.logits.kernel
    kernel.assign(np.random.default_rng(1).normal(0, 5, kernel.shape))
    return model


@pytest.mark.parametrize("batch_size", [4, 8])
def test_evaluate_counts_every_image_once(batch_size, make_model):
    model = sharp(make_model())
    model.compile()
    images, labels = data(9)  # The last batch has one image.
    whole = model.evaluate(images, labels, 9, return_dict=True, verbose=0)
    found = model.evaluate(images, labels, batch_size, return_dict=True, verbose=0)
    assert found == pytest.approx(whole, rel=1e-5)


def test_fit_counts_every_image_once(make_model):
    model = sharp(make_model(policy="center"))
    model.compile(keras.optimizers.SGD(0.0))
    images, labels = data(9)
    expected = model.evaluate(images, labels, 9, return_dict=True, verbose=0)
    found = model.fit(images, labels, 8, verbose=0, shuffle=False).history
    for name in ("loss", "cross_entropy", "accuracy"):
        assert found[name] == [pytest.approx(expected[name], rel=1e-5)]


@pytest.mark.parametrize("weights", ["sample_weight", "class_weight"])
def test_fit_refuses_weights_that_the_loss_does_not_have(weights, make_model):
    model = make_model()
    model.compile()
    given = {"sample_weight": np.ones(4), "class_weight": dict.fromkeys(range(5), 2.0)}
    with pytest.raises(RamError, match="expected no sample_weight and no class_weight"):
        model.fit(*data(4), verbose=0, **{weights: given[weights]})


UNEVEN = """
import json, sys
import keras
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)
from ram_tf.models.recurrent_attention import RecurrentAttentionModel
numbers = np.random.default_rng(0)
images = numbers.uniform(0, 1, (17, 12, 12, 1)).astype(np.float32)
labels = np.arange(17, dtype=np.int32) % 5
found = []
one = tf.distribute.get_strategy()
two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for strategy in (one, two):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = RecurrentAttentionModel(
            5, 4, num_glimpses=3, core="rnn", core_units=8, glimpse_units=8,
            policy="center",
        )
        model.build((None, 12, 12, 1))
        model.compile(keras.optimizers.SGD(0.5), clip_norm=0.1)
    # 16 and 1: the second replica has no image of the last batch.
    history = model.fit(images, labels, 16, verbose=0, shuffle=False).history
    measures = model.evaluate(images, labels, 16, return_dict=True, verbose=0)
    weights = [weight.tolist() for weight in model.get_weights()]
    found.append({"history": history, "measures": measures, "weights": weights})
print(json.dumps(found))
"""


def test_fit_on_two_devices_takes_an_uneven_last_batch():
    command = [sys.executable, "-W", "ignore", "-c", UNEVEN]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    one, two = json.loads(done.stdout.splitlines()[-1])
    for name, values in one["history"].items():
        np.testing.assert_allclose(two["history"][name], values, rtol=1e-4)
    for name, value in one["measures"].items():
        np.testing.assert_allclose(two["measures"][name], value, rtol=1e-4)
    for mine, its in zip(one["weights"], two["weights"], strict=True):
        np.testing.assert_allclose(its, mine, atol=1e-5)


def test_fit_shows_pixels_that_are_not_numbers_in_its_loss(make_model):
    model = make_model()
    model.compile()
    images, labels = data(4)
    before = model.get_weights()
    history = model.fit(np.full_like(images, np.nan), labels, verbose=0).history
    assert np.isnan(history["loss"]).all()
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize("num_glimpses", [1, 3])
@pytest.mark.parametrize("method", ["call", "fit"])
def test_model_refuses_other_channels(method, num_glimpses, make_model):
    model = make_model(num_glimpses=num_glimpses)
    model.compile()
    images, labels = data(1, channels=3)
    with pytest.raises(RamError, match="expected 1 channels, .* found 3"):
        model(images) if method == "call" else model.fit(images, labels, verbose=0)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("num_glimpses", 0),
        ("num_glimpses", 2.5),
        ("num_rollouts", 0),
        ("patch_size", 0),
        ("core_units", -1),
        ("location_stddev", 0.0),
        ("reinforce_weight", float("nan")),
    ],
)
def test_model_refuses_what_is_out_of_range(setting, value, make_model):
    with pytest.raises(RamError, match=f"^{setting}={value}: expected an? "):
        make_model(**{setting: value})


def test_layers_refuse_what_they_cannot_work_with(make_model):
    with pytest.raises(RamError, match="stddev=0: expected a number above 0"):
        LocationNetwork(0)
    with pytest.raises(RamError, match="expected at least 2x2 pixels"):
        make_model(glimpse_network="conv", patch_size=1)
    with pytest.raises(RamError, match="expected build.* before initial_state"):
        ConvLSTMCore(4).initial_state(2)


def test_widths_of_0_are_those_of_config():
    model = RecurrentAttentionModel(
        patch_size=12, core="conv_lstm", glimpse_network="inception"
    )
    assert (model.glimpse_network.filters, model.core.filters) == (24, 24)
    model = RecurrentAttentionModel(core="rnn")
    assert (model.glimpse_network.units, model.core.units) == (256, 256)


@pytest.mark.parametrize("num_rollouts", [1, 3])
def test_fit_starts_all_rollouts_of_an_image_where_it_is_told(num_rollouts, make_model):
    model = make_model(num_rollouts=num_rollouts)
    model.compile()
    seen = []
    rollout = model.rollout

    def record(images, initial_locations, exploration):
        seen.append(initial_locations)
        return rollout(images, initial_locations, exploration)

    model.rollout = record
    images, labels = data(4)
    places = np.random.default_rng(2).uniform(-1, 1, (4, 2)).astype(np.float32)
    model.train_step(({"images": images, "initial_locations": places}, labels))
    np.testing.assert_array_equal(seen[0], np.repeat(places, num_rollouts, axis=0))


def test_saved_model_compiles_as_it_was(make_model, tmp_path):
    model = make_model()
    model.compile(jit_compile=True, steps_per_execution=4, clip_norm=0.5)
    model.fit(*data(8), 2, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for name in ("jit_compile", "steps_per_execution", "clip_norm", "jit_update"):
        assert getattr(again, name) == getattr(model, name), name
    assert tf.reduce_all(again.optimizer.iterations == model.optimizer.iterations)
