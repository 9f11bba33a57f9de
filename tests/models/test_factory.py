"""Tests of what a Config is turned into: model, optimizer, schedule."""

import math

import keras
import numpy as np
import pytest

from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.models.factory import build_model, learning_rate, make_optimizer
from ram_tf.models.recurrent_attention import RecurrentAttentionModel
from ram_tf.models.whole_image import ConvClassifier, FCClassifier

SMALL = {"core_units": 8, "glimpse_units": 8, "patch_size": 4, "num_glimpses": 2}


@pytest.mark.parametrize(
    ("name", "kind"),
    [("ram", RecurrentAttentionModel), ("fc", FCClassifier), ("conv", ConvClassifier)],
)
def test_build_model_makes_the_model_of_the_config(name, kind):
    model = build_model(Config(model=name, **SMALL), 7, (12, 12, 3))
    assert type(model) is kind
    assert model.built
    assert model(np.zeros([2, 12, 12, 3], np.float32)).shape == (2, 7)


def test_build_model_passes_every_field_on():
    settings = {
        **SMALL,
        "num_scales": 2,
        "glimpse_network": "conv",
        "core": "rnn",
        "location_hidden_units": 5,
        "location_input_scale": 0.5,
        "policy": "random",
        "location_stddev": 0.3,
        "initial_location": "center",
        "policy_gradient_scope": "core",
        "location_bound": 0.75,
        "location_spread": 0.5,
        "location_maps": 0,
        "glimpse_modules": 1,
        "cross_entropy_at": "every",
        "reward": "probability",
        "decision_return": "gain",
        "discount": 0.25,
        "baseline": "leave_one_out",
        "normalize_advantages": True,
        "num_rollouts": 4,
        "baseline_weight": 0.7,
        "reinforce_weight": 0.3,
        "seed": 9,
    }
    model = build_model(Config(**settings), 3, (12, 12, 1))
    found = model.get_config()
    assert {name: found[name] for name in settings} == settings
    assert found["num_classes"] == 3
    # And the parts of the model have it.
    policy = model.location_network
    assert (policy.stddev, policy.input_scale, policy.hidden_units) == (0.3, 0.5, 5)
    assert (policy.bound, policy.spread) == ([0.75, 0.75], 0.5)
    assert (model.sensor.patch_size, model.sensor.num_scales) == (4, 2)


def test_build_model_gives_maps_and_modules_to_their_layers():
    settings = {
        **SMALL,
        "patch_size": 8,
        "glimpse_network": "inception",
        "glimpse_modules": 2,
        "core": "conv_lstm",
        "location_maps": 3,
    }
    model = build_model(Config(**settings), 3, (12, 12, 1))
    assert model.location_network.maps == 3
    assert model.glimpse_network.modules == 2


def test_build_model_takes_a_patch_as_large_as_the_image():
    config = Config(**{**SMALL, "patch_size": 12})
    assert build_model(config, 3, (12, 12, 1)).sensor.patch_size == 12
    with pytest.raises(RamError, match="--patch_size=12: expected at most 11"):
        build_model(config, 3, (11, 10, 1))


@pytest.mark.parametrize(
    ("distribution", "expected"), [("one", True), ("mirrored", False)]
)
def test_build_model_compiles_the_update_by_itself_on_one_device_alone(
    distribution, expected
):
    config = Config(model="fc", distribution=distribution)
    assert build_model(config, 3, (12, 12, 1)).jit_update is expected


def test_build_model_draws_weights_by_seed():
    def weights(seed):
        return build_model(Config(seed=seed, **SMALL), 5, (12, 12, 1)).get_weights()

    first, again, other = weights(1), weights(1), weights(2)
    assert all(map(np.array_equal, first, again))
    assert not all(map(np.array_equal, first, other))


@pytest.mark.parametrize("name", ["ram", "fc", "conv"])
def test_build_model_names_variables_the_same_every_time(name):
    def names():
        model = build_model(Config(model=name, **SMALL), 5, (12, 12, 1))
        return [variable.path for variable in model.weights], [
            variable.name for variable in model.optimizer.variables
        ]

    assert names() == names()


def test_build_model_makes_optimizer_state_before_training():
    model = build_model(Config(**SMALL), 5, (12, 12, 1))
    # Adam: two moments a weight, the step count and the learning rate.
    assert len(model.optimizer.variables) == 2 * len(model.trainable_variables) + 2


def test_make_optimizer_takes_adam_or_sgd_with_momentum():
    assert isinstance(make_optimizer(Config()), keras.optimizers.Adam)
    sgd = make_optimizer(Config(optimizer="sgd", momentum=0.9))
    assert isinstance(sgd, keras.optimizers.SGD)
    assert sgd.momentum == 0.9


@pytest.mark.parametrize(("decay", "used"), [(0.0, False), (0.99, True)])
def test_make_optimizer_averages_weights_if_told(decay, used):
    optimizer = make_optimizer(Config(weight_average=decay))
    assert optimizer.use_ema == used
    if used:
        assert optimizer.ema_momentum == decay


RATE, STEPS = 0.02, 1000


@pytest.mark.parametrize("step", [0, 1, 250, 999, 1000, 2500])
@pytest.mark.parametrize(
    ("schedule", "formula"),
    [
        ("exponential", lambda step: RATE * 0.5 ** (step // STEPS)),
        ("linear", lambda step: RATE * max(0.0, 1 - step / STEPS)),
        (
            "cosine",
            lambda step: RATE * (1 + math.cos(math.pi * min(1, step / STEPS))) / 2,
        ),
    ],
)
def test_learning_rate_follows_its_schedule(schedule, formula, step):
    config = Config(
        learning_rate=RATE,
        lr_schedule=schedule,
        train_steps=STEPS,
        decay_steps=STEPS,
        decay_rate=0.5,
    )
    found = learning_rate(config)(step)
    np.testing.assert_allclose(found, formula(step), rtol=1e-4, atol=1e-9)


def test_learning_rate_is_constant_by_default():
    assert learning_rate(Config(learning_rate=RATE)) == RATE
