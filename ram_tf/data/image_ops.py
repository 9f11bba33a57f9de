"""Encoded images to uint8 arrays, of the channels and size that are wanted.

Sources and `ram_tf.predict` make channels and sizes by these: an image is treated alike
in training and after. `decode` tells which image of a TFRecord file is broken; files of
pictures are read by `picture`.
"""

import tensorflow as tf

LUMA = (299, 587, 114)  # ITU-R BT.601: thousandths of red, green and blue.


def decode(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes one PNG, JPEG, GIF (its first frame) or BMP.

    Args:
      encoded: string scalar, the bytes of the file.

    Returns:
      uint8 [h, w, C] with C 1 or 3, and C as int32 scalar.

    Raises:
      tf.errors.InvalidArgumentError: when the bytes are no whole image.
    """
    image = tf.io.decode_image(encoded, expand_animations=False)
    channels = 1 + 2 * (tf.shape(image)[2] // 3)
    return image[:, :, :channels], channels


def to_gray(images: tf.Tensor) -> tf.Tensor:
    """Makes uint8 [..., 3] gray, uint8 [..., 1]: luma, rounded to an 8-bit level."""
    luma = tf.reduce_sum(tf.cast(images, tf.int32) * LUMA, -1, keepdims=True)
    return tf.cast((luma + 500) // 1000, tf.uint8)


def to_color(images: tf.Tensor) -> tf.Tensor:
    """Makes uint8 [..., 1] or [..., 3] uint8 [..., 3]: gray in three equal channels."""
    return tf.repeat(images, 3 // tf.shape(images)[-1], axis=-1)


def resize(images: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Resizes uint8 [..., h, w, C]; proportions are not kept.

    By area where both sides shrink, else bilinear; rounded to 8 bits.
    """
    size = [height, width]
    old_height, old_width = tf.shape(images)[-3], tf.shape(images)[-2]
    resized = tf.cond(
        tf.logical_and(old_height >= height, old_width >= width),
        lambda: tf.image.resize(images, size, method="area"),
        lambda: tf.image.resize(images, size, method="bilinear"),
    )
    return tf.cast(tf.round(tf.clip_by_value(resized, 0.0, 255.0)), tf.uint8)
