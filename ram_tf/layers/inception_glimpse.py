"""The paper's glimpse network for colour images: an Inception module of maps."""

from typing import Any

import keras
import tensorflow as tf

from ram_tf.errors import RamError

NUM_BRANCHES = 4


@keras.saving.register_keras_serializable(package="ram_tf")
class InceptionGlimpseNetwork(keras.layers.Layer):
    """Joins what was seen and where into maps of the patch's own size.

    Follows the sensor, feeds the ConvLSTM core (paper 4.2). The patches go through
    four branches, 1x1; 1x1 - 3x3; 1x1 - 3x3 - 3x3; average pool - 1x1, of Szegedy et
    al. 2016, "Inception-v4", which the paper cites. The location goes through a dense
    layer and two transposed convolutions to the same shape; the two are added. The
    paper states 24 maps of 12x12 and the addition; the widths inside are ours.

    Args:
      filters: maps F of the result, a multiple of 4 (paper: 24, so 6 a branch).

    Call arguments:
      patches: [B, g, g, K*C].
      locations: float32 [B, 2] in [-1, 1].

    Returns:
      [B, g, g, filters], at least 0.

    Gradient:
      To patches and locations alike; the model stops its locations before.

    Raises:
      RamError: when `filters` is no multiple of 4.
      ValueError: when the patches have not the shape the layer was built for.
    """

    def __init__(self, filters: int = 24, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if filters < NUM_BRANCHES or filters % NUM_BRANCHES:
            raise RamError(f"filters={filters}: expected a multiple of {NUM_BRANCHES}")
        self.filters = filters
        width = filters // NUM_BRANCHES

        def conv(size: int, name: str) -> keras.layers.Layer:
            return keras.layers.Conv2D(
                width,
                size,
                padding="same",
                activation="relu",
                dtype=self.dtype_policy,
                name=name,
            )

        def deconv(filters: int, name: str, **options: Any) -> keras.layers.Layer:
            return keras.layers.Conv2DTranspose(
                filters,
                3,
                strides=2,
                padding="same",
                dtype=self.dtype_policy,
                name=name,
                **options,
            )

        self.branches = [
            [conv(1, "pixel")],
            [conv(1, "single_reduce"), conv(3, "single")],
            [conv(1, "double_reduce"), conv(3, "double_first"), conv(3, "double")],
            [
                keras.layers.AveragePooling2D(
                    3, 1, "same", dtype=self.dtype_policy, name="pool"
                ),
                conv(1, "pool_pixel"),
            ],
        ]
        self.where_first = deconv(filters, "where_first", activation="relu")
        self.where = deconv(filters, "where")

    def build(self, patches_shape: tuple, locations_shape: tuple | None = None) -> None:
        self.side = patches_shape[1]
        self.start = -(-self.side // 4)  # Doubled twice, it covers the patch.
        self.where_hidden = keras.layers.Dense(
            self.start**2 * self.filters,
            "relu",
            dtype=self.dtype_policy,
            name="where_hidden",
        )
        self.where_hidden.build((None, 2))
        self.where_first.build((None, self.start, self.start, self.filters))
        self.where.build((None, 2 * self.start, 2 * self.start, self.filters))
        for branch in self.branches:
            shape = (None, *patches_shape[1:])
            for layer in branch:
                layer.build(shape)
                shape = layer.compute_output_shape(shape)
        self.input_spec = keras.layers.InputSpec(shape=(None, *patches_shape[1:]))
        self.built = True

    def call(self, patches: tf.Tensor, locations: tf.Tensor) -> tf.Tensor:
        maps = []
        for branch in self.branches:
            x = patches
            for layer in branch:
                x = layer(x)
            maps.append(x)
        what = tf.concat(maps, axis=-1)
        where = self.where_hidden(locations)
        where = tf.reshape(where, [-1, self.start, self.start, self.filters])
        where = self.where(self.where_first(where))
        where = where[:, : self.side, : self.side]
        return tf.nn.relu(what + where)

    def compute_output_shape(
        self, patches_shape: tuple, locations_shape: tuple | None = None
    ) -> tuple:
        return (*patches_shape[:3], self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters}
