"""A preset with the data that it was trained on, as a run has them."""

import dataclasses
import pathlib
from typing import Any

from ram_tf.config import FOLDER_PREFIX
from ram_tf.data.sources.base import SPLITS
from ram_tf.errors import RamError
from ram_tf.models.presets import load_preset
from ram_tf.runs.directory import other_classes
from ram_tf.runs.setup import Experiment, assemble


def load_preset_run(name: str, data_dir: str = "") -> tuple[Experiment, dict[str, Any]]:
    """Loads a trained model and opens its data, for its measures.

    Args:
      name: as of `load_preset`.
      data_dir: where its data are.

    Returns:
      The experiment with the preset's weights, and what the preset states: its
      metadata, as of `load_preset`.

    Raises:
      RamError: when there is no such preset, or its data are missing or others. A
        folder of images is found by its name alone, and then compared.
    """
    preset = load_preset(name)
    config = dataclasses.replace(preset.config, data_dir=data_dir)
    folder = config.image_folder
    if folder and not pathlib.Path(folder).is_dir():
        raise RamError(
            f"preset {name!r}: expected its images in {config.dataset}, found no such "
            "folder; run the command where that folder lies"
        )
    experiment = assemble(config)
    found = experiment.source.class_names
    if found != preset.class_names:
        raise other_classes(f"preset {name!r}", preset.class_names, found)
    if experiment.image_shape != preset.image_shape:
        raise RamError(
            f"preset {name!r}: expected images of shape {preset.image_shape}, found "
            f"{experiment.image_shape}"
        )
    if folder:
        _require_same_images(name, experiment, preset.metadata.get("results", {}))
    return dataclasses.replace(experiment, model=preset.model), preset.metadata


def split_digests(experiment: Experiment) -> dict[str, str]:
    """Returns a digest of the images and labels of each split of a folder of images.

    Of other data, which a version identifies, nothing.
    """
    source = experiment.source
    if not source.name.startswith(FOLDER_PREFIX):
        return {}
    return {split: source.record(split)["digest"] for split in SPLITS}


def _require_same_images(
    name: str, experiment: Experiment, results: dict[str, Any]
) -> None:
    if "digests" in results:
        expected, found = results["digests"], split_digests(experiment)
    else:  # A preset of an earlier version says how many there are of each split.
        expected, found = results.get("splits", {}), experiment.source.split_description
    others = [split for split in expected if found.get(split) != expected[split]]
    if others:
        raise RamError(
            f"preset {name!r}: expected {experiment.config.dataset} to hold the images "
            f"that it was trained on, found others in {', '.join(others)}"
        )
