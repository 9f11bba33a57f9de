"""What `python -m ram_tf.benchmark` measures, one subject a module.

stopwatch and machine are the tools; throughput, serving, image_size and start are the
measures, each run by fresh in a process of its own; suite is the standard list of them
and page writes their figures into the docs.
"""
