"""A preset measured again on its data, without the run that it was made from."""

import pathlib
from typing import Any

from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.files import read_json, to_json, write_atomic
from ram_tf.models.preset_files import CARD, METADATA, find_preset
from ram_tf.presets.card import card
from ram_tf.presets.measures import measured
from ram_tf.presets.saving import require_same
from ram_tf.presets.seeds import seed_accuracies
from ram_tf.serving.preset_run import load_preset_run


def measure_again(
    preset: str | pathlib.Path,
    data_dir: str = "",
    results_dir: str | pathlib.Path = "",
) -> dict[str, Any]:
    """Measures the stored weights of a preset, and writes its metadata and card anew.

    What its run left stays: its results, and what was measured of the float32 weights.

    Args:
      preset: a name of the package's own, or a folder.
      data_dir: where its data are.
      results_dir: where results of other seeds of the experiment are; "" is nowhere.

    Returns:
      The metadata.

    Raises:
      RamError: when there is no such preset; its data are missing or are split in
        another way; it has not the accuracy that it states; or it cannot be written.
    """
    folder = find_preset(preset)
    experiment, _ = load_preset_run(str(folder), data_dir)
    path = folder / METADATA
    metadata: dict[str, Any] = read_json(path)
    splits, found = metadata["results"]["splits"], experiment.source.split_description
    if found != splits:
        raise RamError(f"{path}: expected data split as {splits}, found {found}")
    measures = measured(experiment, folder)
    for name in ("test_accuracy", "accuracy_of_float16"):
        require_same(
            f"{path}: expected {name} as stated",
            metadata[name],
            measures[name],
            metadata["results"]["num_images"],
        )
    config = Config.from_dict(metadata["config"])
    own = metadata["results"]["test_accuracy"]
    seeds = seed_accuracies(config, own, results_dir)
    if len(seeds) == 1:  # Where no results of others are, what was known of them stays.
        seeds = metadata["seeds"]
    metadata = {**metadata, **measures, "seeds": seeds}
    write_atomic(path, to_json(metadata))
    write_atomic(folder / CARD, card(metadata))
    return metadata
