"""The tables of results in the README and in docs/reproduction.md.

`make headers` fills both between two comments. All columns of all tables are in
results/tables.md.
"""

from collections.abc import Sequence

from ram_tf.markdown import filled, table_text
from ram_tf.tables.accuracy_by_glimpse import accuracy_by_glimpse
from ram_tf.tables.collect import Table, TableRow
from ram_tf.tables.markdown import LEFT, cells, headings, ours_text
from ram_tf.tables.policy_worth import TRAINED, policy_worth, worth_of

BEGIN, END = "<!-- tables:begin -->", "<!-- tables:end -->"

# The rows of the README: one of each kind, those below the printed figure among them,
# and of cluttered MNIST our long run too, of one seed.
HEADLINE = (
    "table1/ram_8g_1s",
    "table2/ram_8g_3s",
    "table3/ram_8g_3s",
    "table4/ram_8g_3s",
    "table5/conv",
    "table5/ram_inception_8g",
    "best/cluttered60_8g",
    "best/cluttered60_8g_long",
    "best/cifar10_4g_spread",
)
# The rows of the README's sentence on policies, and what it calls their images.
WORTH = {
    "best/mnist_7g": "MNIST",
    "best/translated_8g": "translated MNIST",
    "best/cluttered60_8g": "cluttered MNIST, 60x60",
    "best/cluttered100_8g": "100x100",
    "best/fashion_mnist_8g": "Fashion-MNIST",
    "best/translated_cifar10_8g": "translated CIFAR-10",
    "best/cifar10_4g": "CIFAR-10 with four glimpses of 8x8",
    "best/cifar10_inception_8g": "with Inception and ConvLSTM",
}
HEADLINE_COLUMNS = ("Images", "Model", "Printed %", "Ours %", "Std. dev.", "Seeds")
COLUMNS = ("Model", "Printed %", "Ours %", "Difference", "Seeds", "Wall time")


def headline(tables: Sequence[Table]) -> str:
    """Returns the README's table, the rows of HEADLINE, and what policies are worth."""
    rows = {row.experiment.name: (table, row) for table in tables for row in table.rows}
    shown = [_headline_row(*rows[name]) for name in HEADLINE if name in rows]
    text = table_text([HEADLINE_COLUMNS, *shown], LEFT)
    return "\n".join([text, *_policy_sentence(tables)])


def whole(tables: Sequence[Table]) -> str:
    """Returns every table and the two comparisons, each under its heading."""
    parts = [_whole_table(table) for table in tables]
    return "\n\n".join([*parts, policy_worth(tables), accuracy_by_glimpse(tables)])


def _policy_sentence(tables: Sequence[Table]) -> list[str]:
    worths = {worth.row.experiment.name: worth for worth in worth_of(tables)}
    against = next(iter(TRAINED))
    gains = [
        f"{images} {other.gain:+.1f} ± {other.half:.1f}"
        for name, images in WORTH.items()
        if name in worths and (other := worths[name].others[against])
    ]
    if not gains:
        return []
    return [
        "",
        "What a learned policy is worth in our recipes without a spread of locations "
        "before training: test accuracy minus that of the same model trained on random "
        "locations, in points (± half the width of the 95 % interval "
        "from the test sample): "
        f"{'; '.join(gains)}.",
    ]


def _headline_row(table: Table, row: TableRow) -> list[str]:
    found = cells(row)
    ours = ours_text(row) if row.mean is None else f"{row.mean:.2f}"
    stddev = "" if row.stddev is None else f"{row.stddev:.2f}"
    # "Table 1: MNIST, 28x28" says the images behind the colon, "Our recipes" nothing.
    _, _, images = table.title.partition(": ")
    model = found["Model"]
    if not images:
        images, _, model = model.partition(": ")
        model = f"{table.title}: {model}"
    printed = found["Printed %"]
    if row.figure and row.figure.source not in ("", "paper"):
        printed += f" ({row.figure.where.partition(',')[0]})"
    return [images, model, printed, ours, stddev, found["Seeds"] or "none"]


def _whole_table(table: Table) -> str:
    rows = [map(cells(row).__getitem__, COLUMNS) for row in table.rows]
    text = table_text([headings(table, COLUMNS), *rows], LEFT)
    return f"### {table.title}\n\n{text}"


def with_tables(page: str, tables: str, name: object) -> str:
    """Returns the text of a page with `tables` between its two comments.

    Raises:
      RamError: when it lacks them; the message begins with `name`.
    """
    return filled(page, BEGIN, END, f"\n{tables}\n", name)
