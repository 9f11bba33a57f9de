"""Tables of results: what the papers print, what we measured, and the difference.

Nothing here imports TensorFlow. In the order of a result: catalogue reads the rows and
the printed figures, seeds the result of each seed, collect puts them together, and
markdown, readme, row_figures (with row_values) and headers write them.
"""
