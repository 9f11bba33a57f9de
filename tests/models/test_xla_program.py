"""The training loop is one XLA program, and another runtime of XLA runs it alike.

This is what a machine without a GPU can check of training on one: XLA is given nothing
that only TensorFlow on this machine could run.
"""

import concurrent.futures
import multiprocessing

import numpy as np
import pytest
import tensorflow as tf
from helpers.xla_program import JaxProgram, faults
from helpers.xla_training import (
    GLIMPSE_NETWORKS,
    STEPS,
    one_step,
    train_on_both,
    training_loop,
)

CASES = [
    pytest.param(
        core,
        precision,
        id=f"{core}-{precision}",
        marks=[] if precision == "float32" else pytest.mark.slow,
    )
    for core in GLIMPSE_NETWORKS
    for precision in ("float32", "mixed_bfloat16")
]


@pytest.mark.parametrize(("core", "precision"), CASES)
def test_training_is_one_program_of_xla_alone(core, precision):
    loop, block = training_loop(core, precision)
    assert faults(loop, [*block, *one_step(0)]) == []


@pytest.mark.parametrize(("core", "precision"), CASES)
def test_jax_trains_as_tensorflow_does(core, precision, monkeypatch):
    pytest.importorskip("jax")
    if precision == "float32":
        found = train_on_both(core, precision)
    else:
        # XLA may leave out roundings to bfloat16, and its versions differ in which.
        # TensorFlow reads this once: a process of its own.
        monkeypatch.setenv("XLA_FLAGS", "--xla_allow_excess_precision=false")
        fresh = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, fresh) as process:
            found = process.submit(train_on_both, core, precision).result()
    # A GPU's products may keep ten bits, and it adds in another order.
    tolerance = 1e-5 if found["platform"] == "cpu" else 1e-3
    for ours, theirs in zip(found["tensorflow"], found["jax"], strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=tolerance, atol=tolerance)
    # Both have trained: terms and weights are not what they were.
    assert len(np.unique(found["jax"][:STEPS], axis=0)) == STEPS
    moved = [
        np.abs(after - before).max() > 5e-5
        for before, after in zip(found["before"], found["jax"][STEPS:], strict=True)
    ]
    assert np.mean(moved) > 0.5


def test_random_numbers_are_the_same_bits_in_jax():
    pytest.importorskip("jax")

    @tf.function(jit_compile=True)
    def draw(seed):
        seeds = tf.random.split(seed, 2)
        normal = tf.random.stateless_normal([64, 2], seeds[1])
        return seeds, tf.random.stateless_uniform([64, 2], seeds[0], -1.0, 1.0), normal

    seed = tf.constant([3, 7], tf.int64)
    seeds, uniform, normal = JaxProgram(draw, [seed])(seed)
    expected = draw(seed)
    np.testing.assert_array_equal(seeds, expected[0])
    np.testing.assert_array_equal(uniform, expected[1])
    np.testing.assert_allclose(normal, expected[2], rtol=1e-6, atol=1e-6)


def python_step(values):
    return tf.py_function(lambda numbers: numbers + 1, [values], tf.float32)


def step_that_crops(values):
    image = tf.reshape(values, [1, 2, 2, 1])
    return tf.image.crop_and_resize(image, [[0.0, 0.0, 1.0, 1.0]], [0], [3, 3])


def step_that_drops_rows(values):
    return tf.reduce_sum(tf.gather(values, tf.where(values > 0)[:, 0]))


def step_with_a_library_call(values):
    return tf.linalg.qr(values[:, None] * values)[0]


def step_with_numbers_of_the_device(values):
    return values + tf.random.uniform([4])


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (python_step, "not an operation of XLA: EagerPyFunc"),
        (step_that_crops, "not an operation of XLA: CropAndResize"),
        (step_that_drops_rows, "dynamic shape"),
        (step_with_a_library_call, "custom_call"),
        (step_with_numbers_of_the_device, "rng"),
    ],
)
def test_faults_names_what_is_not_xla(step, expected):
    function = tf.function(step, jit_compile=True)
    assert faults(function, [tf.zeros([4])]) == [expected]
