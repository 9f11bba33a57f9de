"""Tests of where a run runs: the choice of XLA, the strategy."""

import logging
import os
import subprocess
import sys

import pytest
import tensorflow as tf
from helpers.processes import ROOT

from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.runtime.devices import make_strategy, use_cores, use_jit

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
    gpu = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda: [gpu])
    assert use_jit(Config(**INCEPTION))


@pytest.fixture
def threads(monkeypatch):
    """What was set of TensorFlow's threads, as if it had not run yet."""
    found = {}
    for name in ("intra", "inter"):
        monkeypatch.setattr(
            tf.config.threading,
            f"set_{name}_op_parallelism_threads",
            lambda number, name=name: found.update({name: number}),
        )
    return found


@pytest.mark.parametrize(
    ("settings", "cores", "devices", "expected"),
    [
        (INCEPTION, 2, ["CPU"], 2),
        (INCEPTION, 4, ["CPU"], 4),
        (CONV_GLIMPSE, 2, ["CPU"], 2),
        ({**INCEPTION, "batch_size": 16}, 2, ["CPU"], 2),
        ({**INCEPTION, "batch_size": 15}, 2, ["CPU"], 1),
        (INCEPTION, 1, ["CPU"], 1),
        (INCEPTION, 5, ["CPU"], 1),
        (INCEPTION, 2, ["CPU", "GPU"], 1),
        ({**INCEPTION, "jit_compile": "on"}, 2, ["CPU"], 1),
        ({**INCEPTION, "distribution": "mirrored"}, 2, ["CPU"], 1),
        (DENSE, 2, ["CPU"], 1),
        ({"model": "conv"}, 2, ["CPU"], 1),
    ],
)
def test_use_cores_splits_where_kernels_are_small(
    settings, cores, devices, expected, threads, caplog
):
    config = Config(**{"batch_size": 128, **settings})
    with caplog.at_level(logging.INFO, logger="absl"):
        assert use_cores(config, cores, devices) == expected
    split = expected > 1
    assert threads == ({"intra": 1, "inter": cores} if split else {})
    assert (f"batch in {expected} parts" in caplog.text) is split


def test_use_cores_leaves_the_batch_whole_when_tensorflow_has_run(caplog):
    tf.zeros([]).numpy()
    with caplog.at_level(logging.INFO, logger="absl"):
        assert use_cores(Config(batch_size=128, **INCEPTION), 2, ["CPU"]) == 1
    assert "batch in one part" in caplog.text


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


@pytest.mark.slow
def test_train_decides_on_cores_before_tensorflow_starts(tmp_path):
    program = """
import os, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
from ram_tf.train import main
assert main(sys.argv[1:]) == 0
import tensorflow as tf
print("threads", tf.config.threading.get_intra_op_parallelism_threads())
"""
    flags = [
        *("--dataset=mnist_sample", "--validation_size=50", "--eval_rollouts=1"),
        *("--glimpse_network=inception", "--core=conv_lstm", "--num_glimpses=2"),
        *("--glimpse_units=4", "--core_units=4", "--patch_size=4"),
        *("--batch_size=16", "--train_steps=2", f"--run_dir={tmp_path / 'run'}"),
    ]
    words = [sys.executable, "-c", program, *flags]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # TensorFlow's own choice is 0.
    several = len(os.sched_getaffinity(0)) > 1
    assert done.stdout.endswith(f"threads {int(several)}\n")
