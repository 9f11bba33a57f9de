"""Tests of what Keras' own `fit` and `evaluate` promise, also where data are uneven."""

import copy
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from ram_tf.errors import RamError
from ram_tf.layers import (
    ConvGlimpseNetwork,
    ConvLSTMCore,
    FCGlimpseNetwork,
    GlimpseSensor,
    InceptionGlimpseNetwork,
    LocationNetwork,
    LSTMCore,
    RNNCore,
)
from ram_tf.models import image_classifier
from ram_tf.models.recurrent_attention import RecurrentAttentionModel
from ram_tf.models.whole_image import ConvClassifier, FCClassifier

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


@pytest.mark.parametrize("classifier", [RecurrentAttentionModel, FCClassifier])
def test_metrics_names_are_those_of_evaluate(classifier):
    model = classifier(NUM_CLASSES)
    model.compile()
    images, labels = data(9)
    named = dict(
        zip(model.metrics_names, model.evaluate(images, labels, verbose=0), strict=True)
    )
    expected = model.evaluate(images, labels, verbose=0, return_dict=True)
    assert named == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore:images with pixels from nan")
def test_averages_of_weights_begin_as_the_weights(make_model):
    """A `fit` whose every step is skipped leaves the model as it was."""
    model = make_model()
    model.compile(keras.optimizers.Adam(use_ema=True))
    images, labels = data(8)
    before = model.get_weights()
    images[0] = np.nan
    model.fit(images, labels, batch_size=8, verbose=0)
    assert int(model.steps_done) == 0
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.filterwarnings("ignore:images with pixels from nan")
def test_averages_begin_as_weights_that_were_loaded_after_compile(make_model, tmp_path):
    model = make_model()
    model.compile(keras.optimizers.Adam(use_ema=True))
    loaded = [weight + 1 for weight in model.get_weights()]
    model.set_weights(loaded)
    images, labels = data(8)
    model.fit(np.full_like(images, np.nan), labels, batch_size=8, verbose=0)
    for now, then in zip(model.get_weights(), loaded, strict=True):
        np.testing.assert_array_equal(now, then)


def test_averages_of_other_weights_than_are_trained_are_refused(make_model):
    model = make_model()
    model.compile(keras.optimizers.Adam(use_ema=True))
    before = model.get_weights()
    model.core.trainable = False
    with pytest.raises(RamError, match="`trainable` was changed after compile"):
        model.fit(*data(8), verbose=0)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    model.compile(keras.optimizers.Adam(use_ema=True))
    model.fit(*data(8), verbose=0)


@pytest.mark.parametrize("use_ema", [False, True])
def test_saved_model_knows_what_is_not_trained(use_ema, make_model, tmp_path):
    model = make_model()
    model.core.trainable = False
    model.glimpse_network.what.trainable = False
    model.compile(keras.optimizers.Adam(0.1, use_ema=use_ema))
    model.fit(*data(8), verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.image_shape == (12, 12, 1)
    assert int(again.steps_done) == 1
    trained = {weight.path for weight in again.trainable_variables}
    assert trained == {weight.path for weight in model.trainable_variables}
    before = [weight.numpy() for weight in again.non_trainable_variables]
    assert before
    again.fit(*data(8), verbose=0)
    for now, then in zip(again.non_trainable_variables, before, strict=True):
        np.testing.assert_array_equal(now, then)
    again.save(tmp_path / "again.keras")  # What was loaded is saved as before.
    third = keras.models.load_model(tmp_path / "again.keras")
    assert {weight.path for weight in third.trainable_variables} == trained


@pytest.mark.parametrize("shown", [0, 4])
def test_parts_of_no_images_are_no_error(shown, make_model):
    model = make_model()
    model.num_parts = 2
    assert model(data(4)[0][:shown]).shape == (shown, NUM_CLASSES)


def test_crop_and_resize_is_not_compiled_by_xla():
    assert GlimpseSensor(method="gather").supports_jit
    assert not GlimpseSensor(method="tf_image").supports_jit


def test_a_bound_goes_with_any_precision():
    for dtype in ("float32", "mixed_bfloat16", "float64"):
        network = LocationNetwork(bound=0.5, dtype=dtype)
        assert np.abs(network(np.ones([2, 4], "f"))).max() <= 0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConvGlimpseNetwork(16, name="x"),
        lambda: InceptionGlimpseNetwork(8, 2, name="x"),
    ],
)
def test_channels_are_last_whatever_keras_says(make):
    patches = np.random.default_rng(0).uniform(0, 1, (2, 4, 4, 4)).astype("f")
    locations = np.zeros([2, 2], "f")
    found = []
    try:
        for data_format in ("channels_last", "channels_first"):
            keras.config.set_image_data_format(data_format)
            keras.utils.set_random_seed(0)
            found.append(make()(patches, locations).numpy())
            # No two of these sides are equal: another order would be seen.
            maps = np.random.default_rng(1).uniform(0, 1, (2, 4, 6, 3)).astype("f")
            keras.utils.set_random_seed(0)
            found.append(ConvLSTMCore(5)(maps)[0].numpy())
            assert found[-1].shape == (2, 4, 6, 5)
            found.append(LocationNetwork(maps=2)(maps).numpy())
            images, labels = data(4, channels=3)
            for classifier in (FCClassifier, ConvClassifier):
                keras.utils.set_random_seed(0)
                model = classifier(NUM_CLASSES, 8)
                model.compile()
                model.fit(images, labels, verbose=0)
                found.append(model.predict(images, verbose=0))
    finally:
        keras.config.set_image_data_format("channels_last")
    half = len(found) // 2
    for last, first in zip(found[:half], found[half:], strict=True):
        np.testing.assert_allclose(last, first, rtol=1e-5)


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
from ram_tf.models.whole_image import FCClassifier
numbers = np.random.default_rng(0)
count = int(sys.argv[1])
images = numbers.uniform(0, 1, (count, 12, 12, 1)).astype(np.float32)
labels = np.arange(count, dtype=np.int32) % 5
found = []
one = tf.distribute.get_strategy()
two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for strategy in (one, two):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = RecurrentAttentionModel(
            5, 4, num_glimpses=3, core="rnn", core_units=8, glimpse_units=8,
        )
        model.build((None, 12, 12, 1))
        model.compile(keras.optimizers.SGD(0.5), clip_norm=0.1)
    history = model.fit(images, labels, 16, verbose=0, shuffle=False).history
    measures = model.evaluate(images, labels, 16, return_dict=True, verbose=0)
    weights = [weight.tolist() for weight in model.get_weights()]
    found.append({"history": history, "measures": measures, "weights": weights})
print(json.dumps(found))
"""


# Batches of 16: of the last one the second replica has no image, or one of three.
@pytest.mark.parametrize("count", [17, 19])
def test_fit_on_two_devices_takes_an_uneven_last_batch(count):
    command = [sys.executable, "-W", "ignore", "-c", UNEVEN, str(count)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    one, two = json.loads(done.stdout.splitlines()[-1])
    for name, values in one["history"].items():
        np.testing.assert_allclose(two["history"][name], values, rtol=1e-4)
    for name, value in one["measures"].items():
        np.testing.assert_allclose(two["measures"][name], value, rtol=1e-4)
    for mine, its in zip(one["weights"], two["weights"], strict=True):
        np.testing.assert_allclose(its, mine, atol=1e-5)


@pytest.mark.filterwarnings("ignore:images with pixels from nan")
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
    with pytest.raises(RamError, match="expected 1 channel, .* found 3"):
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
        ConvGlimpseNetwork().build((None, 1, 1, 1))
    with pytest.raises(RamError, match="glimpse_network=conv: expected patch_size"):
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


def test_dict_of_inputs_goes_with_every_method(make_model):
    model = make_model()
    model.compile()
    images, labels = data(8)
    inputs = {
        "images": images,
        "initial_locations": np.full([8, 2], 0.5, "float32"),
        "exploration": np.zeros([8, model.num_glimpses - 1, 2], "float32"),
    }
    model.fit(inputs, labels, validation_split=0.5, verbose=0)
    model.evaluate(inputs, labels, verbose=0)
    found = model.predict(inputs, verbose=0)
    del inputs["exploration"]  # Predictions are made at the means.
    np.testing.assert_array_equal(found, model.predict(inputs, verbose=0))


@pytest.mark.parametrize("names", [("image",), ("images", "locations")])
def test_dict_of_other_inputs_is_refused_in_one_line(names, make_model):
    model = make_model()
    model.compile()
    images, labels = data(4)
    inputs = dict.fromkeys(names, images)
    for ask in (model, model.predict, lambda x: model.fit(x, labels)):
        with pytest.raises(RamError, match=f"inputs named '{names[0]}'.*: expected '"):
            ask(inputs)


@pytest.mark.parametrize("name", ["model.h5", "model.hdf5"])
def test_model_is_not_saved_where_keras_cannot_load_it(name, make_model, tmp_path):
    with pytest.raises(RamError, match="expected a name that ends with .keras"):
        make_model().save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_saved_model_compiles_as_it_was(make_model, tmp_path):
    model = make_model()
    model.compile(jit_compile=True, steps_per_execution=4, clip_norm=0.5)
    model.fit(*data(8), 2, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for name in ("jit_compile", "steps_per_execution", "clip_norm", "jit_update"):
        assert getattr(again, name) == getattr(model, name), name
    assert tf.reduce_all(again.optimizer.iterations == model.optimizer.iterations)


# --- Pixels, precision, callbacks -----------------------------------------------------


def whole_image(**settings):
    return FCClassifier(NUM_CLASSES, 8, **settings)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint16", "bool"])
@pytest.mark.parametrize("method", ["call", "fit", "predict", "evaluate", "rollout"])
def test_model_refuses_pixels_whose_range_is_not_known(method, dtype, make_model):
    images, labels = np.ones((4, 12, 12, 1), dtype), data(4)[1]
    models = [make_model()] if method == "rollout" else [make_model(), whole_image()]
    for model in models:
        model.compile()
        calls = {
            "call": lambda model: model(images),
            "fit": lambda model: model.fit(images, labels, verbose=0),
            "predict": lambda model: model.predict(images, verbose=0),
            "evaluate": lambda model: model.evaluate(images, labels, verbose=0),
            "rollout": lambda model: model.rollout(images, tf.zeros([4, 2])),
        }
        with pytest.raises(RamError) as caught:
            calls[method](model)
        assert str(caught.value).startswith(f"images of dtype {dtype}: expected uint8")
        assert "\n" not in str(caught.value)


def bars(count):
    """Images that a small model learns: the bright band of rows is the class."""
    numbers = np.random.default_rng(0)
    labels = np.arange(count, dtype=np.int32) % NUM_CLASSES
    images = numbers.uniform(0, 0.2, (count, 12, 12, 1)).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 1 : 2 * label + 3] += 0.8
    return images, labels


@pytest.mark.parametrize("kind", ["ram", "fc"])
def test_model_learns_at_mixed_float16(kind, make_model):
    if kind == "ram":
        model = make_model(
            dtype="mixed_float16", policy="center", patch_size=12, core_units=32
        )
    else:
        model = whole_image(dtype="mixed_float16")
    model.compile(keras.optimizers.Adam(1e-2), clip_norm=1.0)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    images, labels = bars(100)
    history = model.fit(images, labels, 10, 12, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    # Of the gradient, not of its scaled self, which is 2**15 times as large.
    assert 0 < max(history["gradient_norm"]) < 100
    assert model.evaluate(images, labels, return_dict=True, verbose=0)["accuracy"] > 0.9


def test_scaled_loss_updates_as_the_loss_itself():
    found = []
    for scale in (None, 1024.0):
        keras.utils.set_random_seed(0)
        model = whole_image()
        optimizer = keras.optimizers.SGD(0.1, loss_scale_factor=scale)
        model.compile(optimizer, clip_norm=0.1)
        history = model.fit(*bars(40), 8, shuffle=False, verbose=0).history
        found.append([history["gradient_norm"], *model.get_weights()])
    for mine, its in zip(*found, strict=True):
        np.testing.assert_allclose(its, mine, rtol=1e-4, atol=1e-6)


def test_scale_that_overflows_is_halved_and_no_tracker_shows_it():
    model = whole_image(dtype="mixed_float16")
    optimizer = keras.optimizers.SGD(0.1)
    model.compile(keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=2.0**40))
    before = [np.array(w) for w in model.get_weights()]
    history = model.fit(*bars(8), 8, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert float(model.optimizer.dynamic_scale) == 2.0**39
    for weight, value in zip(model.get_weights(), before, strict=False):
        np.testing.assert_array_equal(weight, value)


def fit_with_norms(norms, scale, monkeypatch):
    """Fits at mixed_float16, a step for each norm that the gradient seems to have."""
    left = iter(norms)
    monkeypatch.setattr(
        image_classifier, "_global_norm", lambda gradients: tf.constant(next(left))
    )
    model = whole_image(dtype="mixed_float16")
    optimizer = keras.optimizers.SGD(0.1)
    model.compile(
        keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=scale),
        run_eagerly=True,
    )
    return model.fit(*bars(8 * len(norms)), 8, verbose=0).history


@pytest.mark.parametrize(("scale", "shown"), [(2.0, False), (1.0, True)])
def test_gradient_that_overflows_at_a_scale_of_1_is_shown(scale, shown, monkeypatch):
    history = fit_with_norms([np.inf], scale, monkeypatch)
    assert np.isinf(history["loss"][0]) == shown


def test_mean_norm_leaves_out_steps_that_only_tried_a_scale(monkeypatch):
    history = fit_with_norms([np.inf, 6.0], 2.0, monkeypatch)
    assert history["gradient_norm"] == [6.0]


@pytest.mark.filterwarnings("ignore:images with pixels from nan")
@pytest.mark.parametrize("jit_update", [False, True])
def test_step_that_is_not_finite_moves_no_state_of_the_optimizer(
    jit_update, make_model
):
    model = make_model()
    optimizer = keras.optimizers.Adam(1e-2, use_ema=True, weight_decay=0.1)
    model.compile(optimizer, jit_update=jit_update)
    images, labels = data(4)
    model.fit(images, labels, verbose=0)
    state = [*model.weights, *optimizer.variables]
    before = [variable.numpy() for variable in state]
    model.fit(np.full_like(images, np.nan), labels, verbose=0)
    for variable, value in zip(state, before, strict=True):
        np.testing.assert_array_equal(variable, value, variable.path)
    model.fit(images, labels, verbose=0)
    assert int(optimizer.iterations) == 2


def test_micro_batches_have_draws_of_their_own(make_model):
    def draws(steps):
        model = make_model()
        accumulation = {"gradient_accumulation_steps": steps} if steps else {}
        model.compile(keras.optimizers.SGD(0.1, **accumulation))
        seen = []
        draw = model._draw

        def record(**inputs):
            seen.append(draw(**inputs))
            return seen[-1]

        model._draw = record
        for _ in range(4):
            model.train_step(data(4))
        return seen

    accumulated, plain = draws(4), draws(None)
    for name in ("initial_locations", "exploration"):
        values = [np.array(given[name]) for given in accumulated]
        for i in range(4):
            np.testing.assert_array_equal(values[i], plain[i][name])
            assert not any(np.array_equal(values[i], other) for other in values[:i])


@pytest.mark.parametrize("made_by", ["fit", "evaluate", "load_model"])
def test_model_is_exported_without_a_call(made_by, make_model, tmp_path):
    images, labels = data(4)
    for name, model in {"ram": make_model(), "fc": whole_image()}.items():
        model.compile()
        if made_by == "evaluate":
            model.evaluate(images, labels, verbose=0)
        else:
            model.fit(images, labels, verbose=0)
        if made_by == "load_model":
            model.save(tmp_path / f"{name}.keras")
            model = keras.models.load_model(tmp_path / f"{name}.keras")
        model.export(str(tmp_path / name), verbose=False)
        loaded = tf.saved_model.load(str(tmp_path / name))
        served = loaded.serve(tf.constant(images))
        expected = model.predict(images, verbose=0)
        np.testing.assert_allclose(served, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("monitor", "better"),
    [
        ("val_accuracy", "greater"),
        ("val_reward", "greater"),
        ("val_loss", "less"),
        ("val_baseline_mse", "less"),
    ],
)
def test_callbacks_know_which_way_is_better(monitor, better, make_model, tmp_path):
    model = make_model()
    model.compile()
    callbacks = [
        keras.callbacks.EarlyStopping(monitor),
        keras.callbacks.ModelCheckpoint(
            tmp_path / "best.keras", monitor, save_best_only=True
        ),
    ]
    model.fit(*data(8), validation_data=data(8), callbacks=callbacks, verbose=0)
    for callback in callbacks:
        assert callback.monitor_op.__name__ == better
    assert (tmp_path / "best.keras").exists()


def test_evaluated_loss_has_no_reinforce_term(make_model):
    model = make_model(baseline_weight=0.5, reinforce_weight=100.0)
    model.compile()
    found = model.evaluate(*data(8), return_dict=True, verbose=0)
    assert "reinforce" not in found
    expected = found["cross_entropy"] + 0.5 * found["baseline_mse"]
    assert found["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("ask", ["__call__", "predict"])
def test_images_that_are_no_batch_are_refused_in_one_line(ask):
    model = RecurrentAttentionModel.from_preset("demo")
    asked = getattr(model, ask)
    for shape, expected in [
        ((2, 28, 28), r"\(2, 28, 28\): expected \[B, H, W, C\], of one image"),
        ((28, 28), r"\(28, 28\): expected \[B, H, W, C\]$"),
        ((2, 28, 28, 3), "expected 1 channel, as the model was built for, found 3"),
    ]:
        with pytest.raises(RamError, match=expected):
            asked(np.zeros(shape, "float32"))


@pytest.mark.parametrize("ask", ["__call__", "predict"])
def test_floats_beyond_one_are_warned_of(ask):
    asked = getattr(RecurrentAttentionModel.from_preset("demo"), ask)
    images = np.zeros([2, 28, 28, 1], "float32")
    images[0, 3, 3] = 255
    warned = r"from 0 to 255: floats are expected in"
    with pytest.warns(UserWarning, match=warned) as warnings:
        asked(images)
    # The line of the user, none of this package or of Keras.
    assert {warning.filename for warning in warnings} == {__file__}
    for fine in (images.astype("uint8"), images / 255):
        asked(fine)


def test_pixels_that_are_no_numbers_are_warned_of():
    images = data(2)[0]
    images[0, 3, 3] = np.nan
    with pytest.warns(UserWarning, match="pixels from nan to nan"):
        whole_image()(images)


@pytest.mark.parametrize("ask", ["fit", "evaluate", "predict"])
def test_a_list_of_images_is_refused(ask):
    model = whole_image()
    model.compile()
    images, labels = data(4)
    given = [list(images)] if ask == "predict" else [list(images), list(labels)]
    with pytest.raises(RamError, match="found a list; np.stack makes one"):
        getattr(model, ask)(*given, verbose=0)


def test_negative_floats_are_warned_of():
    images = data(2)[0]
    images[0, 3, 3] = -0.5
    with pytest.warns(UserWarning, match="pixels from -0.5 to"):
        whole_image()(images)


def test_images_of_another_size_are_warned_of(recwarn):
    model = RecurrentAttentionModel.from_preset("demo")
    with pytest.warns(UserWarning, match="of 40x28, where the model was built for 28x"):
        model(np.zeros([2, 40, 28, 1], "float32"))
    recwarn.clear()
    model(np.zeros([2, 28, 28, 1], "float32"))
    assert not [w for w in recwarn if "built for" in str(w.message)]


@pytest.mark.parametrize("kind", ["fc", "conv"])
def test_whole_image_classifier_refuses_images_of_another_size(kind):
    """Turned images have as many pixels, which would fit its first layer."""
    model = {"fc": FCClassifier, "conv": ConvClassifier}[kind](NUM_CLASSES, 8)
    model.build((None, 12, 20, 1))
    with pytest.raises(RamError, match="^images of 20x12: expected 12x20, as the mod"):
        model(np.zeros([2, 20, 12, 1], "float32"))


@pytest.mark.parametrize("ask", ["fit", "evaluate"])
def test_floats_beyond_one_are_warned_of_in_training_too(ask):
    model = whole_image()
    model.compile()
    images, labels = data(4)
    with pytest.warns(UserWarning, match="floats are expected in"):
        getattr(model, ask)(255 * images, labels, verbose=0)


@pytest.mark.parametrize("ask", ["fit", "evaluate"])
def test_images_without_a_label_are_refused(ask):
    model = whole_image()
    model.compile()
    images, labels = data(4)
    expected = "expected a label for each image, found 4 images and 3 labels"
    with pytest.raises(RamError, match=expected):
        getattr(model, ask)(images, labels[:3], verbose=0)


# --- Models that were not compiled, or are part of another ----------------------------


def built_classifier():
    model = whole_image()
    model(data(2)[0])
    return model


@pytest.mark.parametrize("kind", ["ram", "whole image"])
def test_model_that_was_not_compiled_is_saved_cloned_and_copied(
    kind, make_model, tmp_path
):
    model = make_model() if kind == "ram" else built_classifier()
    images, _ = data(4)
    expected = model(images)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not loaded.compiled
    np.testing.assert_array_equal(loaded(images), expected)
    np.testing.assert_array_equal(copy.deepcopy(model)(images), expected)
    clone = keras.models.clone_model(model)
    assert clone.count_params() == model.count_params()


def test_model_inside_another_is_saved_with_it(make_model, tmp_path):
    inner, images = make_model(), data(6)[0]
    inputs = keras.Input((12, 12, 1))
    model = keras.Model(inputs, inner(inputs))
    assert model.output_shape == (None, NUM_CLASSES)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(images), inner(images), atol=1e-6)
    frames = keras.Input((2, 12, 12, 1))
    each = keras.Model(frames, keras.layers.TimeDistributed(inner)(frames))
    found = each(images.reshape(3, 2, 12, 12, 1))
    np.testing.assert_allclose(tf.reshape(found, [6, -1]), inner(images), atol=1e-6)


# --- What is asked of labels, weights and arguments -----------------------------------


@pytest.mark.parametrize("kind", ["ram", "whole image"])
def test_one_hot_labels_are_refused_in_one_line(kind, make_model):
    model = make_model() if kind == "ram" else built_classifier()
    model.compile()
    images, labels = data(10)
    one_hot = np.eye(NUM_CLASSES)[labels]
    for ask in (model.fit, model.evaluate):
        with pytest.raises(
            RamError, match=r"expected class numbers .*, 5\); of one-hot"
        ):
            ask(images, one_hot, batch_size=5, verbose=0)
    with pytest.raises(RamError, match="found none"):
        model.fit(images, verbose=0)
    model.fit(images, labels[:, None].astype(np.float64), verbose=0)


@pytest.mark.parametrize("kind", ["ram", "whole image"])
@pytest.mark.parametrize(
    ("label", "dtype"),
    [(NUM_CLASSES, int), (-1, int), (np.nan, float), (0.95, float), ("cat", object)],
)
def test_label_that_is_no_class_is_named(kind, label, dtype, make_model):
    model = make_model() if kind == "ram" else built_classifier()
    model.compile()
    images, labels = data(10)
    wrong = np.array([*labels[:9], label], dtype)
    for ask in (model.fit, model.evaluate):
        with pytest.raises(
            RamError, match=f"from 0 to {NUM_CLASSES - 1}, as num_classes="
        ) as caught:
            ask(images, wrong, batch_size=5, verbose=0)
        if dtype is not object:
            assert str(caught.value).endswith(f"found {label}")
    if dtype is not object:  # Keras itself refuses these.
        with pytest.raises(RamError, match="from 0 to"):
            model.fit(images, labels, validation_data=(images, wrong), verbose=0)


@pytest.mark.parametrize("kind", ["ram", "whole image"])
def test_frozen_model_learns_nothing_and_says_how_it_does(kind, make_model):
    model = make_model() if kind == "ram" else built_classifier()
    model.trainable = False
    model.compile()
    before = model.get_weights()
    found = model.fit(*data(4), verbose=0).history
    assert found["loss"][0] > 0 and found["gradient_norm"] == [0.0]
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_compile_takes_no_loss_by_position_and_no_odd_norm(make_model):
    model = make_model()
    with pytest.raises(TypeError):
        model.compile("adam", "sparse_categorical_crossentropy")
    for norm in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="clip_norm=.*: expected a number of at l"):
            model.compile(clip_norm=norm)


def test_whole_image_classifier_takes_a_dict_as_the_recurrent_one_does():
    model, images = built_classifier(), data(4)[0]
    found = model.predict({"images": images}, verbose=0)
    np.testing.assert_allclose(found, model.predict(images, verbose=0), atol=1e-6)


def test_numbers_of_numpy_are_numbers():
    settings = {
        "patch_size": 4,
        "num_scales": 2,
        "num_glimpses": 3,
        "core": "rnn",
        "core_units": 8,
        "glimpse_units": 8,
        "location_hidden_units": 8,
        "location_stddev": 0.2,
        "location_input_scale": 0.5,
        "location_bound": 0.5,
        "location_spread": 0.5,
        "seed": 1,
    }
    kinds = {int: np.int64, float: np.float64, str: str}
    given = {name: kinds[type(value)](value) for name, value in settings.items()}
    images, labels = data(4)
    models = []
    for each in (settings, given):
        keras.utils.set_random_seed(0)
        model = RecurrentAttentionModel(np.int64(5), name="ram", **each)
        model.compile()
        model.fit(images, labels, verbose=0)
        models.append(model)
    plain, of_numpy = models
    np.testing.assert_array_equal(of_numpy(images), plain(images))
    assert json.dumps(of_numpy.get_config()) == json.dumps(plain.get_config())
    assert of_numpy.num_classes == 5
    assert LocationNetwork(bound=np.float32(0.5)).bound == [0.5, 0.5]
    pairs = np.zeros([2, 2], "f")
    assert LocationNetwork(np.float64(0.1)).log_prob(pairs, pairs).dtype == tf.float32
    ones = np.int64(1)
    for layer in (
        GlimpseSensor(np.int64(4), np.int64(2)),
        FCGlimpseNetwork(ones, ones),
        ConvGlimpseNetwork(ones, ones),
        InceptionGlimpseNetwork(np.int64(4), ones),
        ConvLSTMCore(ones, ones),
        LSTMCore(ones),
        RNNCore(ones),
    ):
        json.dumps(layer.get_config())
    with pytest.raises(TypeError):  # Not rounded.
        RNNCore(2.5)
    for wrong in (0, "3", 2.5):
        with pytest.raises(RamError, match=f"num_classes={wrong!r}: expected an integ"):
            RecurrentAttentionModel(wrong)


def test_bound_of_the_images_size_needs_one_size():
    model = RecurrentAttentionModel(location_bound=0.0)
    with pytest.raises(RamError, match="location_bound=0: expected images of one size"):
        model.build((None, None, None, 1))


@pytest.mark.parametrize(
    "settings", [{"core": "none"}, {"location_spread": 0.0}, {"core": "lstm"}]
)
def test_preset_s_weights_are_not_left_out(settings):
    with pytest.raises(RamError, match="expected the weights of the model") as caught:
        RecurrentAttentionModel.from_preset("demo", **settings)
    ((name, value),) = settings.items()
    assert f"preset 'demo': expected arguments that fit its weights, found {name}=" in (
        str(caught.value)
    )
    assert repr(value) in str(caught.value)


def test_presets_take_names_of_their_own():
    inputs = keras.Input((28, 28, 1))
    models = [
        RecurrentAttentionModel.from_preset(name, name=name)
        for name in ("demo", "mnist_6g")
    ]
    both = keras.layers.Average()([model(inputs) for model in models])
    assert keras.Model(inputs, both).count_params() > 0
