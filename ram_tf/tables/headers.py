"""Fills the headers of flagfiles and the tables of README and docs from the results.

The header of a flagfile is its first lines that start with one of `KEYS`; the rest of
the file is written by hand. `make headers` writes them again, and a test fails when one
is out of date.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Mapping, Sequence

from ram_tf.entry_point import entry_point, say
from ram_tf.files import write_atomic
from ram_tf.flags import Arguments
from ram_tf.tables.catalogue import read_sources
from ram_tf.tables.collect import Table, TableRow, collect
from ram_tf.tables.command import EXPERIMENTS_DIR, RESULTS_DIR, require_no_faults
from ram_tf.tables.markdown import (
    NOT_RUN,
    duration_text,
    figure_text,
    ours_text,
    render,
)
from ram_tf.tables.readme import headline, whole, with_tables
from ram_tf.tables.row_figures import with_row_figures

USAGE = """Fills the headers of flagfiles, RESULTS_DIR/tables.md, README and docs.

  python -m ram_tf.tables.headers [--results_dir=results]"""

KEYS = (
    "Paper",
    "Table",
    "Row",
    "Printed",
    "Ours",
    "Pixels",
    "Wall time",
    "Command",
)


def head(table: Table, row: TableRow, sources: Mapping[str, str]) -> list[str]:
    """Returns the lines of the head of a row's flagfile."""
    experiment, pixels = row.experiment, row.pixels
    values = {
        "Paper": _papers(row, sources),
        "Table": table.title,
        "Row": experiment.label,
        "Printed": _printed(row, sources),
        "Ours": _ours(row),
        "Pixels": "known once it ran",
        "Wall time": duration_text(row.wall_seconds) or NOT_RUN,
        "Command": f"make row ROW={experiment.name}",
    }
    if pixels is not None:
        values["Pixels"] = (
            f"{pixels.read_product} = {pixels.read} of {pixels.image_product} = "
            f"{pixels.image} ({pixels.share:.0f} %)"
        )
    return [f"# {key}: {values[key]}" for key in KEYS]


def with_head(text: str, lines: Sequence[str]) -> str:
    """Returns the text of a flagfile with its head replaced."""
    rest = text.splitlines()
    while rest and rest[0].startswith(tuple(f"# {key}: " for key in KEYS)):
        rest.pop(0)
    return "\n".join([*lines, *rest]) + "\n"


def outdated(
    experiments_dir: str | pathlib.Path, results_dir: str | pathlib.Path
) -> dict[pathlib.Path, str]:
    """Returns what has to be written: new texts of flagfiles and pages, by path.

    Raises:
      RamError: when a flagfile or paper.json is wrong, or a page has no place for its
        tables.
    """
    sources = read_sources(experiments_dir)
    tables = [
        dataclasses.replace(table, rows=tuple(map(_without_failures, table.rows)))
        for table in collect(experiments_dir, results_dir)
    ]
    new = {}
    for table in tables:
        for row in table.rows:
            path = row.experiment.flagfile
            old = path.read_text(encoding="utf-8")
            new[path] = with_head(old, head(table, row, sources))
    if any(row.seeds for table in tables for row in table.rows):
        new[pathlib.Path(results_dir) / "tables.md"] = render(tables, sources)
    root = pathlib.Path(experiments_dir).parent
    sections = {"README.md": headline, "docs/reproduction.md": whole}
    for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        if page.exists():
            text = page.read_text(encoding="utf-8")
            if written := sections.get(page.relative_to(root).as_posix()):
                text = with_tables(text, written(tables), page)
            new[page] = with_row_figures(text, tables, page)
    return {
        path: text
        for path, text in new.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }


def _without_failures(row: TableRow) -> TableRow:
    # A failed run matters on the machine that it failed on, not in the repository.
    seeds = tuple(result for result in row.seeds if result.status != "failed")
    return dataclasses.replace(row, seeds=seeds)


def _papers(row: TableRow, sources: Mapping[str, str]) -> str:
    names = dict.fromkeys(figure.source for figure in row.experiment.figures)
    return "; ".join(sources.get(name, name) for name in names) or "none"


def _printed(row: TableRow, sources: Mapping[str, str]) -> str:
    figures = row.experiment.figures
    return "; ".join(figure_text(figure, sources) for figure in figures) or "nothing"


def _ours(row: TableRow) -> str:
    text = ours_text(row)
    if row.status != "complete":
        return text
    seeds = ", ".join(str(result.seed) for result in row.seeds)
    if len(row.seeds) == 1:
        return f"{text} % (seed {seeds})"
    return f"{text} % (mean, standard deviation of {len(row.seeds)} seeds: {seeds})"


def _command(arguments: Arguments) -> None:
    new = outdated(arguments.experiments_dir, arguments.results_dir)
    for path, text in new.items():
        write_atomic(path, text)
        say(f"{path}: filled")
    require_no_faults(collect(arguments.experiments_dir, arguments.results_dir))


main = entry_point(_command, [EXPERIMENTS_DIR, RESULTS_DIR], USAGE)


if __name__ == "__main__":
    sys.exit(main())
