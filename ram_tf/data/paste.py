"""Cutting squares out of images and pasting them, for whole batches.

Used by tasks. Indices are made for whole rows or for the pasted pixels only, never for
every pixel of a canvas.
"""

import tensorflow as tf

Place = tuple[tf.Tensor, tf.Tensor]  # Top and left in pixels, int32 [B] each.


def cut(
    pool: tf.Tensor, image: tf.Tensor, top: tf.Tensor, left: tf.Tensor, size: int
) -> tf.Tensor:
    """Cuts [B, size, size, C] at (top, left) from images of [n, h, w, C]."""
    _, height, width, channels = pool.shape
    start = tf.cast(image, tf.int64) * (height * width)
    start += tf.cast(top * width + left, tf.int64)
    square = tf.range(size)[:, None] * width + tf.range(size)
    where = start[:, None, None] + tf.cast(square, tf.int64)
    return tf.gather(tf.reshape(pool, [-1, channels]), where)


def place(images: tf.Tensor, place: Place, height: int, width: int) -> tf.Tensor:
    """Puts [B, h, w, C], whole, at (top, left) on black [B, height, width, C].

    Whole columns, then whole rows are copied: several times as fast as pixel by pixel.
    """
    top, left = place
    columns = _place_rows(tf.transpose(images, [0, 2, 1, 3]), left, width)
    return _place_rows(tf.transpose(columns, [0, 2, 1, 3]), top, height)


def _place_rows(images: tf.Tensor, top: tf.Tensor, height: int) -> tf.Tensor:
    """Puts [B, h, w, C] at rows top, ... of black [B, height, w, C]."""
    rows, width, channels = images.shape[1:]
    batch = tf.shape(images)[0]
    black = tf.zeros([1, width * channels], images.dtype)
    flat = tf.concat([tf.reshape(images, [-1, width * channels]), black], 0)
    row = tf.range(height) - top[:, None]
    inside = (row >= 0) & (row < rows)
    row = tf.where(inside, tf.range(batch)[:, None] * rows + row, batch * rows)
    return tf.reshape(tf.gather(flat, row), [-1, height, width, channels])


def cover(images: tf.Tensor, pieces: list[tuple[tf.Tensor, Place]]) -> tf.Tensor:
    """Puts pieces [B, s, s, C] on [B, H, W, C]: by maximum if gray, else in order."""
    height, width, channels = images.shape[1:]
    size = pieces[0][0].shape[1]
    square = tf.range(size)[:, None] * width + tf.range(size)
    first = tf.range(tf.shape(images)[0]) * (height * width)
    where = [
        tf.reshape((first + top * width + left)[:, None, None] + square, [-1])
        for _, (top, left) in pieces
    ]
    pixels = [tf.reshape(piece, [-1, channels]) for piece, _ in pieces]
    canvas = tf.reshape(images, [-1, channels])
    if channels == 1:
        # The maximum of no pixel is the least uint8, 0: black.
        clutter = tf.math.unsorted_segment_max(
            tf.concat(pixels, 0)[:, 0], tf.concat(where, 0), tf.shape(canvas)[0]
        )
        canvas = tf.maximum(canvas, clutter[:, None])
    else:
        for index, piece in zip(where, pixels, strict=True):
            canvas = tf.tensor_scatter_nd_update(canvas, index[:, None], piece)
    return tf.reshape(canvas, [-1, height, width, channels])
