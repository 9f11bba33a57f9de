"""Trains a tiny model as the test of distributions asks, and leaves what it measured.

python distribution_job.py OUT FLAG...: a process of its own, because the devices of a
process, and its workers, are fixed when TensorFlow starts.
"""

import sys

import keras
import numpy as np

from ram_tf.flags import config_settings, parse
from ram_tf.runs.setup import assemble
from ram_tf.runtime.devices import make_strategy
from ram_tf.training.trainer import Trainer


class Losses(keras.callbacks.Callback):
    """Keeps the logs of every step; with an evaluation a step, not running means."""

    def __init__(self):
        super().__init__()
        self.steps = []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(dict(logs))


def run(flags):
    config = parse(config_settings(), [*flags, "--eval_every=1"]).config()
    strategy = make_strategy(config)
    with strategy.scope():
        experiment = assemble(config)
    chief = strategy.cluster_resolver is None or strategy.cluster_resolver.task_id == 0
    trainer = Trainer(
        config,
        experiment.model,
        experiment.source.split("train"),
        experiment.task,
        validate=lambda: 0.0,
        strategy=strategy,
        is_chief=chief,
    )
    losses = Losses()
    trainer.run([losses])
    found = {
        f"{weight.path}[{number}]": copy.numpy()
        for weight in experiment.model.weights
        for number, copy in enumerate(strategy.experimental_local_results(weight.value))
    }
    for name in losses.steps[0] if losses.steps else ():
        found[f"step {name}"] = np.array([step[name] for step in losses.steps])
    return found


if __name__ == "__main__":
    out, *flags = sys.argv[1:]
    np.savez(out, **run(flags))
