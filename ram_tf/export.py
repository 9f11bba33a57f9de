"""Exports a run: python -m ram_tf.export --run_dir=runs/x --export_dir=exported/x."""

import pathlib
import sys
from typing import Any

from ram_tf.entry_point import entry_point
from ram_tf.errors import RamError
from ram_tf.files import require_absent
from ram_tf.flags import Arguments, Setting, config_settings
from ram_tf.models.preset_files import PRESET
from ram_tf.runs.directory import RunDirectory
from ram_tf.runs.results_json import read_results
from ram_tf.runtime.quiet_import import import_tensorflow
from ram_tf.runtime.stop_signals import ended_by_signal
from ram_tf.serving.model_folder import check_model

# First locations of initial_location=random: one draw, the same for every image.
_START = {"center": "the centre", "random": "one random location"}

USAGE = """Writes the chosen weights of a finished run as a SavedModel.

  python -m ram_tf.export --run_dir=runs/x --export_dir=exported/x
  python -m ram_tf.export --model=preset:demo --export_dir=exported/x

It loads where TensorFlow is and ram_tf is not. Signatures: serving_default (images:
float32 [B, H, W, C] in [0, 1]) and serving_uint8 (images: uint8 0..255); both return
probabilities [B, N], label [B] and locations [B, T, 2]; serving_path shows one rollout
glimpse by glimpse. A prediction is the mean of R rollouts from R fixed first locations,
and depends on nothing but the image. metadata.json beside it says what the model
expects, its classes, and its accuracy, calibration and time."""

SETTINGS = [
    *config_settings(["run_dir", "data_dir"]),
    Setting("model", "", "preset:NAME, a trained model, in place of a run."),
    Setting("export_dir", "", "Folder to write; must not exist yet."),
    Setting(
        "initial_location",
        "center",
        "Where the first rollout of every image starts: the centre, or one fixed "
        "random location.",
        choices=("center", "random"),
    ),
    Setting(
        "format",
        "saved_model",
        "saved_model, for TensorFlow and TensorFlow Serving; litert, a file for phones "
        "and small computers; onnx, a file for other runtimes.",
        choices=("saved_model", "litert", "onnx"),
    ),
    Setting(
        "rollouts",
        0,
        "R, how many rollouts per image a prediction is the mean of; more are better "
        "and take longer. 0 is 4 for a model trained from random first locations, and "
        "1 for any other.",
        low=0,
    ),
    Setting(
        "threshold",
        0.0,
        "A probability below 1, as 0.95: stop looking at an image when its largest "
        "probability, of the mean of the rollouts, reaches it; 0 takes all glimpses.",
        low=0.0,
    ),
]


_FORMATS = {"saved_model": "SavedModel", "litert": "LiteRT", "onnx": "ONNX"}


def _command(arguments: Arguments) -> None:
    if not arguments.export_dir:
        raise RamError("--export_dir is required: a folder to write")
    if arguments.threshold >= 1:
        raise RamError(
            f"--threshold={arguments.threshold}: expected a probability below 1"
        )
    if bool(arguments.model) == bool(arguments.run_dir):
        found = "both" if arguments.model else "neither"
        raise RamError(
            f"expected --run_dir, a finished run, or --model=preset:NAME, found {found}"
        )
    if arguments.model and not arguments.model.startswith(PRESET):
        raise RamError(f"--model={arguments.model}: expected preset:NAME")
    path = pathlib.Path(arguments.export_dir)
    # What is wrong with a path is said before TensorFlow's seconds.
    require_absent(path, f"--export_dir={path}")
    if arguments.model:
        check_model(arguments.model)
    else:
        RunDirectory(arguments.run_dir).read_finished_config()
    import_tensorflow()
    from ram_tf.runs.setup import load_run
    from ram_tf.runtime.progress import CallbackBar
    from ram_tf.serving.preset_run import load_preset_run
    from ram_tf.serving.saved_model import default_rollouts, export

    if arguments.model:
        whose = "the preset"
        experiment, stated = load_preset_run(
            arguments.model.removeprefix(PRESET), arguments.data_dir
        )
        start = stated["initial_location"]
    else:
        whose = "the run"
        experiment = load_run(arguments.run_dir, arguments.data_dir)
        stated = read_results(RunDirectory(arguments.run_dir).results)
        start = experiment.config.first_glimpse
    with ended_by_signal(), CallbackBar("batches", "validation, test") as bar:
        metadata = export(
            experiment,
            path,
            arguments.initial_location,
            arguments.rollouts or default_rollouts(experiment.config),
            arguments.threshold,
            arguments.format,
            on_batch=bar,
        )
    accuracy = f"{100 * stated['test_accuracy']:.2f} %"
    before = f"{whose}, from {_START[start]}, has {accuracy}"
    print("\n".join([*_lines(path, metadata, before), *stated.get("warnings", [])]))


def _lines(path: pathlib.Path, metadata: dict[str, Any], before: str) -> list[str]:
    from ram_tf.data.sources.base import FEW_IMAGES

    line = f"{path}: {_FORMATS[metadata['format']]}, test {_measures(metadata)}"
    reloaded = metadata["reloaded"]
    checked = (
        f"  read again in a fresh process: {reloaded['images']:,} test images, largest "
        f"difference {reloaded['largest']:.1g}"
    )
    if reloaded["beyond"]:
        checked += f", {reloaded['beyond']} beyond 1e-5, see docs/serving.md"
    if "by_rollouts" not in metadata:
        return [line, checked]
    start = _START[metadata["initial_location"]]
    count = metadata["rollouts"]
    rollouts = "one rollout" if count == 1 else f"{count} rollouts' mean probability"
    lines = [f"{line}: {rollouts}, the first from {start}; one rollout of {before}"]
    lines += [
        f"  --rollouts={row['rollouts']}: test {_measures(row)}"
        for row in metadata["by_rollouts"]
    ]
    glimpses = metadata["config"]["num_glimpses"]

    def stopping(row: dict[str, Any]) -> str:
        return (
            f"{row['mean_glimpses']:.1f} of {glimpses} glimpses per image on test, "
            f"accuracy {100 * row['accuracy']:.2f} %"
        )

    if metadata["threshold"]:
        found = stopping(metadata["test"])
        lines.append(f"  --threshold={metadata['threshold']:g}: {found}")
    suggested = metadata["suggested_threshold"]
    number = metadata["num_images"]["validation"]
    if number < FEW_IMAGES:
        lines.append(
            f"  no --threshold is suggested: the {number} images of validation are too "
            "few to choose one on"
        )
    for row in metadata["by_threshold"]["test"]:
        if suggested != metadata["threshold"] and row["threshold"] == suggested:
            lines.append(
                f"  --threshold={suggested:g}, chosen on validation, would take "
                f"{stopping(row)}"
            )
    lines.append(checked)
    if not metadata.get("warmup_requests", True):
        lines.append(
            "  no warm-up requests for TensorFlow Serving: tensorflow-serving-api is "
            "not installed: pip install 'ram-tf[serving]'"
        )
    return lines


def _measures(found: dict[str, Any]) -> str:
    accuracy, error = (
        f"{100 * found['test'][name]:.2f} %"
        for name in ("accuracy", "calibration_error")
    )
    milliseconds = f"{found['latency_ms']:.1f} ms per image"
    return f"accuracy {accuracy}, calibration error {error}, {milliseconds}"


main = entry_point(_command, SETTINGS, USAGE)


if __name__ == "__main__":
    sys.exit(main())
