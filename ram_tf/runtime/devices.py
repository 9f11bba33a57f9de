"""Where a run computes: its strategy, with XLA or without, in how many parts."""

import contextlib
from collections.abc import Callable, Sequence

import tensorflow as tf
from absl import logging

from ram_tf.config import Config
from ram_tf.errors import RamError, one_line
from ram_tf.runtime.cluster import Cluster
from ram_tf.runtime.cpu_affinity import usable_cores

_LEAST_ROWS = 8  # Fewer images in a part are not worth its operations.
_MOST_CORES = 4  # Every part makes the graph longer; measured on two.
_JOIN_SECONDS = 600.0  # Schedulers may start workers minutes apart.


def make_strategy(
    config: Config,
    cluster: Cluster | None = None,
    give_up: Callable[[RamError], None] = lambda error: None,
) -> tf.distribute.Strategy:
    """Returns the tf.distribute strategy of config.distribution.

    Args:
      config: the run.
      cluster: the workers; None reads TF_CONFIG if the run has several.
      give_up: called in another thread when workers do not come; TensorFlow waits for
        them without end, so it should end the process.

    Raises:
      RamError: when the devices are not to be had, or cannot share the batch evenly.
    """
    strategy: tf.distribute.Strategy
    if config.distribution == "mirrored":
        strategy = tf.distribute.MirroredStrategy(_local_devices(config.cpu_devices))
    elif config.distribution == "multi_worker":
        strategy = _multi_worker(cluster or Cluster.from_environment(), give_up)
    else:
        strategy = tf.distribute.get_strategy()
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % replicas:
        raise RamError(
            f"--batch_size={config.batch_size}: expected a multiple of the {replicas} "
            "devices"
        )
    return strategy


def _local_devices(cpu_devices: int) -> list[str]:
    """Returns the GPUs, or so many logical devices of the CPU."""
    gpus = [device.name for device in tf.config.list_physical_devices("GPU")]
    if gpus:
        return [device.name for device in tf.config.list_logical_devices("GPU")]
    processor = tf.config.list_physical_devices("CPU")[0]
    if tf.config.get_logical_device_configuration(processor) is None:
        parts = [tf.config.LogicalDeviceConfiguration()] * cpu_devices
        # When TensorFlow has run it is too late, which the check below reports.
        with contextlib.suppress(RuntimeError):
            tf.config.set_logical_device_configuration(processor, parts)
    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    if len(names) < cpu_devices:
        raise RamError(
            f"--cpu_devices={cpu_devices}: expected a process that has not used "
            f"TensorFlow yet, found one with {len(names)} CPU devices"
        )
    return names[:cpu_devices]


def _multi_worker(
    cluster: Cluster, give_up: Callable[[RamError], None]
) -> tf.distribute.Strategy:
    try:
        with cluster.joining(_JOIN_SECONDS, give_up):
            return tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        raise RamError(
            f"TF_CONFIG: expected {cluster.describe([cluster.index])} to join the "
            f"others, found: {one_line(error)}"
        ) from None


def use_jit(config: Config, device_types: Sequence[str] | None = None) -> bool:
    """Decides whether XLA compiles the training step, and logs the reason.

    Args:
      config: the run; jit_compile=on or off decides alone.
      device_types: "CPU", "GPU", ... of this machine; None asks TensorFlow.

    Returns:
      Whether XLA compiles the step.

    Raises:
      RamError: when jit_compile=on is asked for several devices that are CPUs.
    """
    if device_types is None:
        device_types = _device_types()
    several = config.distribution != "one"
    if several and config.jit_compile == "on" and "GPU" not in device_types:
        raise RamError(
            f"--jit_compile=on: expected off or auto with --distribution="
            f"{config.distribution} on CPUs, where XLA cannot sum over devices"
        )
    if config.jit_compile != "auto":
        return config.jit_compile == "on"
    if several:
        choice, reason = False, "the step sums over devices"
    elif "GPU" in device_types:
        choice, reason = True, "there is a GPU"
    elif _convolves(config):
        choice, reason = False, "XLA's convolutions are slower than oneDNN's on a CPU"
    else:
        choice, reason = True, "the model is dense"
    logging.info("jit_compile=auto: %s, %s", "on" if choice else "off", reason)
    return choice


def use_cores(
    config: Config,
    cores: int | None = None,
    device_types: Sequence[str] | None = None,
) -> int:
    """Decides into how many parts training splits a batch, and logs the reason.

    Without XLA TensorFlow runs one kernel after the other and divides each one over the
    cores, which the many small ones of a convolutional RAM are not worth. With a part
    of the batch for each core, and each kernel on one core, the parts run side by side:
    a fifth faster at batch 20 on two cores (docs/performance.md).

    Must come before TensorFlow first computes; later the batch is left whole. Where the
    answer is not 1, every kernel of this process runs on one core from now on.

    Args:
      config: the run.
      cores: that this process may use; None asks the system.
      device_types: as for `use_jit`.

    Returns:
      The number of parts, for `RecurrentAttentionModel.num_parts`.
    """
    if cores is None:
        cores = len(usable_cores())
    if device_types is None:
        device_types = _device_types()
    splits = (
        config.model == "ram"
        and _convolves(config)
        and config.jit_compile != "on"
        and config.distribution == "one"
        and "GPU" not in device_types
        and 1 < cores <= _MOST_CORES
        and config.batch_size >= _LEAST_ROWS * cores
    )
    if not splits:
        return 1
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(cores)
    except RuntimeError:
        logging.info("batch in one part: TensorFlow has its threads already")
        return 1
    logging.info("batch in %d parts, one a core", cores)
    return cores


def _convolves(config: Config) -> bool:
    return config.model == "conv" or (
        config.model == "ram" and config.glimpse_network != "fc"
    )


def _device_types() -> list[str]:
    # Not the logical ones: to ask for them starts TensorFlow's threads.
    return [device.device_type for device in tf.config.list_physical_devices()]
