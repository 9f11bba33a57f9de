"""What the page says of one measured row: facts, policies, confusion of classes."""

import dataclasses
import math
from typing import Any

from ram_tf.tables.collect import Table, TableRow
from ram_tf.tables.seeds import SeedResult
from ram_tf.viz.html.charts import Chart, glimpse_chart
from ram_tf.viz.html.rows import row_key, shown_interval

# Pairs that the paper discusses (section 6.5).
_DISCUSSED = (("automobile", "truck"), ("cat", "dog"))
_LARGEST_MATRIX = 20  # Classes; more would be no table that one reads.
_NUM_PAIRS = 3

POLICY_NAMES = {
    "learned": "learned",
    "random": "random",
    "center": "centre",
    "whole_image": "whole image",
}


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of a confusion matrix: images, and the depth of its colour in [0, 1]."""

    count: int
    shade: float


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two classes taken for each other.

    Attributes:
      first, second: their names.
      forth: images of the first taken for the second.
      back: the other way.
      share: of all errors, in percent.
    """

    first: str
    second: str
    forth: int
    back: int
    share: float


@dataclasses.dataclass(frozen=True)
class Confusion:
    """A confusion matrix; rows are true classes.

    Attributes:
      class_names: the N classes.
      cells: [N][N]; empty when there are too many classes for a table.
      discussed: the pairs that the paper discusses, when the data have them.
      worst: the pairs most often confused.
    """

    class_names: list[str]
    cells: list[list[Cell]]
    discussed: list[Pair]
    worst: list[Pair]

    def is_discussed(self, i: int, j: int) -> bool:
        """Whether a cell is of a pair that the paper discusses."""
        names = {self.class_names[i], self.class_names[j]}
        return any(names == {pair.first, pair.second} for pair in self.discussed)


@dataclasses.dataclass(frozen=True)
class Detail:
    """All that the page says of one row.

    Attributes:
      key: names the row in the page.
      title: of its table.
      row: the row.
      result: the seed that pictures, paths and matrix are of: the first.
      operations: of the forward products for one image.
      policies: accuracy and so on of each policy, its own first.
      by_glimpse: the chart of accuracy after each glimpse.
      confusion: who is taken for whom.
    """

    key: str
    title: str
    row: TableRow
    result: SeedResult
    operations: int | None
    policies: dict[str, dict[str, Any]]
    by_glimpse: Chart | None
    confusion: Confusion | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval to show with its accuracy."""
        return shown_interval(self.row)

    @property
    def is_ram(self) -> bool:
        """Whether the row looks through glimpses."""
        return self.row.config.model == "ram"


def view_detail(table: Table, row: TableRow) -> Detail:
    """Works out what the page says of a row.

    Args:
      table: its table.
      row: a complete row.
    """
    result = row.seeds[0]
    evaluation = result.results["evaluation"]
    own = evaluation["policy"]
    policies = evaluation["policies"]
    order = [own, *(name for name in policies if name != own)]
    series = [
        (POLICY_NAMES.get(name, name), policies[name]["accuracy_by_glimpse"])
        for name in order
        if policies[name].get("accuracy_by_glimpse")
    ]
    matrix = result.measures.get("confusion_matrix")
    names = evaluation.get("class_names")
    confusion = None
    if matrix and names and len(names) == len(matrix):
        confusion = view_confusion(names, matrix)
    return Detail(
        row_key(row),
        table.title,
        row,
        result,
        result.results.get("flops_per_image"),
        {POLICY_NAMES.get(name, name): policies[name] for name in order},
        glimpse_chart(series),
        confusion,
    )


def view_confusion(names: list[str], matrix: list[list[int]]) -> Confusion:
    """Shades a confusion matrix and finds the pairs that it confuses.

    Args:
      names: the N classes.
      matrix: images by true class, then predicted class.
    """
    count = len(names)
    errors = sum(sum(row) - row[i] for i, row in enumerate(matrix)) or 1
    pairs = {
        (i, j): Pair(
            names[i],
            names[j],
            matrix[i][j],
            matrix[j][i],
            100 * (matrix[i][j] + matrix[j][i]) / errors,
        )
        for i in range(count)
        for j in range(i + 1, count)
    }
    discussed = [
        pairs[min(i, j), max(i, j)]
        for first, second in _DISCUSSED
        if first in names and second in names
        for i, j in [(names.index(first), names.index(second))]
    ]
    worst = sorted(
        (pair for pair in pairs.values() if pair.forth + pair.back),
        key=lambda pair: -(pair.forth + pair.back),
    )[:_NUM_PAIRS]
    cells = []
    if count <= _LARGEST_MATRIX:
        for row in matrix:
            total = sum(row) or 1
            # By the square root, or a few images in a hundred would not be seen.
            cells.append([Cell(n, round(math.sqrt(n / total), 2)) for n in row])
    return Confusion(list(names), cells, discussed, worst)
