"""What an LSTM makes of its gates, alike for vectors and for maps."""

import tensorflow as tf


def apply_gates(gates: tf.Tensor, c: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the next state of an LSTM (Hochreiter and Schmidhuber 1997).

    Args:
      gates: [..., 4F], before their non-linearities, in Keras' order: input, forget,
        candidate, output.
      c: [..., F], the cell before; None before the first glimpse: as zeros.

    Returns:
      h and c, each [..., F].

    Gradient:
      To both arguments.
    """
    i, f, candidate, o = tf.split(gates, 4, axis=-1)
    new = tf.sigmoid(i) * tf.tanh(candidate)
    if c is not None:
        new += tf.sigmoid(f) * c
    return tf.sigmoid(o) * tf.tanh(new), new
