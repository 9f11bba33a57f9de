"""One way to ask an exported model and a preset: images in, classes and paths out."""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ram_tf.errors import RamError
from ram_tf.models.recurrent_attention import RecurrentAttentionModel
from ram_tf.serving.model_folder import check_model, is_preset, preset_of
from ram_tf.serving.saved_model import load_export
from ram_tf.serving.signatures import first_locations, only_from_the_centre

_BATCH = 256  # Images that are predicted together.

_Arrays = dict[str, np.ndarray]


class Path(NamedTuple):
    """What a model saw and thought on its way through B images.

    Attributes:
      probabilities: float32 [B, T, N], of the classes after each glimpse.
      locations: float32 [B, T, 2], where it looked, (y, x) in [-1, 1].
    """

    probabilities: np.ndarray
    locations: np.ndarray


class Predictor:
    """A trained model, wherever it was loaded from.

    Args:
      name: of the model, for messages.
      metadata: as metadata.json of an export, with `background`.
      predict_batch: uint8 images [B, H, W, C] to the arrays of `predict`, by name.
      look: images and first locations [B, 2] to probabilities by glimpse [B, T, N] and
        locations [B, T, 2]; None when the model cannot tell.
      model: the Keras model, when it is one.

    Attributes:
      image_shape: (H, W, C).
      class_names: the N classes.
      background: behind what is transparent.
      num_glimpses, patch_size, num_scales: T, g and K; T is 0 for a model that takes
        no glimpses.
      first_location: (y, x) that its predictions start from, or first start from.
      num_rollouts: how many rollouts its predictions are the mean of.
    """

    def __init__(
        self,
        name: str,
        metadata: dict[str, Any],
        predict_batch: Callable[[np.ndarray], _Arrays],
        look: Callable[[np.ndarray, np.ndarray], tuple[Any, Any]] | None = None,
        model: RecurrentAttentionModel | None = None,
    ) -> None:
        self.name = name
        self.metadata = metadata
        self.model = model
        self.image_shape: tuple[int, int, int] = metadata["image_shape"]
        self.class_names: list[str] = metadata["class_names"]
        self.background: str = metadata["background"]
        config = metadata.get("config", {})
        takes_glimpses = config.get("model", "ram") == "ram"
        self.stays_at_centre = takes_glimpses and config.get("policy") == "center"
        self.num_glimpses = config.get("num_glimpses", 0) if takes_glimpses else 0
        self.patch_size = config.get("patch_size", 0)
        self.num_scales = config.get("num_scales", 1)
        starts = metadata.get("first_locations") or [(0.0, 0.0)]
        self.first_location: tuple[float, float] = tuple(starts[0])
        self.num_rollouts: int = metadata.get("rollouts", 1)
        self._predict = predict_batch
        self._look = look

    def predict(self, images: np.ndarray, rollouts: int = 0) -> _Arrays:
        """Classifies uint8 images [B, H, W, C].

        Args:
          images: any number of them.
          rollouts: of how many rollouts, from first locations that fill the image
            evenly, the mean is taken; 0 leaves it to the model.

        Returns:
          probabilities float32 [B, N], label int32 [B], locations float32 [B, T, 2] of
          the first rollout, and glimpses int32 [B] where the model stops by itself.

        Raises:
          RamError: when rollouts are asked of a model that has but one prediction.
        """
        self.check_rollouts(rollouts)
        if not len(images):
            # Some kernels take no empty batch: one image tells the shapes.
            found = self.predict(np.zeros([1, *self.image_shape], np.uint8), rollouts)
            return {key: values[:0] for key, values in found.items()}
        parts = [
            self._mean(part, rollouts) if rollouts else self._predict(part)
            for part in _parts(images)
        ]
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def _mean(self, images: np.ndarray, rollouts: int) -> _Arrays:
        start = self.metadata.get("initial_location", "center")
        paths = [
            self.path(images, np.tile(first, [len(images), 1]))
            for first in first_locations(start, rollouts)
        ]
        mean = np.mean([path.probabilities[:, -1] for path in paths], axis=0)
        return _arrays_of(mean, paths[0].locations)

    def path(self, images: np.ndarray, initial_locations: np.ndarray) -> Path:
        """Looks at uint8 images [B, H, W, C] from first locations, float32 [B, 2].

        It takes all T glimpses, at the means of the policy.

        Raises:
          RamError: when the model takes no glimpses, or cannot tell where.
        """
        self.check_path()
        assert self._look is not None
        if not len(images):
            one = np.zeros([1, *self.image_shape], np.uint8)
            return Path(*(found[:0] for found in self.path(one, np.zeros([1, 2]))))
        starts = np.asarray(initial_locations, np.float32)
        parts = []
        for at, part in zip(range(0, len(images), _BATCH), _parts(images), strict=True):
            found = self._look(part, starts[at : at + len(part)])
            parts.append([np.asarray(value) for value in found])
        return Path(*(np.concatenate(values) for values in zip(*parts, strict=True)))

    def as_model_takes(self, images: np.ndarray) -> tf.Tensor:
        """Returns uint8 images as `model` takes them."""
        return _as_model_takes(tf.constant(images), self.metadata)

    def check_rollouts(self, rollouts: int) -> None:
        """Raises RamError when there cannot be so many; 0 is as of `predict`."""
        if rollouts:
            self.check_path()
        if rollouts > 1 and self.stays_at_centre:
            raise only_from_the_centre(f"--rollouts={rollouts}")

    def check_path(self) -> None:
        """Raises RamError, in one line, when `path` cannot be asked."""
        if not self.num_glimpses:
            found = self.metadata.get("config", {}).get("model", "one of another kind")
            raise RamError(
                f"--model={self.name}: expected a model that takes glimpses, found "
                f"{found}"
            )
        if self._look is None:
            raise RamError(
                f"--model={self.name}: expected an export with the signature "
                "serving_path, found one of an earlier version; export the run again"
            )


def load_predictor(model: str) -> Predictor:
    """Loads a model.

    Args:
      model: the folder of an export or a preset, or preset:NAME.

    Raises:
      RamError: when there is none, or it is broken.
    """
    if is_preset(model):
        return _of_preset(model)
    check_model(model)
    loaded, metadata = load_export(pathlib.Path(model))
    path = loaded.signatures.get("serving_path")

    def predict_batch(images: np.ndarray) -> _Arrays:
        # Through the model: without it a signature loses its variables.
        found = loaded.signatures["serving_uint8"](images=tf.constant(images))
        return {key: value.numpy() for key, value in found.items()}

    def look(images: np.ndarray, starts: np.ndarray) -> tuple[Any, Any]:
        found = path(images=tf.constant(images), initial_locations=tf.constant(starts))
        return found["probabilities_by_glimpse"], found["locations"]

    return Predictor(model, metadata, predict_batch, look if path is not None else None)


def _of_preset(name: str) -> Predictor:
    from ram_tf.models.presets import load_preset

    preset = load_preset(preset_of(name))
    model, metadata = preset.model, preset.metadata

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, *metadata["image_shape"]], tf.uint8),
            tf.TensorSpec([None, 2], tf.float32),
        ],
        autograph=False,
    )
    def look(images: tf.Tensor, starts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return model.look(_as_model_takes(images, metadata), starts)

    def predict_batch(images: np.ndarray) -> _Arrays:
        probabilities, locations = look(images, np.zeros([len(images), 2], np.float32))
        return _arrays_of(probabilities[:, -1].numpy(), locations.numpy())

    return Predictor(name, metadata, predict_batch, look, model)


def _as_model_takes(images: tf.Tensor, metadata: dict[str, Any]) -> tf.Tensor:
    # Of uint8 a model makes fractions of 255, but for one that was trained on bytes.
    in_bytes = metadata.get("config", {}).get("pixel_range") == "byte"
    return tf.cast(images, tf.float32) if in_bytes else images


def _arrays_of(probabilities: np.ndarray, locations: np.ndarray) -> _Arrays:
    label = probabilities.argmax(-1).astype(np.int32)
    return {"probabilities": probabilities, "label": label, "locations": locations}


def _parts(images: np.ndarray) -> list[np.ndarray]:
    """Cuts images into batches."""
    return [images[at : at + _BATCH] for at in range(0, len(images), _BATCH)]
