"""The glimpse sensor: image and location in, a pyramid of patches out.

First station of a glimpse; its patches go to the glimpse network.
"""

import operator
from typing import Any

import keras
import tensorflow as tf

from ram_tf.errors import RamError

METHODS = ("gather", "tf_image")


@keras.saving.register_keras_serializable(package="ram_tf")
class GlimpseSensor(keras.layers.Layer):
    """Cuts K square patches with one centre, each twice as wide as the one before.

    Patch k = 1..K has side s = g * 2**(k-1) pixels, is zero outside the image, and is
    reduced to g x g by averaging (paper 4.1; Mnih et al. 2014, section 3.1). The
    result stays an image.

    Args:
      patch_size: side g in pixels.
      num_scales: patches K.
      method: "gather" reads only the pixels of the patches, so that its cost does not
        depend on the image's size, and compiles under XLA. "tf_image" pads the image
        and uses `tf.image.crop_and_resize` and area resize; XLA has no kernel for it.
        They agree to 2e-5 up to 224 pixels a side; on larger images its boxes, float32
        fractions of the image, cost it digits.

    Call arguments:
      images: [B, H, W, C], floating point as it is, or uint8 0..255, which is read as
        [0, 1]; no other dtype. Never cast as a whole: patches are cut first.
      locations: float32 [B*M, 2], (y, x) in [-1, 1]; -1 is the centre of the first
        pixel, +1 of the last. Rows i*M .. i*M + M-1 look at image i.

    Returns:
      [B*M, g, g, K*C] in the layer's compute dtype; channels of scale 1 first.

    Gradient:
      None to the locations (the crop is at whole pixels). To floating images: exact
      with "gather".

    Raises:
      RamError: for a bad argument, images that are not of rank 4 or of a dtype whose
        range is not known, or locations that are no whole number of rollouts per image.
    """

    def __init__(
        self,
        patch_size: int = 8,
        num_scales: int = 1,
        method: str = "gather",
        **kwargs: Any,
    ) -> None:
        # Images and locations must arrive as they are: bfloat16 has 8 bits.
        super().__init__(autocast=False, **kwargs)
        if patch_size < 1:
            raise RamError(f"patch_size={patch_size}: expected at least 1")
        if num_scales < 1:
            raise RamError(f"num_scales={num_scales}: expected at least 1")
        if method not in METHODS:
            raise RamError(f"method={method!r}: expected one of {', '.join(METHODS)}")
        self.patch_size = operator.index(patch_size)
        self.num_scales = operator.index(num_scales)
        self.method = method
        # Keras compiles by XLA what it may, which has no crop_and_resize.
        self.supports_jit = method == "gather"

    def __call__(self, images: Any, *args: Any, **kwargs: Any) -> Any:
        # Here and not in `call`, around whose errors Keras writes lines of its own.
        check_images(images)
        check_rollouts(images, args[0] if args else kwargs.get("locations"))
        return super().__call__(images, *args, **kwargs)

    def call(self, images: tf.Tensor, locations: tf.Tensor) -> tf.Tensor:
        sides = [self.patch_size * 2**k for k in range(self.num_scales)]
        see = self._gather if self.method == "gather" else self._crop_and_resize
        patches = tf.concat(see(images, locations, sides), axis=-1)
        if images.dtype == tf.uint8:
            patches /= 255.0
        return tf.cast(patches, self.compute_dtype)

    def _gather(
        self, images: tf.Tensor, locations: tf.Tensor, sides: list[int]
    ) -> list[tf.Tensor]:
        # Each patch reads its own pixels, though the larger ones hold the smaller: XLA
        # makes reading and averaging one kernel, but not where patches share a window.
        return [
            _average(_window(images, locations, side), self.patch_size)
            for side in sides
        ]

    def _crop_and_resize(
        self, images: tf.Tensor, locations: tf.Tensor, sides: list[int]
    ) -> list[tf.Tensor]:
        return [self._crop(images, locations, side) for side in sides]

    def _crop(self, images: tf.Tensor, locations: tf.Tensor, side: int) -> tf.Tensor:
        shape = tf.shape(images)
        num_rollouts = tf.shape(locations)[0] // shape[0]
        # crop_and_resize zeroes border rows unless the image is padded by more than
        # the side.
        pad = side + 1
        margins = [[0, 0], [pad, pad], [pad, pad], [0, 0]]
        padded = tf.pad(_real(images), margins)
        top_left_px = tf.cast(top_left(locations, shape[1:3], side) + pad, tf.float32)
        last_px = tf.cast(shape[1:3] + 2 * pad - 1, tf.float32)
        boxes = tf.concat(
            [top_left_px / last_px, (top_left_px + side - 1) / last_px], axis=1
        )
        owners = tf.repeat(tf.range(shape[0]), num_rollouts)
        patches = tf.image.crop_and_resize(padded, boxes, owners, [side, side])
        g = self.patch_size
        return tf.image.resize(patches, [g, g], tf.image.ResizeMethod.AREA)

    def build(self, images_shape: tuple, locations_shape: tuple | None = None) -> None:
        self.built = True  # Keras asks; there are no weights.

    def compute_output_shape(
        self, images_shape: tuple, locations_shape: tuple | None = None
    ) -> tuple:
        batch = (locations_shape or images_shape)[0]
        g = self.patch_size
        return (batch, g, g, self.num_scales * images_shape[-1])

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("autocast", None)
        return {
            **config,
            "patch_size": self.patch_size,
            "num_scales": self.num_scales,
            "method": self.method,
        }


def check_images(images: Any) -> None:
    """Refuses what is no batch of images, or does not say what its range is.

    Args:
      images: an array or tensor.

    Raises:
      RamError: for a rank other than 4, and for any dtype but floats, which are in
        [0, 1], and uint8, 0..255.
    """
    shape = tf.TensorShape(getattr(images, "shape", None))
    if shape.rank not in (4, None):
        one = ", of one image images[None], of gray ones images[..., None]"
        one = one if shape.rank == 3 else ""
        raise RamError(f"images of shape {tuple(shape)}: expected [B, H, W, C]{one}")
    dtype = tf.as_dtype(getattr(images, "dtype", tf.float32))
    if dtype != tf.uint8 and not dtype.is_floating:
        raise RamError(
            f"images of dtype {dtype.name}: expected uint8 in 0..255 or floats in "
            "[0, 1]; convert them by astype('uint8'), or divide by their largest value"
        )


def check_channels(images: Any, expected: int) -> None:
    """Raises RamError where images have not the channels a model was built for."""
    found = images.shape[-1]
    if found != expected:
        raise RamError(
            f"images of shape {tuple(images.shape)}: expected {expected} "
            f"channel{'s' if expected > 1 else ''}, as the model was built for, found "
            f"{found}"
        )


def check_rollouts(images: Any, locations: Any) -> None:
    """Raises RamError unless each image has as many locations, as far as is known."""
    batch, rows = (getattr(x, "shape", (None,))[0] for x in (images, locations))
    if batch and rows and rows % batch:
        raise RamError(f"{rows} locations: expected a multiple of the {batch} images")


def top_left(locations: tf.Tensor, image_size_px: tf.Tensor, side: int) -> tf.Tensor:
    """Returns the first row and column of patches around locations.

    Args:
      locations: float32 [B, 2] in [-1, 1].
      image_size_px: int32 [2], (H, W).
      side: the patch's side in pixels.

    Returns:
      int32 [B, 2]. An even patch has its centre between pixels: one pixel more lies
      behind the centre's pixel than before it. An odd one rounds half up.
    """
    last_px = tf.cast(image_size_px - 1, tf.float32)
    centre_px = (tf.cast(locations, tf.float32) + 1.0) / 2.0 * last_px
    if side % 2:
        return tf.cast(tf.floor(centre_px + 0.5), tf.int32) - (side - 1) // 2
    return tf.cast(tf.floor(centre_px), tf.int32) - side // 2 + 1


def _window(images: tf.Tensor, locations: tf.Tensor, side: int) -> tf.Tensor:
    """Returns the square of `side` pixels around locations, float32 [B*M, s, s, C]."""
    shape = tf.shape(images)
    batch, height, width = shape[0], shape[1], shape[2]
    channels = images.shape[-1]
    top_left_px = top_left(locations, shape[1:3], side)
    steps = tf.range(side)
    rows = top_left_px[:, :1] + steps
    columns = top_left_px[:, 1:] + steps
    row_inside = _real((rows >= 0) & (rows < height))
    column_inside = _real((columns >= 0) & (columns < width))
    rows = tf.clip_by_value(rows, 0, height - 1)
    columns = tf.clip_by_value(columns, 0, width - 1)
    index = rows[:, :, None] * width + columns[:, None, :]
    # All M rollouts of an image read the one image; nothing is repeated. Locations that
    # are no whole number of rollouts fit no such shape, and fail here in a graph.
    pixels = tf.gather(
        tf.reshape(images, [batch, height * width, channels]),
        tf.reshape(index, [batch, -1, side * side]),
        batch_dims=1,
    )
    # What lies outside is 0, even where the border pixel read in its place is NaN. A
    # product is faster here than tf.where, and once more with the channels in the rows.
    inside = row_inside[:, :, None] * tf.repeat(column_inside, channels, 1)[:, None]
    pixels = _real(tf.reshape(pixels, [-1, side, side * channels]))
    pixels = tf.math.multiply_no_nan(pixels, inside)
    return tf.reshape(pixels, [-1, side, side, channels])


def _average(pixels: tf.Tensor, side: int) -> tf.Tensor:
    """Reduces [B, s, s, C] to [B, side, side, C] by averaging blocks."""
    block = pixels.shape[1] // side
    return tf.nn.avg_pool2d(pixels, block, block, "VALID") if block > 1 else pixels


def _real(values: tf.Tensor) -> tf.Tensor:
    return values if values.dtype == tf.float32 else tf.cast(values, tf.float32)
