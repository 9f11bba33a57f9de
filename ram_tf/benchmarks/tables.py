"""Measured figures as Markdown: a table a measure."""

from collections.abc import Mapping, Sequence
from typing import Any

from ram_tf.errors import RamError

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

# Title and, by heading, the field and format of each column of a measure's table.
_WHAT = {"Experiment": ("experiment", "{}"), "Batch": ("batch_size", "{}")}
_RATE = {
    "Images/s": ("images_per_second", "{:,.0f}"),
    "a GFLOP/s": ("images_per_gflop", "{:.1f}"),
}
_COST = {"Compile s": ("compile_s", "{:.1f}"), "Peak MB": ("peak_mb", "{:,.0f}")}
_HOW = {
    "XLA": ("jit_compile", "{}"),
    "of the update": ("jit_update", "{}"),
    "Parts": ("num_parts", "{}"),
    "Precision": ("precision", "{}"),
}
_MACHINE = {"MFU": ("mfu", "{:.3f}"), "GFLOP/s": ("matmul_gflops", "{:.0f}")}
_TIME = {"p50 ms": ("p50_ms", "{:.3f}"), "p99 ms": ("p99_ms", "{:.3f}")}
_SECONDS = {"Experiment": ("experiment", "{}"), "Seconds": ("seconds", "{:.2f}")}

TABLES: dict[str, tuple[str, dict[str, tuple[str, str]]]] = {
    "training": ("Training", {**_WHAT, **_HOW, **_RATE, **_MACHINE, **_COST}),
    "pipeline": ("Input pipeline alone", {**_WHAT, **_RATE}),
    "evaluation": ("Evaluation", {**_WHAT, **_HOW, **_RATE, **_MACHINE, **_COST}),
    "serving_latency": ("SavedModel, one image", {**_WHAT, **_TIME, **_COST}),
    "serving_throughput": (
        "SavedModel, many images",
        {**_WHAT, **_RATE, **_MACHINE, **_COST},
    ),
    "image_size": (
        "One answer on a small and a large image",
        {
            "XLA": ("jit_compile", "{}"),
            "Sides": ("sides", "{}"),
            "Small, p50 ms": ("small_p50_ms", "{:.3f}"),
            "Large, p50 ms": ("p50_ms", "{:.3f}"),
            "Ratio": ("ratio", "{:.3f}"),
        },
    ),
    "image_memory": (
        "Memory of answers",
        {
            "XLA": ("jit_compile", "{}"),
            "Sides": ("sides", "{}"),
            "Peak MB": ("peak_mb", "{:.1f}"),
            "Image MB": ("image_mb", "{:.1f}"),
            "Beyond it MB": ("beyond_image_mb", "{:.1f}"),
            "Raised by the calls MB": ("call_mb", "{:.1f}"),
        },
    ),
    "train_help": ("`train --help`", _SECONDS),
    "first_step": ("From start to the first training step", _SECONDS),
    "comparison": (
        "Side by side",
        {"What": ("name", "{}"), "Value": ("value", "{:.3f}")},
    ),
}


def markdown(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Returns figures as Markdown: the goals side by side, then each run's tables.

    Args:
      runs: lines of each run of the suite, by its name.
    """
    parts = []
    goals = _goals(runs)
    if goals:
        parts += ["### Goals", goals]
    for name, lines in runs.items():
        parts += [f"### `{name}`", _tables(lines)]
    return "\n\n".join(parts)


def _goals(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """A table of every goal, with a column a run."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for name, lines in runs.items():
        for line in lines:
            if "goal" not in line:
                continue
            which = f"{line.get('experiment', '')} {line.get('setting', '')}".strip()
            title = TABLES[line["measure"]][0]
            what = line.get("name") or (f"{title}: {which}" if which else title)
            field = line["goal"].split()[0]
            row = found.setdefault((what, line["goal"]), {})
            row[name] = f"{line[field]:.3g} {_verdict(line)}"
    headings = ["What", "Goal", *runs]
    rows = [
        [*what, *(cells.get(name, "") for name in runs)]
        for what, cells in found.items()
    ]
    return _rows([headings, ["---"] * len(headings), *rows]) if rows else ""


def _tables(lines: Sequence[Mapping[str, Any]]) -> str:
    """The machine of a run, then a table a measure."""
    parts = []
    for line in lines:
        if line["measure"] == "machine":
            packages = ", ".join(f"{k} {v}" for k, v in line["versions"].items())
            parts.append(
                f"Measured on {line['cores']} cores of {line['processor']} with "
                f"{packages}. Matrix products of the idle machine: "
                f"{line['matmul_gflops']:.0f} GFLOP/s."
            )
    for measure, (title, columns) in TABLES.items():
        rows = [line for line in lines if line["measure"] == measure]
        if rows:
            parts.append(f"#### {title}")
            parts.append(_table(rows, columns))
            commands = dict.fromkeys(r["command"] for r in rows if "command" in r)
            if commands:
                parts.append("```\n" + "\n".join(commands) + "\n```")
    return "\n\n".join(parts)


def insert(page: str, figures: str) -> str:
    """Returns a page with the text between its marks replaced.

    Raises:
      RamError: when the page does not have both marks, once each and in order.
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise RamError(f"--page: expected the marks {BEGIN} and {END}, found none")
    return f"{head}{BEGIN}\n\n{figures}\n\n{END}{tail}"


def _table(
    rows: Sequence[Mapping[str, Any]], columns: dict[str, tuple[str, str]]
) -> str:
    used = {
        heading: column
        for heading, column in columns.items()
        if any(column[0] in row for row in rows)
    }
    headings = [*used]
    if any("goal" in row for row in rows):
        headings.append("Goal")
    lines = [headings, ["---"] * len(headings)]
    for row in rows:
        cells = [
            text.format(row[field]) if field in row else ""
            for field, text in used.values()
        ]
        if "Goal" in headings:
            cells.append(f"{row['goal']}: {_verdict(row)}" if "goal" in row else "")
        lines.append(cells)
    return _rows(lines)


def _verdict(line: Mapping[str, Any]) -> str:
    return "met" if line["met"] else "**missed**"


def _rows(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
