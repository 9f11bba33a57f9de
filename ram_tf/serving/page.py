"""Writes the figures of exports into docs/serving.md, all of them at once.

python -m ram_tf.export --model=preset:demo --export_dir=exported/demo
python -m ram_tf.export --model=preset:mnist_6g --export_dir=exported/mnist_6g ...
python -m ram_tf.serving.page exported/demo exported/mnist_6g ...

The milliseconds are those of the machine, which should do nothing else meanwhile.
"""

import pathlib
import sys
from typing import Any

from ram_tf.entry_point import entry_point
from ram_tf.errors import RamError
from ram_tf.files import read_json, read_text, to_json, write_atomic
from ram_tf.flags import Arguments, Setting
from ram_tf.markdown import filled, table_text
from ram_tf.models.preset_files import PRESETS_DIR, read_metadata, shipped_names

BEGIN, END = "<!-- exports: begin -->", "<!-- exports: end -->"
USAGE = (__doc__ or "").strip()
SETTINGS = [
    Setting("page", "docs/serving.md", "The page to write into."),
    Setting("figures", "docs/serving.json", "Where the figures are kept."),
    Setting("latency", True, "Whether the machine was idle: keep the milliseconds."),
]
_BY_ROLLOUTS = (
    "Model",
    "R",
    "Validation %",
    "Test %",
    "Calibration error %",
    "Brier score",
    "Milliseconds",
)
_BY_THRESHOLD = ("Model", "R", "Threshold", "Glimpses", "Validation %", "Test %")
_WORDS = ("Model",)
_KEPT = ("experiment", "by_rollouts", "by_threshold", "suggested_threshold", "rollouts")


def _command(arguments: Arguments) -> None:
    if not arguments.positional:
        raise RamError("the folder of at least one export is required")
    exports = []
    for folder in arguments.positional:
        metadata = read_json(pathlib.Path(folder) / "metadata.json")
        if not isinstance(metadata, dict) or not metadata.keys() >= {*_KEPT, "config"}:
            raise RamError(f"{folder}: expected an export of --model=ram with figures")
        kept = {name: metadata[name] for name in _KEPT}
        kept["num_glimpses"] = metadata["config"]["num_glimpses"]
        if not arguments.latency:
            for row in kept["by_rollouts"]:
                row.pop("latency_ms", None)
        exports.append(kept)
    page = pathlib.Path(arguments.page)
    text = read_text(page, "a page", f"--page={page}")
    name = f"--page={page}"
    found = filled(text, BEGIN, END, f"\n\n{tables(exports)}\n\n", name)
    write_atomic(pathlib.Path(arguments.figures), to_json(exports))
    write_atomic(page, found)


def tables(exports: list[dict[str, Any]]) -> str:
    """Returns figures of exports as two Markdown tables: rollouts, then thresholds.

    Below them it names the presets of the package that are not among the exports.

    Args:
      exports: with the keys of metadata.json that `measure` finds, and num_glimpses.
    """
    by_rollouts: list[tuple[object, ...]] = [_BY_ROLLOUTS]
    for export in exports:
        for row in export["by_rollouts"]:
            test, latency = row["test"], row.get("latency_ms")
            by_rollouts.append(
                (
                    export["experiment"],
                    row["rollouts"],
                    _percent(row["validation"]["accuracy"]),
                    _percent(test["accuracy"]),
                    _percent(test["calibration_error"]),
                    f"{test['brier_score']:.3f}",
                    "to be measured" if latency is None else f"{latency:.1f}",
                )
            )
    by_threshold: list[tuple[object, ...]] = [_BY_THRESHOLD]
    for export in exports:
        curves = export["by_threshold"]
        for validation, test in zip(curves["validation"], curves["test"], strict=True):
            chosen = test["threshold"] == export["suggested_threshold"]
            by_threshold.append(
                (
                    export["experiment"],
                    export["rollouts"],
                    f"{test['threshold']:g}" + (", chosen" if chosen else ""),
                    f"{test['mean_glimpses']:.1f} of {export['num_glimpses']}",
                    _percent(validation["accuracy"]),
                    _percent(test["accuracy"]),
                )
            )
    parts = [table_text(rows, _WORDS) for rows in (by_rollouts, by_threshold)]
    measured = {export["experiment"] for export in exports}
    missing = [
        f"`{name}`"
        for name in shipped_names()
        if read_metadata(PRESETS_DIR / name)["experiment"] not in measured
    ]
    if missing:
        parts.append(f"Not measured yet: {', '.join(missing)}.")
    return "\n\n".join(parts)


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


main = entry_point(_command, SETTINGS, USAGE, positional=True)


if __name__ == "__main__":
    sys.exit(main())
