"""Mnih's glimpse network: patches and location, each through two dense layers."""

import operator
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="ram_tf")
class FCGlimpseNetwork(keras.layers.Layer):
    """Joins what was seen and where into one vector: ReLU(what + where).

    Follows the sensor, feeds the core (paper 4.2; Mnih et al. 2014, section 4:
    ``h_g = Rect(Lin(patches))``, ``h_l = Rect(Lin(location))``,
    ``g = Rect(Lin(h_g) + Lin(h_l))``).

    Args:
      units: width of the result (Mnih: 256).
      hidden_units: width of each of the two hidden layers (Mnih: 128).

    Call arguments:
      patches: [B, g, g, K*C].
      locations: float32 [B, 2] in [-1, 1].

    Returns:
      [B, units], at least 0.

    Gradient:
      To patches and locations alike; the model stops its locations before.

    Raises:
      ValueError: when the patches have not the shape the layer was built for.
    """

    def __init__(
        self, units: int = 256, hidden_units: int = 128, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.units = units = operator.index(units)
        self.hidden_units = hidden_units = operator.index(hidden_units)
        dense = keras.layers.Dense
        self.what_hidden = dense(
            hidden_units, "relu", dtype=self.dtype_policy, name="what_hidden"
        )
        self.where_hidden = dense(
            hidden_units, "relu", dtype=self.dtype_policy, name="where_hidden"
        )
        self.what = dense(units, dtype=self.dtype_policy, name="what")
        self.where = dense(units, dtype=self.dtype_policy, name="where")

    def build(self, patches_shape: tuple, locations_shape: tuple | None = None) -> None:
        height, width, channels = patches_shape[1:]
        self.what_hidden.build((None, height * width * channels))
        self.where_hidden.build((None, 2))
        self.what.build((None, self.hidden_units))
        self.where.build((None, self.hidden_units))
        self.input_spec = keras.layers.InputSpec(shape=(None, *patches_shape[1:]))
        self.built = True

    def call(self, patches: tf.Tensor, locations: tf.Tensor) -> tf.Tensor:
        pixels = tf.reshape(patches, [-1, self.what_hidden.kernel.shape[0]])
        what = self.what(self.what_hidden(pixels))
        where = self.where(self.where_hidden(locations))
        return tf.nn.relu(what + where)

    def compute_output_shape(
        self, patches_shape: tuple, locations_shape: tuple | None = None
    ) -> tuple:
        return (patches_shape[0], self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "hidden_units": self.hidden_units,
        }
