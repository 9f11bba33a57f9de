"""What the policy does and what it is worth, seen while it trains.

A policy that sits at the border of the image, or is worth no more than random glimpses,
learns nothing more; its training accuracy alone does not tell.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from ram_tf.data.pipeline import evaluation_batches
from ram_tf.data.sources.base import ImageSet
from ram_tf.data.tasks import Task
from ram_tf.evaluation.evaluator import Evaluator
from ram_tf.evaluation.metrics import (
    Predictions,
    border_share,
    glimpse_distance,
    is_right,
    location_entropy,
    step_length,
)
from ram_tf.evaluation.path_images import draw_landing, draw_path
from ram_tf.layers.sensor import top_left
from ram_tf.models.recurrent_attention import POLICIES, RecurrentAttentionModel

SLICE = 1000  # Validation images that are looked at.
_DRAWN = 8  # Of them, with their glimpses in TensorBoard.
_GRADIENT_IMAGES = 32  # Enough for a size; more take memory at every evaluation.

# The terms of the loss, and the networks that each may train.
ROUTES = {
    "cross_entropy": ("glimpse_network", "core", "action_network"),
    "baseline_mse": ("baseline_network",),
    "reinforce": ("location_network", "core", "glimpse_network"),
}


class PolicyMonitor:
    """Measures a learned policy on the first images of a split.

    Args:
      model: with a learned policy; its current weights are used at each call.
      image_set: the split.
      task: how images are shown.
      jit_compile: whether XLA compiles the rollouts.
      class_names: for the titles of pictures; without them classes are numbers.

    Attributes:
      predictions: the learned policy's at the last call; None before it.
    """

    def __init__(
        self,
        model: RecurrentAttentionModel,
        image_set: ImageSet,
        task: Task,
        jit_compile: bool = False,
        class_names: Sequence[str] = (),
    ) -> None:
        # Of the whole split: of its images clutter is cut, by their numbers in it.
        size = min(SLICE, len(image_set.labels))
        self.model = model
        self.evaluator = Evaluator(
            model, image_set, task, jit_compile, indices=range(size)
        )
        count = min(_GRADIENT_IMAGES, size)
        images, labels, _ = next(
            iter(evaluation_batches(image_set, task, count, range(count)))
        )
        draws = tf.random.split([2014, 1], 2)
        shape = [count, model.num_glimpses - 1, 2]
        first = tf.random.stateless_uniform([count, 2], draws[0], -1.0, 1.0)
        if model.initial_location == "center":  # As the accuracies of a call.
            first = tf.zeros([count, 2])
        self._given = (images, first, tf.random.stateless_normal(shape, draws[1]))
        self._labels = tf.cast(labels, tf.int32)
        # Spread over the slice: in a set of folders the first may be of one class.
        places = np.linspace(0, size - 1, min(_DRAWN, size))
        self._drawn = np.unique(places.round().astype(int))
        self._images, _, _ = next(
            iter(evaluation_batches(image_set, task, len(self._drawn), self._drawn))
        )
        self._white = 255.0 if task.pixel_range == "byte" else 1.0
        self._names = class_names
        self.predictions: Predictions | None = None
        self._norms = tf.function(self._gradient_norms, autograph=False)

    def __call__(self) -> dict[str, float]:
        """Returns measures of the locations, accuracies and norms of gradients.

        `accuracy_learned`, `accuracy_random` and `accuracy_center` are of the same
        weights with other glimpses; `gradient_<term>_<network>` are norms of the
        gradient of each term of the loss by network, weights of the terms not applied.
        """
        found = self.evaluator.predict_each(POLICIES)
        self.predictions = found["learned"]
        locations = self.predictions.locations
        measures = {
            "border_share": border_share(locations, self.model.location_network.bound),
            "step_length": step_length(locations),
            "glimpse_distance": glimpse_distance(locations),
            "location_entropy": location_entropy(locations),
        }
        for policy, predictions in found.items():
            right = is_right(predictions.step_probabilities[:, -1], predictions.labels)
            measures[f"accuracy_{policy}"] = float(np.mean(right))
        norms = {name: float(norm) for name, norm in self._norms().items()}
        return {**measures, **norms}

    def draw_paths(self) -> np.ndarray:
        """Draws some images with the glimpses of the last call.

        Returns:
          uint8 [n, h, w, 3], n at most 8: always the same images of the split.
        """
        seen = self.predictions
        assert seen is not None, "call the monitor first"
        steps, sensor = self.model.num_glimpses, self.model.sensor
        locations = seen.locations[self._drawn]
        rows = tf.reshape(locations, [-1, 2])
        shape = [len(self._drawn), steps, sensor.num_scales]
        size_px = tf.shape(self._images)[1:3]
        sides = [sensor.patch_size * 2**k for k in range(sensor.num_scales)]
        corners = tf.stack([top_left(rows, size_px, side) for side in sides], 1)
        # The glimpses of an image are to the sensor what its rollouts are.
        patches = tf.stack(
            tf.split(sensor(self._images, rows), sensor.num_scales, axis=-1), 1
        )
        columns = zip(
            self._drawn,
            self._pixels(self._images),
            tf.reshape(corners, [*shape, 2]).numpy(),
            self._pixels(tf.reshape(patches, [*shape, *patches.shape[2:]])),
            strict=True,
        )
        pictures = [
            draw_path(image, corner, patch, *self._verdict(seen, index))
            for index, image, corner, patch in columns
        ]
        return np.stack(pictures)

    def draw_landing(self) -> np.ndarray:
        """Draws where the glimpses of the last call land, uint8 [h, w, 3]."""
        assert self.predictions is not None, "call the monitor first"
        return draw_landing(self.predictions.locations)

    def _pixels(self, values: tf.Tensor) -> np.ndarray:
        scaled = tf.cast(values, tf.float32) * (255.0 / self._white)
        return tf.cast(tf.clip_by_value(tf.round(scaled), 0, 255), tf.uint8).numpy()

    def _verdict(self, seen: Predictions, index: int) -> tuple[str, bool]:
        """What is predicted, as the title of a picture, and whether it is right."""
        last, label = seen.step_probabilities[index, -1], int(seen.labels[index])
        found = int(last.argmax())

        def name(number: int) -> str:
            return str(self._names[number]) if len(self._names) else str(number)

        said = f"predicts {name(found)} ({100 * last[found]:.0f} %)"
        right = found == label
        return said if right else f"{said}, is {name(label)}", right

    def _gradient_norms(self) -> dict[str, tf.Tensor]:
        model = self.model
        with tf.GradientTape(persistent=True) as tape:
            rollout = model.rollout(*self._given)
            losses = model.hybrid_loss(rollout, self._labels, num_rollouts=1)
        norms = {}
        for term, parts in ROUTES.items():
            for part in parts:
                gradients = tape.gradient(
                    getattr(losses, term),
                    [v.value for v in getattr(model, part).trainable_variables],
                    unconnected_gradients=tf.UnconnectedGradients.ZERO,
                )
                norm = tf.linalg.global_norm(gradients) if gradients else tf.zeros([])
                norms[f"gradient_{term}_{part}"] = norm
        return norms
