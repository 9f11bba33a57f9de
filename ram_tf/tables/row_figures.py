"""Figures of rows in a page that is otherwise written by hand.

A comment that says what it is stands before each, as in
`<!--best/mnist_7g-->99.25 %`, and `make headers` fills it from the results: no figure
of a row is typed by hand. A figure keeps its number of decimals. No line begins with
such a comment: in Markdown that ends the paragraph. In a comment stands

- the name of a row: its test accuracy in percent, the mean of its seeds. As the whole
  cell of a table it comes with the deviation, or says that the row was not run yet;
- a row and what of it: `<!--table1/fc:2-->` is that of seed 2 (an empty cell where the
  row has none), `<!--table1/fc:printed-->` what was printed for it. `row_values`
  lists what else there is; `<!--table1/fc:2:training-->` is one of these, of seed 2;
- the difference of two of these, in points: `<!--table1/ram - table1/fc:2-->`. Written
  without a sign it must not be negative, as the sentence around it would be wrong;
- before any of these, a word of `row_values`, as `least` for the worst seed.
"""

import re
from collections.abc import Mapping, Sequence

from ram_tf.errors import RamError
from ram_tf.tables.collect import Table, TableRow
from ram_tf.tables.markdown import ours_text
from ram_tf.tables.row_values import of_difference, of_row, of_seeds

_TERM = r"\w+/\w+(?::\d+)?(?::\w+)?"
_CELL = re.compile(
    r"(?P<mark>\| *<!--(?P<row>\w+/\w+)(?::(?P<what>\d+|seeds))?-->)"
    r"(?P<stars>\**)[^|*\n]*?(?P=stars)(?= *\|)"
)
_MARK = re.compile(r"<!--\w[^>]*/[^>]*-->")
_NUMBER = re.compile(
    rf"(?P<mark><!--(?:(?P<word>\w+) )?(?P<term>{_TERM})(?: - (?P<less>{_TERM}))?-->)"
    r"(?P<stars>\**)(?P<sign>[+-]?)\d+(?:\.(?P<decimals>\d+))?"
)


def with_row_figures(page: str, tables: Sequence[Table], name: object) -> str:
    """Returns the text of a page with the figures of its rows filled.

    Args:
      page: its text.
      tables: what was measured.
      name: of the page, for the error.

    Raises:
      RamError: when a comment names no row, or nothing that it has, or no figure is
        behind it, or the sign of a difference has changed.
    """
    rows = {row.experiment.name: row for table in tables for row in table.rows}

    def fill_cell(cell: re.Match[str]) -> str:
        row = _row(rows, cell["row"], cell["mark"].lstrip("| "), name)
        text = _cell_text(row, cell["what"])
        stars = cell["stars"] if text else ""
        return f"{cell['mark']}{stars}{text}{stars}"

    def fill_number(found: re.Match[str]) -> str:
        try:
            value = _value(rows, found, name)
        except RamError:
            raise
        except (KeyError, IndexError, ValueError):  # Also of no values at all.
            raise RamError(
                f"{name}: expected a figure for {found['mark']}, found none"
            ) from None
        sign = found["sign"]
        if found["less"] and not sign and value < 0:
            raise RamError(
                f"{name}: {found['mark']}: expected a difference that is not negative, "
                f"found {value:.2f}; mend the sentence"
            )
        decimals = len(found["decimals"] or "")
        text = f"{value:{'+' if sign else ''}.{decimals}f}"
        return f"{found['mark']}{found['stars']}{text}"

    _require_known(page, name)
    return _NUMBER.sub(fill_number, _CELL.sub(fill_cell, page))


def _require_known(page: str, name: object) -> None:
    """Raises RamError for a mark that would be passed over: misspelt, or no figure."""
    known = {
        found.end("mark")
        for pattern in (_CELL, _NUMBER)
        for found in pattern.finditer(page)
    }
    for mark in _MARK.finditer(page):
        if mark.end() not in known:
            raise RamError(
                f"{name}: expected a row and a figure behind it, as "
                f"<!--table1/fc-->95.47, found {mark[0]}"
            )


def _row(rows: Mapping[str, TableRow], key: str, mark: str, name: object) -> TableRow:
    if key not in rows:
        raise RamError(f"{name}: expected a row in {mark}, found none")
    return rows[key]


def _cell_text(row: TableRow, what: str | None) -> str:
    if what is None:
        return ours_text(row)
    if row.status != "complete":
        return ""
    if what == "seeds":
        return str(len(row.seeds))
    found = of_seeds(row, what)
    return f"{found[0]:.2f}" if found else ""


def _value(rows: Mapping[str, TableRow], mark: re.Match[str], name: object) -> float:
    def parts(term: str) -> tuple[TableRow, str]:
        key, _, what = term.partition(":")
        return _row(rows, key, mark["mark"], name), what

    if mark["less"]:
        return of_difference(parts(mark["term"]), parts(mark["less"]), mark["word"])
    return of_row(*parts(mark["term"]), mark["word"])
