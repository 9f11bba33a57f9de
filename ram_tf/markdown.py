"""Markdown as all pages have it: tables, and what stands between two comments."""

from collections.abc import Container, Iterable

from ram_tf.errors import RamError


def table_text(
    rows: Iterable[Iterable[object]], left: Container[str] | None = None
) -> str:
    """Returns rows of cells as a table, without a new line at its end.

    Args:
      rows: the headings first. A | in a cell is shown as one and ends no cell.
      left: the headings of columns of words. The others, of numbers, stand to the
        right; None: all stand to the left.
    """
    head, *rest = ([str(cell) for cell in row] for row in rows)
    rule = ["---" if left is None or name in left else "---:" for name in head]
    return "\n".join(map(_line, [head, rule, *rest]))


def filled(page: str, begin: str, end: str, new: str, name: object) -> str:
    """Returns a page with what stands between two marks replaced.

    Args:
      page: its text.
      begin: the first mark, a comment; it stays.
      end: the second.
      new: what is to stand between them, with its new lines.
      name: of the page, for the error.

    Raises:
      RamError: when the page does not have both marks, in this order.
    """
    head, found_begin, rest = page.partition(begin)
    _, found_end, tail = rest.partition(end)
    if not (found_begin and found_end):
        raise RamError(f"{name}: expected the marks {begin} and {end}, in this order")
    return f"{head}{begin}{new}{end}{tail}"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
