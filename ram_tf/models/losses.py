"""The three terms of the hybrid loss, and their weighted sum.

Follows the rollout, feeds the optimizer (paper 4.4, 4.5.1; Mnih et al. 2014,
section 3.2). Rows are rollouts: B images times M rollouts each. All float32.
"""

from typing import NamedTuple

import tensorflow as tf


class Losses(NamedTuple):
    """The loss of a batch, term by term; each a float32 scalar.

    Attributes:
      loss: cross_entropy + baseline_weight * baseline_mse
        + reinforce_weight * reinforce.
      cross_entropy: of the last step's class.
      baseline_mse: of the predicted reward.
      reinforce: the surrogate whose gradient is minus that of the expected reward.
    """

    loss: tf.Tensor
    cross_entropy: tf.Tensor
    baseline_mse: tf.Tensor
    reinforce: tf.Tensor


def reward(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns R float32 [B*M]: 1 where the class is right, else 0 (paper 4.4).

    Args:
      logits: float32 [B*M, N].
      labels: int32 [B*M].
    """
    answers = tf.argmax(logits, axis=-1, output_type=tf.int32)
    return tf.cast(answers == labels, tf.float32)


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns the mean of -log p(label), a scalar; gradient to the logits."""
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return tf.reduce_mean(losses)


def baseline_mse(baselines: tf.Tensor, rewards: tf.Tensor) -> tf.Tensor:
    """Returns the mean of (b_t - R)^2 over rollouts and decisions.

    Args:
      baselines: float32 [B*M, T-1]; gradient goes here.
      rewards: float32 [B*M].

    Returns:
      A scalar; 0 when there is no decision (T = 1).
    """
    if baselines.shape[1] == 0:
        return tf.zeros([])
    return tf.reduce_mean(tf.square(baselines - rewards[:, None]))


def reinforce(
    log_probs: tf.Tensor, baselines: tf.Tensor, rewards: tf.Tensor
) -> tf.Tensor:
    """Returns minus the mean over rollouts of sum_t log pi_t * (R - b_t).

    Its gradient is the estimate of paper equation 2, with the sign of a loss.

    Args:
      log_probs: float32 [B*M, T-1]; gradient goes here.
      baselines: float32 [B*M, T-1]; stopped.
      rewards: float32 [B*M]; stopped.

    Returns:
      A scalar; 0 when there is no decision (T = 1).
    """
    advantages = tf.stop_gradient(rewards[:, None] - baselines)
    return -tf.reduce_mean(tf.reduce_sum(log_probs * advantages, axis=1))


def hybrid_loss(
    logits: tf.Tensor,
    log_probs: tf.Tensor,
    baselines: tf.Tensor,
    labels: tf.Tensor,
    baseline_weight: float,
    reinforce_weight: float,
) -> Losses:
    """Returns every term and their weighted sum.

    Args:
      logits: float32 [B*M, N], of the last step.
      log_probs: float32 [B*M, T-1].
      baselines: float32 [B*M, T-1].
      labels: int32 [B*M].
      baseline_weight: factor of the baseline's MSE.
      reinforce_weight: factor of the REINFORCE term.
    """
    rewards = reward(logits, labels)
    terms = (
        cross_entropy(logits, labels),
        baseline_mse(baselines, rewards),
        reinforce(log_probs, baselines, rewards),
    )
    loss = terms[0] + baseline_weight * terms[1] + reinforce_weight * terms[2]
    return Losses(loss, *terms)
