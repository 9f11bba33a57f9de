"""From a Config to a compiled Keras model."""

import dataclasses
import inspect
from collections.abc import Sequence

import keras

from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.models.image_classifier import ImageClassifier
from ram_tf.models.recurrent_attention import RecurrentAttentionModel
from ram_tf.models.whole_image import ConvClassifier, FCClassifier

# Arguments of RecurrentAttentionModel that are fields of Config.
_RAM_FIELDS = [
    name
    for name in inspect.signature(RecurrentAttentionModel).parameters
    if name in {field.name for field in dataclasses.fields(Config)}
]

_NAMES = {
    "ram": "recurrent_attention_model",
    "fc": "fc_classifier",
    "conv": "conv_classifier",
}


def build_model(
    config: Config, num_classes: int, image_shape: Sequence[int], num_parts: int = 1
) -> ImageClassifier:
    """Returns the built and compiled model of a Config.

    Initial weights are a function of config.seed.

    Args:
      config: the run.
      num_classes: classes N of the data.
      image_shape: (H, W, C) of the images after the task.
      num_parts: as `ram_tf.runtime.devices.use_cores` says.

    Raises:
      RamError: when the model does not fit the images.
    """
    keras.utils.set_random_seed(config.seed)
    dtype = config.precision
    # Checkpoints name variables by it. Keras numbers its own names within a process, so
    # a second model of the process could not read the checkpoint of the first.
    name = _NAMES[config.model]
    model: ImageClassifier
    if config.model == "fc":
        model = FCClassifier(num_classes, config.fc_units, dtype=dtype, name=name)
    elif config.model == "conv":
        model = ConvClassifier(
            num_classes, config.fc_units, config.conv_stride, dtype=dtype, name=name
        )
    else:
        if config.patch_size > max(image_shape[:2]):
            raise RamError(
                f"--patch_size={config.patch_size}: expected at most "
                f"{max(image_shape[:2])}, the larger side of the "
                f"{image_shape[0]}x{image_shape[1]} images (--num_scales looks further)"
            )
        settings = {name: getattr(config, name) for name in _RAM_FIELDS}
        model = RecurrentAttentionModel(num_classes, dtype=dtype, name=name, **settings)
        model.num_parts = num_parts
    model.build((None, *image_shape))
    # XLA would have one thread where kernels have a core each: the small operations of
    # the update are done sooner side by side.
    jit_update = config.jit_compile != "off" and config.distribution == "one"
    model.compile(
        make_optimizer(config),
        clip_norm=config.clip_norm,
        jit_update=jit_update and num_parts == 1,
    )
    return model


def make_optimizer(config: Config) -> keras.optimizers.Optimizer:
    """Returns the Keras optimizer of a Config, with its schedule and average."""
    average = {}
    if config.weight_average:
        average = {"use_ema": True, "ema_momentum": config.weight_average}
    rate = learning_rate(config)
    if config.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=config.momentum, **average)
    return keras.optimizers.Adam(rate, **average)


def learning_rate(
    config: Config,
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Returns the learning rate, or its schedule over training steps."""
    schedules = keras.optimizers.schedules
    rate, steps = config.learning_rate, config.decay_steps
    if config.lr_schedule == "exponential":
        return schedules.ExponentialDecay(
            rate, steps, config.decay_rate, staircase=True
        )
    if config.lr_schedule == "linear":
        return schedules.PolynomialDecay(rate, steps, end_learning_rate=0.0)
    if config.lr_schedule == "cosine":
        return schedules.CosineDecay(rate, steps)
    return rate
