"""Our stronger glimpse network: three convolutions, modulated by the location."""

import operator
from typing import Any

import keras
import tensorflow as tf

from ram_tf.errors import RamError


@keras.saving.register_keras_serializable(package="ram_tf")
class ConvGlimpseNetwork(keras.layers.Layer):
    """Joins what was seen and where by a product: ReLU(what) * ReLU(where).

    Follows the sensor, feeds a dense core. Three 3x3 convolutions, the first two at
    the patch's size and the third behind a 2x2 max pool, then a dense layer. The
    product with the location is that of Ba et al. 2015, "Multiple Object Recognition
    with Visual Attention", section 3.

    Args:
      units: width of the result.
      filters: maps of the first two convolutions; the third has twice as many. 0 is
        an eighth of `units`, so that one number sets the width of the whole network.

    Call arguments:
      patches: [B, g, g, K*C], g at least 2.
      locations: float32 [B, 2] in [-1, 1].

    Returns:
      [B, units], at least 0.

    Gradient:
      To patches and locations alike; the model stops its locations before.

    Raises:
      RamError: when the patches are smaller than the 2x2 that are pooled.
      ValueError: when the patches have not the shape the layer was built for.
    """

    def __init__(self, units: int = 256, filters: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units = operator.index(units)
        self.filters = filters = operator.index(filters) or max(units // 8, 1)

        def conv(filters: int, name: str) -> keras.layers.Layer:
            return keras.layers.Conv2D(
                filters,
                3,
                padding="same",
                activation="relu",
                data_format="channels_last",
                dtype=self.dtype_policy,
                name=name,
            )

        self.stack = [
            conv(filters, "conv_1"),
            conv(filters, "conv_2"),
            keras.layers.MaxPooling2D(
                2,
                data_format="channels_last",
                dtype=self.dtype_policy,
                name="pool",
            ),
            conv(2 * filters, "conv_3"),
        ]
        self.what = keras.layers.Dense(
            units, "relu", dtype=self.dtype_policy, name="what"
        )
        self.where = keras.layers.Dense(
            units,
            "relu",
            # Every unit starts open: a closed one would pass nothing and learn nothing.
            bias_initializer="ones",
            dtype=self.dtype_policy,
            name="where",
        )

    def build(self, patches_shape: tuple, locations_shape: tuple | None = None) -> None:
        if min(patches_shape[1:3]) < 2:
            raise RamError(
                f"patches of shape {tuple(patches_shape)}: expected at least 2x2 pixels"
            )
        shape = (None, *patches_shape[1:])
        for layer in self.stack:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.what.build((None, shape[1] * shape[2] * shape[3]))
        self.where.build((None, 2))
        self.input_spec = keras.layers.InputSpec(shape=(None, *patches_shape[1:]))
        self.built = True

    def call(self, patches: tf.Tensor, locations: tf.Tensor) -> tf.Tensor:
        x = patches
        for layer in self.stack:
            x = layer(x)
        what = self.what(tf.reshape(x, [-1, self.what.kernel.shape[0]]))
        return what * self.where(locations)

    def compute_output_shape(
        self, patches_shape: tuple, locations_shape: tuple | None = None
    ) -> tuple:
        return (patches_shape[0], self.units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "filters": self.filters}
