"""The baseline network: core output in, the expected return out."""

import math
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="ram_tf")
class BaselineNetwork(keras.layers.Layer):
    """Predicts the return from the core's output: b_t of paper equation 2.

    Linear, so that it can be neither dead nor capped. Always float32.

    Call arguments:
      core_output: [B, ...]; maps are flattened.

    Returns:
      baseline: float32 [B].

    Gradient:
      To its own weights only: the input is stopped, so that predicting the return
      never shapes what the core sees.

    Raises:
      ValueError: when the core output has not the shape the layer was built for.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.value = keras.layers.Dense(1, dtype=self.dtype_policy, name="value")

    def build(self, core_output_shape: tuple) -> None:
        size = math.prod(core_output_shape[1:])
        self.value.build((None, size))
        self.input_spec = keras.layers.InputSpec(shape=(None, *core_output_shape[1:]))
        self.built = True

    def call(self, core_output: tf.Tensor) -> tf.Tensor:
        x = tf.reshape(core_output, [-1, self.value.kernel.shape[0]])
        return self.value(tf.stop_gradient(x))[:, 0]

    def compute_output_shape(self, core_output_shape: tuple) -> tuple:
        return (core_output_shape[0],)
