"""The export of a run: measured, written as a whole, and loaded again."""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ram_tf.config import Config
from ram_tf.data.pipeline import first_images
from ram_tf.errors import RamError, one_line
from ram_tf.files import new_folder, read_json, require_absent, to_json
from ram_tf.runs.setup import Experiment
from ram_tf.serving.formats import (
    reloaded_difference,
    require_converter,
    write_model,
)
from ram_tf.serving.measures import learned_polarity, measure
from ram_tf.serving.signatures import (
    ServedModel,
    first_locations,
    only_from_the_centre,
)
from ram_tf.serving.warmup import write_warmup

METADATA = "metadata.json"
_ROLLOUTS = 4
_VERIFIED = 1000  # Images of test that what was written is asked.


def default_rollouts(config: Config) -> int:
    """Returns how many rollouts an export takes the mean of, if nothing else is said.

    Measured on validation, see docs/serving.md. Only a model that has learned to begin
    anywhere gains by beginning at several places.
    """
    starts_anywhere = config.model == "ram" and config.first_glimpse == "random"
    return _ROLLOUTS if starts_anywhere else 1


def export(
    experiment: Experiment,
    export_dir: pathlib.Path,
    initial_location: str = "center",
    rollouts: int = 1,
    threshold: float = 0.0,
    model_format: str = "saved_model",
    on_batch: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Measures a run, writes a model of it, and asks what it has written.

    Its predictions depend on nothing but the image.

    Args:
      experiment: with the weights to export.
      export_dir: must not exist.
      initial_location: where the first rollout starts: center or random.
      rollouts: R, of which the mean is taken.
      threshold: as of `ServedModel`.
      model_format: saved_model, litert or onnx.
      on_batch: called with the batches of its measures done and in all.

    Returns:
      The metadata.

    Raises:
      RamError: when export_dir exists or cannot be written; when the run's policy is
        random: its predictions would be too; when rollouts or a threshold are asked of
        a whole-image classifier, or rollouts from elsewhere of a center policy; and
        when the format's converter is not installed, has not the run's precision,
        refuses the model, or writes one that outputs otherwise.
    """
    config = experiment.config
    if config.model == "ram" and config.policy == "random":
        raise RamError(
            "--run_dir: expected a run whose policy is learned or center, found "
            "random, whose predictions are not deterministic"
        )
    if config.model != "ram" and (rollouts > 1 or threshold):
        flag = f"--rollouts={rollouts}" if rollouts > 1 else f"--threshold={threshold}"
        raise RamError(
            f"{flag}: expected a run of --model=ram, found --model={config.model}"
        )
    stays_at_centre = config.model == "ram" and config.policy == "center"
    elsewhere = initial_location != "center"
    if stays_at_centre and (elsewhere or rollouts > 1):  # Its rollouts are all alike.
        flag = f"--rollouts={rollouts}"
        if elsewhere:
            flag = f"--initial_location={initial_location}"
        raise only_from_the_centre(flag)
    require_absent(export_dir, f"--export_dir={export_dir}")
    require_converter(model_format)
    if model_format != "saved_model" and config.precision != "float32":
        raise RamError(
            f"--format={model_format}: expected a run of --precision=float32, found "
            f"--precision={config.precision}, whose arithmetic the format has not"
        )
    starts = first_locations(initial_location, rollouts)
    served = ServedModel(experiment, starts, threshold)
    found = measure(experiment, served, initial_location, on_batch)
    metadata = {
        "experiment": config.experiment,
        "config_digest": config.digest(),
        "image_shape": list(experiment.image_shape),
        "class_names": experiment.source.class_names,
        "polarity": learned_polarity(experiment),
        "initial_location": initial_location,
        "first_locations": starts.tolist(),
        "format": model_format,
        "rollouts": rollouts,
        "threshold": threshold,
        "test_accuracy": found["test"]["accuracy"],
        **found,
        # Where it was made belongs to the machine, not to the model.
        "config": config.for_sharing().to_dict(),
    }
    test = experiment.source.split("test")
    images, _ = first_images(test, experiment.task, _VERIFIED)
    return write(served, metadata, export_dir, images)


def write(
    served: ServedModel,
    metadata: dict[str, Any],
    export_dir: pathlib.Path,
    images: np.ndarray | None = None,
) -> dict[str, Any]:
    """Writes a model and its metadata, whole or not at all.

    Args:
      served: the model.
      metadata: with its `format`.
      export_dir: must not exist.
      images: uint8 [n, H, W, C], what a fresh process is asked; None asks nothing.

    Returns:
      The metadata, with how far the outputs of the fresh process were, `reloaded`, and
      of a SavedModel whether TensorFlow Serving finds `warmup_requests`.

    Raises:
      RamError: when export_dir cannot be written, and as of `export`.
    """
    model_format = metadata["format"]
    # TensorFlow has errors of its own for a full disk.
    faults = (OSError, tf.errors.OpError)
    with new_folder(export_dir, f"--export_dir={export_dir}", faults=faults) as folder:
        write_model(served, folder, model_format)
        if model_format == "saved_model":
            warm = write_warmup(served.signatures, folder)
            metadata = {**metadata, "warmup_requests": warm}
        if images is not None:
            difference = reloaded_difference(served, folder, model_format, images)
            metadata = {**metadata, "reloaded": difference._asdict()}
        (folder / METADATA).write_text(to_json(metadata))
    return metadata


def load_export(path: pathlib.Path) -> tuple[Any, dict[str, Any]]:
    """Loads an exported model that `check_model` found.

    Returns:
      The model, whose `signatures` have serving_uint8 and hold only while it is kept,
      and its metadata, with `background`.

    Raises:
      RamError: when the export is not whole, or has metadata of another model.
    """
    metadata = read_json(path / METADATA)
    try:
        loaded = tf.saved_model.load(str(path))
        signature = loaded.signatures["serving_uint8"]
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
        raise RamError(
            f"--model={path}: expected a whole SavedModel, found: {one_line(error)}"
        ) from None
    if len(found["class_names"]) != num_classes or found["image_shape"] != image_shape:
        raise RamError(
            f"{path / METADATA}: expected {num_classes} class_names and image_shape "
            f"{list(image_shape)}, as of the model, found {len(found['class_names'])} "
            f"and {list(found['image_shape'])}"
        )
    return loaded, found
