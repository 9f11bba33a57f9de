"""What every layer of the package must do, one function a property."""

import dataclasses
import inspect
import json
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

BATCH = 3


@dataclasses.dataclass(frozen=True)
class LayerCase:
    """A layer as the checks see it.

    Attributes:
      make: makes it, small; takes keyword arguments of keras.layers.Layer.
      inputs: shapes of its call arguments without the batch, possibly nested.
      output: shape of its first output without the batch.
      parameters: how many numbers it learns, derived by hand.
      dtype: of its first output under the global policy mixed_bfloat16.
      compiles: whether XLA has all its kernels.
    """

    make: Callable[..., keras.layers.Layer]
    inputs: tuple
    output: tuple[int, ...]
    parameters: int
    dtype: str = "bfloat16"
    compiles: bool = True

    def random_inputs(self, seed: int = 0) -> tuple:
        """Returns float32 arrays in [-1, 1], one a call argument."""
        numbers = np.random.default_rng(seed)
        return self._map(
            lambda shape: numbers.uniform(-1, 1, (BATCH, *shape)).astype(np.float32)
        )

    def symbolic_inputs(self) -> tuple:
        """Returns a keras.Input a call argument."""
        return self._map(keras.Input)

    def _map(self, function: Callable, shapes: Any = None) -> tuple:
        shapes = self.inputs if shapes is None else shapes
        nested = [not shape or isinstance(shape[0], tuple) for shape in shapes]
        return tuple(
            self._map(function, shape) if inner else function(shape)
            for shape, inner in zip(shapes, nested, strict=True)
        )


def check_config_round_trip(case: LayerCase) -> None:
    """A layer is made again from its config, which names every argument."""
    layer = case.make()
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == config
    arguments = list(inspect.signature(type(layer).__init__).parameters)[1:]
    assert set(arguments) - {"kwargs"} <= set(config)


def check_serialisation(case: LayerCase) -> None:
    """A layer goes through JSON, under a name of this package."""
    layer = case.make()
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
    name = keras.saving.get_registered_name(type(layer))
    kept = {"IdentityCore": "NoCore"}  # By which saved models know it.
    class_name = type(layer).__name__
    assert name == f"ram_tf>{kept.get(class_name, class_name)}"


def check_weights(case: LayerCase) -> None:
    """`build` makes all weights; calling the layer adds none and changes none."""
    layer = case.make()
    assert not layer.weights or layer.built
    layer.build((None, *case.inputs[0]))
    assert layer.built
    assert layer.count_params() == case.parameters
    before = [weight.numpy() for weight in layer.weights]
    layer(*case.random_inputs())
    assert len(layer.weights) == len(before)
    for weight, value in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
    # Built by its first call instead, it has the same weights.
    lazy = case.make()
    lazy(*case.random_inputs())
    assert [w.shape for w in lazy.weights] == [w.shape for w in layer.weights]


def check_other_shape(case: LayerCase) -> None:
    """A layer that has learnt weights for one shape says so when given another."""
    layer = case.make()
    layer.build((None, *case.inputs[0]))
    first, *others = case.random_inputs()
    # Twice as wide: flattened carelessly, it would pass for twice as many rows.
    wider = np.concatenate([first, first], axis=-1)
    with pytest.raises(ValueError, match="expected shape=.*, found shape="):
        layer(wider, *others)


def check_ways_of_calling(case: LayerCase) -> None:
    """Symbolic, eager, tf.function and XLA agree on shapes, and the last on values."""
    layer = case.make()
    inputs = case.random_inputs()
    symbolic = tf.nest.flatten(layer(*case.symbolic_inputs()))
    eager = [x.numpy() for x in tf.nest.flatten(layer(*inputs))]
    assert eager[0].shape == (BATCH, *case.output)
    assert [(None, *x.shape[1:]) for x in eager] == [x.shape for x in symbolic]
    assert [x.dtype.name for x in eager] == [x.dtype for x in symbolic]
    assert all(np.isfinite(x).all() for x in eager)
    for jit_compile in (False, True) if case.compiles else (False,):
        call = tf.function(lambda *x: layer(*x), jit_compile=jit_compile)
        # TensorFlow would take NumPy arrays for Python values of a trace.
        found = tf.nest.flatten(call(*tf.nest.map_structure(tf.constant, inputs)))
        for one, other in zip(found, eager, strict=True):
            np.testing.assert_allclose(one.numpy(), other, rtol=1e-5, atol=1e-5)


def check_fit(case: LayerCase) -> None:
    """One step of `fit`, in somebody else's model, changes every weight."""
    layer = case.make()
    model = _model_around(case, layer)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = [weight.numpy() for weight in layer.weights]
    inputs = tf.nest.flatten(case.random_inputs())
    model.fit(inputs, np.full([BATCH, 1], 9.0), verbose=0)
    for weight, value in zip(layer.weights, before, strict=True):
        assert np.isfinite(weight.numpy()).all()
        assert np.any(weight.numpy() != value), weight.path


def check_bfloat16(case: LayerCase) -> None:
    """Under mixed_bfloat16 weights stay float32, and the answer is about the same."""
    inputs = case.random_inputs()
    exact = case.make()
    expected = tf.nest.flatten(exact(*inputs))[0].numpy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = case.make()
        layer(*inputs)
        layer.set_weights(exact.get_weights())
        found = tf.nest.flatten(layer(*inputs))[0]
    finally:
        keras.config.set_dtype_policy("float32")
    assert found.dtype == case.dtype
    assert all(weight.dtype == "float32" for weight in layer.weights)
    # bfloat16 has 8 bits: a few thousandths of values about 1.
    np.testing.assert_allclose(tf.cast(found, tf.float32), expected, atol=0.05)


def check_save_and_load(case: LayerCase, folder: pathlib.Path) -> None:
    """A model with the layer comes back from a .keras file with the same answers."""
    model = _model_around(case, case.make())
    inputs = tf.nest.flatten(case.random_inputs())
    expected = model.predict(inputs, verbose=0)
    model.save(folder / "model.keras")
    loaded = keras.models.load_model(folder / "model.keras")
    np.testing.assert_array_equal(loaded.predict(inputs, verbose=0), expected)


def _model_around(case: LayerCase, layer: keras.layers.Layer) -> keras.Model:
    inputs = case.symbolic_inputs()
    output = tf.nest.flatten(layer(*inputs))[0]
    if len(output.shape) == 1:
        output = keras.layers.Reshape([1])(output)
    output = keras.layers.Dense(1)(keras.layers.Flatten()(output))
    return keras.Model(tf.nest.flatten(inputs), output)
