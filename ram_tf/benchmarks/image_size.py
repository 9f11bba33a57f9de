"""Does a prediction cost more on a larger image? Time and memory against its side."""

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ram_tf.benchmarks.machine import matmul_gflops, peak_mb, reset_peak, resident_mb
from ram_tf.benchmarks.stopwatch import Budget, call_times
from ram_tf.config import Config
from ram_tf.models.factory import build_model
from ram_tf.models.whole_image import ConvClassifier
from ram_tf.runtime.devices import use_jit

NUM_CLASSES = 10
SMALL, LARGE = 28, 2048
SIDES = (28, 64, 128, 256, 512, 1024, 2048)
_CURVE_SECONDS = 5.0  # A side at most: the largest classifier takes a while a call.


def image_size(config: Config, budget: Budget) -> dict[str, Any]:
    """Times one prediction on a small and a large image, in turn.

    Returns:
      p50_ms and p99_ms on the large image, small_p50_ms, and ratio, the quotient of the
      medians.
    """
    look = _recurrent(config)
    calls = [_asking(look, _image(side)) for side in (SMALL, LARGE)]
    call_times(calls, budget.calls)  # Traced, compiled and warm.
    small, large = call_times(calls, budget.calls)
    medians = [1e3 * statistics.median(seconds) for seconds in (small, large)]
    return {
        "jit_compile": _switch(config),
        "batch_size": 1,
        "sides": [SMALL, LARGE],
        "small_p50_ms": medians[0],
        "p50_ms": medians[1],
        "p99_ms": 1e3 * float(np.percentile(large, 99)),
        "ratio": medians[1] / medians[0],
        "matmul_gflops": matmul_gflops(budget),
    }


def image_memory(config: Config, budget: Budget, side: int) -> dict[str, Any]:
    """Takes the memory of predictions on images of one side.

    Returns:
      peak_mb, of the process; image_mb; beyond_image_mb, their difference; and call_mb,
      by how much the calls raised what was resident, image included, before them. No
      matrix product runs before: it would hide the rest.
    """
    image = _image(side)
    look = _recurrent(config)
    reset_peak()
    resident = resident_mb()
    call_times([_asking(look, image)], budget.calls)
    peak = peak_mb()
    image_mb = side * side / 2**20
    return {
        "jit_compile": _switch(config),
        "batch_size": 1,
        "sides": [side],
        "peak_mb": peak,
        "image_mb": image_mb,
        "beyond_image_mb": peak - image_mb,
        "call_mb": peak - resident,
    }


def image_curve(
    config: Config, budget: Budget, sides: tuple[int, ...] = SIDES
) -> dict[str, Any]:
    """Times one prediction at many sides, and one of the convolutional classifier.

    Returns:
      sides, ram_ms and conv_ms: the median of each.
    """
    look = _recurrent(config)
    count = max(5, budget.calls // 5)
    calls = [_asking(look, _image(side)) for side in sides]
    call_times(calls, count)
    ram = call_times(calls, count)
    return {
        "jit_compile": _switch(config),
        "batch_size": 1,
        "sides": list(sides),
        "ram_ms": [1e3 * statistics.median(seconds) for seconds in ram],
        "conv_ms": [_classifier_ms(side, count) for side in sides],
        "matmul_gflops": matmul_gflops(budget),
    }


def _classifier_ms(side: int, count: int) -> float:
    # Its dense layer grows with the image, so every side has a classifier of its own.
    classifier = ConvClassifier(NUM_CLASSES)
    classifier.build((None, side, side, 1))
    call = _asking(tf.function(classifier.logits), _image(side))
    call_times([call], count, limit_seconds=_CURVE_SECONDS / 5)
    (seconds,) = call_times([call], count, limit_seconds=_CURVE_SECONDS)
    return 1e3 * statistics.median(seconds)


def _recurrent(config: Config) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function of images to logits; its weights fit images of every size."""
    model = build_model(config, NUM_CLASSES, (SMALL, SMALL, 1))

    def look(images: tf.Tensor) -> tf.Tensor:
        return model.rollout(images).logits

    return tf.function(look, jit_compile=use_jit(config))


def _asking(
    function: Callable[[tf.Tensor], tf.Tensor], image: tf.Tensor
) -> Callable[[], np.ndarray]:
    return lambda: function(image).numpy()


def _image(side: int) -> tf.Tensor:
    """Returns uint8 [1, side, side, 1]."""
    generator = np.random.default_rng(0)
    return tf.constant(generator.integers(0, 256, [1, side, side, 1], np.uint8))


def _switch(config: Config) -> str:
    return "on" if use_jit(config) else "off"
