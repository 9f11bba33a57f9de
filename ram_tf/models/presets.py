"""Presets: trained models by name, folder or Hub address, with what they expect.

>>> preset = load_preset("demo")
>>> preset.model.predict(images)
"""

import dataclasses
import pathlib
from typing import Any

from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.models.preset_files import METADATA, find_preset, read_metadata
from ram_tf.models.recurrent_attention import RecurrentAttentionModel


@dataclasses.dataclass(frozen=True)
class Preset:
    """A trained model and what has to be known to use it.

    Attributes:
      model: built, with its weights, not compiled. Called, it looks at the policy's
        means and first at the centre, as `metadata["initial_location"]` says.
      metadata: as an export's: experiment, config_digest, image_shape (H, W, C),
        class_names, initial_location, test_accuracy (a fraction, of the stored weights,
        from that first location), config (of the run), background (behind what is
        transparent); and what the card states.
      config: of the run that it came from.
      folder: where it was read from.
    """

    model: RecurrentAttentionModel
    metadata: dict[str, Any]
    config: Config
    folder: pathlib.Path

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of the images."""
        shape: tuple[int, int, int] = self.metadata["image_shape"]
        return shape

    @property
    def class_names(self) -> list[str]:
        """The N classes, in the order of their labels."""
        return list(self.metadata["class_names"])


def load_preset(preset: str | pathlib.Path) -> Preset:
    """Loads a trained model with its metadata.

    Args:
      preset: a name of `RecurrentAttentionModel.presets`, the folder of a preset, or
        "hf://user/name".

    Raises:
      RamError: when there is none, or it is broken.
    """
    folder = find_preset(preset)
    metadata = read_metadata(folder)
    try:
        config = Config.from_dict(metadata["config"])
    except RamError as error:  # Of a newer version of the package, say.
        raise RamError(f"{folder / METADATA}: {error}") from None
    model = RecurrentAttentionModel.from_preset(folder)
    names = metadata["class_names"]
    if len(names) != model.num_classes:
        raise RamError(
            f"{folder / METADATA}: expected class_names of the model's "
            f"{model.num_classes} classes, found {len(names)}"
        )
    if metadata["image_shape"] != model.image_shape:
        raise RamError(
            f"{folder / METADATA}: expected the model's image_shape "
            f"{list(model.image_shape)}, found {list(metadata['image_shape'])}"
        )
    return Preset(model, metadata, config, folder)
