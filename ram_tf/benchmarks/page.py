"""Writes measured figures into the docs: python -m ram_tf.benchmarks.page.

It reads the lines of `python -m ram_tf.benchmark --suite=all --json`, so that no figure
is typed by hand, and writes one table for each machine.
"""

import json
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ram_tf.entry_point import entry_point
from ram_tf.errors import RamError
from ram_tf.files import read_text, write_atomic
from ram_tf.flags import Arguments, Setting
from ram_tf.markdown import filled, table_text

USAGE = """Writes the figures of benchmark runs into a Markdown page, and a plot.

  python -m ram_tf.benchmark --suite=all --json > docs/performance/mine.jsonl
  python -m ram_tf.benchmarks.page

Every .jsonl file of the folder is one run of the suite. The text between the page's two
marks is replaced; the rest of the page stays as it is."""

SETTINGS = [
    Setting("runs_dir", "docs/performance", "Folder of what benchmark --json printed."),
    Setting("page", "docs/performance.md", "The page to write into."),
    Setting(
        "figure",
        "docs/image_size.png",
        "The plot of time against image side, of the last run by name; empty: none.",
    ),
]
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
# Heading, field of a line and format of each column; `benchmark` prints the same.
COLUMNS = (
    ("Measure", "measure", "{}"),
    ("Experiment", "experiment", "{}"),
    ("Setting", "setting", "{}"),
    ("XLA", "jit_compile", "{}"),
    ("Parts", "num_parts", "{}"),
    ("Sides", "sides", "{}"),
    ("Images/s", "images_per_second", "{:,.0f}"),
    ("per GFLOP/s", "images_per_gflop", "{:,.1f}"),
    ("MFU", "mfu", "{:.3f}"),
    ("GFLOP/s", "matmul_gflops", "{:.0f}"),
    ("p50 ms", "p50_ms", "{:.3f}"),
    ("p99 ms", "p99_ms", "{:.3f}"),
    ("Large / small", "ratio", "{:.3f}"),
    ("Target %", "target_percent", "{:g}"),
    ("Reached", "reached", "{}"),
    ("Seconds", "seconds", "{:,.2f}"),
    ("Steps", "steps", "{:,.0f}"),
    ("Best %", "best_percent", "{:.2f}"),
    ("Compile s", "compile_s", "{:.1f}"),
    ("Peak MB", "peak_mb", "{:,.0f}"),
    ("Raised by the calls MB", "call_mb", "{:.1f}"),
)
# Lines with the same one of these have a table together: few cells stay empty.
_TABLES = ("images_per_second", "target_percent", "sides", "p50_ms", "seconds")
TIMED = "time_to_accuracy"  # A suite of its own: it trains for hours.
# Told above the table, drawn as a plot, and worked out by earlier versions.
_NOT_IN_THE_TABLE = ("machine", "image_curve", "comparison")


def read_runs(folder: pathlib.Path) -> dict[str, list[dict[str, Any]]]:
    """Reads the runs of a folder, sorted by name.

    Raises:
      RamError: when there is none, or a file holds something else.
    """
    runs = {path.stem: read_lines(path) for path in sorted(folder.glob("*.jsonl"))}
    if not runs:
        raise RamError(
            f"--runs_dir={folder}: expected *.jsonl of ram_tf.benchmark, found none"
        )
    return runs


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """Reads what the benchmark printed.

    Raises:
      RamError: when the file is missing, or holds something else.
    """
    lines = []
    text = read_text(path, "output of ram_tf.benchmark")
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
        for name in ("quick", "from_results", "dataset"):
            if value.get(name):
                raise RamError(
                    f"{path}:{number}: expected measured figures, found a --{name} run"
                )
        lines.append(value)
    return lines


def markdown(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Returns the figures as Markdown: for each run a table of each kind of figure.

    Args:
      runs: the lines of each run of the suite, by its name.
    """
    parts = []
    for name, lines in runs.items():
        parts.append(f"### `{name}`")
        parts += [_machine(line) for line in lines if line["measure"] == "machine"]
        timed = any(line["measure"] == TIMED for line in lines)
        command = f"python -m ram_tf.benchmark --suite={TIMED if timed else 'all'}"
        parts.append(f"```\n{command} --json > docs/performance/{name}.jsonl\n```")
        parts += _tables([r for r in lines if r["measure"] not in _NOT_IN_THE_TABLE])
    return "\n\n".join(parts)


def _machine(line: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{k} {v}" for k, v in line["versions"].items())
    return (
        f"{line['cores']} cores of {line['processor']}; {packages}. Matrix products of "
        f"the idle machine: {line['matmul_gflops']:.0f} GFLOP/s. Made by:"
    )


def _tables(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        kind = next((name for name in _TABLES if name in line), "")
        groups.setdefault(kind, []).append(line)
    return [_table(group) for group in groups.values()]


def _table(lines: Sequence[Mapping[str, Any]]) -> str:
    # A setting of none at all is no column either.
    used = [
        column
        for column in COLUMNS
        if any(line.get(column[1]) not in (None, "") for line in lines)
    ]
    rows = [[heading for heading, _, _ in used]]
    for line in lines:
        rows.append(
            [form.format(line[name]) if name in line else "" for _, name, form in used]
        )
    return table_text(rows)


def plot(line: dict[str, Any], processor: str) -> Any:
    """Draws a line of measure "image_curve"; returns a matplotlib Figure.

    Raises:
      RamError: when matplotlib is not installed.
    """
    from ram_tf.viz.path_figure import check_matplotlib

    check_matplotlib()
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    figure = Figure(figsize=(6, 4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    sides = line["sides"]
    axes.loglog(sides, line["ram_ms"], "o-", label=f"RAM ({line['experiment']})")
    axes.loglog(sides, line["conv_ms"], "s--", label="convolutional classifier")
    axes.set_xticks(sides, [str(side) for side in sides])
    axes.set_xticks([], minor=True)
    # Plain numbers: 10¹ would be written as a formula, which `to_png` takes literally.
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("side of the image, pixels")
    axes.set_ylabel("median time, milliseconds")
    axes.set_title(f"Time of one answer on {processor}", fontsize="medium")
    axes.grid(True, alpha=0.3)
    axes.legend()
    return figure


def _command(arguments: Arguments) -> None:
    runs = read_runs(pathlib.Path(arguments.runs_dir))
    path = pathlib.Path(arguments.page)
    text = read_text(path, "a page", f"--page={path}")
    figures = markdown(runs)
    page = filled(text, BEGIN, END, f"\n\n{figures}\n\n", f"--page={path}")
    found: dict[str, dict[str, Any]] = {}
    for lines in runs.values():  # The last run with a curve, and its machine.
        of_run = {line["measure"]: line for line in lines}
        found = of_run if "image_curve" in of_run else found
    if found and arguments.figure:
        processor = found.get("machine", {}).get("processor", "this machine")
        from ram_tf.viz.path_figure import to_png

        figure = plot(found["image_curve"], processor)
        write_atomic(pathlib.Path(arguments.figure), to_png(figure))
    write_atomic(path, page)
    print(f"{path}: figures of {', '.join(runs)}")


main = entry_point(_command, SETTINGS, USAGE)


if __name__ == "__main__":
    sys.exit(main())
