"""The exported SavedModel: latency of one image, throughput of many."""

import pathlib
import tempfile
from typing import Any

import numpy as np
import tensorflow as tf

from ram_tf.benchmarks.isolated import run_fresh
from ram_tf.benchmarks.machine import (
    matmul_gflops,
    peak_mb,
    rate_fields,
)
from ram_tf.benchmarks.stopwatch import Budget, call_times, steady_rate
from ram_tf.config import Config
from ram_tf.models.cost import forward_operations
from ram_tf.runs.setup import assemble
from ram_tf.serving.saved_model import write
from ram_tf.serving.signatures import ServedModel, first_locations

THROUGHPUT_BATCH = 256


def export_fresh(config: Config, budget: Budget, folder: str) -> dict[str, Any]:
    """Exports the fresh weights of a Config: what they are makes no difference here.

    Returns:
      The shape of an image, and the operations of a prediction.
    """
    experiment = assemble(config)
    # One rollout, from the centre.
    served = ServedModel(experiment, first_locations("center", 1))
    write(served, {"format": "saved_model"}, pathlib.Path(folder))
    return {
        "image_shape": list(experiment.image_shape),
        "operations": forward_operations(experiment.model),
    }


def serving_latency(config: Config, budget: Budget) -> dict[str, Any]:
    """Measures single calls of serving_uint8 with one image; the label is read.

    Returns:
      p50_ms and p99_ms over all calls after the warm-up, peak_mb of a process that
      holds nothing but the model, compile_s: the first call.
    """
    with tempfile.TemporaryDirectory() as folder:
        loaded, exported = _served(config, budget, folder)
        # It needs `loaded`, which holds the variables.
        signature = loaded.signatures["serving_uint8"]
        image = _images(exported["image_shape"], 1)

        def ask() -> Any:
            return signature(images=image)["label"].numpy()

        (first,) = call_times([ask], 1)
        call_times([ask], budget.calls)
        # One call in a hundred lies above p99: it takes many to place it.
        (seconds,) = call_times([ask], 5 * budget.calls)
        peak = peak_mb()
    return {
        "batch_size": 1,
        "p50_ms": 1e3 * float(np.percentile(seconds, 50)),
        "p99_ms": 1e3 * float(np.percentile(seconds, 99)),
        "matmul_gflops": matmul_gflops(budget),
        "peak_mb": peak,
        "compile_s": max(0.0, first[0] - float(np.median(seconds))),
    }


def serving_throughput(config: Config, budget: Budget) -> dict[str, Any]:
    """Measures serving_uint8 with batches of 256; mfu counts the forward products."""
    with tempfile.TemporaryDirectory() as folder:
        loaded, exported = _served(config, budget, folder)
        # It needs `loaded`, which holds the variables.
        signature = loaded.signatures["serving_uint8"]
        images = _images(exported["image_shape"], THROUGHPUT_BATCH)

        def ask() -> int:
            signature(images=images)["label"].numpy()
            return THROUGHPUT_BATCH

        before = matmul_gflops(budget)
        stopwatch = steady_rate(ask, budget)
        peak = peak_mb()
        after = matmul_gflops(budget)
    return {
        "batch_size": THROUGHPUT_BATCH,
        **rate_fields(exported["operations"], stopwatch.rate, before, after),
        "peak_mb": peak,
        "compile_s": stopwatch.compile_seconds,
    }


def _served(config: Config, budget: Budget, folder: str) -> tuple[Any, dict[str, Any]]:
    """Exports in another process, whose memory is not ours, and loads the result."""
    path = str(pathlib.Path(folder) / "exported")
    exported = run_fresh("export_fresh", config, budget, folder=path)
    loaded = tf.saved_model.load(path)
    return loaded, exported


def _images(shape: list[int], count: int) -> tf.Tensor:
    pixels = np.random.default_rng(0).integers(0, 256, [count, *shape], np.uint8)
    return tf.constant(pixels)
