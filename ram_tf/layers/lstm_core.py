"""The core network with a memory cell: an LSTM."""

import math
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="ram_tf")
class LSTMCore(keras.layers.Layer):
    """One step of an LSTM (paper 4.3; Hochreiter and Schmidhuber 1997).

    Follows the glimpse network, feeds the location, baseline and action networks.

    Args:
      units: width F (Mnih: 256).

    Call arguments:
      features: [B, ...]; maps are flattened.
      state: as `initial_state` or the last call gave it: (h, c), each [B, F].

    Returns:
      output: [B, F], h.
      state: (h, c).

    Gradient:
      To features, and through the state to every earlier step.

    Raises:
      ValueError: when the features have not the shape the layer was built for.
    """

    def __init__(self, units: int = 256, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.cell = keras.layers.LSTMCell(units, dtype=self.dtype_policy, name="cell")

    def build(self, features_shape: tuple, state_shape: Any = None) -> None:
        size = math.prod(features_shape[1:])
        self.cell.build((None, size))
        self.input_spec = keras.layers.InputSpec(shape=(None, *features_shape[1:]))
        self.built = True

    def call(
        self, features: tf.Tensor, state: tuple
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        features = tf.reshape(features, [-1, self.cell.kernel.shape[0]])
        h, (_, c) = self.cell(features, list(state))
        return h, (h, c)

    def initial_state(self, batch_size: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the state before the first glimpse: zeros."""
        zeros = tf.zeros([batch_size, self.units], self.compute_dtype)
        return zeros, zeros

    def output_shape_for(self, features_shape: tuple) -> tuple:
        """Returns the shape of the output for features of a shape."""
        return (features_shape[0], self.units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}
