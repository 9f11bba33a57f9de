"""What a learned policy is worth: its accuracy less that of other glimpses, in points.

A row's partners are found by their settings: rows that differ from it in where they
look, or in what only a learned policy uses. They were trained with the other glimpses.
What the row's own weights reach with them is in its result.
"""

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Any

from ram_tf.config import Config
from ram_tf.markdown import table_text
from ram_tf.tables.collect import Table, TableRow
from ram_tf.tables.markdown import LEFT

TITLE = "What a learned policy is worth"
EXPLANATION = (
    "Every row that learns where to look, beside the same model trained with other "
    "glimpses, and beside its own weights with other glimpses. In brackets: the "
    "learned accuracy minus this one, in points, and half the width of a 95 % "
    "interval. The interval counts only the chance in the test images, not how much "
    "another seed would change. It takes the two accuracies as independent. They are "
    "of the same images, so it is rather too wide. Where a row has several seeds, both "
    "are means. Rows beside which another model was trained come first; an empty cell "
    "was not run."
)
# The heading of a column, and what its row has in place of the learned policy.
TRAINED: dict[str, dict[str, Any]] = {
    "Trained on random locations": {"policy": "random"},
    "Trained on the centre": {"policy": "center"},
    "No policy gradient": {"reinforce_weight": 0.0},
}
# What shapes REINFORCE and nothing else: the baseline stops its input.
_OF_REINFORCE = (
    "policy_gradient_scope",
    "decision_return",
    "reward",
    "discount",
    "baseline",
    "normalize_advantages",
)
# What a model trained on other locations does not use.
_OF_A_LEARNED_POLICY = (
    "location_spread",
    "location_stddev",
    "location_bound",
    "location_input_scale",
    "location_maps",
    "location_hidden_units",
    "reinforce_weight",
)
SAME_WEIGHTS = {
    "Same weights, random locations": "random",
    "Same weights, the centre": "center",
}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Other glimpses than the learned ones.

    Attributes:
      accuracy: with them, in percent.
      gain: the learned accuracy minus this one, in points.
      half: half of the 95 % interval of the gain.
    """

    accuracy: float
    gain: float
    half: float


@dataclasses.dataclass(frozen=True)
class PolicyWorth:
    """What the policy of a row is worth.

    Attributes:
      row: it learns where to look.
      others: by the headings of TRAINED and SAME_WEIGHTS; None where nothing was run.
    """

    row: TableRow
    others: dict[str, Comparison | None]


def worth_of(tables: Sequence[Table]) -> list[PolicyWorth]:
    """Compares every row with a result that learns where to look.

    Rows beside which another was trained come first, else in their order.
    """
    rows = [row for table in tables for row in table.rows]
    by_key = {_key(row.config): row for row in rows}
    found = []
    for row in rows:
        if row.mean is None or row.config.model != "ram" or not _learns(row):
            continue
        accuracies: dict[str, float | None] = {}
        for heading, changes in TRAINED.items():
            partner = by_key.get(_key(dataclasses.replace(row.config, **changes)))
            accuracies[heading] = None if partner is None else partner.mean
        for heading, policy in SAME_WEIGHTS.items():
            accuracies[heading] = _with_policy(row, policy)
        others = {name: _compare(row, other) for name, other in accuracies.items()}
        found.append(PolicyWorth(row, others))
    return sorted(found, key=lambda worth: not any(map(worth.others.get, TRAINED)))


def policy_worth(tables: Sequence[Table]) -> str:
    """Returns the section of docs/reproduction.md, as Markdown."""
    names = ["Row", "Learned %", *TRAINED, *SAME_WEIGHTS]
    rows = [names]
    for found in worth_of(tables):
        cells = [f"`{found.row.experiment.name}`", f"{found.row.mean:.2f}"]
        cells += [
            f"{other.accuracy:.2f} ({other.gain:+.2f} ± {other.half:.2f})"
            if other
            else ""
            for other in found.others.values()
        ]
        rows.append(cells)
    return f"### {TITLE}\n\n{EXPLANATION}\n\n{table_text(rows, LEFT)}"


def half_width(first: float, second: float, count: int) -> float:
    """Returns half of a 95 % interval of a difference of two accuracies, in points.

    Args:
      first: an accuracy in percent.
      second: another, of as many images.
      count: images of each.
    """
    variance = sum(share * (100 - share) for share in (first, second)) / count
    return 1.96 * math.sqrt(variance)


def _key(config: Config) -> str:
    """Returns the same for settings of which a training makes the same use."""
    unused: tuple[str, ...] = ()
    if config.policy != "learned":
        unused = _OF_REINFORCE + _OF_A_LEARNED_POLICY
        if config.policy == "center":
            unused += ("initial_location",)
    elif not config.reinforce_weight:
        unused = _OF_REINFORCE
    default = Config()
    return dataclasses.replace(
        config, **{name: getattr(default, name) for name in unused}
    ).digest()


def _learns(row: TableRow) -> bool:
    return row.config.policy == "learned" and row.config.reinforce_weight > 0


def _with_policy(row: TableRow, policy: str) -> float | None:
    """Returns the mean accuracy of the row's weights with a policy, in percent."""
    found = [
        result.results["evaluation"]["policies"].get(policy) for result in row.seeds
    ]
    if not all(found):
        return None
    return 100 * statistics.fmean(each["accuracy"] for each in found)


def _compare(row: TableRow, other: float | None) -> Comparison | None:
    if other is None or row.mean is None:
        return None
    count = row.seeds[0].measures["num_images"]
    return Comparison(other, row.mean - other, half_width(row.mean, other, count))
