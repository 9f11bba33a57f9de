"""A picture of glimpse paths: where the model looked, what it saw, what it predicted.

Needs matplotlib, the extra `figures`; draws without a screen.
"""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.evaluation.palette import (
    FAINT,
    INK,
    OUTSIDE,
    PALE,
    RIGHT,
    WRONG,
    glimpse_colours,
    ink_on,
)
from ram_tf.viz.geometry import (
    UNKNOWN,
    GlimpsePath,
    PathRecord,
    centre_px,
    cut_patches,
    top_left_px,
)

MAX_CLASSES = 10  # Rows of the probability chart; more cannot be read.
_LONGEST_NAME = 24  # Letters of a class name; it is cut there.
_LEAST_SIDE = 2.0  # Inches, of the image.
_COLUMNS = 2  # Images side by side.
_TILE, _ROW = 0.5, 0.245  # Inches: of a patch, of a class in the chart.
_UNKNOWN = "#2f6fde"  # Of a prediction, where the truth is not known.


def check_matplotlib() -> None:
    """Raises RamError when matplotlib is missing."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise RamError(
            "matplotlib is not installed: pip install 'ram-tf[figures]'"
        ) from None


def title_of(config: Config) -> str:
    """Returns the first line of a picture: how a model looks."""
    scales = f" at {config.num_scales} scales" if config.num_scales > 1 else ""
    side = config.patch_size
    glimpses = "glimpse" if config.num_glimpses == 1 else "glimpses"
    return (
        f"Where the model looks: {config.num_glimpses} {glimpses} of "
        f"{side}×{side} pixels{scales}"
    )


def to_png(figure: Any) -> bytes:
    """Returns the PNG of a figure; equal figures have equal bytes."""
    buffer = io.BytesIO()
    # Without the version of matplotlib, which would make equal pictures differ.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def draw_paths(
    paths: Sequence[GlimpsePath],
    record: PathRecord,
    title: str,
    subtitle: str = "",
    shown: int | None = None,
) -> Any:
    """Draws examples, two side by side.

    Args:
      paths: what to draw.
      record: the run they come from.
      title: the first line.
      subtitle: the second, smaller.
      shown: how many glimpses of each; None shows all. Where things stand does not
        depend on it: pictures of 1, 2, ... glimpses make an animation.

    Returns:
      A matplotlib Figure.

    Raises:
      RamError: when matplotlib is missing.
    """
    check_matplotlib()
    from matplotlib.figure import Figure

    scales, steps = record.config.num_scales, record.config.num_glimpses
    colours = glimpse_colours(steps)
    chart = min(len(record.class_names), MAX_CLASSES) * _ROW
    # Of the image: as high as what is beside it.
    side = max(scales * _TILE + chart + 0.15, _LEAST_SIDE)
    names = [_short(name) for name in record.class_names]
    beside = max(steps, 4) * _TILE
    columns = min(_COLUMNS, len(paths))
    rows = -(-len(paths) // columns)
    # In inches from the left and from the top: every part has its size.
    left, top, below = 0.4, 1.85, 1.3
    gap = 0.5 + 0.1 * max(map(len, names))  # The names stand in it.
    last = (steps if shown is None else shown) - 1
    verdicts = [_verdict(path, names, last) for path in paths]
    # Of every step, or the frames of an animation would differ in size.
    timed = [last] if shown is None else range(steps)
    said = [_verdict(path, names, step)[0] for path in paths for step in timed]
    longest = max(map(len, said))
    block_width = max(side + gap + beside + 0.6, 0.4 + 0.135 * longest)
    width = max(left + columns * block_width, 2 * left + 0.19 * len(title))
    height = top + rows * (side + below) - 0.4
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")

    def place(x: float, y: float, wide: float, high: float) -> Any:
        box = (x / width, 1 - (y + high) / height, wide / width, high / height)
        return figure.add_axes(box)

    for y, text, size, colour in ((0.3, title, 22, INK), (0.75, subtitle, 13, FAINT)):
        figure.text(
            left / width, 1 - y / height, text, size=size, color=colour, va="top",
            weight="bold" if colour == INK else "normal",
        )  # fmt: skip
    for index, path in enumerate(paths):
        x = left + index % columns * block_width
        y = top + index // columns * (side + below)
        text, colour = verdicts[index]
        figure.text(
            x / width, 1 - (y - 0.38) / height, text, size=15, weight="bold",
            color=colour, va="bottom",
        )  # fmt: skip
        _draw_image(place(x, y, side, side), path, record, colours[: last + 1])
        x += side + gap
        high = scales * _TILE
        _draw_patches(place(x, y, beside, high), path, record, colours[: last + 1])
        y += high + 0.15
        _draw_probabilities(place(x, y, beside, chart), path, names, last)
    return figure


def _short(name: str) -> str:
    """A class name that fits beside the chart."""
    if len(name) <= _LONGEST_NAME:
        return name
    return name[: _LONGEST_NAME - 1].rstrip() + "…"


def _verdict(path: GlimpsePath, names: Sequence[str], step: int) -> tuple[str, str]:
    """What the model predicts after a step, and the colour of right or wrong."""
    prediction = int(path.probabilities[step].argmax())
    percent = 100 * path.probabilities[step, prediction]
    said = f"predicts {names[prediction]} ({percent:.0f} %)"
    if path.label == UNKNOWN:
        return said, INK
    if prediction == path.label:
        return f"✓ {said}", RIGHT
    return f"✗ {said}, is {names[path.label]}", WRONG


def _draw_image(
    axes: Any, path: GlimpsePath, record: PathRecord, colours: Sequence[str]
) -> None:
    """The image with the outlines of the patches and the numbered path."""
    from matplotlib.patches import Rectangle

    height, width = path.image.shape[:2]
    side = record.config.patch_size
    _show(axes, path.image)
    axes.set_facecolor(OUTSIDE)
    points = centre_px(path.locations[: len(colours)], (height, width))
    axes.plot(points[:, 1], points[:, 0], color="white", lw=1.5, alpha=0.8, zorder=3)
    for step, (y, x) in enumerate(points):
        for k in range(record.config.num_scales):
            top, left = top_left_px(path.locations[step], (height, width), side * 2**k)
            axes.add_patch(
                Rectangle(
                    (left - 0.5, top - 0.5),
                    side * 2**k,
                    side * 2**k,
                    fill=False,
                    edgecolor=colours[step],
                    lw=1.8 if k == 0 else 0.8,
                    alpha=0.95 if k == 0 else 0.35,
                    zorder=2,
                )
            )
        axes.plot(x, y, "o", ms=14, color=colours[step], mec="white", mew=1, zorder=4)
        axes.text(
            x, y, str(step + 1), size=9, weight="bold",
            color=ink_on(colours[step]),
            ha="center", va="center_baseline", zorder=5,
        )  # fmt: skip
    margin = side / 2
    axes.set_xlim(-0.5 - margin, width - 0.5 + margin)
    axes.set_ylim(height - 0.5 + margin, -0.5 - margin)


def _draw_patches(
    axes: Any, path: GlimpsePath, record: PathRecord, colours: Sequence[str]
) -> None:
    """What each glimpse saw: a column a glimpse, a row a scale."""
    scales = record.config.num_scales
    axes.set_axis_off()
    for step, location in enumerate(path.locations[: len(colours)]):
        patches = cut_patches(path.image, location, record.config.patch_size, scales)
        for k, patch in enumerate(patches):
            box = axes.inset_axes(
                (step - 0.44, scales - 1 - k + 0.02, 0.88, 0.96),
                transform=axes.transData,
            )
            _show(box, patch.round().astype(np.uint8))
            for spine in box.spines.values():
                spine.set(visible=True, color=colours[step], linewidth=2.5)
    axes.set_xlim(-0.5, len(path.locations) - 0.5)
    axes.set_ylim(0, scales)
    axes.set_title("what each glimpse saw", size=11, color=FAINT, loc="left", pad=5)


def _draw_probabilities(
    axes: Any, path: GlimpsePath, names: Sequence[str], last: int
) -> None:
    """How likely each class was after each glimpse: the area of a disc."""
    shown = _shown_classes(path)
    prediction = int(path.probabilities[last].argmax())
    unknown = path.label == UNKNOWN
    for row, label in enumerate(shown):
        predicted = _UNKNOWN if unknown else WRONG
        colour = predicted if label == prediction else PALE
        colour = RIGHT if label == path.label else colour
        axes.axhline(row, color="#e6eaee", lw=1, zorder=1)
        sizes = path.probabilities[: last + 1, label]
        axes.scatter(
            np.arange(len(sizes)), np.full(len(sizes), row), s=250 * sizes,
            color=colour, linewidths=0, zorder=2,
        )  # fmt: skip
    axes.set_xlim(-0.5, len(path.probabilities) - 0.5)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    shown_names = [names[label] for label in shown]
    axes.set_yticks(range(len(shown)), shown_names, size=11, color=FAINT)
    for text, label in zip(axes.get_yticklabels(), shown, strict=True):
        if label == (prediction if unknown else path.label):
            text.set(color=_UNKNOWN if unknown else RIGHT, weight="bold")
    steps = range(len(path.probabilities))
    axes.set_xticks(steps, [str(step + 1) for step in steps], size=11, color=FAINT)
    axes.set_xlabel("how likely after each glimpse", size=11, color=FAINT, loc="left")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _shown_classes(path: GlimpsePath) -> list[int]:
    """The classes to chart: all, or of many the most likely, and the true one."""
    best = path.probabilities.max(axis=0)
    if path.label != UNKNOWN:
        best[path.label] = np.inf
    return sorted(int(label) for label in np.argsort(-best)[:MAX_CLASSES])


def _show(axes: Any, image: np.ndarray) -> None:
    """Shows gray or colour pixels 0..255 without ticks."""
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
