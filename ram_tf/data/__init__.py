"""Data: sources of images, the tasks made of them, and the batches of both.

`sources` reads images and labels, `tasks` changes them (translated, cluttered,
gray), `pipeline` makes batches as tf.data, `prepare` turns archives into TFDS data.
"""
