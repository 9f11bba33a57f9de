"""The core network with a memory cell: an LSTM."""

import math
import operator
from typing import Any

import keras
import tensorflow as tf

from ram_tf.layers.lstm_gates import apply_gates


@keras.saving.register_keras_serializable(package="ram_tf")
class LSTMCore(keras.layers.Layer):
    """One step of an LSTM (paper 4.3; Hochreiter and Schmidhuber 1997).

    Follows the glimpse network, feeds the location, baseline and action networks. The
    weights are those of a `keras.layers.LSTMCell`; the step is computed here from them,
    because that layer multiplies the zeros before the first glimpse too.

    Args:
      units: width F (Mnih: 256).

    Call arguments:
      features: [B, ...]; maps are flattened.
      state: as the last call gave it: (h, c), each [B, F]. None before the first
        glimpse: as zeros, without their product.

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
        self.units = units = operator.index(units)
        self.cell = keras.layers.LSTMCell(units, dtype=self.dtype_policy, name="cell")

    def build(self, features_shape: tuple, state_shape: Any = None) -> None:
        size = math.prod(features_shape[1:])
        self.cell.build((None, size))
        self.input_spec = keras.layers.InputSpec(shape=(None, *features_shape[1:]))
        self.built = True

    def call(
        self, features: tf.Tensor, state: tuple | None = None
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        cell = self.cell
        features = tf.reshape(features, [-1, cell.kernel.shape[0]])
        gates = tf.matmul(features, tf.cast(cell.kernel, self.compute_dtype))
        if state is not None:
            recurrent = tf.cast(cell.recurrent_kernel, self.compute_dtype)
            gates += tf.matmul(state[0], recurrent)
        gates += tf.cast(cell.bias, self.compute_dtype)
        h, c = apply_gates(gates, None if state is None else state[1])
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
