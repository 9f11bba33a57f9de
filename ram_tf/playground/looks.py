"""What a model does on an image that is shown in the app: paths, and other policies."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ram_tf.serving.predictor import Path, Predictor
from ram_tf.serving.signatures import first_locations

_PATHS = 20  # Of each policy that is compared.
_SEED = (2014, 1)


class PolicyPrediction(NamedTuple):
    """What a policy made of an image.

    Attributes:
      policy: its name.
      label: the class of the highest mean probability.
      probability: that, in [0, 1].
      share: of its paths that end with this class, in [0, 1].
      num_paths: how many it took.
    """

    policy: str
    label: int
    probability: float
    share: float
    num_paths: int


def look(
    model: Predictor, image: np.ndarray, first: tuple[float, float], rollouts: int
) -> Path:
    """Looks at one image from several first locations.

    Args:
      model: the model.
      image: uint8 [H, W, C].
      first: (y, x) of the first rollout; the others start where they fill the image
        evenly beside it.
      rollouts: R.

    Returns:
      probabilities [R, T, N] and locations [R, T, 2].
    """
    starts = _starts(first, rollouts)
    return model.path(np.repeat(image[None], rollouts, 0), starts)


def compare_policies(
    model: Predictor, image: np.ndarray, first: tuple[float, float]
) -> list[PolicyPrediction]:
    """Asks the same weights with other glimpses: learned, random and center.

    Not learned of a model that was trained on the centre: its policy was not.

    Args:
      model: of a preset.
      image: uint8 [H, W, C].
      first: (y, x) of the first path of learned and random.
    """
    assert model.model is not None
    steps = model.num_glimpses
    exploration = tf.random.stateless_uniform([_PATHS, steps - 1, 2], _SEED, -1.0, 1.0)
    found = []
    policies = ["random", "center"]
    if not model.stays_at_centre:
        policies.insert(0, "learned")
    for policy in policies:
        count = 1 if policy == "center" else _PATHS
        starts = np.zeros([1, 2]) if policy == "center" else _starts(first, count)
        images = model.as_model_takes(np.repeat(image[None], count, 0))
        rollout = model.model.rollout(
            images,
            tf.constant(starts, tf.float32),
            exploration if policy == "random" else None,
            policy,
        )
        probabilities = tf.nn.softmax(rollout.logits).numpy()
        mean = probabilities.mean(0)
        label = int(mean.argmax())
        share = float(np.mean(probabilities.argmax(-1) == label))
        found.append(PolicyPrediction(policy, label, float(mean[label]), share, count))
    return found


def _starts(first: tuple[float, float], count: int) -> np.ndarray:
    shifted = (first_locations("center", count) + np.asarray(first) + 1) % 2 - 1
    shifted[0] = first  # 1 and -1 are not the same place.
    return shifted.astype(np.float32)
