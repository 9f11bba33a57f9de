"""The summary of the tables in the README, between two comments.

`make headers` writes it. The whole tables are in results/tables.md.
"""

from collections.abc import Sequence

from ram_tf.files import replace_between
from ram_tf.tables.collect import Table
from ram_tf.tables.markdown import cells, headings, line

BEGIN, END = "<!-- tables:begin -->", "<!-- tables:end -->"
SHOWN = ("table1", "table2", "table3", "table4", "table5", "text", "best")
COLUMNS = ("Model", "Printed %", "Ours %", "Difference", "Seeds", "Wall time")
_RULES = ("---", "---:", "---:", "---:", "---", "---:")


def summary(tables: Sequence[Table]) -> str:
    """Returns the paper's rows and our recipes, and the ablation, as Markdown."""
    shown = [table for table in tables if table.table in SHOWN]
    ablations = [table for table in tables if table.is_ablation]
    return "\n\n".join(_summary(part) for part in (shown, ablations) if part)


def _summary(tables: Sequence[Table]) -> str:
    lines = [line(headings(tables[0], COLUMNS)), line(_RULES)]
    for table in tables:
        lines.append(line([f"**{table.title}**", *[""] * (len(COLUMNS) - 1)]))
        for row in table.rows:
            found = cells(row)
            lines.append(line(found[name] for name in COLUMNS))
    return "\n".join(lines)


def with_summary(text: str, tables: Sequence[Table]) -> str:
    """Returns the README's text with the summary between its two comments.

    A text that lacks the comments is returned as it is.
    """
    return replace_between(text, BEGIN, END, f"\n{summary(tables)}\n") or text
