"""The experiments: which tables and rows there are, and what was printed for them.

A row is a flagfile, experiments/<table>/<row>.cfg. Flagfiles that several rows include
are in experiments/shared. paper.json gives the titles of tables, the order of rows and
the printed figures.
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.files import read_json
from ram_tf.flags import SHARED, config_settings, parse

# The tiny budget of QUICK=1: all rows run in minutes; their accuracies mean nothing.
QUICK_FLAGS = (
    "--train_steps=200",
    "--eval_every=200",
    "--checkpoint_every=200",
    "--eval_rollouts=1",
)


@dataclasses.dataclass(frozen=True)
class Figure:
    """What a publication says about a row.

    Attributes:
      source: the publication, a key of paper.json's sources.
      where: its table or section; may be empty.
      printed: as printed: "93.79 %", "1.12 % error", "did not learn".
      accuracy: in percent; None when no number was given.
      from_memory: whether it was written down without the publication at hand.
    """

    source: str
    where: str
    printed: str
    accuracy: float | None
    from_memory: bool = False


@dataclasses.dataclass(frozen=True)
class ExperimentRow:
    """One row of a table: a flagfile and the figures that it is compared with.

    Attributes:
      table: name of the table, the flagfile's folder.
      row: name of the row, the flagfile's name without .cfg.
      flagfile: the flagfile.
      label: the row as its table calls it; `row` when paper.json has none.
      figures: printed figures; the first is the one to compare with.
    """

    table: str
    row: str
    flagfile: pathlib.Path
    label: str
    figures: tuple[Figure, ...]

    @property
    def name(self) -> str:
        """Table and row: "table1/fc"."""
        return f"{self.table}/{self.row}"

    def flags(self, seed: int, quick: bool = False) -> list[str]:
        """Returns the flags of a run of this row, run_dir and data_dir left out."""
        # With another budget it would not be called after its row.
        budget = [*QUICK_FLAGS, f"--experiment={self.name}"] if quick else []
        return [f"--flagfile={self.flagfile}", *budget, f"--seed={seed}"]

    def config(self, seed: int = 0, quick: bool = False) -> Config:
        """Returns the Config of a run of this row.

        Raises:
          RamError: when a flagfile is wrong.
        """
        config = parse(config_settings(), self.flags(seed, quick)).config()
        return dataclasses.replace(config, experiment=self.name)


@dataclasses.dataclass(frozen=True)
class ExperimentTable:
    """One table.

    Attributes:
      table: its name, a folder of experiments/.
      title: its headline.
      experiments: its rows in the order of paper.json, then the others by name.
    """

    table: str
    title: str
    experiments: tuple[ExperimentRow, ...]


def read_sources(folder: str | pathlib.Path) -> dict[str, str]:
    """Returns the publications of paper.json by key.

    Raises:
      RamError: when paper.json is broken.
    """
    sources: dict[str, str] = _read_paper(pathlib.Path(folder))["sources"]
    return sources


def read_tables(
    folder: str | pathlib.Path, names: Sequence[str] = ()
) -> list[ExperimentTable]:
    """Reads which tables and rows there are.

    Args:
      folder: experiments/.
      names: tables to keep, in this order; none keeps all.

    Raises:
      RamError: when paper.json is broken, or a table does not exist.
    """
    root = pathlib.Path(folder)
    printed = _read_paper(root)["tables"]
    present = {path.parent.name for path in root.glob("*/*.cfg")} - {SHARED}
    order = [name for name in printed if name in present]
    order += sorted(present - set(order))
    for name in names:
        if name not in present:
            raise RamError(
                f"--tables={name}: expected some of {', '.join(order)}, found none of "
                f"that name in {root}"
            )
    return [_read_table(root, printed, name) for name in names or order]


def find_experiments(
    folder: str | pathlib.Path, names: Iterable[str]
) -> list[ExperimentRow]:
    """Returns the rows of these names, "table1/fc", in this order.

    Raises:
      RamError: when one does not exist.
    """
    known = {
        experiment.name: experiment
        for table in read_tables(folder)
        for experiment in table.experiments
    }
    found = []
    for name in names:
        if name not in known:
            raise RamError(
                f"--experiments={name}: expected a flagfile "
                f"{pathlib.Path(folder) / name}.cfg, found none"
            )
        found.append(known[name])
    return found


def _read_paper(root: pathlib.Path) -> dict[str, Any]:
    path = root / "paper.json"
    paper = read_json(path)
    keys = ("sources", "tables")
    if not isinstance(paper, dict) or not all(
        isinstance(paper.get(key), dict) for key in keys
    ):
        raise RamError(f"{path}: expected the objects sources and tables")
    return paper


def _read_table(
    root: pathlib.Path, printed: dict[str, Any], name: str
) -> ExperimentTable:
    files = {path.stem: path for path in sorted((root / name).glob("*.cfg"))}
    try:
        entry = printed.get(name, {})
        rows = entry.get("rows", {})
        order = [row for row in rows if row in files]
        order += [row for row in files if row not in rows]
        experiments = [
            ExperimentRow(
                name,
                row,
                files[row],
                rows.get(row, {}).get("label", row),
                tuple(_figures(printed, name, row)),
            )
            for row in order
        ]
    # RuntimeError: a row that is "as" itself, or as one without a figure.
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise RamError(
            f"{root / 'paper.json'}: expected a table {name} like the others, found "
            f"{type(error).__name__} {error}"
        ) from None
    return ExperimentTable(name, entry.get("title", name), tuple(experiments))


def _figures(printed: dict[str, Any], table: str, row: str) -> Iterable[Figure]:
    entry = printed.get(table, {})
    for figure in entry.get("rows", {}).get(row, {}).get("figures", []):
        if "as" in figure:  # The headline of another row.
            yield next(iter(_figures(printed, *figure["as"].split("/"))))
            continue
        accuracy, text = figure.get("accuracy"), figure.get("text", "")
        if accuracy is not None:
            text = f"{accuracy:g} %"
        elif "error" in figure:
            accuracy = round(100 - figure["error"], 4)
            text = f"{figure['error']:g} % error"
        # The table's `where` is a place in the table's own source.
        where = "" if "source" in figure else entry.get("where", "")
        yield Figure(
            figure.get("source", entry.get("source", "")),
            figure.get("where", where),
            text,
            accuracy,
            figure.get("from_memory", False),
        )
