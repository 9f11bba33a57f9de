"""Mnih's core network: a ReLU recurrent layer."""

import math
import operator
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="ram_tf")
class RNNCore(keras.layers.Layer):
    """One step of h_t = ReLU(Linear(h_{t-1}) + Linear(g_t)).

    Follows the glimpse network, feeds the location, baseline and action networks
    (Mnih et al. 2014, section 4, "Core network").

    Args:
      units: width F (Mnih: 256).

    Call arguments:
      features: [B, ...]; maps are flattened.
      state: as the last call gave it: (h [B, F],). None before the first glimpse: as
        zeros, without their product.

    Returns:
      output: [B, F].
      state: (h,), h being the output.

    Gradient:
      To features, and through the state to every earlier step.

    Raises:
      ValueError: when the features have not the shape the layer was built for.
    """

    def __init__(self, units: int = 256, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units = operator.index(units)
        self.from_features = keras.layers.Dense(
            units, dtype=self.dtype_policy, name="from_features"
        )
        # Orthogonal: repeated products neither vanish nor explode.
        self.from_state = keras.layers.Dense(
            units,
            use_bias=False,
            kernel_initializer="orthogonal",
            dtype=self.dtype_policy,
            name="from_state",
        )

    def build(self, features_shape: tuple, state_shape: Any = None) -> None:
        size = math.prod(features_shape[1:])
        self.from_features.build((None, size))
        self.from_state.build((None, self.units))
        self.input_spec = keras.layers.InputSpec(shape=(None, *features_shape[1:]))
        self.built = True

    def call(
        self, features: tf.Tensor, state: tuple | None = None
    ) -> tuple[tf.Tensor, tuple[tf.Tensor]]:
        features = tf.reshape(features, [-1, self.from_features.kernel.shape[0]])
        seen = self.from_features(features)
        h = tf.nn.relu(seen if state is None else seen + self.from_state(state[0]))
        return h, (h,)

    def initial_state(self, batch_size: Any) -> tuple[tf.Tensor]:
        """Returns the state before the first glimpse: zeros."""
        return (tf.zeros([batch_size, self.units], self.compute_dtype),)

    def output_shape_for(self, features_shape: tuple) -> tuple:
        """Returns the shape of the output for features of a shape."""
        return (features_shape[0], self.units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}
