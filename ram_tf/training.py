"""The one training loop: many updates inside one compiled call, on any device.

Follows the data and the model, leaves weights and a curve. Resumable at any point:
all randomness is a function of (seed, step), so the state is the variables, the step
and what was measured.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from ram_tf.checkpoints import CheckpointFolder
from ram_tf.classifier import ImageClassifier
from ram_tf.config import Config
from ram_tf.data.pipeline import training_blocks
from ram_tf.data.sources import ImageSet
from ram_tf.data.tasks import Task
from ram_tf.errors import Interrupted, RamError
from ram_tf.weights import averaged_weights, named_variables

# A compiled call is cut short so that a signal is answered within two seconds.
_CALL_SECONDS = 1.0


class Trainer:
    """Trains a model from its last checkpoint to config.train_steps.

    Args:
      config: the run.
      model: built and compiled, made in the scope of `strategy`.
      strategy: where it runs; None is the one default device.
      train: the training split.
      task: how images are shown.
      validate: returns the validation accuracy of the model's current weights.
      checkpoints: where state is kept; None keeps none.
      is_chief: whether this process writes checkpoints.

    Attributes:
      curve: a dict per evaluation: step, learning_rate, the means of every tracker
        since the evaluation before, validation_accuracy.
      best: {"step", "validation_accuracy"} of the best evaluation so far, the earliest
        of equals.
      step: updates done.
    """

    def __init__(
        self,
        config: Config,
        model: ImageClassifier,
        train: ImageSet,
        task: Task,
        validate: Callable[[], float],
        *,
        jit_compile: bool = False,
        strategy: tf.distribute.Strategy | None = None,
        checkpoints: CheckpointFolder | None = None,
        is_chief: bool = True,
    ) -> None:
        self.config = config
        self.model = model
        self.train = train
        self.task = task
        self.validate = validate
        self.checkpoints = checkpoints
        self.callbacks = keras.callbacks.CallbackList(model=model)
        self.strategy = strategy or tf.distribute.get_strategy()
        self.is_chief = is_chief
        self.step = 0
        self.wall_seconds = 0.0
        self.curve: list[dict[str, float]] = []
        self.best: dict[str, float] = {}
        self._variables = named_variables(model)
        self._steps = tf.function(self._run_steps, jit_compile=jit_compile)
        self._signal: int | None = None
        self._call_size = 1

    def run(self, callbacks: Sequence[keras.callbacks.Callback] = ()) -> None:
        """Trains to the end, or until a callback sets model.stop_training.

        Args:
          callbacks: Keras callbacks. Batches are training steps, counted from 0 and
            reported once a compiled call, by the last; an epoch is one evaluation.

        Raises:
          RamError: when a loss or a gradient is not finite; names the step and term.
          Interrupted: on SIGTERM or SIGINT, after saving.
        """
        self.callbacks = keras.callbacks.CallbackList(list(callbacks), model=self.model)
        self.model.stop_training = False
        self._restore()
        started = time.monotonic() - self.wall_seconds
        saved = self.step
        self.callbacks.on_train_begin()
        with _signals_to(self._on_signal):
            for start, count, images, labels in self._blocks():
                for first, last in self._calls(count):
                    self._call(start, images, labels, first, last)
                    self.wall_seconds = time.monotonic() - started
                    if self._signal or self.model.stop_training:
                        break
                if self._at(self.config.eval_every):
                    self._evaluate()
                if self._at(self.config.checkpoint_every) or self._signal:
                    self.save()
                    saved = self.step
                if self._signal:
                    raise Interrupted(self._signal)
                if self.model.stop_training:
                    break
        if saved != self.step:
            self.save()
        self.callbacks.on_train_end()

    def save(self) -> None:
        """Writes a checkpoint of now."""
        if self.checkpoints is None or not self.is_chief:
            return
        state = {
            "step": self.step,
            "wall_seconds": self.wall_seconds,
            "curve": self.curve,
            "best": self.best,
            "config_digest": self.config.digest(),
        }
        self.checkpoints.save(self.step, self._variables, state)

    def _restore(self) -> None:
        if self.checkpoints is None:
            return
        state = self.checkpoints.restore(self._variables)
        if state is None:
            return
        self.step = state["step"]
        self.wall_seconds = state["wall_seconds"]
        self.curve = state["curve"]
        self.best = state["best"]
        logging.info("resumed at step %d", self.step)

    def _blocks(self) -> Iterator[tuple[int, int, Any, Any]]:
        """Yields (first step, number of steps, images, labels) of each block."""
        config = self.config
        plan = plan_blocks(
            self.step,
            config.train_steps,
            config.steps_per_call,
            (config.eval_every, config.checkpoint_every),
        )
        starts = [start for start, _ in plan]
        if not starts:
            return
        dataset = self._distribute(starts)
        for (start, count), (images, labels) in zip(plan, dataset, strict=False):
            yield start, count, images, labels

    def _distribute(self, starts: list[int]) -> Any:
        config = self.config

        def blocks(shard: tuple[int, int]) -> tf.data.Dataset:
            return training_blocks(
                self.train,
                self.task,
                starts,
                config.steps_per_call,
                config.batch_size,
                config.seed,
                shard,
            )

        replicas = self.strategy.num_replicas_in_sync
        if replicas == 1:
            return blocks((0, 1))

        # Every replica makes its own rows of the global batch.
        def values(context: tf.distribute.InputContext) -> tf.data.Dataset:
            local = replicas // context.num_input_pipelines
            first = context.input_pipeline_id * local
            # The strategy deals consecutive elements to its replicas.
            shares = [blocks((first + i, replicas)) for i in range(local)]
            choices = tf.data.Dataset.range(local).repeat()
            return tf.data.Dataset.choose_from_datasets(shares, choices)

        options = tf.distribute.InputOptions(
            experimental_replication_mode=tf.distribute.InputReplicationMode.PER_WORKER
        )
        return self.strategy.distribute_datasets_from_function(values, options)

    def _calls(self, count: int) -> Iterator[tuple[int, int]]:
        """Cuts a block into calls of about a second, from what the last one took."""
        first = 0
        while first < count:
            last = min(count, first + self._call_size)
            before = time.monotonic()
            yield first, last
            seconds = (time.monotonic() - before) / (last - first)
            # The first call compiles and says little: grow by doubling.
            fitting = max(1, int(_CALL_SECONDS / max(seconds, 1e-9)))
            self._call_size = min(2 * self._call_size, fitting)
            first = last

    def _call(self, start: int, images: Any, labels: Any, first: int, last: int) -> None:
        done, terms = self._steps(
            images, labels, tf.constant(first), tf.constant(last)
        )
        self.step = start + int(done)
        bad = [name for name, value in terms.items() if not np.isfinite(value)]
        if bad:
            # "loss" is the sum of the other terms: they say more.
            names = [name for name in bad if name != "loss"] or bad
            kept = "the checkpoints before it are kept"
            raise RamError(
                f"step {self.step - 1}: expected finite terms of the loss and gradient, "
                f"found a bad {' and '.join(names)}; {kept}"
            )
        logs = {name: float(value) for name, value in terms.items()}
        self.callbacks.on_train_batch_end(self.step - 1, logs)

    def _run_steps(
        self, images: Any, labels: Any, first: tf.Tensor, last: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Runs steps first..last-1 of a block, stopping behind the first sick one."""
        model, strategy = self.model, self.strategy

        def one_step(images: tf.Tensor, labels: tf.Tensor, index: tf.Tensor) -> None:
            model.train_step((images[index], labels[index]))

        def healthy(index: tf.Tensor, sound: tf.Tensor) -> tf.Tensor:
            return tf.logical_and(index < last, sound)

        def body(index: tf.Tensor, sound: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            strategy.run(one_step, args=(images, labels, index))
            # The trackers are means since the last evaluation: one value that is not
            # finite makes them so.
            means = [metric.result() for metric in model.metrics]
            return index + 1, tf.reduce_all(tf.math.is_finite(means))

        done, _ = tf.while_loop(
            healthy, body, (first, tf.constant(True)), parallel_iterations=1
        )
        return done, {metric.name: metric.result() for metric in model.metrics}

    def _evaluate(self) -> None:
        terms = {m.name: float(m.result()) for m in self.model.metrics}
        with averaged_weights(self.model):
            accuracy = self.validate()
            better = accuracy > self.best.get("validation_accuracy", -1.0)
            if better:
                self.best = {"step": self.step, "validation_accuracy": accuracy}
                if self.checkpoints is not None and self.is_chief:
                    self.checkpoints.save_best(self._variables, self.best)
        rate = float(np.asarray(self.model.optimizer.learning_rate))
        row = {"step": self.step, "learning_rate": rate, **terms}
        self.curve.append({**row, "validation_accuracy": accuracy})
        for metric in self.model.metrics:
            metric.reset_state()
        self.callbacks.on_epoch_end(
            len(self.curve) - 1, {**terms, "val_accuracy": accuracy}
        )

    def _at(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.config.train_steps

    def _on_signal(self, number: int, frame: Any) -> None:
        self._signal = number


def plan_blocks(
    start: int, stop: int, size: int, boundaries: Sequence[int]
) -> list[tuple[int, int]]:
    """Cuts the steps start..stop-1 into blocks for compiled calls.

    Args:
      start: the first step.
      stop: behind the last step.
      size: the most steps in a block.
      boundaries: numbers of which no block may cross a multiple.

    Returns:
      (first step, number of steps) of each block.
    """
    blocks = []
    while start < stop:
        nearest = min((start // every + 1) * every for every in boundaries)
        end = min(start + size, nearest, stop)
        blocks.append((start, end - start))
        start = end
    return blocks


class _signals_to:
    """Sends SIGTERM and SIGINT to a handler while training runs."""

    def __init__(self, handler: Callable[[int, Any], None]) -> None:
        self.handler = handler

    def __enter__(self) -> None:
        self.before = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self.before[number] = signal.signal(number, self.handler)

    def __exit__(self, *_: Any) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
