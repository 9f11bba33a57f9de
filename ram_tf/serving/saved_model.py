"""The SavedModel of a run: written, loaded, and what stands beside it."""

import pathlib
import shutil
from collections.abc import Callable
from typing import Any

from ram_tf.errors import RamError
from ram_tf.files import read_json, to_json
from ram_tf.runs.setup import Experiment

METADATA = "metadata.json"


_FIRST_SEED = (2014, 0)


def export(
    experiment: Experiment,
    export_dir: pathlib.Path,
    initial_location: str = "center",
    on_batch: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Writes a SavedModel whose predictions depend on nothing but the image.

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
        random: its predictions would be too.
    """
    import numpy as np
    import tensorflow as tf

    from ram_tf.data.pipeline import evaluation_batches
    from ram_tf.evaluation.evaluator import BATCH_SIZE

    config = experiment.config
    if config.model == "ram" and config.policy == "random":
        raise RamError(
            "--run_dir: expected a run whose policy is learned or center, found "
            "random, whose predictions are not deterministic"
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
        if config.pixel_range == "byte":
            images = images / 255.0  # The signature takes fractions of every model.
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


def _module(experiment: Experiment, initial_location: str) -> Any:
    import tensorflow as tf

    model, config = experiment.model, experiment.config
    shape = [None, *experiment.image_shape]
    first = tf.zeros([2])
    if initial_location == "random":
        first = tf.random.stateless_uniform([2], _FIRST_SEED, -1.0, 1.0)
    start = tf.constant(first.numpy())

    def predict(images: tf.Tensor) -> dict[str, tf.Tensor]:
        # A loaded signature does not hold its caller to its shape, and a RAM would
        # predict for images of any size.
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
            return predict(images)

        @tf.function(
            input_signature=[tf.TensorSpec(shape, tf.uint8, "images")],
            autograph=False,
        )
        def serve_uint8(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
            if config.pixel_range == "byte":
                return predict(tf.cast(images, tf.float32))
            return predict(images)

    return Served()


def load_export(path: pathlib.Path) -> tuple[Any, dict[str, Any]]:
    """Loads an exported model.

    Returns:
      Its serving_uint8 signature, and its metadata, with `background`.

    Raises:
      RamError: when the folder holds no whole export, or metadata of another model.
    """
    import tensorflow as tf

    if not (path / "saved_model.pb").exists():
        raise RamError(
            f"--model={path}: expected a folder of ram_tf.export, found none"
        )
    metadata = read_json(path / METADATA)
    try:
        loaded = tf.saved_model.load(str(path))
        signature = loaded.signatures["serving_uint8"]
        signature.owner = loaded  # Else its variables are collected.
        image_shape = tuple(signature.structured_input_signature[1]["images"].shape[1:])
        num_classes = signature.structured_outputs["probabilities"].shape[-1]
        found = {
            **metadata,
            "image_shape": tuple(metadata["image_shape"]),
            "class_names": list(metadata["class_names"]),
            # An export of an earlier version states none.
            "background": str(metadata.get("config", {}).get("background", "white")),
        }
    except Exception as error:  # noqa: BLE001 - TensorFlow raises all kinds for a broken file.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise RamError(
            f"--model={path}: expected a whole SavedModel, found: {reason}"
        ) from None
    if len(found["class_names"]) != num_classes or found["image_shape"] != image_shape:
        raise RamError(
            f"{path / METADATA}: expected {num_classes} class_names and image_shape "
            f"{list(image_shape)}, as of the model, found {len(found['class_names'])} "
            f"and {list(found['image_shape'])}"
        )
    return signature, found
