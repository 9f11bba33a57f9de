"""Tests of each loss term, on cases worked out by hand and against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from ram_tf.errors import RamError
from ram_tf.models.losses import (
    advantages,
    baseline_mse,
    correct,
    cross_entropy,
    decision_returns,
    glimpse_rewards,
    hybrid_loss,
    reinforce,
)

# Two rollouts, three glimpses, three classes, two decisions. The last prediction of the
# first rollout is right.
STEP_PROBABILITIES = np.array(
    [
        [[0.2, 0.5, 0.3], [0.4, 0.3, 0.3], [0.5, 0.2, 0.3]],
        [[0.1, 0.1, 0.8], [0.3, 0.3, 0.4], [0.6, 0.3, 0.1]],
    ]
)
STEP_LOGITS = np.log(STEP_PROBABILITIES).astype(np.float32)
LOGITS = STEP_LOGITS[:, -1]
LABELS = np.array([0, 2], np.int32)
BASELINES = np.array([[0.4, 0.8], [0.1, 0.5]], np.float32)
LOG_PROBS = np.array([[-1.0, 2.0], [3.0, -0.5]], np.float32)
RETURNS = np.array([[1.0, 1.0], [0.0, 0.0]], np.float32)
TRUE = np.array([[0.2, 0.4, 0.5], [0.8, 0.4, 0.1]])  # Of the true class, by glimpse.

CROSS_ENTROPY = -(np.log(0.5) + np.log(0.1)) / 2
BASELINE_MSE = (0.6**2 + 0.2**2 + 0.1**2 + 0.5**2) / 4
# First row: advantages 0.6 and 0.2; second: -0.1 and -0.5.
REINFORCE = -((-1.0 * 0.6 + 2.0 * 0.2) + (3.0 * -0.1 + -0.5 * -0.5)) / 2


def random_rewards(rows=12, glimpses=5):
    return np.random.default_rng(0).uniform(0, 1, (rows, glimpses)).astype(np.float32)


def test_correct_is_one_where_the_class_is_right():
    np.testing.assert_array_equal(correct(LOGITS, LABELS), [1.0, 0.0])


def test_glimpse_rewards_are_the_correct_class_or_its_probability():
    found = glimpse_rewards(STEP_LOGITS, LABELS, "correct")
    np.testing.assert_array_equal(found, [[0, 1, 1], [1, 1, 0]])
    found = glimpse_rewards(STEP_LOGITS, LABELS, "probability")
    np.testing.assert_allclose(found, TRUE, rtol=1e-6)


@pytest.mark.parametrize("reward", ["correct", "probability"])
def test_glimpse_rewards_pass_no_gradient(reward):
    logits = tf.Variable(STEP_LOGITS)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(glimpse_rewards(logits, LABELS, reward))
    assert tape.gradient(total, logits) is None


def test_final_return_is_the_last_reward_for_every_decision():
    rewards = random_rewards()
    found = decision_returns(rewards, "final")
    np.testing.assert_array_equal(found, np.repeat(rewards[:, -1:], 4, 1))


def test_return_to_go_is_the_mean_of_the_rewards_after_the_decision():
    rewards = random_rewards()
    expected = [[row[t + 1 :].mean() for t in range(4)] for row in rewards]
    np.testing.assert_allclose(decision_returns(rewards, "to_go"), expected, rtol=1e-5)


@pytest.mark.parametrize("discount", [0.0, 0.5, 1.0])
def test_gain_is_the_discounted_sum_of_what_later_glimpses_add(discount):
    rewards = random_rewards()
    gains = np.diff(rewards, axis=1)
    expected = [
        [
            sum(discount**k * gain for k, gain in enumerate(row[t:]))
            for t in range(len(row))
        ]
        for row in gains
    ]
    found = decision_returns(rewards, "gain", discount)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    if discount == 1:  # The gains telescope.
        whole = rewards[:, -1:] - rewards[:, :-1]
        np.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("decision_return", ["final", "to_go", "gain"])
def test_single_glimpse_has_no_return(decision_return):
    assert decision_returns(random_rewards(3, 1), decision_return).shape == (3, 0)


def test_learned_baseline_is_subtracted_from_the_return():
    np.testing.assert_allclose(
        advantages(RETURNS, BASELINES), RETURNS - BASELINES, rtol=1e-6
    )


def test_leave_one_out_subtracts_the_mean_of_the_images_other_rollouts():
    returns = random_rewards(6, 2)  # Two images, three rollouts each.
    expected = np.empty_like(returns)
    for row in range(6):
        image = row // 3
        others = [i for i in range(3 * image, 3 * image + 3) if i != row]
        expected[row] = returns[row] - returns[others].mean(0)
    found = advantages(returns, np.ones([6, 2], "f"), "leave_one_out", 3)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_normalized_advantages_have_deviation_one_and_keep_their_sign():
    returns = random_rewards(40, 3)
    plain = advantages(returns, np.full([40, 3], 0.5, "f")).numpy()
    found = advantages(
        returns, np.full([40, 3], 0.5, "f"), normalize_advantages=True
    ).numpy()
    np.testing.assert_allclose(found, plain / plain.std(), rtol=1e-4)
    equal = advantages(np.ones([4, 2], "f"), np.ones([4, 2], "f"), "learned", 1, True)
    np.testing.assert_array_equal(equal, np.zeros([4, 2]))
    # Of one row, as the last batch of `fit` may be, or of a baseline that is far off.
    for advantage in (0.5, -1e-3):
        returns = np.full([4, 2], advantage, "f")
        found = advantages(returns, np.zeros([4, 2], "f"), "learned", 1, True)
        np.testing.assert_allclose(found, np.sign(returns) * 10, rtol=0.02)


@pytest.mark.parametrize("baseline", ["learned", "leave_one_out"])
def test_advantages_pass_no_gradient(baseline):
    returns, baselines = tf.Variable(RETURNS), tf.Variable(BASELINES)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(advantages(returns, baselines, baseline, 2, True))
    assert tape.gradient(total, [returns, baselines]) == [None, None]


def test_cross_entropy_is_the_mean_of_minus_log_probability():
    np.testing.assert_allclose(cross_entropy(LOGITS, LABELS), CROSS_ENTROPY, rtol=1e-6)
    # Adding to all logits of a row changes no probability.
    shifted = LOGITS + np.array([[100.0], [-50.0]], np.float32)
    np.testing.assert_allclose(cross_entropy(shifted, LABELS), CROSS_ENTROPY, rtol=1e-5)


def test_cross_entropy_over_glimpses_is_their_mean():
    found = cross_entropy(STEP_LOGITS, LABELS)
    np.testing.assert_allclose(found, -np.log(TRUE).mean(), rtol=1e-6)


def test_baseline_mse_is_over_rollouts_and_decisions():
    found = baseline_mse(BASELINES, RETURNS)
    np.testing.assert_allclose(found, BASELINE_MSE, rtol=1e-6)


def test_reinforce_sums_over_decisions_and_averages_over_rollouts():
    found = reinforce(LOG_PROBS, RETURNS - BASELINES)
    np.testing.assert_allclose(found, REINFORCE, rtol=1e-6)


def test_reinforce_passes_gradient_to_log_probs_alone():
    log_probs, weights = tf.Variable(LOG_PROBS), tf.Variable(RETURNS - BASELINES)
    with tf.GradientTape() as tape:
        loss = reinforce(log_probs, weights)
    gradients = tape.gradient(loss, [log_probs, weights])
    expected = -np.array([[0.6, 0.2], [-0.1, -0.5]]) / 2
    np.testing.assert_allclose(gradients[0], expected, rtol=1e-6)
    assert gradients[1] is None


def test_hybrid_loss_is_the_weighted_sum_of_its_terms():
    found = hybrid_loss(
        STEP_LOGITS,
        LOG_PROBS,
        BASELINES,
        LABELS,
        baseline_weight=0.5,
        reinforce_weight=0.1,
    )
    np.testing.assert_allclose(found.cross_entropy, CROSS_ENTROPY, rtol=1e-6)
    np.testing.assert_allclose(found.baseline_mse, BASELINE_MSE, rtol=1e-6)
    np.testing.assert_allclose(found.reinforce, REINFORCE, rtol=1e-6)
    expected = CROSS_ENTROPY + 0.5 * BASELINE_MSE + 0.1 * REINFORCE
    np.testing.assert_allclose(found.loss, expected, rtol=1e-6)
    assert all(term.shape == () and term.dtype == tf.float32 for term in found)


def test_hybrid_loss_with_credit_for_every_glimpse():
    found = hybrid_loss(
        STEP_LOGITS,
        LOG_PROBS,
        BASELINES,
        LABELS,
        cross_entropy_at="every",
        reward="probability",
        decision_return="gain",
        discount=0.5,
    )
    gains = np.diff(TRUE, axis=1)
    returns = np.stack([gains[:, 0] + 0.5 * gains[:, 1], gains[:, 1]], axis=1)
    weights = returns - BASELINES
    np.testing.assert_allclose(found.cross_entropy, -np.log(TRUE).mean(), rtol=1e-6)
    np.testing.assert_allclose(found.baseline_mse, (weights**2).mean(), rtol=1e-5)
    expected = -(LOG_PROBS * weights).sum(1).mean()
    np.testing.assert_allclose(found.reinforce, expected, rtol=1e-5)


def test_hybrid_loss_with_leave_one_out_and_normalized_advantages():
    found = hybrid_loss(
        STEP_LOGITS,
        LOG_PROBS,
        BASELINES,
        LABELS,
        reward="probability",
        baseline="leave_one_out",
        num_rollouts=2,
        normalize_advantages=True,
    )
    returns = np.repeat(TRUE[:, -1:], 2, axis=1)
    weights = returns - returns[::-1]  # The other rollout of the one image.
    expected = -(LOG_PROBS * weights / weights.std()).sum(1).mean()
    np.testing.assert_allclose(found.reinforce, expected, rtol=1e-4)


def test_hybrid_loss_without_decisions_is_cross_entropy():
    nothing = np.zeros([2, 0], np.float32)
    found = hybrid_loss(STEP_LOGITS[:, -1:], nothing, nothing, LABELS)
    assert (found.baseline_mse.numpy(), found.reinforce.numpy()) == (0.0, 0.0)
    np.testing.assert_allclose(found.loss, CROSS_ENTROPY, rtol=1e-6)


def test_reinforce_of_a_sure_right_prediction_raises_its_probability():
    log_probs = tf.Variable([[-2.0]])
    with tf.GradientTape() as tape:
        loss = reinforce(log_probs, tf.ones([1, 1]))
    assert tape.gradient(loss, log_probs).numpy() < 0  # Descent makes it likelier.


@pytest.mark.parametrize(
    "name", ["cross_entropy_at", "reward", "decision_return", "baseline"]
)
def test_a_mistyped_name_is_refused_by_the_loss_itself(name):
    given = (STEP_LOGITS, LOG_PROBS, BASELINES, LABELS)
    with pytest.raises(RamError, match=f"^{name}=corect: expected one of "):
        hybrid_loss(*given, **{name: "corect"})


def test_a_mistyped_name_is_refused_by_each_part_of_the_loss():
    with pytest.raises(RamError, match="^reward=corect: expected one of correct, "):
        glimpse_rewards(STEP_LOGITS, LABELS, "corect")
    with pytest.raises(RamError, match="^decision_return=fnal: expected one of final"):
        decision_returns(random_rewards(), "fnal")
    with pytest.raises(RamError, match="^baseline=none: expected one of learned, "):
        advantages(RETURNS, BASELINES, "none")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"baseline": "leave_one_out"}, "baseline=leave_one_out: expected "),
        ({"location_maps": 2}, "location_maps=2: expected "),
        ({"decision_return": "all"}, "decision_return=all: expected one of "),
        ({"discount": 1.5}, "discount=1.5: expected a number from 0 to 1"),
    ],
)
def test_credit_that_does_not_fit_is_refused(settings, message, make_model):
    from ram_tf.config import Config

    for make in (make_model, Config):
        with pytest.raises(RamError, match=message):
            make(**settings)
