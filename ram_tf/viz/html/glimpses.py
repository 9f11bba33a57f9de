"""What the page says of numbers of glimpses: after each, and stopped when sure."""

import dataclasses
import string
from collections.abc import Mapping, Sequence

from ram_tf.viz.html.charts import Chart, Stopping, stopping_chart
from ram_tf.viz.html.details import Detail

# Of the thresholds that were measured; a chart has them all.
_SHOWN = (0.5, 0.8, 0.9, 0.95, 0.99)


@dataclasses.dataclass(frozen=True)
class GlimpsesRow:
    """A row of results that looks more than once, by its own policy.

    Attributes:
      detail: what the page says of it elsewhere.
      after_each: accuracy after each of its T glimpses, fractions.
      stopped: accuracy and mean_glimpses by threshold; empty in results of earlier
        versions.
    """

    detail: Detail
    after_each: list[float]
    stopped: dict[float, dict[str, float]]


@dataclasses.dataclass(frozen=True)
class StoppingView:
    """The rows of one table that were measured stopping early.

    Attributes:
      key: names it in the page.
      title: of the table.
      rows: by the letter that names a row's lines in the chart.
      thresholds: those that have a column.
      chart: accuracy against the mean number of glimpses.
    """

    key: str
    title: str
    rows: dict[str, GlimpsesRow]
    thresholds: list[float]
    chart: Chart


def view_glimpses(details: Sequence[Detail]) -> list[GlimpsesRow]:
    """Returns the rows that look more than once.

    Args:
      details: of all measured rows; the first seed of each counts.
    """
    rows = []
    for detail in details:
        measures = detail.result.measures
        after_each = measures.get("accuracy_by_glimpse", [])
        curve = measures.get("by_threshold", [])
        if len(after_each) > 1:
            stopped = {row["threshold"]: row for row in curve}
            rows.append(GlimpsesRow(detail, after_each, stopped))
    return rows


def view_stopping(by_table: Mapping[str, Sequence[Detail]]) -> list[StoppingView]:
    """Makes a chart for each table that has rows measured stopping early.

    Args:
      by_table: the measured rows by the title of their table.
    """
    views: list[StoppingView] = []
    for title, details in by_table.items():
        rows = [row for row in view_glimpses(details) if row.stopped]
        if not rows:
            continue
        named = {_letter(place): row for place, row in enumerate(rows)}
        lines = [
            Stopping(letter, row.after_each, list(row.stopped.values()))
            for letter, row in named.items()
        ]
        measured = {threshold for row in rows for threshold in row.stopped}
        views.append(
            StoppingView(
                f"stopping-{len(views) + 1}",
                title,
                named,
                [threshold for threshold in _SHOWN if threshold in measured],
                stopping_chart(lines),
            )
        )
    return views


def _letter(place: int) -> str:
    """Returns A to Z, then A2 to Z2 and so on."""
    again, letter = divmod(place, 26)
    return string.ascii_uppercase[letter] + (str(again + 1) if again else "")
