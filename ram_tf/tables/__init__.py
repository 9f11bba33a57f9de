"""Tables of results: what the papers print, what we measured, and the difference.

Nothing here imports TensorFlow. `collect` is the way in: it gives `Table`s of
`TableRow`s, each with its printed figures, its Config and a result for every seed.
"""

from ram_tf.tables.catalogue import (
    ExperimentRow,
    ExperimentTable,
    Figure,
    find_experiments,
    read_sources,
    read_tables,
)
from ram_tf.tables.collect import Table, TableRow, collect, collect_row
from ram_tf.tables.seeds import SeedResult, read_seed

__all__ = [
    "ExperimentRow",
    "ExperimentTable",
    "Figure",
    "SeedResult",
    "Table",
    "TableRow",
    "collect",
    "collect_row",
    "find_experiments",
    "read_seed",
    "read_sources",
    "read_tables",
]
