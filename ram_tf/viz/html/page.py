"""The page: what was collected, through the templates, to one HTML text.

The page loads nothing: style, script and data stand inside it, and its content policy
forbids the rest.
"""

import dataclasses
import importlib.resources
from collections.abc import Sequence
from typing import Any

from ram_tf.errors import RamError
from ram_tf.runs.examples import read_examples
from ram_tf.tables.collect import Table, TableRow
from ram_tf.tables.policy_worth import SAME_WEIGHTS, TRAINED, worth_of
from ram_tf.viz.html.details import POLICY_NAMES, Detail, view_detail
from ram_tf.viz.html.glimpses import view_glimpses, view_stopping
from ram_tf.viz.html.packing import PathStore
from ram_tf.viz.html.rows import TableView, row_key, view_table
from ram_tf.viz.html.text import FILTERS

_TEMPLATES = importlib.resources.files("ram_tf.viz.html") / "templates"
# The tables of the paper that this package reproduces.
_PAPER_TABLES = ("table1", "table2", "table3", "table4", "table5", "text")


@dataclasses.dataclass(frozen=True)
class Headline:
    """A table in a line: its best RAM by print, and the same row by us.

    Attributes:
      table: the table.
      row: the row.
    """

    table: Table
    row: TableRow


def render_page(tables: Sequence[Table], sources: dict[str, str]) -> str:
    """Renders the report.

    Args:
      tables: what was collected.
      sources: the publications by key.

    Returns:
      HTML, the same for the same results.

    Raises:
      RamError: when jinja2 is not installed, or a curve or an example file is broken.
    """
    views = [view_table(table, sources) for table in tables]
    store = PathStore()
    details = []
    for table in tables:
        for row in table.rows:
            if row.status == "complete":
                details.append(view_detail(table, row))
                _store_paths(store, row)
    by_key = {detail.key: detail for detail in details}
    return _render(
        "page.html",
        tables=views,
        sources=sources,
        headlines=_headlines(tables),
        num_measured=sum(view.num_measured for view in _of_paper(views)),
        num_rows=sum(len(view.rows) for view in _of_paper(views)),
        details=details,
        by_table=_by_table(details),
        first=_first_shown(details, store),
        paths=store.paths,
        glimpses=view_glimpses(details),
        stopping=view_stopping(_by_table(details)),
        worths=[(worth, by_key[row_key(worth.row)]) for worth in worth_of(tables)],
        comparisons=[*TRAINED, *SAME_WEIGHTS],
        data=store.to_json(),
        splits=_splits(details),
        versions=_versions(details),
        quick=any(table.quick for table in tables),
        policy_names=POLICY_NAMES,
    )


def _render(name: str, **values: Any) -> str:
    try:
        import jinja2
        import markupsafe
    except ImportError:
        raise RamError(
            "jinja2 is not installed: pip install 'ram-tf[report]'"
        ) from None

    def load(template: str) -> str:
        return (_TEMPLATES / template).read_text(encoding="utf-8")

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(load),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(FILTERS)
    # Style and script go in as they are; their text is ours.
    environment.globals["source"] = lambda path: markupsafe.Markup(load(path))
    environment.filters["trusted"] = markupsafe.Markup
    return environment.get_template(name).render(**values)


def _of_paper(views: Sequence[TableView]) -> list[TableView]:
    return [view for view in views if view.table.table in _PAPER_TABLES]


def _headlines(tables: Sequence[Table]) -> list[Headline]:
    """Picks the best RAM of each table by its printed figure."""
    found = []
    for table in tables:
        rows = [
            row
            for row in table.rows
            if row.config.model == "ram" and row.figure and row.figure.accuracy
        ]
        if rows and table.table in _PAPER_TABLES:
            best = max(rows, key=lambda row: (row.figure and row.figure.accuracy) or 0)
            found.append(Headline(table, best))
    return found


def _store_paths(store: PathStore, row: TableRow) -> None:
    path = row.seeds[0].examples
    if row.config.model == "ram" and path.exists():
        store.add(row_key(row), row.config, read_examples(path))


def _by_table(details: Sequence[Detail]) -> dict[str, list[Detail]]:
    groups: dict[str, list[Detail]] = {}
    for detail in details:
        groups.setdefault(detail.title, []).append(detail)
    return groups


def _first_shown(details: Sequence[Detail], store: PathStore) -> str:
    """Chooses the row that the page opens with: a good one, of several glimpses."""

    def worth(detail: Detail) -> tuple[bool, bool, float]:
        several = detail.row.config.num_glimpses >= 4
        return detail.key in store.paths, several, detail.row.mean or 0.0

    return max(details, key=worth).key if details else ""


def _splits(details: Sequence[Detail]) -> dict[str, dict[str, str]]:
    """Returns how each data set was cut into training, validation and test."""
    found = {}
    for detail in details:
        description = detail.result.results.get("split_description")
        if isinstance(description, dict):
            found[detail.row.config.dataset] = description
    return dict(sorted(found.items()))


def _versions(details: Sequence[Detail]) -> list[str]:
    found: dict[str, set[str]] = {}
    for detail in details:
        for name, version in (detail.result.results.get("versions") or {}).items():
            found.setdefault(name, set()).add(str(version))
    return [f"{name} {', '.join(sorted(found[name]))}" for name in sorted(found)]
