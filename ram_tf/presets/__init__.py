"""The presets of the package, a folder each, and how one is made from a run.

`ram_tf.models.presets` loads them.
"""
