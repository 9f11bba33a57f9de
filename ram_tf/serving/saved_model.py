"""The SavedModel of a run: written, loaded, and what stands beside it."""

import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.files import read_json, to_json
from ram_tf.runs.setup import Experiment
from ram_tf.serving.measures import measure
from ram_tf.serving.signatures import Predictor, first_locations

METADATA = "metadata.json"
ROLLOUTS = 4


def default_rollouts(config: Config) -> int:
    """Returns how many rollouts an export takes the mean of, if nothing else is said.

    Measured on validation, see docs/serving.md. Only a model that has learned to begin
    anywhere gains by beginning at several places.
    """
    starts_anywhere = config.initial_location == "random" and config.policy != "center"
    return ROLLOUTS if config.model == "ram" and starts_anywhere else 1


def export(
    experiment: Experiment,
    export_dir: pathlib.Path,
    initial_location: str = "center",
    rollouts: int = 1,
    threshold: float = 0.0,
    on_batch: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Measures a run and writes a SavedModel of it.

    Its predictions depend on nothing but the image.

    Args:
      experiment: with the weights to export.
      export_dir: must not exist.
      initial_location: where the first rollout starts: center or random.
      rollouts: R, of which the mean is taken.
      threshold: as of `Predictor`.
      on_batch: called with the batches of its measures done and in all.

    Returns:
      The metadata.

    Raises:
      RamError: when export_dir exists or cannot be written; when the run's policy is
        random: its predictions would be too; and when rollouts or a threshold are asked
        of a whole-image classifier.
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
    if export_dir.exists():
        raise RamError(
            f"--export_dir={export_dir}: expected a folder that does not exist yet"
        )
    starts = first_locations(initial_location, rollouts)
    predictor = Predictor(experiment, starts, threshold)
    found = measure(experiment, predictor, initial_location, on_batch)
    metadata = {
        "experiment": config.experiment,
        "config_digest": config.digest(),
        "image_shape": list(experiment.image_shape),
        "class_names": experiment.source.class_names,
        "initial_location": initial_location,
        "first_locations": starts.tolist(),
        "rollouts": rollouts,
        "threshold": threshold,
        "test_accuracy": found["test"]["accuracy"],
        **found,
        # Where it was made belongs to the machine, not to the model.
        "config": {**config.to_dict(), "run_dir": "", "data_dir": ""},
    }
    write(predictor, metadata, export_dir)
    return metadata


def write(
    predictor: Predictor, metadata: dict[str, Any], export_dir: pathlib.Path
) -> None:
    """Writes a SavedModel and its metadata, whole or not at all.

    Raises:
      RamError: when export_dir cannot be written.
    """
    # Written beside, then renamed.
    temporary = export_dir.with_name(f".{export_dir.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        tf.saved_model.save(predictor.module(), str(temporary), predictor.signatures)
        (temporary / METADATA).write_text(to_json(metadata))
        temporary.rename(export_dir)
    except (OSError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())
        raise RamError(
            f"--export_dir={export_dir}: expected a folder to write to, found: {reason}"
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load_export(path: pathlib.Path) -> tuple[Any, dict[str, Any]]:
    """Loads an exported model.

    Returns:
      Its serving_uint8 signature, and its metadata, with `background`.

    Raises:
      RamError: when the folder holds no whole export, or metadata of another model.
    """
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
