"""Tests of an export's measures: times of calls, and what is suggested."""

import types

import numpy as np
import pytest
import tensorflow as tf

from ram_tf.config import Config
from ram_tf.data.sources.base import FEW_IMAGES, ImageSet
from ram_tf.data.tasks import Task
from ram_tf.serving import measures


def test_latency_is_the_median_without_the_first_calls(monkeypatch):
    # Two images, asked twice: the first two calls are slow.
    times = iter([0, 9, 9, 18, 18, 19, 19, 21])
    clock = types.SimpleNamespace(perf_counter=lambda: next(times))
    monkeypatch.setattr(measures, "time", clock)
    ask = {"serving_uint8": lambda images: {"label": tf.zeros(1)}}
    model = types.SimpleNamespace(signatures=ask)
    images = np.zeros([2, 2, 2, 1], np.uint8)
    assert measures.latencies_ms([model], images) == [1500.0]


class Measured:
    """What a split is taken for, without a model."""

    def __init__(self, *_):
        pass

    def measures(self, rollouts, threshold=0.0):
        return {"accuracy": 0.9}

    def curve(self, rollouts):
        return []


@pytest.mark.parametrize(
    ("count", "suggested"), [(FEW_IMAGES - 1, 0.0), (FEW_IMAGES, 0.7)]
)
def test_no_threshold_is_suggested_of_few_images(count, suggested, monkeypatch):
    monkeypatch.setattr(measures, "SplitPredictions", Measured)
    monkeypatch.setattr(measures, "ServedModel", lambda *given: None)
    monkeypatch.setattr(measures, "latencies_ms", lambda models, _: [1.0] * len(models))
    monkeypatch.setattr("ram_tf.evaluation.anytime.choose_threshold", lambda *_: 0.7)
    images = np.zeros([count, 2, 2, 1], np.uint8)
    split = ImageSet(images, np.zeros(count, np.int32))
    experiment = types.SimpleNamespace(
        config=Config(),
        source=types.SimpleNamespace(split=lambda name: split),
        task=Task(),
    )
    served = types.SimpleNamespace(starts=np.zeros([1, 2]), threshold=0.0, is_ram=True)
    found = measures.measure(experiment, served, "center")
    assert found["suggested_threshold"] == suggested
