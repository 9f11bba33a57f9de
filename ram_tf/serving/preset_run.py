"""A preset with the data that it was trained on, as a run has them."""

import dataclasses
from typing import Any

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
      RamError: when there is no such preset, or its data are missing or of other
        classes or shape: a folder of images is found by its name alone.
    """
    preset = load_preset(name)
    config = dataclasses.replace(preset.config, data_dir=data_dir)
    experiment = assemble(config)
    found = experiment.source.class_names
    if found != preset.class_names:
        raise other_classes(f"preset {name!r}", preset.class_names, found)
    if experiment.image_shape != preset.image_shape:
        raise RamError(
            f"preset {name!r}: expected images of shape {preset.image_shape}, found "
            f"{experiment.image_shape}"
        )
    return dataclasses.replace(experiment, model=preset.model), preset.metadata
