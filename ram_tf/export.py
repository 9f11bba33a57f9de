"""Exports a run: python -m ram_tf.export --run_dir=runs/x --export_dir=exported/x."""

import pathlib
import sys
from typing import Any

from ram_tf.errors import RamError
from ram_tf.flags import Arguments, Setting, config_settings, entry_point
from ram_tf.runs.directory import RunDirectory
from ram_tf.runs.results_json import read_results
from ram_tf.runtime.quiet_import import import_tensorflow

# First locations of initial_location=random: one draw, the same for every image.
_START = {"center": "the centre", "random": "one random location"}

USAGE = """Writes the chosen weights of a finished run as a SavedModel.

  python -m ram_tf.export --run_dir=runs/x --export_dir=exported/x

It loads where TensorFlow is and ram_tf is not. Signatures: serving_default (images:
float32 [B, H, W, C] in [0, 1]) and serving_uint8 (images: uint8 0..255); both return
probabilities [B, N], label [B] and locations [B, T, 2]; serving_path shows one rollout
glimpse by glimpse. A prediction is the mean of R rollouts from R fixed first locations,
and depends on nothing but the image. metadata.json beside it says what the model
expects, its classes, and its accuracy, calibration and time."""

SETTINGS = [
    *config_settings(["run_dir", "data_dir"]),
    Setting("export_dir", "", "Folder to write; must not exist yet."),
    Setting(
        "initial_location",
        "center",
        "Where the first rollout of every image starts: the centre, or one fixed "
        "random location.",
        choices=("center", "random"),
    ),
    Setting(
        "rollouts",
        0,
        "R, how many rollouts an image a prediction is the mean of; more are better "
        "and take longer. 0 is 4 for a model trained from random first locations, and "
        "1 for any other.",
        low=0,
    ),
    Setting(
        "threshold",
        0.0,
        "Look at an image no further when the largest of its mean probabilities is at "
        "least this, below 1; 0 takes all glimpses.",
        low=0.0,
    ),
]


def _command(arguments: Arguments) -> None:
    if not arguments.export_dir:
        raise RamError("--export_dir is required: a folder to write")
    if arguments.threshold >= 1:
        raise RamError(
            f"--threshold={arguments.threshold}: expected a probability below 1"
        )
    import_tensorflow()
    from ram_tf.evaluation.progress_bar import EvaluationBar
    from ram_tf.runs.setup import load_run
    from ram_tf.serving.saved_model import default_rollouts, export

    experiment = load_run(arguments.run_dir, arguments.data_dir)
    path = pathlib.Path(arguments.export_dir)
    with EvaluationBar("validation, test") as bar:
        metadata = export(
            experiment,
            path,
            arguments.initial_location,
            arguments.rollouts or default_rollouts(experiment.config),
            arguments.threshold,
            bar,
        )
    run = read_results(RunDirectory(arguments.run_dir).results)
    print("\n".join(_lines(path, metadata, 100 * run["test_accuracy"])))


def _lines(path: pathlib.Path, metadata: dict[str, Any], run: float) -> list[str]:
    line = f"{path}: SavedModel, test {_measures(metadata)}"
    if "by_rollouts" not in metadata:
        return [line]
    start = _START[metadata["initial_location"]]
    count = metadata["rollouts"]
    rollouts = "one rollout" if count == 1 else f"the mean of {count} rollouts"
    lines = [
        f"{line}: {rollouts}, the first from {start}; one rollout of the run has "
        f"{run:.2f} %"
    ]
    lines += [
        f"  --rollouts={row['rollouts']}: test {_measures(row)}"
        for row in metadata["by_rollouts"]
    ]
    glimpses = metadata["config"]["num_glimpses"]
    if metadata["threshold"]:
        lines.append(
            f"  --threshold={metadata['threshold']:g}: "
            f"{metadata['test']['mean_glimpses']:.1f} of {glimpses} glimpses an image"
        )
    suggested = metadata["suggested_threshold"]
    for row in metadata["by_threshold"]["test"]:
        if row["threshold"] == suggested != metadata["threshold"]:
            lines.append(
                f"  --threshold={suggested:g}, chosen on validation, would take "
                f"{row['mean_glimpses']:.1f} of {glimpses} glimpses an image on test, "
                f"accuracy {100 * row['accuracy']:.2f} %"
            )
    return lines


def _measures(found: dict[str, Any]) -> str:
    accuracy, error = (
        f"{100 * found['test'][name]:.2f} %"
        for name in ("accuracy", "calibration_error")
    )
    milliseconds = f"{found['latency_ms']:.1f} ms an image"
    return f"accuracy {accuracy}, calibration error {error}, {milliseconds}"


main = entry_point(_command, SETTINGS, USAGE)


if __name__ == "__main__":
    sys.exit(main())
