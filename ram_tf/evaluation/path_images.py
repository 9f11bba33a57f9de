"""Small pictures of a policy for TensorBoard: glimpse paths, and where glimpses land.

Drawn with Pillow, in milliseconds; the figures for people's papers are in `ram_tf.viz`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ram_tf.evaluation.metrics import GRID, landing_shares
from ram_tf.evaluation.palette import (
    INK,
    OUTSIDE,
    RIGHT,
    WRONG,
    glimpse_colours,
    ink_on,
    spectrum,
)

# From no glimpse to the most.
_HEAT = ("#1b1f3b", "#3b4cc0", "#22c1c3", "#ffd166", "#ffffff")
_PAPER = "#ffffff"
_SIDE = 200  # Of an image as drawn, in pixels, its margins included.
_LINE = 20  # Height of a line of text.
_GAP = 8
_TILE = 44  # Of a patch as drawn.
_CELL = 7  # Of a cell of the heat map.
_PATCH_COLUMNS = 4  # Glimpses side by side; more go on below.
_MAP_COLUMNS = 4


def draw_path(
    image: np.ndarray,
    corners: np.ndarray,
    patches: np.ndarray,
    title: str,
    is_right: bool,
) -> np.ndarray:
    """Draws one image with its glimpses: the path at the left, what was seen beside.

    Args:
      image: uint8 [H, W, C]; C is 1 or 3, or the first channel is shown.
      corners: int32 [T, K, 2], first row and column of every patch in pixels.
      patches: uint8 [T, K, g, g, C], what the glimpses saw.
      title: the line above.
      is_right: the colour of the title.

    Returns:
      uint8 [h, w, 3]; the size depends on H, W, g, T and K alone.
    """
    from PIL import Image, ImageDraw

    steps, scales, g = patches.shape[:3]
    colours = glimpse_colours(steps)
    columns = min(steps, _PATCH_COLUMNS)
    rows = -(-steps // columns)
    pitch = _TILE + 6
    beside = rows * (scales * pitch + _GAP)
    size = (
        3 * _GAP + _SIDE + columns * pitch,
        2 * _GAP + _LINE + max(_SIDE, beside),
    )
    canvas = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(canvas)
    _write(pen, (_GAP, _GAP // 2), title, RIGHT if is_right else WRONG)
    # The image in its margins, which the outermost patches reach into.
    height, width = image.shape[:2]
    factor = _SIDE / (max(height, width) + g)
    origin = np.array([_GAP + _LINE, _GAP])
    pen.rectangle(_box(origin, [_SIDE, _SIDE]), fill=OUTSIDE)
    # Of a strip one pixel is left.
    inner = [max(1, round(side * factor)) for side in (height, width)]
    start = origin + (_SIDE - np.array(inner)) // 2
    canvas.paste(_picture(image, inner), (int(start[1]), int(start[0])))
    frame = Image.new("RGB", size)
    frame.paste(canvas)
    brush = ImageDraw.Draw(frame)
    for t in reversed(range(steps)):
        for k in reversed(range(scales)):
            side = g * 2**k * factor
            brush.rectangle(
                _box(start + corners[t, k] * factor, [side, side]),
                outline=colours[t],
                width=2 if k == 0 else 1,
            )
    centres = start + (corners[:, 0] + g / 2) * factor
    brush.line([(x, y) for y, x in centres], fill="#ffffff", width=2)
    for t in reversed(range(steps)):
        _number(brush, centres[t], t + 1, colours[t])
    # Wide patches end at the margins.
    inside = _box(origin, [_SIDE, _SIDE])
    canvas.paste(frame.crop(inside), inside[:2])
    for t in range(steps):
        top = origin[0] + t // columns * (scales * pitch + _GAP)
        left = 2 * _GAP + _SIDE + t % columns * pitch
        for k in range(scales):
            corner = np.array([top + k * pitch, left])
            pen.rectangle(_box(corner, [_TILE + 4] * 2), fill=colours[t])
            seen = _picture(patches[t, k], [_TILE, _TILE])
            canvas.paste(seen, (int(corner[1]) + 2, int(corner[0]) + 2))
    return np.asarray(canvas)


def draw_landing(locations: np.ndarray) -> np.ndarray:
    """Draws where glimpses land: a heat map for each glimpse, first to last.

    Args:
      locations: float32 [n, T, 2], (y, x) in [-1, 1].

    Returns:
      uint8 [h, w, 3]. Each map is the image, its brightest cell the one that most
      glimpses land in; the share of these stands above.
    """
    from PIL import Image, ImageDraw

    steps = locations.shape[1]
    columns = min(steps, _MAP_COLUMNS)
    side = GRID * _CELL
    across, down = side + _GAP, side + _GAP + _LINE
    size = (_GAP + columns * across, _GAP + -(-steps // columns) * down)
    canvas = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(canvas)
    for t in range(steps):
        top = _GAP // 2 + t // columns * down
        left = _GAP + t % columns * across
        shares = landing_shares(locations[:, t])
        most = shares.max()
        _write(pen, (left, top), f"{t + 1}: at most {100 * most:.0f} %", INK)
        pixels = spectrum(_HEAT, (shares / most).reshape(-1))
        heat = _picture(pixels.reshape(GRID, GRID, 3), [side, side])
        canvas.paste(heat, (left, top + _LINE))
    return np.asarray(canvas)


def _picture(pixels: np.ndarray, size: Sequence[int]) -> Any:
    """Pixels [h, w, C] as a Pillow image of (height, width)."""
    from PIL import Image

    if pixels.shape[-1] != 3:
        pixels = np.repeat(pixels[..., :1], 3, axis=-1)
    enlarges = size[0] >= pixels.shape[0]
    how = Image.Resampling.NEAREST if enlarges else Image.Resampling.BOX
    return Image.fromarray(pixels).resize((size[1], size[0]), how)


def _box(corner: Any, size: Sequence[float]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a corner (y, x) and a size, as Pillow wants it."""
    top, left = (round(float(value)) for value in corner)
    return left, top, left + round(size[1]), top + round(size[0])


def _number(pen: Any, centre: np.ndarray, number: int, colour: str) -> None:
    y, x = centre
    pen.ellipse((x - 8, y - 8, x + 8, y + 8), fill=colour, outline="#ffffff")
    pen.text(
        (x, y),
        str(number),
        fill=ink_on(colour),
        anchor="mm",
        font=_font(11),
    )


def _write(pen: Any, place: tuple[int, int], text: str, colour: str) -> None:
    pen.text(place, text, fill=colour, font=_font(14))


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
