"""The files that a run leaves, written without a training."""

import json
import pathlib

import numpy as np

from ram_tf.config import Config
from ram_tf.runs.directory import RunDirectory

STEPS, CLASSES = 3, 4


def write_run(
    folder: pathlib.Path, labels: list[int], answers: list[int], **config: object
) -> RunDirectory:
    """Writes what a run of random paths with these answers leaves."""
    random = np.random.default_rng(0)
    count = len(labels)
    probabilities = np.full([count, STEPS, CLASSES], 0.1, np.float32)
    probabilities[np.arange(count), :, answers] = 0.7
    directory = RunDirectory(folder)
    values = Config(num_glimpses=STEPS, patch_size=4, **config).to_dict()
    directory.config.write_text(json.dumps(values))
    np.savez(
        directory.examples,
        images=random.integers(0, 256, [count, 12, 10, 1], np.uint8),
        labels=np.array(labels, np.int32),
        locations=random.uniform(-1, 1, [count, STEPS, 2]).astype(np.float32),
        probabilities=probabilities,
        class_names=np.array(list("abcd")),
    )
    return directory
