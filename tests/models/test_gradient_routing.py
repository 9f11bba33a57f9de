"""Which term of the loss trains which part of the model: the whole matrix."""

import numpy as np
import pytest
import tensorflow as tf

from ram_tf.models.losses import hybrid_loss

PARTS = (
    "glimpse_network",
    "core",
    "location_network",
    "baseline_network",
    "action_network",
)
# By policy_gradient_scope and term: the parts that learn from it, and no others.
MATRIX = {
    "location": {
        "cross_entropy": {"glimpse_network", "core", "action_network"},
        "baseline_mse": {"baseline_network"},
        "reinforce": {"location_network"},
    },
    "core": {
        "cross_entropy": {"glimpse_network", "core", "action_network"},
        "baseline_mse": {"baseline_network"},
        "reinforce": {"location_network", "core", "glimpse_network"},
    },
}
CORES = {
    "rnn": {},
    "lstm": {"core": "lstm"},
    "none": {"core": "none"},
    "conv_lstm": {"core": "conv_lstm", "glimpse_network": "inception"},
    "conv": {"glimpse_network": "conv", "location_hidden_units": 8},
}


def parts_trained(model) -> dict[str, set[str]]:
    """Returns, by term, the parts with a weight whose gradient is not zero."""
    numbers = np.random.default_rng(0)
    images = numbers.uniform(0, 1, (8, 12, 12, 1)).astype(np.float32)
    labels = numbers.integers(0, 5, 8).astype(np.int32)
    first = numbers.uniform(-1, 1, (8, 2)).astype(np.float32)
    if model.policy == "random":
        exploration = numbers.uniform(-1, 1, (8, 2, 2)).astype(np.float32)
    else:
        exploration = numbers.normal(size=(8, 2, 2)).astype(np.float32)
    with tf.GradientTape(persistent=True) as tape:
        found = model.rollout(images, first, exploration)
        losses = hybrid_loss(
            found.step_logits,
            found.log_probs,
            found.baselines,
            labels,
            **{**model.credit, "reinforce_weight": 1.0},
        )
    trained: dict[str, set[str]] = {}
    for term in ("cross_entropy", "baseline_mse", "reinforce"):
        gradients = tape.gradient(
            getattr(losses, term),
            {p: getattr(model, p).trainable_variables for p in PARTS},
        )
        # NaN is not 0 either.
        for gradient in tf.nest.flatten(gradients):
            assert gradient is None or np.all(np.isfinite(gradient))
        trained[term] = {
            part
            for part, of_part in gradients.items()
            if any(g is not None and np.any(g.numpy() != 0) for g in of_part)
        }
    return trained


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("scope", MATRIX)
def test_every_term_trains_its_parts_and_no_others(scope, core, make_model):
    model = make_model(policy_gradient_scope=scope, **CORES[core])
    # A core without weights has nothing to learn.
    absent = {"core"} if core == "none" else set()
    expected = {term: parts - absent for term, parts in MATRIX[scope].items()}
    assert parts_trained(model) == expected


CREDIT = {
    "every": {"cross_entropy_at": "every"},
    "probability": {"reward": "probability"},
    "to_go": {"decision_return": "to_go"},
    "gain": {"reward": "probability", "decision_return": "gain"},
    "leave_one_out": {"baseline": "leave_one_out", "num_rollouts": 2},
    "normalized": {"reward": "probability", "normalize_advantages": True},
    "bound": {"reward": "probability", "location_bound": 0.0},
    "maps": {**CORES["conv_lstm"], "location_maps": 2},
    "spread": {"reward": "probability", "location_spread": 0.8},
}


@pytest.mark.parametrize("credit", CREDIT)
@pytest.mark.parametrize("scope", MATRIX)
def test_no_kind_of_credit_changes_what_a_term_trains(scope, credit, make_model):
    model = make_model(policy_gradient_scope=scope, **CREDIT[credit])
    assert parts_trained(model) == MATRIX[scope]


@pytest.mark.parametrize("policy", ["random", "center"])
@pytest.mark.parametrize("scope", ["location", "core"])
def test_reinforce_trains_nothing_without_a_learned_policy(policy, scope, make_model):
    model = make_model(policy=policy, policy_gradient_scope=scope)
    assert parts_trained(model)["reinforce"] == set()


def test_single_glimpse_trains_the_classifier_alone(make_model):
    model = make_model(num_glimpses=1)
    images = np.ones([2, 12, 12, 1], np.float32)
    with tf.GradientTape(persistent=True) as tape:
        found = model.rollout(images, tf.zeros([2, 2]))
        labels = np.zeros(2, np.int32)
        losses = hybrid_loss(
            found.step_logits,
            found.log_probs,
            found.baselines,
            labels,
            **{**model.credit, "reinforce_weight": 1.0},
        )
    for term in ("baseline_mse", "reinforce"):
        gradients = tape.gradient(getattr(losses, term), model.trainable_variables)
        assert all(gradient is None for gradient in gradients)


def test_no_gradient_reaches_a_location(make_model):
    model = make_model()
    numbers = np.random.default_rng(0)
    images = numbers.uniform(0, 1, (4, 12, 12, 1)).astype(np.float32)
    exploration = tf.Variable(numbers.normal(size=(4, 2, 2)).astype(np.float32))
    with tf.GradientTape() as tape:
        found = model.rollout(images, tf.zeros([4, 2]), exploration)
        total = tf.reduce_sum(found.logits) + tf.reduce_sum(found.baselines)
        total += tf.reduce_sum(found.locations)
    assert tape.gradient(total, exploration) is None
