"""Writes measured figures into the docs: python -m ram_tf.benchmarks.page.

From the lines of `python -m ram_tf.benchmark --suite=all --json`, so that no figure is
typed by hand. What compares several of them is computed anew.
"""

import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from ram_tf.benchmarks.comparisons import compare
from ram_tf.benchmarks.tables import insert, markdown
from ram_tf.errors import RamError
from ram_tf.files import write_atomic
from ram_tf.flags import Arguments, Setting, run_command

USAGE = """Writes the figures of a benchmark run into a Markdown page, and their plot.

  python -m ram_tf.benchmark --suite=all --json > docs/performance/mine.jsonl
  python -m ram_tf.benchmarks.page

Every .jsonl file of the folder is a run of the suite, under its own name. Replaces what
stands between the page's two marks and leaves the rest alone."""

SETTINGS = [
    Setting("runs_dir", "docs/performance", "Folder of what benchmark --json printed."),
    Setting("page", "docs/performance.md", "The page to write into."),
    Setting(
        "figure",
        "docs/image_size.png",
        "The plot of time against side, of the last run by name; empty: none.",
    ),
]


def read_runs(folder: pathlib.Path) -> dict[str, list[dict[str, Any]]]:
    """Reads the runs of a folder, sorted by name; comparisons are made anew.

    Raises:
      RamError: when there is none, or one is not of such lines.
    """
    runs = {}
    for path in sorted(folder.glob("*.jsonl")):
        # A part of the suite that was measured again compares that part alone.
        lines = [line for line in read_lines(path) if line["measure"] != "comparison"]
        runs[path.stem] = [*lines, *compare(lines)]
    if not runs:
        raise RamError(
            f"--runs_dir={folder}: expected *.jsonl of ram_tf.benchmark, found none"
        )
    return runs


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """Reads what the benchmark printed.

    Raises:
      RamError: when the file is missing, or is not of such lines.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise RamError(
            f"{path}: expected output of ram_tf.benchmark, found: {reason}"
        ) from None
    lines = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict) or "measure" not in value:
            raise RamError(
                f"{path}:{number}: expected a line of ram_tf.benchmark --json, found "
                f"{line[:40]!r}"
            )
        if value.get("quick"):
            raise RamError(
                f"{path}:{number}: expected measured figures, found a --quick run"
            )
        lines.append(value)
    return lines


def plot(line: dict[str, Any], processor: str, path: pathlib.Path) -> None:
    """Draws a line of measure "image_curve" as PNG.

    Raises:
      RamError: when matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise RamError(
            "--figure: expected matplotlib, found none; pip install 'ram-tf[figures]'"
        ) from None
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    sides = line["sides"]
    axes.loglog(sides, line["ram_ms"], "o-", label=f"RAM ({line['experiment']})")
    axes.loglog(sides, line["conv_ms"], "s--", label="convolutional classifier")
    axes.set_xticks(sides, [str(side) for side in sides])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("side of the image, pixels")
    axes.set_ylabel("one answer, milliseconds (median)")
    axes.set_title(f"One image on {processor}", fontsize="medium")
    axes.grid(True, alpha=0.3)
    axes.legend()
    figure.savefig(path, format="png", dpi=150, metadata={"Software": None})


def _command(arguments: Arguments) -> None:
    runs = read_runs(pathlib.Path(arguments.runs_dir))
    path = pathlib.Path(arguments.page)
    try:
        page = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise RamError(f"--page={path}: expected a page, found: {reason}") from None
    page = insert(page, markdown(runs))
    *_, last = runs.values()
    found = {line["measure"]: line for line in last}
    if "image_curve" in found and arguments.figure:
        processor = found.get("machine", {}).get("processor", "this machine")
        plot(found["image_curve"], processor, pathlib.Path(arguments.figure))
    write_atomic(path, page)
    print(f"{path}: figures of {', '.join(runs)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return run_command(_command, SETTINGS, argv, usage=USAGE)


if __name__ == "__main__":
    sys.exit(main())
