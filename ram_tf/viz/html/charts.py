"""Line charts as coordinates, which the templates draw as SVG.

Accuracies of many rows are on a scale that stretches towards 100 %, where rows differ:
the logarithm of the error.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

from ram_tf.runs.curves import Curve

# Percentages that an axis may name, the most useful first.
_NICE: tuple[float, ...] = (90, 99, 50, 99.9, 95, 80, 98, 99.5, 70, 0, 60, 20, 40, 30)
_NICE += (10, 97, 96, 92, 94, 85, 25, 75, 15, 35, 45, 55, 65, 98.5, 97.5)
_LEAST_ERROR = 5e-4  # Where the stretched scale ends: 99.95 %.
_Path = list[tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class Tick:
    """A mark on an axis: where, in the chart's units, and what it says."""

    at: float
    label: str


@dataclasses.dataclass(frozen=True)
class Line:
    """One line: SVG points "x,y x,y", where it ends, and what it is."""

    points: str
    end_x: float
    end_y: float
    label: str
    kind: str = ""


@dataclasses.dataclass(frozen=True)
class Chart:
    """One chart, `width` by `height` units with a plot area inside its margins."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    lines: list[Line]


def stretch(accuracy: float) -> float:
    """Returns where a fraction stands on the scale that stretches towards 1."""
    return -math.log10(max(1.0 - accuracy, _LEAST_ERROR))


def curve_charts(
    rows: Sequence[Sequence[Curve]], labels: Sequence[str]
) -> list[Chart | None]:
    """Makes a small chart for each row of a table, all on one pair of scales.

    Args:
      rows: the curves of each row, one per seed; a row may have none.
      labels: the rows' names.

    Returns:
      A chart per row, None for a row without curves.
    """
    curves = [curve for row in rows for curve in row]
    if not curves:
        return [None for _ in rows]
    last_step = max(curve.steps[-1] for curve in curves)
    accuracies = [value for curve in curves for value in curve.accuracies]
    low, high = _ends(accuracies)
    frame = {"width": 236, "height": 132, "left": 34, "right": 8}
    frame |= {"top": 10, "bottom": 22}
    x = _scale(0, last_step, frame["left"], frame["width"] - frame["right"])
    y = _scale(low, high, frame["height"] - frame["bottom"], frame["top"])
    y_ticks = _accuracy_ticks(lambda percent: y(stretch(percent / 100)), frame)
    x_ticks = [Tick(x(0), "0"), Tick(x(last_step), _steps(last_step))]
    charts: list[Chart | None] = []
    for row, label in zip(rows, labels, strict=True):
        lines = [
            _line(
                [x(step) for step in curve.steps],
                [y(stretch(value)) for value in curve.accuracies],
                label,
            )
            for curve in row
        ]
        chart = Chart(x_ticks=x_ticks, y_ticks=y_ticks, lines=lines, **frame)
        charts.append(chart if lines else None)
    return charts


def glimpse_chart(series: Sequence[tuple[str, Sequence[float]]]) -> Chart | None:
    """Makes the chart of accuracy after each glimpse.

    Args:
      series: name of each policy and its accuracies, fractions, one a glimpse.

    Returns:
      The chart, None when there are fewer than two glimpses.
    """
    num_glimpses = len(series[0][1]) if series else 0
    if num_glimpses < 2:
        return None
    frame = {"width": 380, "height": 220, "left": 38, "right": 76}
    frame |= {"top": 12, "bottom": 34}
    x = _scale(1, num_glimpses, frame["left"], frame["width"] - frame["right"])
    y = _scale(0, 100, frame["height"] - frame["bottom"], frame["top"])
    lines = [
        _line(
            [x(t + 1) for t in range(num_glimpses)],
            [y(100 * value) for value in accuracies],
            name,
            name,
        )
        for name, accuracies in series
    ]
    return Chart(
        x_ticks=[Tick(x(t), str(t)) for t in range(1, num_glimpses + 1)],
        y_ticks=[Tick(y(p), str(p)) for p in (0, 25, 50, 75, 100)],
        lines=_apart(lines, 14, frame["height"] - frame["bottom"]),
        **frame,
    )


@dataclasses.dataclass(frozen=True)
class Stopping:
    """What a row's line in the chart of stopping early is made from.

    Attributes:
      label: names the line in the chart.
      after_each: accuracy after each glimpse, fractions; the last is of all T.
      curve: rows of mean_glimpses and accuracy, by rising threshold.
    """

    label: str
    after_each: Sequence[float]
    curve: Sequence[dict[str, float]]


def stopping_chart(rows: Sequence[Stopping]) -> Chart:
    """Makes the chart of accuracy against the mean number of glimpses.

    Args:
      rows: at least one. Each has two lines: "sure" stops when it is sure, "fixed"
        takes one number of glimpses for every image. Both end at all T glimpses.

    Returns:
      The chart; its lines are those that are fixed, then the others, each in the order
      of rows.
    """
    frame = {"width": 470, "height": max(370, 60 + 13 * len(rows)), "left": 34}
    frame |= {"right": 26, "top": 12, "bottom": 36}
    bottom = frame["height"] - frame["bottom"]
    fixed: list[_Path] = [[*enumerate(row.after_each, start=1)] for row in rows]
    sure: list[_Path] = [
        [*((at["mean_glimpses"], at["accuracy"]) for at in row.curve), path[-1]]
        for row, path in zip(rows, fixed, strict=True)
    ]
    most = max(len(path) for path in fixed)
    accuracies = [accuracy for path in (*fixed, *sure) for _, accuracy in path]
    low, high = _ends(accuracies)
    x = _scale(1, most, frame["left"] + 8, frame["width"] - frame["right"])
    y = _scale(low, high, bottom, frame["top"])
    lines = {
        kind: [
            _line(
                [x(count) for count, _ in path],
                [y(stretch(accuracy)) for _, accuracy in path],
                row.label,
                kind,
            )
            for row, path in zip(rows, paths, strict=True)
        ]
        for kind, paths in (("fixed", fixed), ("sure", sure))
    }
    return Chart(
        x_ticks=[Tick(x(t), str(t)) for t in range(1, most + 1)],
        y_ticks=_accuracy_ticks(lambda percent: y(stretch(percent / 100)), frame),
        lines=[*lines["fixed"], *_apart(lines["sure"], 13, bottom)],
        **frame,
    )


def _ends(accuracies: Sequence[float]) -> tuple[float, float]:
    """Returns the ends of a stretched scale that holds accuracies."""
    low, high = stretch(min(accuracies)), stretch(max(accuracies))
    if high - low < 0.05:
        low, high = max(0.0, low - 0.05), high + 0.05
    return low, high


def _apart(lines: Sequence[Line], gap: float, floor: float) -> list[Line]:
    """Moves ends of lines, where their names stand: a line of text apart.

    Args:
      lines: in any order.
      gap: between two names that are one above the other.
      floor: below which no name stands, if there is room above.
    """
    moved = list(lines)
    for down in (True, False):  # Down from the highest, then up again from the floor.
        placed: list[Line] = []
        order = sorted(range(len(lines)), key=lambda i: moved[i].end_y)
        for i in order if down else reversed(order):
            line = moved[i]
            near = [p.end_y for p in placed if abs(p.end_x - line.end_x) < 2 * gap]
            if down:
                place = max([line.end_y, *(at + gap for at in near)])
            else:
                place = min([line.end_y, floor, *(at - gap for at in near)])
            moved[i] = dataclasses.replace(line, end_y=round(place, 1))
            placed.append(moved[i])
    return moved


def _scale(
    low: float, high: float, start: float, end: float
) -> Callable[[float], float]:
    span = (high - low) or 1.0
    return lambda value: round(start + (value - low) / span * (end - start), 1)


def _line(xs: list[float], ys: list[float], label: str, kind: str = "") -> Line:
    points = " ".join(f"{x:g},{y:g}" for x, y in zip(xs, ys, strict=True))
    return Line(points, xs[-1], ys[-1], label, kind)


def _accuracy_ticks(
    place: Callable[[float], float], frame: dict[str, int]
) -> list[Tick]:
    """Chooses round percentages that do not crowd each other."""
    ticks: list[Tick] = []
    for percent in _NICE:
        at = place(percent)
        inside = frame["top"] - 1 <= at <= frame["height"] - frame["bottom"] + 1
        if inside and all(abs(at - tick.at) >= 17 for tick in ticks):
            ticks.append(Tick(at, f"{percent:g}"))
    return ticks


def _steps(count: int) -> str:
    return f"{count / 1000:g}k" if count >= 1000 else str(count)
