"""The hybrid loss: classification, the baseline's error, and REINFORCE.

Follows the rollout, feeds the optimizer (paper 4.4, 4.5.1; Mnih et al. 2014,
section 3.2). Rows are rollouts: B images times M rollouts each. All float32.

In the order of the computation: the class logits after every glimpse give a reward a
glimpse (`glimpse_rewards`), these give a return a decision (`decision_returns`), and
the return minus what was expected is the advantage (`advantages`) by which REINFORCE
makes a decision more or less likely.

Over 250 lines, by a few: each term is made of the one before.
"""

from typing import NamedTuple

import tensorflow as tf

from ram_tf.config import check_setting

# Nearly equal advantages are not blown up: they are of a batch that was too small, or
# of a baseline that knows nothing yet.
_SMALLEST_DEVIATION = 1e-6
_SMALLEST_SHARE = 0.1  # Of their root mean square.


class Losses(NamedTuple):
    """The loss of a batch, term by term; each a float32 scalar with gradient.

    Attributes:
      loss: cross_entropy + baseline_weight * baseline_mse
        + reinforce_weight * reinforce.
      cross_entropy: of the class, after the last glimpse or the mean over glimpses;
        gradient to the logits.
      baseline_mse: of the predicted return; gradient to the baselines alone.
      reinforce: the surrogate whose gradient is minus that of the expected return; it
        goes to the log-probabilities alone.
    """

    loss: tf.Tensor
    cross_entropy: tf.Tensor
    baseline_mse: tf.Tensor
    reinforce: tf.Tensor


def correct(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns float32 [...]: 1 where the most likely class is the label, else 0.

    Args:
      logits: float32 [..., N].
      labels: int32 [...].
    """
    predictions = tf.argmax(logits, axis=-1, output_type=tf.int32)
    return tf.cast(predictions == labels, tf.float32)


def glimpse_rewards(
    step_logits: tf.Tensor, labels: tf.Tensor, reward: str = "correct"
) -> tf.Tensor:
    """Returns the reward after every glimpse, float32 [B*M, T]; no gradient.

    Args:
      step_logits: float32 [B*M, T, N].
      labels: int32 [B*M].
      reward: "correct", 1 where the class is right and else 0 (paper 4.4), or
        "probability", that of the true class, which also rewards a step towards it.

    Raises:
      RamError: when there is no such reward.
    """
    check_setting("reward", reward, prefix="")
    step_logits = tf.stop_gradient(step_logits)
    if reward == "correct":
        return correct(step_logits, labels[:, None])
    probabilities = tf.nn.softmax(step_logits)
    return tf.gather(probabilities, labels, axis=2, batch_dims=1)


def decision_returns(
    rewards: tf.Tensor, decision_return: str = "final", discount: float = 0.5
) -> tf.Tensor:
    """Returns what each decision is credited with, float32 [B*M, T-1].

    Decision t chooses where glimpse t+1 looks, so only the rewards after glimpse t+1
    and later can depend on it.

    Args:
      rewards: float32 [B*M, T], after every glimpse.
      decision_return: "final", the reward after the last glimpse (paper 4.4);
        "to_go", the mean of the rewards after glimpse t+1 and later; or "gain", the sum
        over k >= 0 of discount**k times what glimpse t+1+k added to the reward.
      discount: of "gain"; 0 credits a decision with the next glimpse alone.

    Raises:
      RamError: when there is no such return.
    """
    check_setting("decision_return", decision_return, prefix="")
    num_decisions = rewards.shape[1] - 1
    if decision_return == "final":
        return tf.repeat(rewards[:, -1:], num_decisions, axis=1)
    if decision_return == "to_go":
        sums = tf.cumsum(rewards[:, 1:], axis=1, reverse=True)
        return sums / tf.range(num_decisions, 0, -1, dtype=tf.float32)
    gains = tf.unstack(rewards[:, 1:] - rewards[:, :-1], axis=1)
    later = tf.zeros_like(rewards[:, 0])
    returns = []
    for gain in reversed(gains):
        later = gain + discount * later
        returns.append(later)
    return tf.stack(returns[::-1], axis=1) if returns else rewards[:, 1:]


def advantages(
    returns: tf.Tensor,
    baselines: tf.Tensor,
    baseline: str = "learned",
    num_rollouts: int = 1,
    normalize_advantages: bool = False,
) -> tf.Tensor:
    """Returns the return minus what was expected, float32 [B*M, T-1]; no gradient.

    Args:
      returns: float32 [B*M, T-1].
      baselines: float32 [B*M, T-1], of the baseline network.
      baseline: "learned", the baseline network's; or "leave_one_out", the mean return
        of the same decision in the image's other rollouts, which does not depend on the
        rollout itself, so that the estimate of the gradient stays unbiased.
      num_rollouts: rollouts M per image, at least 2 for "leave_one_out".
      normalize_advantages: divide by their standard deviation over the rollouts and
        decisions of the whole batch, on all replicas; by at least a tenth of their root
        mean square.

    Raises:
      RamError: when there is no such baseline.
    """
    check_setting("baseline", baseline, prefix="")
    expected = baselines
    if baseline == "leave_one_out":
        by_image = tf.reshape(returns, [-1, num_rollouts, returns.shape[1]])
        others = tf.reduce_sum(by_image, axis=1, keepdims=True) - by_image
        expected = tf.reshape(others / (num_rollouts - 1), tf.shape(returns))
    found = tf.stop_gradient(returns - expected)
    if normalize_advantages and found.shape[1]:
        mean, deviation = _moments(found)
        least = _SMALLEST_SHARE * tf.sqrt(mean**2 + deviation**2)
        found /= tf.maximum(deviation, least) + _SMALLEST_DEVIATION
    return found


def _moments(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns mean and standard deviation of the values of all replicas, scalars."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return tf.reduce_mean(values), tf.math.reduce_std(values)
    context = tf.distribute.get_replica_context()
    count = tf.cast(tf.size(values), tf.float32)
    total, count = context.all_reduce(
        tf.distribute.ReduceOp.SUM, (tf.reduce_sum(values), count)
    )
    mean = total / count
    squares = tf.reduce_sum(tf.square(values - mean))
    squares = context.all_reduce(tf.distribute.ReduceOp.SUM, squares)
    return mean, tf.sqrt(squares / count)


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns the mean of -log p(label), a scalar; gradient to the logits.

    Args:
      logits: float32 [B*M, N], or [B*M, T, N] for the mean over glimpses too.
      labels: int32 [B*M].
    """
    if len(logits.shape) == 3:
        labels = tf.repeat(labels[:, None], logits.shape[1], axis=1)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return tf.reduce_mean(losses)


def baseline_mse(baselines: tf.Tensor, returns: tf.Tensor) -> tf.Tensor:
    """Returns the mean of (b_t - G_t)^2 over rollouts and decisions.

    Args:
      baselines: float32 [B*M, T-1]; gradient goes here.
      returns: float32 [B*M, T-1].

    Returns:
      A scalar; 0 when there is no decision (T = 1).
    """
    if baselines.shape[1] == 0:
        return tf.zeros([])
    return tf.reduce_mean(tf.square(baselines - returns))


def reinforce(log_probs: tf.Tensor, advantages: tf.Tensor) -> tf.Tensor:
    """Returns minus the mean over rollouts of sum_t log pi_t * advantage_t.

    Its gradient is the estimate of paper equation 2, with the sign of a loss.

    Args:
      log_probs: float32 [B*M, T-1]; gradient goes here.
      advantages: float32 [B*M, T-1]; stopped.

    Returns:
      A scalar; 0 when there is no decision (T = 1).
    """
    weighted = log_probs * tf.stop_gradient(advantages)
    return -tf.reduce_mean(tf.reduce_sum(weighted, axis=1))


def hybrid_loss(
    step_logits: tf.Tensor,
    log_probs: tf.Tensor,
    baselines: tf.Tensor,
    labels: tf.Tensor,
    *,
    baseline_weight: float = 1.0,
    reinforce_weight: float = 0.01,
    cross_entropy_at: str = "last",
    reward: str = "correct",
    decision_return: str = "final",
    discount: float = 0.5,
    baseline: str = "learned",
    num_rollouts: int = 1,
    normalize_advantages: bool = False,
) -> Losses:
    """Returns every term and their weighted sum.

    Args:
      step_logits: float32 [B*M, T, N].
      log_probs: float32 [B*M, T-1].
      baselines: float32 [B*M, T-1].
      labels: int32 [B*M].
      baseline_weight: factor of the baseline's MSE.
      reinforce_weight: factor of the REINFORCE term.
      cross_entropy_at: "last" glimpse, or "every": the mean over glimpses.
      reward: as of `glimpse_rewards`.
      decision_return: as of `decision_returns`.
      discount: as of `decision_returns`.
      baseline: as of `advantages`.
      num_rollouts: as of `advantages`.
      normalize_advantages: as of `advantages`.

    Gradient:
      Of `cross_entropy` to step_logits, of `baseline_mse` to baselines, of `reinforce`
      to log_probs; no term passes any to the rewards, returns or advantages.

    Raises:
      RamError: when cross_entropy_at, reward, decision_return or baseline is none of
        the values above.
    """
    check_setting("cross_entropy_at", cross_entropy_at, prefix="")
    classified = step_logits if cross_entropy_at == "every" else step_logits[:, -1]
    rewards = glimpse_rewards(step_logits, labels, reward)
    returns = decision_returns(rewards, decision_return, discount)
    weights = advantages(
        returns, baselines, baseline, num_rollouts, normalize_advantages
    )
    terms = (
        cross_entropy(classified, labels),
        baseline_mse(baselines, returns),
        reinforce(log_probs, weights),
    )
    loss = terms[0] + baseline_weight * terms[1] + reinforce_weight * terms[2]
    return Losses(loss, *terms)
