"""The picture of a sweep: the ranking, and what each setting alone does.

Needs matplotlib, the extra `figures`; draws without a screen.
"""

import statistics
from collections.abc import Sequence
from typing import Any

from ram_tf.evaluation.palette import FAINT, INK, PALE, RIGHT
from ram_tf.sweeps.ranking import Ranked
from ram_tf.viz.path_figure import plain_text

_SHOWN = 24  # Combinations in the ranking; more cannot be read.
_COLUMNS = 2  # Settings side by side.
_TICK_LETTERS = 40  # Of all values below a chart; more stand aslant.
_LONGEST_TICK = 20  # Letters; of a longer one its end, which tells paths apart.
_BEST, _LINE = RIGHT, "#e6eaee"


@plain_text()
def draw_sweep(ranking: Sequence[Ranked], title: str) -> Any:
    """Draws a sweep.

    Args:
      ranking: of which at least one combination has a finished run, best first.
      title: the first line.

    Returns:
      A matplotlib Figure. Above, one line per combination: a dot per seed, a bar at the
      mean; a sign where seeds are missing, another where there are warnings. Below, one
      chart per setting: the mean of every combination by the setting's value, and the
      best and the middle of each value joined, of those without a sign where there are.

    Raises:
      RamError: when matplotlib is missing.
    """
    from matplotlib.figure import Figure

    found = [ranked for ranked in ranking if ranked.mean is not None]
    shown = found[:_SHOWN]
    fields = [
        name
        for name in found[0].combination.values
        if len({ranked.combination.values[name] for ranked in found}) > 1
    ]
    columns = min(_COLUMNS, max(1, len(fields)))
    rows = -(-len(fields) // columns)
    # In inches: every part has its size.
    names = max(len(_label(ranked)) for ranked in shown)
    left, top, gap, chart = max(0.9, 0.35 + 0.092 * names), 1.35, 1.15, 2.3
    right, width = 0.9, max(left + 5.6, 9.0)
    high = 0.34 * len(shown) + 0.2
    charts = top + high + gap + 0.35 * bool(fields)  # Where they begin.
    height = charts - 0.4 + rows * (chart + gap)
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")

    def place(x: float, y: float, wide: float, tall: float) -> Any:
        return figure.add_axes(
            (x / width, 1 - (y + tall) / height, wide / width, tall / height)
        )

    def write(x: float, y: float, text: str, **style: Any) -> None:
        figure.text(x / width, 1 - y / height, text, va="top", **style)

    write(0.35, 0.25, title, size=18, weight="bold", color=INK)
    write(0.35, 0.72, _subtitle(ranking, len(shown)), size=11, color=FAINT)
    _draw_ranking(place(left, top, width - left - right, high), shown)
    if fields:
        said = "by setting: a dot is the mean of one combination"
        write(0.35, charts - 0.75, said, size=11, color=FAINT)
    part = (width - 0.9 - right + 0.9) / columns
    for index, name in enumerate(fields):
        x = 0.9 + index % columns * part
        y = charts + index // columns * (chart + gap)
        _draw_setting(place(x, y, part - 0.9, chart), found, name)
    return figure


def _subtitle(ranking: Sequence[Ranked], shown: int) -> str:
    seeds = len(ranking[0].accuracies) + len(ranking[0].errors)
    said = f"validation accuracy of {len(ranking)} combinations, "
    said += "1 seed each" if seeds == 1 else f"{seeds} seeds each: dots; mean: bar"
    if shown < len(ranking):
        said += f"; the best {shown} are shown"
    return said


def _label(ranked: Ranked) -> str:
    return "  ".join(f"{n}={t}" for n, t in ranked.combination.texts.items())


def _draw_ranking(axes: Any, shown: Sequence[Ranked]) -> None:
    for row, ranked in enumerate(shown):
        assert ranked.mean is not None
        colour = _BEST if row == 0 else FAINT
        axes.axhline(row, color=_LINE, lw=1, zorder=1)
        values = [100 * value for value in ranked.accuracies.values()]
        axes.plot(
            values, [row] * len(values), "o", ms=7, color=colour, alpha=0.6,
            mec="white", zorder=2,
        )  # fmt: skip
        mean = 100 * ranked.mean
        if len(values) > 1:
            axes.plot([mean], [row], "|", ms=15, mew=2.5, color=colour, zorder=3)
        said = " ".join([f"{mean:.2f} %", *_signs(ranked)])
        axes.annotate(
            said, (1.015, row), xycoords=("axes fraction", "data"), va="center",
            size=10, color=colour, weight="bold" if row == 0 else "normal",
        )  # fmt: skip
    _tidy(axes)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_yticks(range(len(shown)), [_label(r) for r in shown], size=10, color=INK)
    axes.get_yticklabels()[0].set(color=_BEST, weight="bold")
    axes.margins(x=0.06)
    signs = {sign: said for ranked in shown for sign, said in _signs(ranked).items()}
    if signs:
        said = ", ".join(f"{sign} {said}" for sign, said in signs.items())
        axes.set_title(said, size=9, color=FAINT, loc="right")
    axes.set_xlabel("validation accuracy, %", size=10, color=FAINT, loc="left")


def _signs(ranked: Ranked) -> dict[str, str]:
    """Returns what stands against the mean of a combination, by its sign."""
    signs = {}
    if ranked.errors:
        signs["*"] = "not all seeds"
    if ranked.warnings:
        signs["†"] = "a warning, see sweep.md"
    return signs


def _draw_setting(axes: Any, found: Sequence[Ranked], name: str) -> None:
    """The mean of every combination by one setting's value."""
    values = sorted({ranked.combination.values[name] for ranked in found})
    texts = {r.combination.values[name]: r.combination.texts[name] for r in found}
    means: dict[Any, list[float]] = {value: [] for value in values}
    joined: dict[Any, list[float]] = {value: [] for value in values}
    for ranked in found:
        assert ranked.mean is not None
        value = ranked.combination.values[name]
        means[value].append(100 * ranked.mean)
        if not _signs(ranked):
            joined[value].append(100 * ranked.mean)
    joined = {value: joined[value] or means[value] for value in values}
    # Even steps, not the number's own scale: grids are steps, often of powers.
    for at, value in enumerate(values):
        axes.plot(
            [at] * len(means[value]), means[value], "o", ms=6, color=PALE,
            mec="white", zorder=2,
        )  # fmt: skip
    places = range(len(values))
    lines = [("best", _BEST, [max(joined[value]) for value in values])]
    if max(map(len, joined.values())) > 1:
        middle = [statistics.median(joined[value]) for value in values]
        lines.append(("median", FAINT, middle))
    for label, colour, line in lines:
        axes.plot(places, line, color=colour, lw=1.8, label=label, zorder=1)
    _tidy(axes)
    ticks = [_shortened(texts[value]) for value in values]
    axes.set_xticks(places, ticks, size=10, color=INK)
    if sum(map(len, ticks)) + 2 * len(ticks) > _TICK_LETTERS:  # They would touch.
        for tick in axes.get_xticklabels():
            tick.set(rotation=30, ha="right", rotation_mode="anchor")
    axes.set_title(name, size=12, weight="bold", color=INK, loc="left", pad=8)
    axes.set_ylabel("validation accuracy, %", size=10, color=FAINT)
    axes.margins(x=0.12, y=0.12)
    if len(lines) > 1:
        axes.legend(
            frameon=False, fontsize=9, labelcolor=FAINT, loc="lower right",
            bbox_to_anchor=(1.02, 1.0), ncols=2, borderaxespad=0.1,
        )  # fmt: skip
    axes.grid(axis="y", color=_LINE, lw=1)
    axes.set_axisbelow(True)


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST_TICK:
        return text or "(empty)"
    return "…" + text[1 - _LONGEST_TICK :]


def _tidy(axes: Any) -> None:
    axes.tick_params(length=0, colors=FAINT, labelsize=10)
    for spine in axes.spines.values():
        spine.set_visible(False)
