"""Tests of where a run runs: the choice of XLA, the strategy."""

import logging

import pytest
import tensorflow as tf

from ram_tf.config import Config
from ram_tf.devices import make_strategy, use_jit
from ram_tf.errors import RamError

DENSE = {}
INCEPTION = {"glimpse_network": "inception", "core": "conv_lstm"}
CONV_GLIMPSE = {"glimpse_network": "conv"}


@pytest.mark.parametrize(
    ("settings", "devices", "expected"),
    [
        (DENSE, ["CPU"], True),
        (DENSE, ["CPU", "GPU"], True),
        (INCEPTION, ["CPU"], False),
        (INCEPTION, ["CPU", "GPU", "GPU"], True),
        (CONV_GLIMPSE, ["CPU"], False),
        ({"model": "fc"}, ["CPU"], True),
        ({"model": "conv"}, ["CPU"], False),
        ({"model": "conv"}, ["CPU", "GPU"], True),
        # A baseline classifier has no glimpse network, whatever the flag says.
        ({"model": "fc", "glimpse_network": "conv"}, ["CPU"], True),
    ],
)
def test_use_jit_chooses_by_model_and_device(settings, devices, expected, caplog):
    with caplog.at_level(logging.INFO, logger="absl"):
        assert use_jit(Config(**settings), devices) is expected
    choice = "on" if expected else "off"
    assert f"jit_compile=auto: {choice}, " in caplog.text


@pytest.mark.parametrize("devices", [["CPU"], ["CPU", "GPU"]])
@pytest.mark.parametrize(("jit_compile", "expected"), [("on", True), ("off", False)])
def test_use_jit_obeys_the_flag(jit_compile, expected, devices, caplog):
    config = Config(jit_compile=jit_compile, **INCEPTION)
    with caplog.at_level(logging.INFO, logger="absl"):
        assert use_jit(config, devices) is expected
    assert not caplog.text


def test_use_jit_asks_tensorflow_for_the_devices(monkeypatch):
    gpu = tf.config.LogicalDevice("/device:GPU:0", "GPU")
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda: [gpu])
    assert use_jit(Config(**INCEPTION))


def test_make_strategy_of_one_device_is_tensorflows_default():
    assert make_strategy(Config()) is tf.distribute.get_strategy()


def test_make_strategy_refuses_a_batch_that_does_not_share_out(monkeypatch):
    class Three:
        num_replicas_in_sync = 3

    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda names: Three())
    with pytest.raises(
        RamError, match="--batch_size=128: .* multiple of the 3 devices"
    ):
        make_strategy(Config(distribution="mirrored", batch_size=128))
    shared = make_strategy(Config(distribution="mirrored", batch_size=129))
    assert isinstance(shared, Three)
