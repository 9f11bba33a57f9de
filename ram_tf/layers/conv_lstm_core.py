"""The paper's core network for maps: a convolutional LSTM."""

import operator
from typing import Any

import keras
import tensorflow as tf

from ram_tf.errors import RamError
from ram_tf.layers.lstm_gates import apply_gates


@keras.saving.register_keras_serializable(package="ram_tf")
class ConvLSTMCore(keras.layers.Layer):
    """One step of a ConvLSTM (paper 4.3; Shi et al. 2015).

    Follows a glimpse network that keeps maps, feeds the location, baseline and action
    networks. The weights are those of a `keras.layers.ConvLSTM2D`. That layer takes a
    whole sequence, and here the next glimpse depends on the state; and its cell
    convolves once a gate and source, eight times. So the step is computed here from
    its weights, in one convolution of features and state together; a test holds it
    equal to the Keras layer.

    Args:
      filters: maps F (paper 4.2: 24).
      kernel_size: side of the kernels.

    Call arguments:
      features: [B, g, g, D].
      state: as the last call gave it: (h, c), each [B, g, g, F]. None before the first
        glimpse: as zeros, without their convolution.

    Returns:
      output: [B, g, g, F], h.
      state: (h, c).

    Gradient:
      To features, and through the state to every earlier step.

    Raises:
      RamError: when the features are no maps, or a state is asked for before `build`
        has given the size of the maps.
      ValueError: when the features have not the shape the layer was built for.
    """

    def __init__(self, filters: int = 24, kernel_size: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters = operator.index(filters)
        self.kernel_size = kernel_size = operator.index(kernel_size)
        self.conv_lstm = keras.layers.ConvLSTM2D(
            filters,
            kernel_size,
            padding="same",
            data_format="channels_last",
            recurrent_activation="sigmoid",
            dtype=self.dtype_policy,
            name="conv_lstm",
        )

    def build(self, features_shape: tuple, state_shape: Any = None) -> None:
        if len(features_shape) != 4:
            raise RamError(
                f"features of shape {tuple(features_shape)}: the ConvLSTM core expects "
                "maps [B, g, g, D]"
            )
        self.height, self.width = features_shape[1:3]
        self.conv_lstm.build((None, None, *features_shape[1:]))
        self.input_spec = keras.layers.InputSpec(shape=(None, *features_shape[1:]))
        self.built = True

    def call(
        self, features: tf.Tensor, state: tuple | None = None
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        cell, kernel = self.conv_lstm.cell, self.conv_lstm.cell.kernel
        if state is not None:
            kernel = tf.concat([kernel, cell.recurrent_kernel], axis=2)
            features = tf.concat([features, state[0]], axis=-1)
        kernel = tf.cast(kernel, self.compute_dtype)
        gates = tf.nn.conv2d(features, kernel, strides=1, padding="SAME")
        gates += tf.cast(cell.bias, self.compute_dtype)
        h, c = apply_gates(gates, None if state is None else state[1])
        return h, (h, c)

    def initial_state(self, batch_size: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the state before the first glimpse: zeros."""
        if not self.built:
            raise RamError(
                "ConvLSTMCore: expected build(features_shape) before initial_state, "
                "which needs the size of the maps"
            )
        shape = [batch_size, self.height, self.width, self.filters]
        zeros = tf.zeros(shape, self.compute_dtype)
        return zeros, zeros

    def output_shape_for(self, features_shape: tuple) -> tuple:
        """Returns the shape of the output for features of a shape."""
        return (*features_shape[:3], self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
        }
