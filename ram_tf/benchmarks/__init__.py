"""What `python -m ram_tf.benchmark` measures, one subject a module.

stopwatch and machine are the tools. throughput, serving_rate, image_size and startup
are the measures; isolated runs each in a process of its own. suite is the standard list
of measurements, and page writes their figures into the docs.
"""
