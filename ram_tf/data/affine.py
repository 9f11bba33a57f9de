"""Random affine changes of images, for handwriting: turned, sized, slanted, moved.

Part of tasks' augmentation. The chance comes in as `draws`, as in tasks; the bilinear
interpolation is TensorFlow's.
"""

import math

import tensorflow as tf

NUM_DRAWS = 5
MAX_ANGLE = 15.0  # Degrees.
MAX_ZOOM = 0.15  # The sides become 1 / (1 - 0.15) to 1 / (1 + 0.15) as long.
MAX_SLANT = 0.15  # Pixels to the side for each pixel down.


def change(images: tf.Tensor, draws: tf.Tensor, max_shift: int) -> tf.Tensor:
    """Turns, sizes, slants and moves each image about its centre; black comes in.

    Args:
      images: uint8 [B, h, w, C].
      draws: uint32 [B, 5], uniform over all 2**32 values: of angle, size, slant, rows
        and columns, each uniform between its largest value and the same below 0.
      max_shift: pixels by which the centre moves at most, not rounded.

    Returns:
      uint8 [B, h, w, C], rounded.
    """
    height, width = images.shape[1:3]
    largest = [math.radians(MAX_ANGLE), MAX_ZOOM, MAX_SLANT, max_shift, max_shift]
    # 2**-31 of a number of 32 bits: float32 keeps its first 24, which is plenty.
    drawn = tf.cast(draws, tf.float32) * 2.0**-31 - 1.0
    angle, zoom, slant, down, right = tf.unstack(drawn * largest, axis=1)
    # A pixel at (x, y) from the centre is read at M (x, y) in the image as it was.
    cos, sin = (1 + zoom) * tf.cos(angle), (1 + zoom) * tf.sin(angle)
    xx, xy = cos, cos * slant - sin
    yx, yy = sin, sin * slant + cos
    center_x, center_y = (width - 1) / 2, (height - 1) / 2
    from_x, from_y = center_x + right, center_y + down
    to_x = center_x - xx * from_x - xy * from_y
    to_y = center_y - yx * from_x - yy * from_y
    zero = tf.zeros_like(angle)
    changed = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),
        transforms=tf.stack([xx, xy, to_x, yx, yy, to_y, zero, zero], axis=1),
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return tf.cast(tf.round(changed), tf.uint8)
