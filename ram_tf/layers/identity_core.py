"""A core that remembers nothing, for the ablation of the recurrence."""

from typing import Any

import keras
import tensorflow as tf


# The name under which files of older versions hold it.
@keras.saving.register_keras_serializable(package="ram_tf", name="NoCore")
class IdentityCore(keras.layers.Layer):
    """Passes features through: every output depends on the current glimpse alone.

    The paper's own code fed each glimpse where the last state belongs, so that nothing
    recurred; this core shows what that costs.

    Call arguments:
      features: [B, ...].
      state: () or None.

    Returns:
      output: the features.
      state: ().

    Gradient:
      To features.
    """

    def build(self, features_shape: tuple, state_shape: Any = None) -> None:
        self.built = True

    def call(
        self, features: tf.Tensor, state: tuple | None = None
    ) -> tuple[tf.Tensor, tuple]:
        return tf.identity(features), ()

    def initial_state(self, batch_size: Any) -> tuple:
        """Returns the empty state."""
        return ()

    def output_shape_for(self, features_shape: tuple) -> tuple:
        """Returns the shape of the output for features of a shape."""
        return tuple(features_shape)
