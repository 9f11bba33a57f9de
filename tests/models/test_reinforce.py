"""REINFORCE's estimate against exact gradients of the expected reward."""

import math

import numpy as np
import pytest
import tensorflow as tf

from ram_tf.layers import LocationNetwork
from ram_tf.models.losses import advantages, correct, reinforce


def check_unbiased(estimates: np.ndarray, exact: np.ndarray) -> None:
    """The mean of estimates [n, ...] is the exact gradient, within 3 standard errors.

    And those errors are small beside it, so that the test can tell.
    """
    errors = estimates.std(axis=0, ddof=1) / math.sqrt(len(estimates))
    assert np.all(np.abs(estimates.mean(axis=0) - exact) < 3 * errors)
    assert np.all(3 * errors < 0.2 * np.linalg.norm(exact))


@pytest.mark.parametrize("baseline", [0.0, 0.7])
def test_estimate_equals_the_gradient_of_a_known_probability(baseline):
    """Reward 1 where y > 0: P(y > 0) = Phi(mu / stddev), in closed form."""
    stddev, mu = 0.4, -0.2
    layer = LocationNetwork(stddev)
    # d/dmu of the probability: the normal density at mu / stddev, by stddev.
    density = math.exp(-((mu / stddev) ** 2) / 2) / math.sqrt(2 * math.pi) / stddev
    means = tf.Variable(np.full([200_000, 2], mu, np.float32))
    with tf.GradientTape() as tape:
        noise = tf.random.stateless_normal(means.shape, [1, 2])
        locations = layer.sample(means, noise)
        rewards = tf.cast(locations[:, 0] > 0, tf.float32)
        log_probs = layer.log_prob(locations, means)[:, None]
        loss = reinforce(log_probs, rewards[:, None] - baseline)
    # The loss is minus a mean over rows: undo both to have an estimate a row.
    estimates = -200_000 * tape.gradient(loss, means).numpy()
    check_unbiased(estimates[:, 0], np.array(density))
    # Of x the reward is independent: its gradient is 0.
    error = estimates[:, 1].std() / math.sqrt(200_000)
    assert abs(estimates[:, 1].mean()) < 3 * error


@pytest.mark.parametrize(
    ("scope", "baseline", "num_rollouts"),
    [
        ("location", "learned", 1),
        ("core", "learned", 1),
        ("location", "leave_one_out", 2),
        ("location", "leave_one_out", 5),
    ],
)
def test_models_estimate_equals_the_gradient_by_quadrature(
    scope, baseline, num_rollouts, make_model
):
    """One image, two glimpses: the reward is a function of the one decision."""
    stddev, batch, num_batches = 0.3, 2_000, 200
    numbers = np.random.default_rng(3)
    model = make_model(
        num_glimpses=2,
        num_classes=2,
        location_stddev=stddev,
        policy_gradient_scope=scope,
    )
    image = numbers.uniform(0, 1, (1, 12, 12, 1)).astype(np.float32)
    bias = model.location_network.mean.bias

    def look(exploration):
        count = len(exploration)
        return model.rollout(image, tf.zeros([count, 2]), exploration[:, None])

    mean = look(tf.zeros([1, 2])).means[0, 0].numpy()

    # The exact gradient: the mean over standard normal noise e of R(mu + stddev e) e /
    # stddev, by a Fibonacci lattice, whose error is of the order of log(n) / n also
    # where R jumps; then through mu = tanh(... + bias).
    n, generator = 75_025, 46_368
    index = np.arange(n)
    lattice = np.stack([(index + 0.5) / n, (index * generator / n + 0.5 / n) % 1])
    noise = tf.math.ndtri(tf.constant(lattice.T)).numpy()
    logits = [look(part.astype(np.float32)).logits for part in np.array_split(noise, 8)]
    logits = np.concatenate([part.numpy() for part in logits])
    # A bias that makes the class depend on where the second glimpse looks.
    shift = np.median(logits[:, 0] - logits[:, 1])
    model.action_network.logits.bias.assign([0.0, shift])
    label = 1
    rewards = np.argmax(logits + [0.0, shift], axis=1) == label
    assert 0.4 < rewards.mean() < 0.6, "the decision must matter"
    exact = rewards @ noise / n / stddev * (1 - mean**2)

    @tf.function
    def estimate(seed):
        noise = tf.random.stateless_normal([batch, 2], seed)
        with tf.GradientTape() as tape:
            found = model.rollout(image, tf.zeros([batch, 2]), noise[:, None])
            rewards = correct(found.logits, tf.fill([batch], label))[:, None]
            weights = advantages(rewards, found.baselines, baseline, num_rollouts)
            loss = reinforce(found.log_probs, weights)
        return -tape.gradient(loss, bias)

    estimates = [estimate(tf.constant([7, i])).numpy() for i in range(num_batches)]
    check_unbiased(np.array(estimates), exact)
