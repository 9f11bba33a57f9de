"""Tables as the page shows them: every row with its marks, also when it was not run."""

import dataclasses
import math
import string
from collections.abc import Iterator, Sequence, Set

from ram_tf.runs.curves import read_curve
from ram_tf.tables.collect import Table, TableRow
from ram_tf.viz.html.charts import Chart, curve_charts

_FROM_MEMORY = "\N{DAGGER}"


@dataclasses.dataclass(frozen=True)
class Strip:
    """Where a row's marks stand on its table's scale, each in percent of the width."""

    printed: float | None
    ours: float | None
    low: float | None
    high: float | None


@dataclasses.dataclass(frozen=True)
class PrintedFigure:
    """A printed figure: its text, its accuracy in percent, and its footnotes' marks."""

    printed: str
    accuracy: float | None
    marks: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class RowView:
    """A row of a table.

    Attributes:
      key: names it in the page: "table1-ram_6g_1s".
      row: what was measured.
      figures: what was printed; the first is the one to compare with.
      strip: its marks, None when there is nothing to mark.
      chart: its learning curves, None when there are none.
    """

    key: str
    row: TableRow
    figures: tuple[PrintedFigure, ...]
    strip: Strip | None
    chart: Chart | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval to show with our accuracy."""
        return shown_interval(self.row)


@dataclasses.dataclass(frozen=True)
class TableView:
    """A table.

    Attributes:
      table: what was collected.
      rows: its rows.
      low, high: ends of the scale of its strips, in percent.
      notes: footnotes by mark.
      protocol: how its figures were made, in a sentence; empty when none was.
    """

    table: Table
    rows: list[RowView]
    low: float
    high: float
    notes: dict[str, str]
    protocol: str

    @property
    def num_measured(self) -> int:
        """How many rows have a figure."""
        return sum(view.row.status == "complete" for view in self.rows)


def row_key(row: TableRow) -> str:
    """Returns the name of a row in the page."""
    return row.experiment.name.replace("/", "-")


def shown_interval(row: TableRow) -> tuple[float, float] | None:
    """Returns the interval of one seed, or the range of several, in percent."""
    if len(row.accuracies) > 1:
        return min(row.accuracies), max(row.accuracies)
    return row.interval


def view_table(table: Table, sources: dict[str, str]) -> TableView:
    """Reads the curves of a table's results and places the marks of its rows.

    Args:
      table: what was collected.
      sources: the publications by key.

    Raises:
      RamError: when a curve is broken.
    """
    low, high = _scale(table.rows)
    curves = [
        [
            curve
            for result in row.seeds
            if result.status == "current"
            and (curve := read_curve(result.curve)) is not None
        ]
        for row in table.rows
    ]
    charts = curve_charts(curves, [row.experiment.label for row in table.rows])
    notes: dict[str, str] = {}
    views = [
        RowView(
            row_key(row),
            row,
            tuple(_printed(row, sources, notes)),
            _strip(row, low, high),
            chart,
        )
        for row, chart in zip(table.rows, charts, strict=True)
    ]
    return TableView(table, views, low, high, notes, _protocol(table.rows))


def _printed(
    row: TableRow, sources: dict[str, str], notes: dict[str, str]
) -> Iterator[PrintedFigure]:
    """Gives every further figure, and one from memory, a footnote in `notes`."""
    figures = row.experiment.figures
    for place, figure in enumerate(figures):
        marks = []
        if place:
            text = figure.where or sources.get(figure.source, figure.source)
            known = {note: mark for mark, note in notes.items()}
            marks.append(known.get(text) or string.ascii_letters[len(known)])
            notes[marks[0]] = text
        if figure.from_memory:
            marks.append(_FROM_MEMORY)
            notes[_FROM_MEMORY] = "quoted from memory, not checked in print"
        yield PrintedFigure(figure.printed, figure.accuracy, tuple(marks))


def _scale(rows: Sequence[TableRow]) -> tuple[float, float]:
    """Returns round ends that hold every mark of a table."""
    values = [row.compared for row in rows if row.compared is not None]
    for row in rows:
        values += row.accuracies
        values += shown_interval(row) or ()
    if not values:
        return 0.0, 100.0
    span = max(max(values) - min(values), 0.5)
    unit = next(unit for unit in (0.5, 1, 2, 5, 10, 20, 50) if span / unit <= 8)
    low = math.floor(min(values) / unit) * unit
    return max(0.0, low), min(100.0, math.ceil(max(values) / unit) * unit)


def _strip(row: TableRow, low: float, high: float) -> Strip | None:
    if row.mean is None and row.compared is None:
        return None
    ends = shown_interval(row) or (None, None)

    def place(value: float | None) -> float | None:
        if value is None:
            return None
        return round(100 * (value - low) / ((high - low) or 1.0), 2)

    return Strip(place(row.compared), place(row.mean), *map(place, ends))


def _protocol(rows: Sequence[TableRow]) -> str:
    """Says how the figures of a table were made, as far as its rows agree."""
    measured = [row for row in rows if row.status == "complete"]
    if not measured:
        return ""
    seeds = [result for row in measured for result in row.seeds]
    images = {result.measures.get("num_images") for result in seeds}
    chosen = {row.config.select for row in measured}
    steps = {row.config.train_steps for row in measured}
    batches = {row.config.batch_size for row in measured}
    parts = [f"{_one(images, 'test images')}, read once"]
    weights = {"final": "last weights", "best": "weights chosen on validation"}
    parts.append(" or ".join(weights[name] for name in sorted(chosen)))
    parts.append(f"{_one(steps, 'training steps')} of {_one(batches, 'images')}")
    return "; ".join(parts)


def _one(values: Set[int | None], unit: str) -> str:
    known = sorted(value for value in values if value is not None)
    if not known:
        return unit
    text = f"{known[0]:,}"
    return f"{text} {unit}" if len(known) == 1 else f"{text} to {known[-1]:,} {unit}"
