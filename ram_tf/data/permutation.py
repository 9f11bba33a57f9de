"""Random permutations that can be read at any position, without making them whole.

Used by pipeline for the order of an epoch: a resumed run or a worker reads its own
positions of it, at the same cost for the first as for the last.

TensorFlow's RandomIndexShuffle takes 8 bits of each word of its seed for sets of up to
65,536, so that epochs repeat, and walks through 2**16 numbers for sets however small.
"""

import math

import tensorflow as tf

ROUNDS = 8


def permute(positions: tf.Tensor, keys: tf.Tensor, count: int) -> tf.Tensor:
    """Returns where a permutation takes positions.

    A Feistel network over the pairs (high, low) with high < a, low < b and a * b just
    above `count`; what lands outside goes round again (Black and Rogaway 2002, "Ciphers
    with arbitrary finite domains").

    Args:
      positions: int64 [k], in [0, count).
      keys: uint32 [k, ROUNDS], random; equal keys are the same permutation.
      count: size of the set, below 2**31.

    Returns:
      int64 [k], in [0, count), distinct for distinct positions of equal keys.
    """
    low_size = math.isqrt(count - 1) + 1
    high_size = -(-count // low_size)
    round_keys = tf.unstack(keys, ROUNDS, axis=1)

    def walk(numbers: tf.Tensor, outside: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        high, low = numbers // low_size, numbers % low_size
        for even_key, odd_key in zip(round_keys[::2], round_keys[1::2], strict=True):
            low = (low + _mix(high, even_key)) % low_size
            high = (high + _mix(low, odd_key)) % high_size
        numbers = tf.where(outside, high * low_size + low, numbers)
        return numbers, numbers >= count

    numbers, _ = tf.while_loop(
        lambda _, outside: tf.reduce_any(outside),
        walk,
        (positions, tf.ones_like(positions, tf.bool)),
    )
    return numbers


def _mix(numbers: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Hashes int64 and uint32 to int64 in [0, 2**32): the finaliser of MurmurHash3."""
    mixed = tf.cast(numbers, tf.uint32) ^ key
    mixed ^= tf.bitwise.right_shift(mixed, tf.constant(16, tf.uint32))
    mixed *= tf.constant(0x85EBCA6B, tf.uint32)
    mixed ^= tf.bitwise.right_shift(mixed, tf.constant(13, tf.uint32))
    mixed *= tf.constant(0xC2B2AE35, tf.uint32)
    mixed ^= tf.bitwise.right_shift(mixed, tf.constant(16, tf.uint32))
    return tf.cast(mixed, tf.int64)
