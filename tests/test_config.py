"""Tests of Config: values, ranges, identity."""

import dataclasses
import hashlib
import inspect
import json
import math

import pytest

from ram_tf.config import Config, expectation, parse_value
from ram_tf.errors import RamError

FIELDS = {field.name: field for field in dataclasses.fields(Config)}
NUMBERS = [n for n, f in FIELDS.items() if type(f.default) in (int, float)]
CHOICES = [n for n, f in FIELDS.items() if f.metadata["choices"]]
KEPT_OUT = [n for n, f in FIELDS.items() if not f.metadata["changes_numbers"]]

# What the commands promise, whatever else there is.
PROMISED = """
    model fc_units dataset data_dir image_size task canvas_size num_clutter clutter_size
    grayscale augmentation validation_size patch_size num_scales num_glimpses
    glimpse_network core core_units location_hidden_units policy location_stddev
    initial_location policy_gradient_scope num_rollouts eval_rollouts eval_locations
    batch_size train_steps optimizer momentum learning_rate lr_schedule decay_steps
    decay_rate clip_norm weight_average baseline_weight reinforce_weight select seed
    jit_compile steps_per_call precision distribution run_dir checkpoint_every
    keep_checkpoints eval_every
""".split()


def other_value(name: str):
    """Returns a valid value of a field that is not its default."""
    field = FIELDS[name]
    default = getattr(Config(), name)
    if field.metadata["choices"]:
        return next(c for c in field.metadata["choices"] if c != default)
    if isinstance(default, bool):
        return not default
    if isinstance(default, str):
        return {"dataset": "mnist", "background": "black"}.get(name, "other")
    step = 0.25 if isinstance(default, float) else 1
    high = field.metadata["high"]
    beyond = high is not None and default + step > high
    return default - step if beyond else default + step


def other_config(name: str) -> Config:
    value = other_value(name)
    needed = {
        "core": {"glimpse_network": "inception"},
        "glimpse_modules": {"glimpse_network": "inception"},
        "location_maps": {"glimpse_network": "inception", "core": "conv_lstm"},
        "baseline": {"num_rollouts": 2},
        "lr_schedule": {"decay_steps": 5},
    }
    return Config(**{**needed.get(name, {}), name: value})


def test_config_has_every_promised_field():
    assert set(PROMISED) <= set(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_config_describes_every_field(name):
    assert FIELDS[name].metadata["doc"].rstrip().endswith(".")
    assert expectation(FIELDS[name])
    assert "\n" not in FIELDS[name].metadata["doc"]


@pytest.mark.parametrize(
    ("settings", "name", "resolved"),
    [
        ({}, "core_units", 256),
        ({"core": "rnn"}, "core_units", 256),
        ({"core": "conv_lstm", "glimpse_network": "inception"}, "core_units", 24),
        ({"core_units": 7}, "core_units", 7),
        ({}, "glimpse_units", 256),
        ({"glimpse_network": "inception"}, "glimpse_units", 24),
        ({"glimpse_network": "conv"}, "glimpse_units", 256),
        ({"train_steps": 77}, "decay_steps", 77),
        ({"train_steps": 77, "decay_steps": 5}, "decay_steps", 5),
    ],
)
def test_config_resolves_zero_by_other_fields(settings, name, resolved):
    assert getattr(Config(**settings), name) == resolved


def test_config_refuses_a_staircase_that_would_never_fall():
    with pytest.raises(RamError, match="expected --decay_steps of at least 1, found"):
        Config(lr_schedule="exponential")
    assert Config(lr_schedule="exponential", decay_steps=5).decay_steps == 5


def test_config_lets_maps_come_from_a_core_of_maps_alone():
    assert Config(location_maps=2, glimpse_network="inception", core="none")
    with pytest.raises(RamError, match="expected --core=conv_lstm or none, whose"):
        Config(location_maps=2, glimpse_network="inception", core="lstm")


def test_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().seed = 1


def check_refused(name: str, value) -> None:
    with pytest.raises(RamError) as caught:
        Config(**{name: value})
    message = str(caught.value)
    assert message.startswith(f"--{name}={value}: expected ")
    assert message.endswith(f", found {value!r}")
    assert expectation(FIELDS[name]) in message


@pytest.mark.parametrize("name", NUMBERS)
def test_config_refuses_numbers_out_of_range(name):
    low, high = FIELDS[name].metadata["low"], FIELDS[name].metadata["high"]
    assert low is not None, "every number has a least value"
    kind = type(FIELDS[name].default)
    check_refused(name, kind(low - 1))
    if high is not None:
        check_refused(name, kind(high + 1))


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, "3", None, True])
def test_config_refuses_what_is_no_number(name, value):
    check_refused(name, value)


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("value", ["", "nothing", 0, None])
def test_config_refuses_what_is_no_choice(name, value):
    check_refused(name, value)


@pytest.mark.parametrize("value", [1, "true", None])
def test_config_refuses_what_is_no_truth_value(value):
    check_refused("grayscale", value)


def test_config_refuses_a_fraction_for_an_integer():
    check_refused("batch_size", 20.0)


def test_config_takes_an_integer_for_a_number():
    learning_rate = Config(learning_rate=1).learning_rate
    assert learning_rate == 1.0
    assert isinstance(learning_rate, float)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"core": "conv_lstm"}, ["--core=conv_lstm", "--glimpse_network=inception"]),
        (
            {"glimpse_network": "inception", "glimpse_units": 10},
            ["--glimpse_units=10", "multiple of its 4 branches"],
        ),
        (
            {"glimpse_network": "conv", "glimpse_modules": 2},
            ["--glimpse_modules=2", "--glimpse_network=inception"],
        ),
        (
            {"glimpse_network": "conv", "patch_size": 1},
            ["--patch_size=1", "at least 2", "--glimpse_network=conv"],
        ),
        ({"dataset": ""}, ["--dataset=", "mnist_sample", "folder:PATH"]),
        ({"dataset": "folder:"}, ["--dataset=folder:", "folder:PATH"]),
    ],
)
def test_config_refuses_values_at_odds(settings, words):
    with pytest.raises(RamError) as caught:
        Config(**settings)
    for word in words:
        assert word in str(caught.value)


def test_config_ignores_ram_fields_of_a_baseline_classifier():
    assert Config(model="fc", core="conv_lstm").core == "conv_lstm"


@pytest.mark.parametrize("name", FIELDS)
def test_config_goes_through_json(name):
    config = other_config(name)
    again = Config.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert again.digest() == config.digest()


def test_config_refuses_unknown_fields_by_name():
    with pytest.raises(RamError, match="unknown field of Config: colour, speed"):
        Config.from_dict({"speed": 1, "seed": 1, "colour": 2})


def test_identity_of_defaults_is_empty():
    assert Config().identity() == {}
    # Derived: the hash of an empty JSON object.
    assert Config().digest() == hashlib.sha256(b"{}").hexdigest()[:16]


@pytest.mark.parametrize("name", FIELDS)
def test_identity_holds_what_changes_the_numbers(name):
    config = other_config(name)
    default = Config()
    changed = name not in KEPT_OUT
    assert (name in config.identity()) == changed
    assert (config.digest() != default.digest()) == changed
    assert (name in config.differences(default)) == changed
    assert config.differences(default) == default.differences(config)


def test_identity_leaves_out_only_where_and_how_it_runs():
    assert set(KEPT_OUT) == {
        "steps_per_call",
        "checkpoint_every",
        "keep_checkpoints",
        "data_dir",
        "run_dir",
        "experiment",
    }


@pytest.mark.parametrize(("select", "counts"), [("best", True), ("final", False)])
def test_identity_counts_evaluations_when_they_choose(select, counts):
    often = Config(select=select, eval_every=10)
    seldom = Config(select=select, eval_every=20)
    assert (often.digest() != seldom.digest()) == counts
    assert often.differences(seldom) == (["eval_every"] if counts else [])


def test_differences_are_named_in_order():
    found = Config(seed=1, core="rnn").differences(Config(batch_size=3, run_dir="x"))
    assert found == ["batch_size", "core", "seed"]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("grayscale", "true", True),
        ("grayscale", "False", False),
        ("grayscale", "1", True),
        ("batch_size", "20", 20),
        ("learning_rate", "1e-4", 1e-4),
        ("learning_rate", "1", 1.0),
        ("dataset", "folder:a b", "folder:a b"),
        ("validation_size", "-1", -1),
    ],
)
def test_parse_value_reads_text_as_the_fields_type(name, text, value):
    found = parse_value(FIELDS[name], text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("grayscale", "yes"),
        ("batch_size", "1_000"),
        ("batch_size", "1e3"),
        ("batch_size", ""),
        ("learning_rate", "nan"),
        ("learning_rate", "1_0.0"),
        ("core", "LSTM"),
    ],
)
def test_parse_value_refuses_text_of_another_type(name, text):
    with pytest.raises(RamError, match=f"^--{name}={text}: expected "):
        parse_value(FIELDS[name], text)


def test_model_arguments_are_fields_of_config():
    from ram_tf.models.recurrent_attention import RecurrentAttentionModel

    arguments = inspect.signature(RecurrentAttentionModel).parameters
    defaults = {field.name: field.default for field in dataclasses.fields(Config)}
    for name, argument in arguments.items():
        if name not in ("num_classes", "kwargs"):
            assert argument.default == defaults[name]
