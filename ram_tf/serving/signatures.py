"""What an exported model outputs: functions of images alone, without ram_tf's classes.

A prediction is the mean of R rollouts at the means of the policy, from R first
locations that are the same for every image. It depends neither on chance nor on the
other images of its batch.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from ram_tf.errors import RamError
from ram_tf.layers.location import even_locations
from ram_tf.runs.setup import Experiment

_FIRST_SEED = (2014, 0)


def first_locations(initial_location: str, count: int) -> np.ndarray:
    """Returns where the rollouts of every image start.

    They fill the image evenly, however many there are.

    Args:
      initial_location: the first is the centre, or (random) one fixed random location.
      count: R.

    Returns:
      float32 [R, 2], (y, x) in [-1, 1].
    """
    first = np.zeros(2)
    if initial_location == "random":
        first = tf.random.stateless_uniform([2], _FIRST_SEED, -1.0, 1.0).numpy()
    return even_locations(count, first).astype(np.float32)


def only_from_the_centre(flag: str) -> RamError:
    """Returns the error of a flag that a model of --policy=center cannot have."""
    return RamError(
        f"{flag}: expected one rollout from the centre, as the run of --policy=center "
        "takes"
    )


class ServedModel:
    """Predicts as an export does; not itself a part of what is saved.

    Args:
      experiment: with the weights to export.
      starts: float32 [R, 2], the first locations; without effect for a whole-image
        classifier.
      threshold: an image is looked at no further when the largest of its mean
        probabilities is at least this, in (0, 1]; 0 takes all T glimpses.

    Attributes:
      signatures: tf.functions by the names of their signatures.
      look: a tf.function of images as the model takes them, float32 [B, H, W, C], and
        first locations, float32 [B*R, 2], to the probabilities after each glimpse,
        [B*R, T, N], and the locations, [B*R, T, 2]. Of a whole-image classifier T is 1,
        and no location is looked at.
    """

    def __init__(
        self, experiment: Experiment, starts: np.ndarray, threshold: float = 0.0
    ) -> None:
        self.model = experiment.model
        self.starts = starts
        self.threshold = threshold
        self.in_bytes = experiment.config.pixel_range == "byte"
        self.is_ram = experiment.config.model == "ram"
        self.image_shape = [None, *experiment.image_shape]
        self.look = self._function(self._look, tf.float32, located=True)
        self.signatures = {
            "serving_default": self._function(self._serve, tf.float32),
            "serving_uint8": self._function(self._serve_uint8, tf.uint8),
        }
        if self.is_ram:
            self.signatures["serving_path"] = self._function(
                self._serve_path, tf.uint8, located=True
            )

    def module(self) -> tf.Module:
        """Returns what holds the variables that the signatures use."""
        module = tf.Module()
        module.variables_of_model = [v.value for v in self.model.weights]
        return module

    def _function(self, function: Any, dtype: tf.DType, located: bool = False) -> Any:
        specs = [tf.TensorSpec(self.image_shape, dtype, "images")]
        if located:
            specs.append(tf.TensorSpec([None, 2], tf.float32, "initial_locations"))
        return tf.function(function, input_signature=specs, autograph=False)

    def _serve(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._predict(images * 255.0 if self.in_bytes else images)

    def _serve_uint8(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._predict(self._from_bytes(images))

    def _serve_path(
        self, images: tf.Tensor, initial_locations: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        images = self._from_bytes(images)
        probabilities, locations = self._look(images, initial_locations)
        return {"probabilities_by_glimpse": probabilities, "locations": locations}

    def _from_bytes(self, images: tf.Tensor) -> tf.Tensor:
        # Else the model takes them as they are, and casts no more than it cuts out.
        return tf.cast(images, tf.float32) if self.in_bytes else images

    def _look(
        self, images: tf.Tensor, initial_locations: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        # A loaded signature does not hold its caller to its shape, and a RAM would
        # predict for images of any size.
        images = tf.ensure_shape(images, self.image_shape)
        return self.model.look(images, initial_locations)

    def _predict(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        images = tf.ensure_shape(images, self.image_shape)
        batch = tf.shape(images)[0]
        initial_locations = tf.tile(tf.constant(self.starts), [batch, 1])
        found = {}
        if self.is_ram and self.threshold:
            found = self._look_until_sure(images, initial_locations)
        elif self.is_ram:
            rollout = self.model.rollout(images, initial_locations)
            found = {
                "probabilities": self._mean(rollout.logits),
                "locations": self._of_first(rollout.locations),
            }
        else:
            probabilities, locations = self.model.look(images)
            found = {"probabilities": probabilities[:, 0], "locations": locations}
        label = tf.argmax(found["probabilities"], -1, output_type=tf.int32)
        return {**found, "label": label}

    def _look_until_sure(
        self, images: tf.Tensor, initial_locations: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """As a rollout, but ends when all images of the batch are decided.

        A decided image is computed on until then, and keeps its prediction: it does not
        depend on the others. The rest of its locations repeat the last that counts.
        """
        model = self.model
        batch, steps = tf.shape(images)[0], tf.range(model.num_glimpses)

        def is_open(t: tf.Tensor, decided: tf.Tensor, *_: Any) -> tf.Tensor:
            return (t < model.num_glimpses) & ~tf.reduce_all(decided)

        def look(t: Any, decided: Any, location: Any, state: Any, found: Any) -> Any:
            output, state = model.glimpse(images, location, state)
            probabilities = self._mean(model.action_network(output))
            path = self._of_first(location)[:, None]
            new = {
                "probabilities": probabilities,
                "locations": tf.where(steps[:, None] < t, found["locations"], path),
                "glimpses": tf.fill([batch], t + 1),
            }
            found = {
                key: tf.where(_as_rank(decided, value), found[key], value)
                for key, value in new.items()
            }
            decided |= tf.reduce_max(probabilities, -1) >= self.threshold
            if model.policy == "center":
                location = tf.zeros_like(location)
            else:
                # The last glimpse decides nothing: it has no offset to read.
                decision = tf.minimum(t, model.location_network.num_decisions - 1)
                mean = model.next_mean(output, decision)
                location = tf.clip_by_value(mean, -1.0, 1.0)
            return t + 1, decided, location, state, found

        start = {
            "probabilities": tf.zeros([batch, model.num_classes]),
            "locations": tf.zeros([batch, model.num_glimpses, 2]),
            "glimpses": tf.zeros([batch], tf.int32),
        }
        state = model.core.initial_state(tf.shape(initial_locations)[0])
        decided = tf.zeros([batch], tf.bool)
        *_, found = tf.while_loop(
            is_open, look, (0, decided, initial_locations, state, start)
        )
        return found

    def _mean(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the mean probabilities [B, N] of rollouts' logits [B*R, N]."""
        probabilities = tf.nn.softmax(logits)
        if len(self.starts) == 1:
            return probabilities
        shape = [-1, len(self.starts), logits.shape[-1]]
        return tf.reduce_mean(tf.reshape(probabilities, shape), 1)

    def _of_first(self, values: tf.Tensor) -> tf.Tensor:
        """Returns what belongs to the first rollout of each image, [B, ...]."""
        return values[:: len(self.starts)]


def _as_rank(flags: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Returns flags [B] as [B, 1, ...], for a choice among whole rows of values."""
    return tf.reshape(flags, [-1, *[1] * (len(values.shape) - 1)])
