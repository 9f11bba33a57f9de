"""The one training loop: many updates inside one compiled call, on any device.

Follows the data and the model, leaves weights and a curve. Resumable at any point:
all randomness is a function of (seed, step), so the state is the variables, the step
and what was measured.

Over 250 lines: the loop and what is saved of it must change together.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from ram_tf.config import Config
from ram_tf.data.sources.base import ImageSet
from ram_tf.data.tasks import Task
from ram_tf.errors import Interrupted, RamError
from ram_tf.models.image_classifier import ImageClassifier
from ram_tf.models.variables import averaged_weights, named_variables
from ram_tf.runs.checkpoints import CheckpointFolder
from ram_tf.runtime.replicas import local_copies
from ram_tf.runtime.stop_signals import StopRequest
from ram_tf.runtime.worker_sync import Decision, WorkerSync
from ram_tf.training.feed import feed

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
      jit_compile: whether XLA compiles the steps, as `ram_tf.runtime.devices.use_jit`
        says.
      checkpoints: where state is kept; None keeps none.
      is_chief: whether this process, of several workers, evaluates and writes.
      stop: who asks to stop; None listens to SIGTERM and SIGINT alone.
      observe: returns further measures of the current weights for the curve.

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
        stop: StopRequest | None = None,
        observe: Callable[[], dict[str, float]] = dict,
    ) -> None:
        self.config = config
        self.model = model
        self.train = train
        self.task = task
        self.validate = validate
        self.observe = observe
        self.checkpoints = checkpoints
        self.callbacks = keras.callbacks.CallbackList(model=model)
        self.strategy = strategy or tf.distribute.get_strategy()
        self.is_chief = is_chief
        self.stop = stop or StopRequest()
        self.workers = WorkerSync(self.strategy, is_chief)
        self.step = 0
        self.wall_seconds = 0.0
        self.curve: list[dict[str, float]] = []
        self.best: dict[str, float] = {}
        self._variables = named_variables(model)
        # Without AutoGraph, which has nothing to convert and doubles the tracing.
        self._steps = tf.function(
            self._run_steps, jit_compile=jit_compile, autograph=False
        )
        self._read_means = tf.function(self._means, autograph=False)
        self._call_size = 1
        self._saved = self._evaluated = 0  # The steps of the last of each.
        self._has_compiled_validation = False

    def run(self, callbacks: Sequence[keras.callbacks.Callback] = ()) -> None:
        """Trains to the end, or until a callback sets model.stop_training.

        Args:
          callbacks: Keras callbacks. Batches are training steps, counted from 0; a
            compiled call of many reports the beginning of its first and the end of its
            last. An epoch ends with an evaluation. With several workers only the
            chief's are called.

        Raises:
          RamError: when a loss or a gradient is not finite; names the step and term.
          Interrupted: on SIGTERM or SIGINT, after saving.
        """
        mine = list(callbacks) if self.is_chief else []
        self.callbacks = keras.callbacks.CallbackList(mine, model=self.model)
        self.model.stop_training = False
        self._restore()
        self.callbacks.on_train_begin()
        self.callbacks.on_epoch_begin(len(self.curve))
        try:
            with self.stop.listening():
                self._train()
        except Interrupted:
            self.save()
            self.workers.barrier()
            raise
        finally:
            self.stop.deferred = False
            self.callbacks.on_train_end()

    def _train(self) -> None:
        started = time.monotonic() - self.wall_seconds
        # A run may have ended between a checkpoint and the evaluation of its step.
        self._pause()
        blocks = feed(self.config, self.strategy, self.train, self.task, self.step)
        for start, count, images, labels in blocks:
            for first, last in self._calls(count):
                self._call(start, images, labels, first, last)
                self.stop.deferred = self.checkpoints is not None
                self.wall_seconds = time.monotonic() - started
            self._pause()
            if self.model.stop_training:
                break
        self._decide()  # One of several workers may be asked in the last evaluation.
        self.save()

    def _pause(self) -> None:
        """Does what is due between two blocks."""
        config = self.config
        evaluate = self._at(config.eval_every) and self._evaluated != self.step
        # The first evaluation compiles, which takes long: nothing must hang on it.
        compiles = evaluate and not self._has_compiled_validation
        if self._at(config.checkpoint_every) or compiles:
            self.save()
        if evaluate:
            self._evaluate()
            self._evaluated = self.step
            self._has_compiled_validation = True

    def save(self) -> None:
        """Writes a checkpoint of now, unless there is one."""
        if self.checkpoints is not None and self._saved != self.step:
            if self.is_chief:
                state = {
                    "step": self.step,
                    "wall_seconds": self.wall_seconds,
                    "curve": self.curve,
                    "best": self.best,
                }
                self.checkpoints.save(self.step, self._variables, state)
            self._saved = self.step
        # Nothing to lose by leaving at once, but several workers leave together.
        self.stop.deferred = self.stop.deferred and not self.workers.alone

    def _restore(self) -> None:
        if self.checkpoints is None:
            return
        state = self.checkpoints.restore(self._variables) if self.is_chief else None
        if state is not None:
            self.step = state["step"]
            self.wall_seconds = state["wall_seconds"]
            self.curve = state["curve"]
            self.best = state["best"]
            self._evaluated = int(self.curve[-1]["step"]) if self.curve else 0
            # The best weights may be of an evaluation after this checkpoint, and count:
            # another machine's steps to it may not come out to the bit.
            best = self.checkpoints.read_best()
            if best is None and self.best:
                logging.warning(
                    "%s is missing or damaged: the best weights are now of the "
                    "evaluations after step %d",
                    self.checkpoints.best,
                    self.step,
                )
                self.best = {}
            elif best is not None and best["step"] > self.step:
                self.best = {
                    name: best[name] for name in ("step", "validation_accuracy")
                }
            logging.info("resumed at step %d", self.step)
        variables = list(self._variables.values())
        self.step, self._evaluated = self.workers.broadcast(
            variables, (self.step, self._evaluated)
        )
        self._saved = self.step

    def _calls(self, count: int) -> Iterator[tuple[int, int]]:
        """Cuts a block into calls of about a second, from what the last one took.

        Raises:
          Interrupted: when this or another worker is asked to stop.
        """
        first = 0
        while first < count:
            decision = self._decide()
            self.model.stop_training = decision.finish
            self._call_size = decision.size
            if self.model.stop_training:
                return
            last = min(count, first + self._call_size)
            before = time.monotonic()
            yield first, last
            seconds = (time.monotonic() - before) / (last - first)
            # The first call compiles and says little: grow by doubling.
            fitting = max(1, int(_CALL_SECONDS / max(seconds, 1e-9)))
            self._call_size = min(2 * self._call_size, fitting)
            first = last

    def _decide(self) -> Decision:
        """Returns what all workers do next.

        Raises:
          Interrupted: when this or another worker is asked to stop.
        """
        decision = self.workers.decide(
            Decision(self.stop.number, self.model.stop_training, self._call_size)
        )
        if decision.stop is not None:
            raise Interrupted(decision.stop)
        return decision

    def _call(
        self, start: int, images: Any, labels: Any, first: int, last: int
    ) -> None:
        self.callbacks.on_train_batch_begin(start + first)
        done, terms = self._steps(images, labels, tf.constant(first), tf.constant(last))
        self.step = start + int(done)
        bad = [name for name, value in terms.items() if not np.isfinite(value)]
        if bad:
            # "loss" is the sum of the other terms: they say more.
            names = [name for name in bad if name != "loss"] or bad
            raise RamError(
                f"step {self.step - 1}: expected finite terms of the loss and "
                f"gradient, found a bad {' and '.join(names)}; the checkpoints before "
                "it are kept"
            )
        logs = {name: float(value) for name, value in terms.items()}
        self.callbacks.on_train_batch_end(self.step - 1, logs)

    def _run_steps(
        self, images: Any, labels: Any, first: tf.Tensor, last: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Runs steps first..last-1 of a block, up to the first that is not finite."""
        model, strategy = self.model, self.strategy

        def one_step(
            images: tf.Tensor, labels: tf.Tensor, index: tf.Tensor
        ) -> tf.Tensor:
            # These are means since the last evaluation: one value that is not finite
            # makes them so.
            means = model.train_step((images[index], labels[index]))
            return tf.reduce_all(tf.math.is_finite(list(means.values())))

        def healthy(index: tf.Tensor, sound: tf.Tensor) -> tf.Tensor:
            return tf.logical_and(index < last, sound)

        def body(index: tf.Tensor, sound: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            sound = strategy.run(one_step, args=(images, labels, index))
            # `apply_loss` has summed over the replicas: all of them say the same.
            return index + 1, strategy.experimental_local_results(sound)[0]

        done, _ = tf.while_loop(
            healthy, body, (first, tf.constant(True)), parallel_iterations=1
        )
        return done, self._means()

    def _means(self) -> dict[str, tf.Tensor]:
        """Returns the mean of every tracker since the last evaluation."""
        # Each replica has tracked the terms of the global batch: read one, sum none.
        means = self.strategy.run(
            lambda: {metric.name: metric.result() for metric in self.model.trackers}
        )
        local = self.strategy.experimental_local_results
        return {name: local(value)[0] for name, value in means.items()}

    def _evaluate(self) -> None:
        if self.is_chief:
            self._validate()
        # Not reset_state, which sums over the workers what it has just set to zero.
        for metric in self.model.trackers:
            for variable in metric.variables:
                for copy in local_copies(variable):
                    copy.assign(tf.zeros_like(copy))

    def _validate(self) -> None:
        terms = {name: float(value) for name, value in self._read_means().items()}
        with averaged_weights(self.model):
            accuracy = self.validate()
            observed = self.observe()
            if accuracy > self.best.get("validation_accuracy", -1.0):
                self.best = {"step": self.step, "validation_accuracy": accuracy}
                if self.checkpoints is not None:
                    self.checkpoints.save_best(self._variables, self.best)
        rate = float(np.asarray(self.model.optimizer.learning_rate))
        row = {"step": self.step, "learning_rate": rate, **terms}
        self.curve.append({**row, "validation_accuracy": accuracy, **observed})
        self.callbacks.on_epoch_end(
            len(self.curve) - 1, {**terms, "val_accuracy": accuracy}
        )
        if self.step < self.config.train_steps:
            self.callbacks.on_epoch_begin(len(self.curve))

    def _at(self, every: int) -> bool:
        at_end = self.step == self.config.train_steps
        return self.step > 0 and (self.step % every == 0 or at_end)
