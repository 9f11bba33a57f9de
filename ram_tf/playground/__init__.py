"""The page of ram_tf.app: draw a digit, and watch where a model looks."""
