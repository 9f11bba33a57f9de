"""The action network: core output in, class logits out."""

import math
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="ram_tf")
class ActionNetwork(keras.layers.Layer):
    """Classifies from the flattened core output (paper 4.4). Always float32.

    Args:
      num_classes: classes N.

    Call arguments:
      core_output: [B, ...].

    Returns:
      logits: float32 [B, N], before the softmax.

    Gradient:
      To the core output.

    Raises:
      ValueError: when the core output has not the shape the layer was built for.
    """

    def __init__(self, num_classes: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.num_classes = num_classes
        self.logits = keras.layers.Dense(
            num_classes, dtype=self.dtype_policy, name="logits"
        )

    def build(self, core_output_shape: tuple) -> None:
        size = math.prod(core_output_shape[1:])
        self.logits.build((None, size))
        self.input_spec = keras.layers.InputSpec(shape=(None, *core_output_shape[1:]))
        self.built = True

    def call(self, core_output: tf.Tensor) -> tf.Tensor:
        return self.logits(tf.reshape(core_output, [-1, self.logits.kernel.shape[0]]))

    def compute_output_shape(self, core_output_shape: tuple) -> tuple:
        return (core_output_shape[0], self.num_classes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes}
