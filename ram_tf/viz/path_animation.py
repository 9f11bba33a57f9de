"""Glimpse paths as a GIF: one glimpse after the other.

Needs matplotlib, the extra `figures`; draws without a screen.
"""

import io
from collections.abc import Sequence

from PIL import Image

from ram_tf.viz.geometry import GlimpsePath, PathRecord
from ram_tf.viz.path_figure import draw_paths, to_png

_STEP_MS, _LAST_MS = 700, 2500  # How long a glimpse is seen, and the last.


def animate_paths(
    paths: Sequence[GlimpsePath], record: PathRecord, title: str, subtitle: str = ""
) -> bytes:
    """Draws examples as `draw_paths` does, a frame for every glimpse.

    Args: as of `draw_paths`.

    Returns:
      The content of a GIF that plays for ever.

    Raises:
      RamError: when matplotlib is missing.
    """
    frames = []
    for shown in range(1, record.config.num_glimpses + 1):
        figure = draw_paths(paths, record, title, subtitle, shown)
        frames.append(Image.open(io.BytesIO(to_png(figure))).convert("RGB"))
    width, height = frames[0].size
    # Quantized as one picture: with a palette for each, what stands still would
    # flicker. Dithering would make noise of flat areas.
    strip = Image.new("RGB", (width, height * len(frames)))
    for index, frame in enumerate(frames):
        strip.paste(frame, (0, height * index))
    strip = strip.quantize(256, dither=Image.Dither.NONE)
    frames = [
        strip.crop((0, height * index, width, height * (index + 1)))
        for index in range(len(frames))
    ]
    buffer = io.BytesIO()
    frames[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=frames[1:],
        duration=[_STEP_MS] * (len(frames) - 1) + [_LAST_MS],
        loop=0,
        # Frames that are equal would be merged, and their times added.
        optimize=False,
    )
    return buffer.getvalue()
