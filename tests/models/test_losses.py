"""Tests of each loss term on cases worked out by hand."""

import numpy as np
import tensorflow as tf

from ram_tf.models.losses import (
    baseline_mse,
    cross_entropy,
    hybrid_loss,
    reinforce,
    reward,
)

# Two rollouts, three classes, two decisions. The first answer is right.
LOGITS = np.log([[0.5, 0.2, 0.3], [0.6, 0.3, 0.1]]).astype(np.float32)
LABELS = np.array([0, 2], np.int32)
BASELINES = np.array([[0.4, 0.8], [0.1, 0.5]], np.float32)
LOG_PROBS = np.array([[-1.0, 2.0], [3.0, -0.5]], np.float32)

CROSS_ENTROPY = -(np.log(0.5) + np.log(0.1)) / 2
BASELINE_MSE = (0.6**2 + 0.2**2 + 0.1**2 + 0.5**2) / 4
# First row: advantages 0.6 and 0.2; second: -0.1 and -0.5.
REINFORCE = -((-1.0 * 0.6 + 2.0 * 0.2) + (3.0 * -0.1 + -0.5 * -0.5)) / 2


def test_reward_is_one_where_the_class_is_right():
    np.testing.assert_array_equal(reward(LOGITS, LABELS), [1.0, 0.0])


def test_cross_entropy_is_the_mean_of_minus_log_probability():
    np.testing.assert_allclose(cross_entropy(LOGITS, LABELS), CROSS_ENTROPY, rtol=1e-6)
    # Adding to all logits of a row changes no probability.
    shifted = LOGITS + np.array([[100.0], [-50.0]], np.float32)
    np.testing.assert_allclose(cross_entropy(shifted, LABELS), CROSS_ENTROPY, rtol=1e-5)


def test_baseline_mse_is_over_rollouts_and_decisions():
    found = baseline_mse(BASELINES, np.float32([1, 0]))
    np.testing.assert_allclose(found, BASELINE_MSE, rtol=1e-6)


def test_reinforce_sums_over_decisions_and_averages_over_rollouts():
    found = reinforce(LOG_PROBS, BASELINES, np.float32([1, 0]))
    np.testing.assert_allclose(found, REINFORCE, rtol=1e-6)


def test_reinforce_passes_gradient_to_log_probs_alone():
    log_probs, baselines = tf.Variable(LOG_PROBS), tf.Variable(BASELINES)
    rewards = tf.Variable([1.0, 0.0])
    with tf.GradientTape() as tape:
        loss = reinforce(log_probs, baselines, rewards)
    gradients = tape.gradient(loss, [log_probs, baselines, rewards])
    advantages = np.array([[0.6, 0.2], [-0.1, -0.5]])
    np.testing.assert_allclose(gradients[0], -advantages / 2, rtol=1e-6)
    assert gradients[1:] == [None, None]


def test_hybrid_loss_is_the_weighted_sum_of_its_terms():
    found = hybrid_loss(LOGITS, LOG_PROBS, BASELINES, LABELS, 0.5, 0.1)
    np.testing.assert_allclose(found.cross_entropy, CROSS_ENTROPY, rtol=1e-6)
    np.testing.assert_allclose(found.baseline_mse, BASELINE_MSE, rtol=1e-6)
    np.testing.assert_allclose(found.reinforce, REINFORCE, rtol=1e-6)
    expected = CROSS_ENTROPY + 0.5 * BASELINE_MSE + 0.1 * REINFORCE
    np.testing.assert_allclose(found.loss, expected, rtol=1e-6)
    assert all(term.shape == () and term.dtype == tf.float32 for term in found)


def test_hybrid_loss_without_decisions_is_cross_entropy():
    nothing = np.zeros([2, 0], np.float32)
    found = hybrid_loss(LOGITS, nothing, nothing, LABELS, 1.0, 1.0)
    assert (found.baseline_mse.numpy(), found.reinforce.numpy()) == (0.0, 0.0)
    np.testing.assert_allclose(found.loss, CROSS_ENTROPY, rtol=1e-6)


def test_reinforce_of_a_sure_right_answer_raises_its_probability():
    log_probs = tf.Variable([[-2.0]])
    with tf.GradientTape() as tape:
        loss = reinforce(log_probs, tf.zeros([1, 1]), tf.ones([1]))
    assert tape.gradient(loss, log_probs).numpy() < 0  # Descent makes it likelier.
