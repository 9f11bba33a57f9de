"""What the policy does and what it is worth, seen while it trains.

A policy that sits at the border of the image, or is worth no more than random glimpses,
learns nothing more; its training accuracy alone does not tell.
"""

import numpy as np
import tensorflow as tf

from ram_tf.data.pipeline import evaluation_batches
from ram_tf.data.sources.base import ImageSet
from ram_tf.data.tasks import Task
from ram_tf.evaluation.evaluator import Evaluator
from ram_tf.evaluation.metrics import (
    border_share,
    glimpse_distance,
    is_right,
    step_length,
)
from ram_tf.models.recurrent_attention import POLICIES, RecurrentAttentionModel

SLICE = 1000  # Validation images that are looked at.
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
    """

    def __init__(
        self,
        model: RecurrentAttentionModel,
        image_set: ImageSet,
        task: Task,
        jit_compile: bool = False,
    ) -> None:
        part = ImageSet(image_set.images[:SLICE], image_set.labels[:SLICE])
        self.model = model
        self.evaluator = Evaluator(model, part, task, jit_compile)
        count = min(_GRADIENT_IMAGES, len(part.labels))
        images, labels, _ = next(
            iter(evaluation_batches(part, task, count, range(count)))
        )
        draws = tf.random.split([2014, 1], 2)
        shape = [count, model.num_glimpses - 1, 2]
        first = tf.random.stateless_uniform([count, 2], draws[0], -1.0, 1.0)
        self._given = (images, first, tf.random.stateless_normal(shape, draws[1]))
        self._labels = tf.cast(labels, tf.int32)
        self._norms = tf.function(self._gradient_norms)

    def __call__(self) -> dict[str, float]:
        """Returns border_share, step_length, glimpse_distance, accuracies, norms.

        `accuracy_learned`, `accuracy_random` and `accuracy_center` are of the same
        weights with other glimpses; `gradient_<term>_<network>` are norms of the
        gradient of each term of the loss by network, weights of the terms not applied.
        """
        found = self.evaluator.predict_each(POLICIES)
        locations = found["learned"].locations
        measures = {
            "border_share": border_share(locations),
            "step_length": step_length(locations),
            "glimpse_distance": glimpse_distance(locations),
        }
        for policy, predictions in found.items():
            right = is_right(predictions.step_probabilities[:, -1], predictions.labels)
            measures[f"accuracy_{policy}"] = float(np.mean(right))
        norms = {name: float(norm) for name, norm in self._norms().items()}
        return {**measures, **norms}

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
