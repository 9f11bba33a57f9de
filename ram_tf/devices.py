"""Where a run runs: strategy, XLA or not, precision of the machine."""

from collections.abc import Sequence

import tensorflow as tf
from absl import logging

from ram_tf.config import Config
from ram_tf.errors import RamError


def make_strategy(config: Config) -> tf.distribute.Strategy:
    """Returns the tf.distribute strategy of config.distribution.

    Raises:
      RamError: when the global batch cannot be shared evenly.
    """
    if config.distribution == "mirrored":
        kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        names = [device.name for device in tf.config.list_logical_devices(kind)]
        strategy: tf.distribute.Strategy = tf.distribute.MirroredStrategy(names)
    elif config.distribution == "multi_worker":
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    else:
        strategy = tf.distribute.get_strategy()
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % replicas:
        raise RamError(
            f"--batch_size={config.batch_size}: expected a multiple of the {replicas} "
            "devices"
        )
    return strategy


def use_jit(config: Config, device_types: Sequence[str] | None = None) -> bool:
    """Decides whether XLA compiles the training step, and logs the reason.

    Args:
      config: the run; jit_compile=on or off decides alone.
      device_types: "CPU", "GPU", ... of this machine; None asks TensorFlow.
    """
    if config.jit_compile != "auto":
        return config.jit_compile == "on"
    if device_types is None:
        device_types = [d.device_type for d in tf.config.list_logical_devices()]
    convolves = config.model == "conv" or (
        config.model == "ram" and config.glimpse_network != "fc"
    )
    if config.distribution != "one":
        choice, reason = False, "XLA and MirroredStrategy fail together on CPUs"
    elif "GPU" in device_types:
        choice, reason = True, "there is a GPU"
    elif convolves:
        choice, reason = False, "XLA's convolutions are slower than oneDNN's on a CPU"
    else:
        choice, reason = True, "the model is dense"
    logging.info("jit_compile=auto: %s, %s", "on" if choice else "off", reason)
    return choice
