"""The report: tables of results to one self-contained HTML page.

Last in the way of a result: `ram_tf.tables` collects, `files` reads what stands beside
a result, `charts` and `strips` place the marks, `rows` and `overview` say what the page
shows, `packing` embeds what it steps through, `page` renders. No TensorFlow.
"""

from ram_tf.viz.html.page import render_page

__all__ = ["render_page"]
