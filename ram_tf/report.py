"""Makes the report, one HTML page of all results.

python -m ram_tf.report --results_dir=results --out_dir=report
"""

import pathlib
import sys

from ram_tf.entry_point import entry_point
from ram_tf.errors import RamError
from ram_tf.files import write_atomic
from ram_tf.flags import Arguments, Setting
from ram_tf.tables.catalogue import read_sources
from ram_tf.tables.collect import Table, collect
from ram_tf.tables.command import (
    EXPERIMENTS_DIR,
    QUICK,
    RESULTS_DIR,
    require_results,
)
from ram_tf.viz.html import render_page

USAGE = """Makes one HTML page of all results. It opens from disk and needs no network.

  python -m ram_tf.report --results_dir=results --out_dir=report

Writes index.html into out_dir."""

SETTINGS = [
    RESULTS_DIR,
    Setting("out_dir", "report", "Folder that index.html is written to."),
    EXPERIMENTS_DIR,
    QUICK,
]


def make_report(
    results_dir: pathlib.Path,
    out_dir: pathlib.Path,
    experiments_dir: pathlib.Path,
    quick: bool = False,
) -> tuple[pathlib.Path, list[Table]]:
    """Reads results and writes the page.

    Args:
      results_dir: with results/<table>/<row>/seed<k>.json, curves and examples.
      out_dir: made when it is missing.
      experiments_dir: flagfiles and paper.json.
      quick: whether the results are of the tiny budget.

    Returns:
      The page's path, and the tables that it shows.

    Raises:
      RamError: when a folder is missing or a file is broken. A result of another
        Config or a failed run is no error: the page says so.
    """
    require_results(results_dir)
    if not (experiments_dir / "paper.json").is_file():
        raise RamError(
            f"--experiments_dir={experiments_dir}: expected a folder with paper.json, "
            "found none"
        )
    tables = collect(experiments_dir, results_dir, quick=quick)
    for table in tables:
        for row in table.rows:
            for result in row.seeds:
                if result.status == "broken":
                    raise RamError(result.reason)
    page = render_page(tables, read_sources(experiments_dir))
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RamError(
            f"--out_dir={out_dir}: expected a folder to write to, found: "
            f"{error.strerror}"
        ) from None
    path = out_dir / "index.html"
    write_atomic(path, page)
    return path, tables


def _command(arguments: Arguments) -> None:
    path, tables = make_report(
        pathlib.Path(arguments.results_dir),
        pathlib.Path(arguments.out_dir),
        pathlib.Path(arguments.experiments_dir),
        arguments.quick,
    )
    rows = [row for table in tables for row in table.rows]
    measured = sum(row.status == "complete" for row in rows)
    print(
        f"{path}: {measured} of the {len(rows)} rows of all tables measured, "
        f"{path.stat().st_size / 1e6:.2f} MB"
    )


main = entry_point(_command, SETTINGS, USAGE)


if __name__ == "__main__":
    sys.exit(main())
