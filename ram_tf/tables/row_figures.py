"""Figures of rows in the tables of a page that is otherwise written by hand.

A cell that begins with a comment that names a row, as `<!--table1/fc-->`, shows the
row's test accuracy: the mean in percent and, of several seeds, the deviation. With
`<!--table1/fc:2-->` it is that of seed 2, empty where the row has none, and with
`<!--table1/fc:seeds-->` their number. `make headers` fills them, so that no figure of
a row is typed by hand. Asterisks around a figure stay.
"""

import re
from collections.abc import Sequence

from ram_tf.errors import RamError
from ram_tf.tables.collect import Table, TableRow
from ram_tf.tables.markdown import ours_text

_CELL = re.compile(
    r"(?P<mark><!--(?P<row>\w+/\w+)(?::(?P<what>\d+|seeds))?-->)"
    r"(?P<stars>\**)[^|*\n]*?(?P=stars)(?P<end> *\|)"
)


def with_row_figures(page: str, tables: Sequence[Table], name: object) -> str:
    """Returns the text of a page with the figures of its rows filled.

    Args:
      page: its text.
      tables: what was measured.
      name: of the page, for the error.

    Raises:
      RamError: when a comment names no row.
    """
    rows = {row.experiment.name: row for table in tables for row in table.rows}

    def fill(cell: re.Match[str]) -> str:
        if cell["row"] not in rows:
            raise RamError(f"{name}: expected a row in {cell['mark']}, found none")
        text = _text(rows[cell["row"]], cell["what"])
        stars = cell["stars"] if text else ""
        return f"{cell['mark']}{stars}{text}{stars}{cell['end']}"

    return _CELL.sub(fill, page)


def _text(row: TableRow, what: str | None) -> str:
    if what is None:
        return ours_text(row)
    if row.status != "complete":
        return ""
    if what == "seeds":
        return str(len(row.seeds))
    by_seed = zip(row.seeds, row.accuracies, strict=True)
    found = [value for result, value in by_seed if result.seed == int(what)]
    return f"{found[0]:.2f}" if found else ""
