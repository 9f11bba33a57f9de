"""What a model predicts on a whole split, by the package's one protocol.

The headline is rollout 0 at the policy's means, from first locations that depend on
the image's index and the rollout alone, never on the run's seed.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ram_tf.data.pipeline import EVALUATION_SEED, evaluation_batches
from ram_tf.data.sources.base import ImageSet
from ram_tf.data.tasks import Task
from ram_tf.evaluation.metrics import Predictions, is_right
from ram_tf.models.image_classifier import ImageClassifier
from ram_tf.models.recurrent_attention import RecurrentAttentionModel

BATCH_SIZE = 250


class Evaluator:
    """Runs a model over a split, compiled once.

    Args:
      model: any model of the package; its current weights are used at each call.
      image_set: the whole split: an image's draws come from its index in it.
      task: how they are shown.
      jit_compile: whether XLA compiles the rollout.
      on_batch: called before every batch; what it raises ends the pass.
      indices: the images to look at; None is all of them.

    Raises:
      RamError: when there are no images.
    """

    def __init__(
        self,
        model: ImageClassifier,
        image_set: ImageSet,
        task: Task,
        jit_compile: bool = False,
        on_batch: Callable[[], None] = lambda: None,
        indices: Sequence[int] | None = None,
    ) -> None:
        self.model = model
        self.size = len(image_set.labels)
        count = self.size if indices is None else len(indices)
        self.batch_size = min(BATCH_SIZE, count)
        self.batches = evaluation_batches(image_set, task, self.batch_size, indices)
        # With the model, so that what was compiled for one split serves the next; not
        # as an attribute, which Keras would track and save.
        self._compiled = model.__dict__.setdefault("_evaluated_by", {})
        self.jit_compile = jit_compile
        self.on_batch = on_batch

    def predict(
        self, policy: str = "learned", rollout: int = 0, sample: bool = False
    ) -> Predictions:
        """Returns the predictions of one rollout on every image.

        Args:
          policy: learned, random or center; a whole-image classifier has none.
          rollout: which first locations (and draws) to use.
          sample: draw locations from the learned policy instead of taking its means.
        """
        return self.predict_each((policy,), rollout, sample)[policy]

    def predict_each(
        self, policies: Sequence[str], rollout: int = 0, sample: bool = False
    ) -> dict[str, Predictions]:
        """Returns the predictions of several policies, in one pass over the images.

        Args:
          policies: as `policy` of `predict`.
          rollout: as of `predict`.
          sample: as of `predict`.
        """
        draws = {policy: self._draws(policy, rollout, sample) for policy in policies}
        parts: dict[str, list[tuple[Any, ...]]] = {policy: [] for policy in policies}
        for images, labels, index in self.batches:
            self.on_batch()
            missing = self.batch_size - len(labels)
            if missing:  # One shape, one compilation.
                images = tf.pad(images, [[0, missing], [0, 0], [0, 0], [0, 0]])
                index = tf.pad(index, [[0, missing]])
            kept = slice(0, len(labels))
            for policy in policies:
                given = [
                    None if drawn is None else tf.gather(drawn, index)
                    for drawn in draws[policy]
                ]
                found = self._function(policy)(images, *given)
                parts[policy].append((*(each.numpy()[kept] for each in found), labels))
        return {
            policy: Predictions(
                *(np.concatenate(column) for column in zip(*of_policy, strict=True))
            )
            for policy, of_policy in parts.items()
        }

    def accuracy(self, sample: bool = False) -> float:
        """Returns the headline accuracy, a fraction, of the model's own policy.

        Args:
          sample: as of `predict`.
        """
        found = self.predict(self.model.policy, sample=sample)
        return float(np.mean(is_right(found.step_probabilities[:, -1], found.labels)))

    def _draws(
        self, policy: str, rollout: int, sample: bool
    ) -> tuple[tf.Tensor | None, tf.Tensor | None]:
        model = self.model
        if not isinstance(model, RecurrentAttentionModel):
            return None, None
        seeds = tf.random.split([EVALUATION_SEED, rollout], 2)
        first = tf.random.stateless_uniform([self.size, 2], seeds[0], -1.0, 1.0)
        if policy == "center" or model.initial_location == "center":
            first = tf.zeros_like(first)
        shape = [self.size, model.num_glimpses - 1, 2]
        exploration = None
        if policy == "center":
            exploration = tf.zeros(shape)
        elif policy == "random":
            exploration = tf.random.stateless_uniform(shape, seeds[1], -1.0, 1.0)
        elif policy == "learned" and sample:
            exploration = tf.random.stateless_normal(shape, seeds[1])
        return first, exploration

    def _function(self, policy: str) -> Any:
        # The centre is a given location as a random one is: one compilation for both.
        policy = "random" if policy == "center" else policy
        key = policy, self.jit_compile
        if key not in self._compiled:
            model = self.model

            def look(images: Any, first: Any, exploration: Any) -> Any:
                return model.look(images, first, exploration, policy)

            function = tf.function(look, jit_compile=self.jit_compile, autograph=False)
            # It warns of few batches of many sets, as if one kept changing its shape.
            function._omit_frequent_tracing_warning = True
            self._compiled[key] = function
        return self._compiled[key]
