"""The paper's glimpse network for colour images: an Inception module of maps."""

import operator
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
    paper states one module of 24 maps of 12x12 and the addition; the widths inside and
    further modules are ours.

    Args:
      filters: maps F of every module, a multiple of 4 (paper: 24, so 6 a branch).
      modules: Inception modules N, one after the other, with a 2x2 max pool between
        two, as in Szegedy et al. 2015, "Going Deeper with Convolutions". Each pool
        halves the side of the maps, and so takes the core a quarter of its work.

    Call arguments:
      patches: [B, g, g, K*C].
      locations: float32 [B, 2] in [-1, 1].

    Returns:
      [B, s, s, filters], at least 0; s is g halved N - 1 times, each time rounded up.

    Gradient:
      To patches and locations alike; the model stops its locations before.

    Raises:
      RamError: when `filters` is no multiple of 4, or `modules` is below 1.
      ValueError: when the patches have not the shape the layer was built for.
    """

    def __init__(self, filters: int = 24, modules: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if filters < NUM_BRANCHES or filters % NUM_BRANCHES:
            raise RamError(f"filters={filters}: expected a multiple of {NUM_BRANCHES}")
        if modules < 1:
            raise RamError(f"modules={modules}: expected at least 1")
        self.filters = filters = operator.index(filters)
        width = filters // NUM_BRANCHES

        def conv(size: int, name: str) -> keras.layers.Layer:
            return keras.layers.Conv2D(
                width,
                size,
                padding="same",
                activation="relu",
                data_format="channels_last",
                dtype=self.dtype_policy,
                name=name,
            )

        def deconv(filters: int, name: str, **options: Any) -> keras.layers.Layer:
            return keras.layers.Conv2DTranspose(
                filters,
                3,
                strides=2,
                padding="same",
                data_format="channels_last",
                dtype=self.dtype_policy,
                name=name,
                **options,
            )

        def branches() -> list[list[keras.layers.Layer]]:
            average = keras.layers.AveragePooling2D(
                3,
                1,
                "same",
                data_format="channels_last",
                dtype=self.dtype_policy,
                name="pool",
            )
            return [
                [conv(1, "pixel")],
                [conv(1, "single_reduce"), conv(3, "single")],
                [conv(1, "double_reduce"), conv(3, "double_first"), conv(3, "double")],
                [average, conv(1, "pool_pixel")],
            ]

        self.modules = modules = operator.index(modules)
        # In one flat list, whose places name the weights in a preset's file.
        self.branches = [branch for _ in range(modules) for branch in branches()]
        self.halve = keras.layers.MaxPooling2D(
            2,
            padding="same",
            data_format="channels_last",
            dtype=self.dtype_policy,
            name="halve",
        )
        self.where_first = deconv(filters, "where_first", activation="relu")
        self.where = deconv(filters, "where")

    def branches_of(self, module: int) -> list[list[keras.layers.Layer]]:
        """Returns the branches of a module, counted from 0."""
        return self.branches[NUM_BRANCHES * module : NUM_BRANCHES * (module + 1)]

    def build(self, patches_shape: tuple, locations_shape: tuple | None = None) -> None:
        module_shape = (None, *patches_shape[1:])
        for module in range(self.modules):
            if module:
                module_shape = self.halve.compute_output_shape(module_shape)
            for branch in self.branches_of(module):
                shape = module_shape
                for layer in branch:
                    layer.build(shape)
                    shape = layer.compute_output_shape(shape)
            module_shape = (*module_shape[:3], self.filters)
        self.side = module_shape[1]
        self.start = -(-self.side // 4)  # Doubled twice, it covers the maps.
        self.where_hidden = keras.layers.Dense(
            self.start**2 * self.filters,
            "relu",
            dtype=self.dtype_policy,
            name="where_hidden",
        )
        self.where_hidden.build((None, 2))
        self.where_first.build((None, self.start, self.start, self.filters))
        self.where.build((None, 2 * self.start, 2 * self.start, self.filters))
        self.input_spec = keras.layers.InputSpec(shape=(None, *patches_shape[1:]))
        self.built = True

    def call(self, patches: tf.Tensor, locations: tf.Tensor) -> tf.Tensor:
        what = patches
        for module in range(self.modules):
            if module:
                what = self.halve(what)
            maps = []
            for branch in self.branches_of(module):
                x = what
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
        side = patches_shape[1]
        for _ in range(self.modules - 1):
            side = -(-side // 2)
        return (patches_shape[0], side, side, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "modules": self.modules,
        }
