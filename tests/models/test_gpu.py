"""On a GPU, XLA and all, training gives the losses that a CPU gives."""

import numpy as np
import pytest
import tensorflow as tf

from ram_tf.config import Config
from ram_tf.data.pipeline import training_blocks
from ram_tf.data.sources.open import open_source
from ram_tf.data.tasks import Task
from ram_tf.models.factory import build_model
from ram_tf.runtime.devices import use_jit
from ram_tf.training.trainer import Trainer

pytestmark = pytest.mark.gpu

STEPS, BATCH_SIZE = 20, 16
# SGD: Adam would blow tiny differences of tiny gradients up to whole updates.
SHARED = {
    "batch_size": BATCH_SIZE,
    "optimizer": "sgd",
    "momentum": 0.9,
    "learning_rate": 0.01,
}
MODELS = {
    "fc + rnn": Config(core="rnn", **SHARED),
    "fc + lstm": Config(core="lstm", **SHARED),
    "inception + conv_lstm": Config(
        core="conv_lstm",
        glimpse_network="inception",
        patch_size=12,
        num_scales=2,
        num_glimpses=4,
        **SHARED,
    ),
}


@pytest.fixture
def gpu() -> str:
    devices = tf.config.list_logical_devices("GPU")
    if not devices:
        pytest.skip("needs a GPU; TensorFlow finds none")
    # The CPU's products are exact to float32; TF32 keeps ten bits.
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    yield devices[0].name
    tf.config.experimental.enable_tensor_float_32_execution(before)


def losses_on(device: str, config: Config, jit_compile: bool) -> np.ndarray:
    """Returns the loss of each of STEPS steps on given images, places and noise."""
    train = open_source(config.dataset).split("train")
    images, labels = next(
        iter(training_blocks(train, Task(), [0], STEPS, BATCH_SIZE, config.seed))
    )
    # Random numbers differ from device to device; these are the same for both.
    generator = np.random.default_rng(0)
    decisions = config.num_glimpses - 1
    first = generator.uniform(-1, 1, [STEPS, BATCH_SIZE, 2]).astype(np.float32)
    noise = generator.normal(size=[STEPS, BATCH_SIZE, decisions, 2]).astype(np.float32)
    with tf.device("CPU:0"):
        weights = build_model(config, 10, (28, 28, 1)).get_weights()
    with tf.device(device):
        model = build_model(config, 10, (28, 28, 1))
        model.set_weights(weights)

        @tf.function(jit_compile=jit_compile)
        def step(inputs, labels):
            model.reset_metrics()
            return model.train_step((inputs, labels))["loss"]

        found = []
        for index in range(STEPS):
            inputs = {
                "images": images[index],
                "initial_locations": tf.constant(first[index]),
                "exploration": tf.constant(noise[index]),
            }
            found.append(float(step(inputs, labels[index])))
    return np.array(found)


@pytest.mark.parametrize("name", MODELS)
def test_gpu_training_gives_the_losses_of_the_cpu(gpu, name):
    config = MODELS[name]
    expected = losses_on("CPU:0", config, jit_compile=False)
    found = losses_on(gpu, config, jit_compile=True)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_gpu_training_loop_runs_under_xla(gpu):
    config = Config(core="rnn", train_steps=STEPS, eval_every=STEPS, steps_per_call=10)
    assert use_jit(config)
    source = open_source(config.dataset)
    with tf.device(gpu):
        model = build_model(config, 10, (28, 28, 1))
        trainer = Trainer(
            config,
            model,
            source.split("train"),
            Task(),
            validate=lambda: 0.0,
            jit_compile=True,
        )
        trainer.run()
    assert trainer.step == STEPS
    assert "GPU" in model.trainable_variables[0].value.device
    assert np.isfinite(trainer.curve[-1]["loss"])
