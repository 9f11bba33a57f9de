"""The compiled training loop of small models, run by TensorFlow and by JAX."""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from helpers.xla_program import JaxProgram
from ram_tf.config import Config
from ram_tf.data.sources.base import ImageSet
from ram_tf.data.tasks import Task
from ram_tf.models.factory import build_model
from ram_tf.training.trainer import Trainer

STEPS, BATCH_SIZE, IMAGE_SHAPE, NUM_CLASSES = 3, 4, (12, 12, 1), 3
GLIMPSE_NETWORKS = {"rnn": "fc", "lstm": "fc", "conv_lstm": "inception"}


@functools.cache  # To trace it takes seconds.
def training_loop(core: str, precision: str) -> tuple[Any, list[tf.Tensor]]:
    """Returns what `train` compiles, and a block of images and labels for it.

    The function takes the block, the first step and the step after the last. It returns
    the steps done and the mean of every term of the loss over all steps so far.
    """
    config = Config(
        core=core,
        glimpse_network=GLIMPSE_NETWORKS[core],
        core_units=8,
        glimpse_units=8,
        patch_size=4,
        num_scales=2,
        num_glimpses=2,
        batch_size=BATCH_SIZE,
        precision=precision,
        reinforce_weight=0.1,
    )
    numbers = np.random.default_rng(0)
    count = STEPS * BATCH_SIZE
    images = numbers.integers(0, 256, (count, *IMAGE_SHAPE), np.uint8)
    labels = numbers.integers(0, NUM_CLASSES, count).astype(np.int32)
    trainer = Trainer(
        config,
        build_model(config, NUM_CLASSES, IMAGE_SHAPE),
        ImageSet(images, labels),
        Task(),
        validate=lambda: 0.0,
        jit_compile=True,
    )
    pixels = (images / 255).astype(np.float32)
    return trainer._steps, [
        tf.reshape(pixels, [STEPS, BATCH_SIZE, *IMAGE_SHAPE]),
        tf.reshape(labels, [STEPS, BATCH_SIZE]),
    ]


def train_on_both(core: str, precision: str) -> dict[str, Any]:
    """Trains STEPS steps from the same weights with the same seed.

    Returns:
      By "tensorflow" and "jax": the results after each step, then every variable; by
      "before" the variables at the start; by "platform" where JAX ran. Random numbers
      are each runtime's own.
    """
    loop, block = training_loop(core, precision)
    program = JaxProgram(loop, [*block, *one_step(0)])
    before = list(program.variables)
    expected, found = [], []
    for step in range(STEPS):
        results = tf.nest.flatten(loop(*block, *one_step(step)))
        expected.append(np.array([float(each) for each in results]))
        results = program(*block, *one_step(step))
        found.append(np.array([float(each) for each in results]))
    expected += [variable.numpy() for variable in program.captured]
    return {
        "before": before,
        "tensorflow": expected,
        "jax": [*found, *program.variables],
        "platform": program.platform,
    }


def one_step(first: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the last two arguments of the loop."""
    return tf.constant(first), tf.constant(first + 1)
