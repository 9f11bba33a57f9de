"""Images per second: training, evaluation, and the input pipeline alone."""

import dataclasses
from typing import Any

import keras

from ram_tf.benchmarks.machine import (
    matmul_gflops,
    peak_mb,
    rate_fields,
    training_operations,
)
from ram_tf.benchmarks.stopwatch import Budget, Stopwatch, steady_rate
from ram_tf.config import Config
from ram_tf.data.pipeline import training_blocks
from ram_tf.evaluation.evaluator import Evaluator
from ram_tf.models.cost import forward_operations
from ram_tf.runs.setup import Experiment, assemble, assemble_for_training
from ram_tf.runtime.devices import use_jit
from ram_tf.training.feed import plan_blocks
from ram_tf.training.trainer import Trainer

_ENDLESS_STEPS = 1_000_000  # More than any budget does; an evaluation never comes.


class StopwatchCallback(keras.callbacks.Callback):
    """Ends a lap with every compiled call, and training with the last window.

    Args:
      stopwatch: counts images.
      batch_size: images of a step.
    """

    def __init__(self, stopwatch: Stopwatch, batch_size: int) -> None:
        super().__init__()
        self.stopwatch = stopwatch
        self.batch_size = batch_size
        self._steps = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self.stopwatch.start()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        steps = batch + 1 - self._steps
        self._steps = batch + 1
        if self.stopwatch.lap(steps * self.batch_size):
            self.model.stop_training = True


def training(config: Config, budget: Budget) -> dict[str, Any]:
    """Measures the package's own training loop, fed by its own pipeline.

    Evaluations and checkpoints of a real run come on top; compile_s includes the start
    of the pipeline.

    Raises:
      RamError: when the data are missing, or a loss is not finite.
    """
    # Schedules keep the run's own decay_steps, which a Config resolves when it is made.
    config = dataclasses.replace(
        config,
        train_steps=_ENDLESS_STEPS,
        eval_every=_ENDLESS_STEPS,
        checkpoint_every=_ENDLESS_STEPS,
    )
    experiment, strategy = assemble_for_training(config)
    jit_compile = use_jit(config)
    trainer = Trainer(
        config,
        experiment.model,
        experiment.source.split("train"),
        experiment.task,
        validate=lambda: 0.0,
        jit_compile=jit_compile,
        strategy=strategy,
    )
    before = matmul_gflops(budget)
    stopwatch = Stopwatch(budget)
    trainer.run([StopwatchCallback(stopwatch, config.batch_size)])
    peak = peak_mb()
    after = matmul_gflops(budget)
    operations = training_operations(experiment.model)
    return {
        "jit_compile": _switch(jit_compile),
        "jit_update": _switch(experiment.model.jit_update),
        "num_parts": experiment.model.num_parts,
        **rate_fields(operations, stopwatch.rate, before, after),
        "compile_s": stopwatch.compile_seconds,
        "peak_mb": peak,
    }


def evaluation(config: Config, budget: Budget) -> dict[str, Any]:
    """Measures passes over the validation split, as they stand in a training run.

    mfu counts the forward products. (`ram_tf.evaluate`, which comes without a training,
    leaves the batch whole.)
    """
    experiment, _ = assemble_for_training(config)
    jit_compile = use_jit(config)
    evaluator = Evaluator(
        experiment.model,
        experiment.source.split("validation"),
        experiment.task,
        jit_compile,
    )

    def one_pass() -> int:
        evaluator.accuracy()
        return evaluator.size

    before = matmul_gflops(budget)
    stopwatch = steady_rate(one_pass, dataclasses.replace(budget, warmup_laps=1))
    peak = peak_mb()
    after = matmul_gflops(budget)
    operations = forward_operations(experiment.model)
    return {
        "jit_compile": _switch(jit_compile),
        "num_parts": experiment.model.num_parts,
        "batch_size": evaluator.batch_size,
        **rate_fields(operations, stopwatch.rate, before, after),
        "compile_s": stopwatch.compile_seconds,
        "peak_mb": peak,
    }


def pipeline(config: Config, budget: Budget) -> dict[str, Any]:
    """Measures the input pipeline of training alone."""
    experiment = assemble(config)
    before = matmul_gflops(budget)
    stopwatch = _pipeline_stopwatch(experiment, budget)
    peak = peak_mb()
    after = matmul_gflops(budget)
    fields = rate_fields(0, stopwatch.rate, before, after)
    fields.pop("mfu")
    return {**fields, "peak_mb": peak}


def _pipeline_stopwatch(experiment: Experiment, budget: Budget) -> Stopwatch:
    # A function of its own, so that the pipeline is gone when it returns. Else it would
    # still fill its buffer while matrix products are timed.
    config = experiment.config
    plan = plan_blocks(0, _ENDLESS_STEPS, config.steps_per_call, (_ENDLESS_STEPS,))
    blocks = iter(
        training_blocks(
            experiment.source.split("train"),
            experiment.task,
            [start for start, _ in plan],
            config.steps_per_call,
            config.batch_size,
            config.seed,
            redraw=config.redraw,
        )
    )

    def one_block() -> int:
        images, _ = next(blocks)
        return int(images.shape[0] * images.shape[1])

    return steady_rate(one_block, budget)


def _switch(on: bool) -> str:
    return "on" if on else "off"
