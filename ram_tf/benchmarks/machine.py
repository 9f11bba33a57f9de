"""The machine's own rate of matrix products, and the memory of a process."""

import itertools
import pathlib
import platform
import resource
import statistics
import time
from typing import Any

import tensorflow as tf

from ram_tf.benchmarks.stopwatch import Budget, Clock
from ram_tf.config import Config
from ram_tf.models.cost import forward_operations
from ram_tf.models.image_classifier import ImageClassifier
from ram_tf.runs.provenance import versions
from ram_tf.runtime.cpu_affinity import usable_cores

_STATUS = pathlib.Path("/proc/self/status")


def matmul_gflops(budget: Budget, clock: Clock = time.perf_counter) -> float:
    """Returns 1e9 float32 operations a second of a square matrix product.

    The fastest of several products of [n, n] by [n, n], 2 n^3 operations each, as
    TensorFlow computes it outside XLA. On a GPU without TF32, which is not float32.
    """
    tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        return _matmul_gflops(budget, clock)
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(tf32)


def _matmul_gflops(budget: Budget, clock: Clock) -> float:
    size = budget.matmul_size
    left, right = tf.random.normal([2, size, size])
    # Where a kernel has one core (`ram_tf.runtime.devices.use_cores`), each gets a
    # share of the rows: the rate is that of the whole machine all the same.
    threads = tf.config.threading
    single = threads.get_intra_op_parallelism_threads() == 1
    num_parts = max(1, threads.get_inter_op_parallelism_threads()) if single else 1
    bounds = [i * size // num_parts for i in range(num_parts + 1)]
    parts = [left[first:last] for first, last in itertools.pairwise(bounds)]
    multiply = tf.function(lambda: [tf.matmul(part, right)[0, 0] for part in parts])

    def wait() -> None:
        # Reading one number waits for a product, and copies nothing.
        for number in multiply():
            number.numpy()

    wait()
    fastest = float("inf")
    for _ in range(budget.matmul_repeats):
        before = clock()
        wait()
        fastest = min(fastest, clock() - before)
    return 2 * size**3 / fastest / 1e9


def mfu(operations: float, images_per_second: float, gflops: float) -> float:
    """Returns the share of the machine's float32 rate that an amount of work takes.

    Args:
      operations: of one image.
      images_per_second: images done.
      gflops: the machine's rate, from `matmul_gflops`.
    """
    return operations * images_per_second / (gflops * 1e9)


def training_operations(model: ImageClassifier) -> int:
    """Returns the operations of a training image: 3 times the forward products.

    Once forward, once back to the inputs, once back to the weights; times the rollouts
    an image.
    """
    return 3 * forward_operations(model) * model.num_rollouts


def rate_fields(
    operations: int, images_per_second: float, before: float, after: float
) -> dict[str, Any]:
    """Returns the fields of a line that has a rate of images.

    Args:
      operations: of one image.
      images_per_second: images done.
      before: the machine's rate before the measure, in GFLOP/s.
      after: and after it; their mean is the denominator.
    """
    gflops = statistics.mean([before, after])
    return {
        "images_per_second": images_per_second,
        "images_per_gflop": images_per_second / gflops,
        "mfu": mfu(operations, images_per_second, gflops),
        "matmul_gflops": gflops,
    }


def peak_mb() -> float:
    """Returns the largest resident memory of this process so far, in 2**20 bytes.

    From Linux' own mark where there is one: ru_maxrss of a process that was forked
    starts at the size of its parent.
    """
    if _STATUS.exists():
        return _status_mb("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def resident_mb() -> float:
    """Returns the resident memory of this process now, in 2**20 bytes."""
    return _status_mb("VmRSS") if _STATUS.exists() else peak_mb()


def reset_peak() -> None:
    """Lets `peak_mb` start again from what is resident now, where Linux allows it."""
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # The peak then still holds what came before: too large, never too small.


def machine(config: Config, budget: Budget) -> dict[str, Any]:
    """Measures the machine alone.

    Returns:
      cores, processor, versions and matmul_gflops.
    """
    return {
        "cores": len(usable_cores()),
        "processor": _processor(),
        "devices": [d.device_type for d in tf.config.list_logical_devices()],
        "versions": {"python": platform.python_version(), **versions()},
        "matmul_gflops": matmul_gflops(budget),
    }


def _processor() -> str:
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.machine()


def _status_mb(name: str) -> float:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise KeyError(name)
