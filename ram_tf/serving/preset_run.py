"""A preset with the data that it was trained on, as a run has them."""

import dataclasses
from typing import Any

from ram_tf.models.presets import load_preset
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
      RamError: when there is no such preset, or its data are missing.
    """
    preset = load_preset(name)
    config = dataclasses.replace(preset.config, data_dir=data_dir)
    experiment = dataclasses.replace(assemble(config), model=preset.model)
    return experiment, preset.metadata
