"""Tables as Markdown: the printed figure beside ours.

Every accuracy is in percent, every difference in points.
"""

from collections.abc import Mapping, Sequence

from ram_tf.evaluation.pixel_budget import PixelBudget
from ram_tf.markdown import table_text
from ram_tf.tables.catalogue import Figure
from ram_tf.tables.collect import Table, TableRow

NOT_RUN = "not run yet"

_COLUMNS = (
    "Row",
    "Model",
    "Printed %",
    "Ours %",
    "Difference",
    "Seeds",
    "95 % interval",
    "Steps",
    "Parameters",
    "Pixels read",
    "Wall time",
)
# The columns of words, in any of the tables. The others are of numbers.
LEFT = ("Row", "Images", "Model", "Seeds", "95 % interval", "Class learned after")

_EXPLANATION = (
    "Ours: test accuracy of one rollout at the policy's means, mean ± standard "
    "deviation over the seeds. Interval: Wilson's, of the mean: the chance of the test "
    "images alone. Pixels read: pixel values that reach the model against those of the "
    "image. Wall time: of training one seed."
)


def render(tables: Sequence[Table], sources: Mapping[str, str]) -> str:
    """Returns tables as Markdown.

    Args:
      tables: what `collect` gave.
      sources: the publications, as `read_sources` gives them.
    """
    parts = [_EXPLANATION, *(render_table(table, sources) for table in tables)]
    return "\n\n".join(parts) + "\n"


def render_table(table: Table, sources: Mapping[str, str]) -> str:
    """Returns one table as Markdown, without a new line at its end."""
    title = table.title
    if table.quick:
        title = f"QUICK, a tiny budget, no results: {title}"
    lines = [f"## {title}", ""]
    printed = [row.figure.source for row in table.rows if row.figure]
    most = max(printed, key=printed.count) if printed else ""
    if most:
        lines += [f"Printed: {sources.get(most, most)}.", ""]
    rows = [cells(row).values() for row in table.rows]
    lines.append(table_text([headings(table, _COLUMNS), *rows], LEFT))
    notes = [note for row in table.rows for note in _notes(row, sources, most)]
    if notes:
        lines += ["", *notes]
    return "\n".join(lines)


def headings(table: Table, names: Sequence[str]) -> list[str]:
    """Returns the columns' names as a table has them: an ablation is not of print."""
    own = {"Printed %": "No fault %", "Difference": "Change"}
    return [own.get(name, name) if table.is_ablation else name for name in names]


def ours_text(row: TableRow) -> str:
    """Returns our accuracy: "94.21", "94.21 ± 0.12", what is wrong, or not run yet."""
    if row.status == "not run":
        return NOT_RUN
    if row.mean is None:
        faulty = [result for result in row.seeds if result.status != "current"]
        return ", ".join(f"seed {result.seed} {result.status}" for result in faulty)
    if row.stddev is None:
        return f"{row.mean:.2f}"
    return f"{row.mean:.2f} ± {row.stddev:.2f}"


def pixels_text(pixels: PixelBudget | None) -> str:
    """Returns "384 of 784 (49 %)"."""
    if pixels is None:
        return ""
    return f"{pixels.read:,} of {pixels.image:,} ({pixels.share:.0f} %)"


def duration_text(seconds: float | None) -> str:
    """Returns seconds as a person says them: "41 s", "12 min", "1 h 50 min"."""
    if seconds is None:
        return ""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def figure_text(figure: Figure, sources: Mapping[str, str]) -> str:
    """Returns a printed figure with its place: "93.79 % (Table 1)"."""
    places = [figure.where or sources.get(figure.source, figure.source)]
    if figure.from_memory:
        places.append("from memory")
    return f"{figure.printed} ({', '.join(places)})"


def cells(row: TableRow) -> dict[str, str]:
    """Returns the cells of a row of a table by the names of their columns."""
    interval = row.interval
    printed = row.figure.printed if row.figure else ""
    if row.compared is not None:
        printed = f"{row.compared:.2f}"
    values = [
        f"`{row.experiment.row}`",
        row.experiment.label,
        printed,
        ours_text(row),
        "" if row.difference is None else f"{row.difference:+.2f}",
        ", ".join(str(result.seed) for result in row.seeds),
        "" if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}",
        f"{row.config.train_steps:,}",
        "" if row.num_parameters is None else f"{row.num_parameters:,}",
        pixels_text(row.pixels),
        duration_text(row.wall_seconds),
    ]
    return dict(zip(_COLUMNS, values, strict=True))


def _notes(row: TableRow, sources: Mapping[str, str], source: str) -> list[str]:
    """Returns what printed figures a row has, beside one of `source`."""
    notes = []
    figures = row.experiment.figures
    if figures and (figures[0].from_memory or figures[0].source != source):
        text = figure_text(figures[0], sources)
        notes.append(f"- `{row.experiment.row}`: the printed figure is {text}.")
    for figure in figures[1:]:
        text = figure_text(figure, sources)
        notes.append(f"- `{row.experiment.row}`: also {text}.")
    return notes
