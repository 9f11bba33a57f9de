"""What was measured: results on disk, checked against the flagfiles, row by row.

A result is current when its file exists and its config_digest equals that of the
flagfile's Config with its seed. Times of files do not count. A row with a faulty seed
has no mean.
"""

import dataclasses
import pathlib
import re
import statistics
from collections.abc import Sequence
from typing import Any, Literal

from ram_tf.config import Config
from ram_tf.evaluation.metrics import wilson_interval
from ram_tf.evaluation.pixel_budget import PixelBudget, known_image_shape
from ram_tf.tables.catalogue import ExperimentRow, Figure, read_tables
from ram_tf.tables.seeds import SeedResult, read_seed

ABLATION = "ablation"
_UNCHANGED = "none"  # Ends the name of the row that an ablation compares with.


@dataclasses.dataclass(frozen=True)
class TableRow:
    """One row of a table, measured or not. Accuracies are in percent.

    Attributes:
      experiment: its name, label, flagfile and printed figures.
      config: its Config, with seed 0.
      seeds: a result for every seed asked for; empty when the row was not run yet.
      unchanged: in an ablation, the row without a fault; None there and elsewhere.
    """

    experiment: ExperimentRow
    config: Config
    seeds: tuple[SeedResult, ...]
    unchanged: "TableRow | None" = None

    @property
    def status(self) -> Literal["not run", "complete", "faulty"]:
        """Only a complete row has a mean, a difference and the like."""
        if not self.seeds:
            return "not run"
        current = all(result.status == "current" for result in self.seeds)
        return "complete" if current else "faulty"

    @property
    def figure(self) -> Figure | None:
        """The printed figure to compare with."""
        return self.experiment.figures[0] if self.experiment.figures else None

    @property
    def accuracies(self) -> list[float]:
        """Test accuracy of each seed; empty unless complete."""
        return [100 * accuracy for accuracy in self._values("test_accuracy")]

    @property
    def mean(self) -> float | None:
        """Mean test accuracy over the seeds."""
        return statistics.fmean(self.accuracies) if self.accuracies else None

    @property
    def stddev(self) -> float | None:
        """Standard deviation of the seeds (n - 1); None for fewer than two."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else None

    @property
    def compared(self) -> float | None:
        """What ours is compared with: printed, or the unchanged row of an ablation."""
        if self.unchanged is not None:
            return self.unchanged.mean
        return self.figure.accuracy if self.figure else None

    @property
    def difference(self) -> float | None:
        """Ours less `compared`, in points."""
        if self.mean is None or self.compared is None:
            return None
        return self.mean - self.compared

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson 95 % interval of the mean, as of one accuracy on the test images."""
        if self.mean is None:
            return None
        count = self.seeds[0].measures["num_images"]
        low, high = wilson_interval(self.mean / 100, count)
        return 100 * low, 100 * high

    @property
    def num_parameters(self) -> int | None:
        """Parameters of the model."""
        return next(iter(self._values("num_parameters")), None)

    @property
    def wall_seconds(self) -> float | None:
        """Mean seconds of training."""
        seconds = self._values("wall_seconds")
        return statistics.fmean(seconds) if seconds else None

    @property
    def pixels(self) -> PixelBudget | None:
        """Pixels read against pixels of the image."""
        shape = known_image_shape(self.config)
        if self.status == "complete":
            height, width, channels = self.seeds[0].results["image_shape"]
            shape = height, width, channels
        return None if shape is None else PixelBudget.of(self.config, shape)

    @property
    def faults(self) -> list[str]:
        """A line for each seed that is not current: "table1/fc seed 1: missing"."""
        return [
            f"{self.experiment.name} seed {result.seed}: {result.reason}"
            for result in self.seeds
            if result.status != "current"
        ]

    def _values(self, key: str) -> list[Any]:
        if self.status != "complete":
            return []
        return [result.results[key] for result in self.seeds]


@dataclasses.dataclass(frozen=True)
class Table:
    """One table, measured as far as it is.

    Attributes:
      table: its name, "table1".
      title: its headline.
      rows: its rows.
      quick: whether the results are of QUICK=1's tiny budget, which mean nothing.
    """

    table: str
    title: str
    rows: tuple[TableRow, ...]
    quick: bool = False

    @property
    def is_ablation(self) -> bool:
        """Whether its rows are compared with each other, not with print."""
        return self.table == ABLATION

    @property
    def faults(self) -> list[str]:
        """The faults of all rows."""
        return [fault for row in self.rows for fault in row.faults]


def collect(
    experiments_dir: str | pathlib.Path,
    results_dir: str | pathlib.Path,
    *,
    tables: Sequence[str] = (),
    seeds: Sequence[int] = (),
    quick: bool = False,
) -> list[Table]:
    """Reads tables with what was measured for them.

    Args:
      experiments_dir: experiments/.
      results_dir: results/; need not exist.
      tables: names, in this order; none is all.
      seeds: the seeds that a row must have once it has any; empty: those it has.
      quick: expect results of QUICK=1's budget.

    Raises:
      RamError: when a table does not exist or a flagfile is wrong. A faulty result
        is not an error here: `Table.faults` names it.
    """
    return [
        Table(
            table.table,
            table.title,
            _with_unchanged(
                table.table,
                [
                    collect_row(experiment, results_dir, seeds=seeds, quick=quick)
                    for experiment in table.experiments
                ],
            ),
            quick,
        )
        for table in read_tables(experiments_dir, tables)
    ]


def _with_unchanged(table: str, rows: Sequence[TableRow]) -> tuple[TableRow, ...]:
    """Gives each row of an ablation the one of its data that has no fault."""
    if table != ABLATION:
        return tuple(rows)
    unchanged = {
        row.experiment.row.removesuffix(_UNCHANGED): row
        for row in rows
        if row.experiment.row.endswith(f"_{_UNCHANGED}")
    }

    def completed(row: TableRow) -> TableRow:
        group = row.experiment.row.partition("_")[0] + "_"
        other = unchanged.get(group)
        return row if other is row else dataclasses.replace(row, unchanged=other)

    return tuple(map(completed, rows))


def collect_row(
    experiment: ExperimentRow,
    results_dir: str | pathlib.Path,
    *,
    seeds: Sequence[int] = (),
    quick: bool = False,
) -> TableRow:
    """Reads one row, with the arguments of `collect`."""
    folder = pathlib.Path(results_dir) / experiment.name
    present = {
        int(match[1])
        for path in folder.glob("seed*")
        if (match := re.fullmatch(r"seed(\d+)\.(json|failed)", path.name))
    }
    wanted = (seeds or sorted(present)) if present else ()
    results = [read_seed(experiment, results_dir, seed, quick) for seed in wanted]
    return TableRow(experiment, experiment.config(quick=quick), tuple(results))
