"""The parts of a picture of a glimpse path, each on axes of its own.

The image with the path, the patches that were seen, and the probabilities. Needs
matplotlib, the extra `figures`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ram_tf.evaluation.palette import FAINT, OUTSIDE, PALE, RIGHT, WRONG, ink_on
from ram_tf.viz.geometry import (
    UNKNOWN,
    GlimpsePath,
    PathRecord,
    centre_px,
    cut_patches,
    moved_apart_px,
    top_left_px,
)

_MARK = 14  # Points, the width of the disc with a glimpse's number.
_SMALL = 13  # Points; the README shows a figure at under half its size.
MAX_CLASSES = 10  # Rows of the probability chart; more cannot be read.
_UNKNOWN = "#2f6fde"  # Of a prediction, where the truth is not known.


def draw_image(
    axes: Any, path: GlimpsePath, record: PathRecord, colours: Sequence[str]
) -> None:
    """The image with the outlines of the patches and the numbered path.

    Where numbers would hide each other they stand beside the path.
    """
    from matplotlib.patches import Rectangle

    height, width = path.image.shape[:2]
    side = record.config.patch_size
    _show(axes, path.image)
    axes.set_facecolor(OUTSIDE)
    axes.set_anchor("SW")  # What is said below a long image stands where it does else.
    margin = side / 2
    axes.set_xlim(-0.5 - margin, width - 0.5 + margin)
    axes.set_ylim(height - 0.5 + margin, -0.5 - margin)
    every_point = centre_px(path.locations, (height, width))
    # Of all glimpses: in an animation a number stays where it is.
    marks = moved_apart_px(every_point, _MARK * _px_per_point(axes), (height, width))
    points = every_point[: len(colours)]
    # White on black: seen on bright and on dark pixels.
    for colour, width_pt, alpha in (("black", 3.5, 0.55), ("white", 1.5, 0.9)):
        axes.plot(
            points[:, 1], points[:, 0], color=colour, lw=width_pt, alpha=alpha, zorder=3
        )
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
        mark_y, mark_x = marks[step]
        axes.plot([x, mark_x], [y, mark_y], color=colours[step], lw=2, zorder=4)
        axes.plot(
            mark_x, mark_y, "o", ms=_MARK, color=colours[step], mec="white", mew=1,
            zorder=5,
        )  # fmt: skip
        axes.text(
            mark_x, mark_y, str(step + 1), size=9, weight="bold",
            color=ink_on(colours[step]),
            ha="center", va="center_baseline", zorder=6,
        )  # fmt: skip
    said = "dark margin: outside the image"
    if record.config.num_scales > 1:
        said += "\nthin lines: larger scales"
    # By less, a mark still stands over its spot.
    if np.hypot(*(marks - every_point).T).max() > 0.3 * _MARK * _px_per_point(axes):
        said += "\noverlapping numbers moved apart"
    axes.set_xlabel(said, size=_SMALL, color=FAINT, loc="left")


def draw_patches(
    axes: Any, path: GlimpsePath, record: PathRecord, colours: Sequence[str]
) -> None:
    """What each glimpse saw: one column per glimpse, one row per scale."""
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
    axes.set_xlim(-0.5, record.config.num_glimpses - 0.5)
    axes.set_ylim(0, scales)
    axes.set_title("what each glimpse saw", size=_SMALL, color=FAINT, loc="left", pad=5)


def draw_probabilities(
    axes: Any, path: GlimpsePath, record: PathRecord, names: Sequence[str], last: int
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
    axes.set_xlim(-0.5, record.config.num_glimpses - 0.5)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    shown_names = [names[label] for label in shown]
    axes.set_yticks(range(len(shown)), shown_names, size=_SMALL, color=FAINT)
    for text, label in zip(axes.get_yticklabels(), shown, strict=True):
        if label == (prediction if unknown else path.label):
            text.set(color=_UNKNOWN if unknown else RIGHT, weight="bold")
    steps = range(record.config.num_glimpses)
    axes.set_xticks(steps, [str(step + 1) for step in steps], size=_SMALL, color=FAINT)
    axes.set_xlabel("disc area: probability", size=_SMALL, color=FAINT, loc="left")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _shown_classes(path: GlimpsePath) -> list[int]:
    """The classes to chart: all, or of many the most likely with the true one."""
    best = path.probabilities.max(axis=0)
    best[path.probabilities[-1].argmax()] = np.inf  # The prediction.
    if path.label != UNKNOWN:
        best[path.label] = np.inf
    return sorted(int(label) for label in np.argsort(-best)[:MAX_CLASSES])


def _px_per_point(axes: Any) -> float:
    """How many pixels of the image are as long as a point of the page."""
    (left, right), box = axes.get_xlim(), axes.get_window_extent()
    (below, above) = axes.get_ylim()
    per_inch = max((right - left) / box.width, abs(above - below) / box.height)
    return float(per_inch * axes.figure.dpi / 72)


def _show(axes: Any, image: np.ndarray) -> None:
    """Shows gray or colour pixels 0..255 without ticks."""
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
