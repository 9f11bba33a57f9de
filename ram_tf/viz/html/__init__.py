"""The report: tables of results to one self-contained HTML page.

`rows` and `details` work out what the page says of a row, `glimpses` what it says of
their numbers of glimpses, `charts` places the marks of charts, `packing` embeds the
glimpse paths, and `page` renders the templates. Nothing here imports TensorFlow.
"""

from ram_tf.viz.html.page import render_page

__all__ = ["render_page"]
