"""Encoded images to uint8 arrays, resized if wanted; used by every source.

What comes out has 1 or 3 channels: transparency is dropped.
"""

import tensorflow as tf


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


def resize(images: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes uint8 [..., h, w, C] to a square; proportions are not kept.

    By area where both sides shrink, else bilinear; rounded to 8 bits.
    """
    height, width = tf.shape(images)[-3], tf.shape(images)[-2]
    resized = tf.cond(
        tf.logical_and(height >= size, width >= size),
        lambda: tf.image.resize(images, [size, size], method="area"),
        lambda: tf.image.resize(images, [size, size], method="bilinear"),
    )
    return tf.cast(tf.round(tf.clip_by_value(resized, 0.0, 255.0)), tf.uint8)
