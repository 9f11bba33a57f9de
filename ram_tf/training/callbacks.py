"""What a person watches while training: a progress bar, a curve, TensorBoard."""

import pathlib
import time
from typing import Any

import keras
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from ram_tf.config import Config
from ram_tf.errors import RamError, one_line
from ram_tf.evaluation.policy_monitor import PolicyMonitor
from ram_tf.files import shown, write_atomic
from ram_tf.runs.curves import curve_text
from ram_tf.runtime.progress import progress_bar
from ram_tf.training.event_files import cut_after, event_files
from ram_tf.training.trainer import Trainer

_COMPILING = "compiling, once"  # The first step takes seconds, or minutes.
_TRAINED = "trained before"


class ProgressBar(keras.callbacks.Callback):
    """Shows steps, loss and accuracy on standard error.

    A bar on a terminal; elsewhere, as in a log file, a line at every evaluation, and
    one per minute between them.

    Args:
      trainer: the loop, for its place and its end.
    """

    def __init__(self, trainer: Trainer) -> None:
        super().__init__()
        self.trainer = trainer
        self.bar: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        step, last = self.trainer.step, self.trainer.config.train_steps
        said = _COMPILING if step < last else _TRAINED
        if 0 < step < last:
            said = f"resumed at step {step}; {said}"
        self._compiles = step < last
        self.bar = progress_bar(last, "steps", said, initial=step)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._compiles:
            self._compiles = False
            self.bar.set_description("", refresh=False)
            self.bar.unpause()  # The time left is that of steps.
        self.bar.set_postfix(
            loss=f"{logs['loss']:.3f}",
            accuracy=f"{logs['accuracy']:.3f}",
            refresh=False,
        )
        self.bar.update(batch + 1 - self.bar.n)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        accuracy = logs["val_accuracy"]
        # The lines or bars after this one show it too, so it names its step.
        self.bar.set_description(
            f"validation {100 * accuracy:.2f} % at step {self.bar.n}"
        )

    def on_train_end(self, logs: Any = None) -> None:
        self.bar.close()


class RunLogger(keras.callbacks.Callback):
    """Writes curve.csv and what TensorBoard shows at every evaluation.

    Scalars: loss/total, loss/cross_entropy, loss/baseline_mse (the baseline's error),
    loss/reinforce, reward/mean, accuracy/train, accuracy/validation, gradient/norm,
    learning_rate, images_per_second. Of a learned policy besides: its measures,
    pictures of its glimpses and histograms of where they land. The hyper-parameters are
    the Config.

    Args:
      trainer: the loop, for its curve.
      curve: the CSV file.
      logs: the folder of TensorBoard's files.
      monitor: of the learned policy, when there is one.

    Raises:
      RamError: when logs is no folder that can be written to.
    """

    TAGS = {
        "loss": "loss/total",
        "cross_entropy": "loss/cross_entropy",
        "baseline_mse": "loss/baseline_mse",
        "reinforce": "loss/reinforce",
        "reward": "reward/mean",
        "accuracy": "accuracy/train",
        "validation_accuracy": "accuracy/validation",
        "gradient_norm": "gradient/norm",
        "learning_rate": "learning_rate",
    }

    def __init__(
        self,
        trainer: Trainer,
        curve: pathlib.Path,
        logs: pathlib.Path,
        monitor: PolicyMonitor | None = None,
    ) -> None:
        super().__init__()
        self.trainer = trainer
        self.curve = curve
        self.monitor = monitor
        self._earlier = event_files(logs)
        try:
            self.writer = tf.summary.create_file_writer(str(logs))
        except tf.errors.OpError as error:
            raise RamError(
                f"{logs}: expected a folder to write to, found: {one_line(error)}"
            ) from None
        self._before = (0, 0.0)
        self._last_step = 0.0  # When the last training step ended.

    def on_train_begin(self, logs: Any = None) -> None:
        self._before = (self.trainer.step, time.monotonic())
        # Resumed: what is behind the checkpoint is to come again.
        self._write()
        curve = self.trainer.curve
        for path in self._earlier:
            cut_after(path, int(curve[-1]["step"]) if curve else 0)
        with self.writer.as_default(step=0):
            hparams.hparams(_hyper_parameters(self.trainer.config))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._last_step = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        row = self.trainer.curve[-1]
        step = int(row["step"])
        images = (step - self._before[0]) * self.trainer.config.batch_size
        with self.writer.as_default(step=step):
            for name, value in row.items():
                if name != "step":
                    tf.summary.scalar(self.TAGS.get(name) or _policy_tag(name), value)
            # An evaluation of a resumed run may come before its first step.
            if images:
                seconds = self._last_step - self._before[1]
                tf.summary.scalar("images_per_second", images / seconds)
            if self.monitor is not None:
                _write_glimpses(self.monitor)
        self.writer.flush()
        self._before = (step, time.monotonic())
        self._write()

    def on_train_end(self, logs: Any = None) -> None:
        self.writer.close()

    def _write(self) -> None:
        write_atomic(self.curve, curve_text(self.trainer.curve))


def _write_glimpses(monitor: PolicyMonitor) -> None:
    """Writes what TensorBoard shows of the glimpses at the monitor's last call."""
    paths = monitor.draw_paths()
    tf.summary.image("glimpses/paths", paths, max_outputs=len(paths))
    tf.summary.image("glimpses/landing", monitor.draw_landing()[None])
    assert monitor.predictions is not None
    chosen = monitor.predictions.locations[:, 1:]
    for axis, name in enumerate("yx"):
        tf.summary.histogram(f"glimpses/{name}", chosen[..., axis])


def _hyper_parameters(config: Config) -> dict[str, Any]:
    """Returns what runs are compared by: the Config without the run's own folder."""
    values = config.to_dict()
    del values["run_dir"], values["data_dir"]
    # TensorBoard takes text alone, and a folder may have any name.
    return {
        name: shown(value) if isinstance(value, str) else value
        for name, value in values.items()
    }


def _policy_tag(name: str) -> str:
    """Returns the tag of what a `PolicyMonitor` measures."""
    group, _, rest = name.partition("_")
    return f"gradient/{rest}" if group == "gradient" else f"policy/{name}"
