"""How accuracy rises from glimpse to glimpse, in training and on test.

The section says where more glimpses help and where a model overfits.
"""

import statistics
from collections.abc import Sequence

from ram_tf.markdown import table_text
from ram_tf.runs.curves import read_curve
from ram_tf.tables.collect import Table, TableRow
from ram_tf.tables.markdown import LEFT

TITLE = "Accuracy after each glimpse"
EXPLANATION = (
    "Test accuracy in percent when the prediction is made after this glimpse, at the "
    "means of the policy. Where the class is learned after the last glimpse only, the "
    "model was never trained to predict earlier. Training is the accuracy of the last "
    "training steps that were logged, with sampled locations and, where the row has "
    "them, changed images. Where a row has several seeds, all are means."
)
SHOWN = 7  # Glimpses with a column of their own, before that of the last glimpse.


def accuracy_by_glimpse(tables: Sequence[Table]) -> str:
    """Returns the section of docs/reproduction.md, as Markdown: every RAM row."""
    numbers = [str(glimpse) for glimpse in range(1, SHOWN + 1)]
    names = ["Row", "Class learned after", *numbers, "Last", "Training"]
    rows = [names]
    for table in tables:
        for row in table.rows:
            if row.status == "complete" and row.config.model == "ram":
                rows.append(_cells(row))
    return f"### {TITLE}\n\n{EXPLANATION}\n\n{table_text(rows, LEFT)}"


def _cells(row: TableRow) -> list[str]:
    seeds = [result.measures.get("accuracy_by_glimpse") for result in row.seeds]
    earlier = []
    if all(seeds):  # Results may come without them.
        means = [100 * statistics.fmean(each) for each in zip(*seeds, strict=True)]
        earlier = [f"{accuracy:.2f}" for accuracy in means[:-1][:SHOWN]]
    return [
        f"`{row.experiment.name}`",
        f"{row.config.cross_entropy_at} glimpse",
        *earlier,
        *[""] * (SHOWN - len(earlier)),
        f"{row.mean:.2f}",
        _training_accuracy(row),
    ]


def _training_accuracy(row: TableRow) -> str:
    """Returns the last that was logged, in percent; empty when a curve is missing."""
    curves = [read_curve(result.curve) for result in row.seeds]
    if not all(curves):
        return ""
    last = [curve.training_accuracies[-1] for curve in curves if curve]
    return f"{100 * statistics.fmean(last):.2f}"
