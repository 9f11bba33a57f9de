"""Exports a run: python -m ram_tf.export --run_dir=runs/x --export_dir=exported/x."""

import pathlib
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ram_tf.errors import RamError
from ram_tf.flags import Arguments, Setting, config_settings, run_command
from ram_tf.quiet import import_tensorflow
from ram_tf.result_file import read_results
from ram_tf.run_directory import RunDirectory, to_json

if TYPE_CHECKING:
    from ram_tf.experiment import Experiment

METADATA = "metadata.json"
# First locations of initial_location=random: one draw, the same for every image.
_START = {"center": "the centre", "random": "one random place"}
_FIRST_SEED = (2014, 0)

USAGE = """Writes the chosen weights of a finished run as a SavedModel.

  python -m ram_tf.export --run_dir=runs/x --export_dir=exported/x

It loads where TensorFlow is and ram_tf is not. Signatures: serving_default (images:
float32 [B, H, W, C] in [0, 1]) and serving_uint8 (images: uint8 0..255); both return
probabilities [B, N], label [B] and locations [B, T, 2]. metadata.json beside it says
what the model expects, its classes and its test accuracy."""

SETTINGS = [
    *config_settings(["run_dir", "data_dir"]),
    Setting("export_dir", "", "Folder to write; must not exist yet."),
    Setting(
        "initial_location",
        "center",
        "First glimpse of every image: the centre, or one fixed random place.",
        choices=("center", "random"),
    ),
]


def export(
    experiment: "Experiment",
    export_dir: pathlib.Path,
    initial_location: str = "center",
    on_batch: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Writes a SavedModel whose answers depend on nothing but the image.

    It looks at the policy's means, from one first location.

    Args:
      experiment: with the weights to export.
      export_dir: must not exist.
      initial_location: center or random.
      on_batch: called with the batches of its test done and in all.

    Returns:
      The metadata.

    Raises:
      RamError: when export_dir exists or cannot be written, or the run's policy is
        random: its answers would be too.
    """
    import numpy as np
    import tensorflow as tf

    from ram_tf.data.pipeline import evaluation_batches
    from ram_tf.evaluation import BATCH_SIZE

    config = experiment.config
    if config.model == "ram" and config.policy == "random":
        raise RamError(
            "--run_dir: expected a run whose policy is learned or center, found "
            "random, which has no deterministic answer"
        )
    if export_dir.exists():
        raise RamError(
            f"--export_dir={export_dir}: expected a folder that does not exist yet"
        )
    module = _module(experiment, initial_location)
    right = []
    split = experiment.source.split("test")
    total = -(-len(split.labels) // BATCH_SIZE)
    for images, labels, _ in evaluation_batches(split, experiment.task, BATCH_SIZE):
        right.append((module.serve(images)["label"] == labels).numpy())
        on_batch(len(right), total)
    metadata = {
        "experiment": config.experiment,
        "config_digest": config.digest(),
        "image_shape": list(experiment.image_shape),
        "class_names": experiment.source.class_names,
        "initial_location": initial_location,
        "test_accuracy": float(np.mean(np.concatenate(right))),
        # Where it was made belongs to the machine, not to the model.
        "config": {**config.to_dict(), "run_dir": "", "data_dir": ""},
    }
    # Whole or not at all: written beside, then renamed.
    temporary = export_dir.with_name(f".{export_dir.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        signatures = {
            "serving_default": module.serve,
            "serving_uint8": module.serve_uint8,
        }
        temporary.parent.mkdir(parents=True, exist_ok=True)
        tf.saved_model.save(module, str(temporary), signatures)
        (temporary / METADATA).write_text(to_json(metadata))
        temporary.rename(export_dir)
    except (OSError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())
        raise RamError(
            f"--export_dir={export_dir}: expected a folder to write to, found: {reason}"
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return metadata


def _module(experiment: "Experiment", initial_location: str) -> Any:
    import tensorflow as tf

    model, config = experiment.model, experiment.config
    shape = [None, *experiment.image_shape]
    first = tf.zeros([2])
    if initial_location == "random":
        first = tf.random.stateless_uniform([2], _FIRST_SEED, -1.0, 1.0)
    start = tf.constant(first.numpy())

    def answer(images: tf.Tensor) -> dict[str, tf.Tensor]:
        # A loaded signature does not hold its caller to its shape, and a RAM would
        # answer for images of any size.
        images = tf.ensure_shape(images, shape)
        batch = tf.shape(images)[0]
        if config.model == "ram":
            rollout = model.rollout(images, tf.tile(start[None], [batch, 1]))
            probabilities = tf.nn.softmax(rollout.logits)
            locations = rollout.locations
        else:
            probabilities = model(images)
            locations = tf.zeros([batch, 0, 2])
        label = tf.argmax(probabilities, -1, output_type=tf.int32)
        return {"probabilities": probabilities, "label": label, "locations": locations}

    class Served(tf.Module):
        """The exported functions; holds the model so that its variables are saved."""

        def __init__(self) -> None:
            super().__init__()
            self.variables_of_model = [v.value for v in model.weights]

        @tf.function(
            input_signature=[tf.TensorSpec(shape, tf.float32, "images")],
            autograph=False,
        )
        def serve(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
            if config.pixel_range == "byte":
                images = images * 255.0
            return answer(images)

        @tf.function(
            input_signature=[tf.TensorSpec(shape, tf.uint8, "images")],
            autograph=False,
        )
        def serve_uint8(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
            if config.pixel_range == "byte":
                return answer(tf.cast(images, tf.float32))
            return answer(images)

    return Served()


def _command(arguments: Arguments) -> None:
    if not arguments.export_dir:
        raise RamError("--export_dir: expected a folder, found none")
    import_tensorflow()
    from ram_tf.experiment import load_run
    from ram_tf.progress import EvaluationBar

    experiment = load_run(arguments.run_dir, arguments.data_dir)
    path = pathlib.Path(arguments.export_dir)
    with EvaluationBar("test") as bar:
        metadata = export(experiment, path, arguments.initial_location, bar)
    run = read_results(RunDirectory(arguments.run_dir).results)
    line = f"{path}: SavedModel, test accuracy {100 * metadata['test_accuracy']:.2f} %"
    if experiment.config.model == "ram":
        line += (
            f" with the first glimpse at {_START[arguments.initial_location]}; the run "
            f"has {100 * run['test_accuracy']:.2f} %"
        )
    print(line)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return run_command(_command, SETTINGS, argv, usage=USAGE)


if __name__ == "__main__":
    sys.exit(main())
