"""Sweeps: one training for each combination of some settings, compared on validation.

In the order of a sweep: grid reads the combinations, runs trains them, ranking orders
and writes them, figure draws them. Nothing here imports TensorFlow.
"""
