"""Tests of the training loop's state: stopped anywhere, it ends as if it never was."""

import json
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from ram_tf.config import Config
from ram_tf.data.sources.base import ImageSet
from ram_tf.data.tasks import Task
from ram_tf.errors import Interrupted, RamError
from ram_tf.models.factory import build_model
from ram_tf.models.variables import named_variables
from ram_tf.runs import checkpoints as checkpoints_module
from ram_tf.runs.checkpoints import CheckpointFolder
from ram_tf.runtime.stop_signals import StopRequest
from ram_tf.training import trainer as training
from ram_tf.training.feed import plan_blocks
from ram_tf.training.trainer import Trainer

# Boundaries of blocks, checkpoints and evaluations differ; 13 is a multiple of none.
SETTINGS = {
    "model": "fc",
    "fc_units": 4,
    "batch_size": 4,
    "train_steps": 13,
    "eval_every": 5,
    "checkpoint_every": 3,
    "steps_per_call": 4,
    "optimizer": "sgd",
    "momentum": 0.9,
    "weight_average": 0.5,
    "learning_rate": 0.01,
}
RNG = np.random.default_rng(0)
TRAIN = ImageSet(
    RNG.integers(0, 256, [30, 5, 5, 1]).astype(np.uint8),
    RNG.integers(0, 3, 30).astype(np.int32),
)


class Killed(BaseException):
    """Ends a run like kill -9 does: nothing of the loop catches it."""


class Killer(keras.callbacks.Callback):
    """Counts what happens in a run, and kills it at a chosen count."""

    def __init__(self, at=None):
        super().__init__()
        self.at, self.count = at, 0

    def happen(self):
        self.count += 1
        if self.count == self.at:
            raise Killed

    def on_train_batch_end(self, batch, logs=None):
        self.happen()

    def on_epoch_end(self, epoch, logs=None):
        self.happen()


def plain_feed(config, strategy, train, task, step):
    """Blocks as the pipeline makes them, functions of the step alone, but at once."""
    boundaries = (config.eval_every, config.checkpoint_every)
    size = config.steps_per_call
    for start, count in plan_blocks(step, config.train_steps, size, boundaries):
        rows = np.arange(start, start + size)[:, None] * 7 + np.arange(4) * 3
        images = train.images[rows % 30].astype(np.float32) / 255.0
        yield start, count, tf.constant(images), tf.constant(train.labels[rows % 30])


@pytest.fixture
def eager(monkeypatch):
    """Runs without graphs or clocks: tracing is most of the time of so short runs."""
    monkeypatch.setattr(training, "feed", plain_feed)
    monkeypatch.setattr(training, "_CALL_SECONDS", 1e9)
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def make_trainer(folder=None, stop=None, jit_compile=False, **changes):
    config = Config(**{**SETTINGS, **changes})
    model = build_model(config, 3, (5, 5, 1))

    def validate():
        # Any number that depends on all weights, ups and downs included.
        total = sum(float(tf.reduce_sum(w)) for w in model.trainable_variables)
        return 0.5 + 0.5 * np.sin(50 * total)

    kept = CheckpointFolder(folder, config.keep_checkpoints) if folder else None
    return Trainer(config, model, TRAIN, Task(), validate, checkpoints=kept, stop=stop)


def outcome(trainer):
    """All that a finished run hands on."""
    kept = trainer.checkpoints
    best = {name: v.numpy() for name, v in named_variables(trainer.model).items()}
    fresh = make_trainer(**{"train_steps": trainer.config.train_steps})
    state = checkpoints_module.restore(kept.best, named_variables(fresh.model))
    return {
        "variables": {k: v.tolist() for k, v in best.items()},
        "curve": trainer.curve,
        "best": trainer.best,
        "best.npz": [state, *(w.tolist() for w in fresh.model.get_weights())],
        "steps": trainer.step,
    }


@pytest.fixture
def whole(tmp_path, eager):
    """What a run leaves that was never stopped, and how often it could be killed."""
    trainer = make_trainer(tmp_path / "whole")
    counter = Killer()
    with killing_writes(counter):
        trainer.run([counter])
    return outcome(trainer), counter.count


class killing_writes:
    """Lets a run be killed before and after each checkpoint that it writes."""

    def __init__(self, killer):
        self.killer = killer

    def __enter__(self):
        self.patch = pytest.MonkeyPatch()
        write = checkpoints_module.write_atomic

        def dangerous(path, content):
            self.killer.happen()
            write(path, content)
            self.killer.happen()

        self.patch.setattr(checkpoints_module, "write_atomic", dangerous)

    def __exit__(self, *_):
        self.patch.undo()


@pytest.mark.parametrize(
    "every", [pytest.param(1, marks=pytest.mark.faults), pytest.param(4, id="some")]
)
def test_run_killed_at_any_event_ends_as_the_whole_one(every, whole, tmp_path):
    expected, events = whole
    assert events > 20
    for at in range(1, events + 1, every):
        folder = tmp_path / str(at)
        killer = Killer(at)
        with killing_writes(killer), pytest.raises(Killed):
            make_trainer(folder).run([killer])
        resumed = make_trainer(folder)
        resumed.run()
        assert outcome(resumed) == expected, f"killed at event {at}"


def test_run_killed_again_and_again_ends_as_the_whole_one(whole, tmp_path):
    expected, _ = whole
    for _ in range(100):
        killer = Killer(at=8)
        trainer = make_trainer(tmp_path / "again")
        try:
            with killing_writes(killer):
                trainer.run([killer])
        except Killed:
            continue
        break
    assert outcome(trainer) == expected


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("at_step", [1, 2, 7, 9, 12])
def test_run_stopped_by_a_signal_saves_and_goes_on(number, at_step, whole, tmp_path):
    expected, _ = whole

    class Sender(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch + 1 >= at_step:
                signal.raise_signal(number)

    trainer = make_trainer(tmp_path / "stopped")
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught:
        trainer.run([Sender()])
    assert caught.value.signal == number
    assert signal.getsignal(number) is before
    newest = trainer.checkpoints.newest()[0]
    assert newest.name == f"step_{trainer.step:012d}.npz"
    resumed = make_trainer(tmp_path / "stopped")
    resumed.run()
    assert outcome(resumed) == expected


def test_run_stopped_in_an_evaluation_does_it_again(whole, tmp_path):
    expected, _ = whole
    stop = StopRequest()
    trainer = make_trainer(tmp_path / "stopped", stop=stop)

    def validate():
        stop.number = signal.SIGTERM
        stop.check()

    trainer.validate = validate
    with pytest.raises(Interrupted):
        trainer.run()
    assert trainer.step == 5 and not trainer.curve
    resumed = make_trainer(tmp_path / "stopped")
    resumed.run()
    assert outcome(resumed) == expected


def test_damaged_newest_checkpoint_costs_only_its_steps(whole, tmp_path):
    expected, _ = whole
    killer = Killer(at=18)
    with killing_writes(killer), pytest.raises(Killed):
        make_trainer(tmp_path / "damaged").run([killer])
    newest, before = CheckpointFolder(tmp_path / "damaged", 3).newest()[:2]
    newest.write_bytes(newest.read_bytes()[:-100])
    resumed = make_trainer(tmp_path / "damaged")
    steps = []

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            steps.append(resumed.step)

    resumed.run([Watch()])
    assert steps == [int(before.stem.removeprefix("step_"))]
    assert outcome(resumed) == expected


def test_finished_run_trains_no_more(whole, tmp_path):
    expected, _ = whole
    again = make_trainer(tmp_path / "whole")
    trained = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            trained.append(batch)

    again.run([Watch()])
    assert not trained
    assert outcome(again) == expected


def test_checkpoints_and_steps_per_call_do_not_change_the_numbers(whole, tmp_path):
    expected, _ = whole
    other = make_trainer(
        tmp_path / "other", checkpoint_every=4, steps_per_call=7, keep_checkpoints=1
    )
    other.run()
    assert outcome(other) == expected


def test_checkpoint_says_of_which_config_and_step_it_is(tmp_path, eager):
    trainer = make_trainer(tmp_path, train_steps=3)
    trainer.checkpoints = CheckpointFolder(tmp_path, 3, trainer.config.digest())
    trainer.run()
    with np.load(trainer.checkpoints.newest()[0]) as arrays:
        state = json.loads(arrays["state.json"].tobytes())
    assert state["step"] == 3
    assert state["config_digest"] == trainer.config.digest()


def poison(trainer, step, where):
    """Makes one step of a run sick: its loss, or only its gradient."""
    model = trainer.model
    healthy = model.logits

    def factor(sick):
        now = tf.cast(model.optimizer.iterations, tf.int64)
        return tf.where(tf.equal(now, step) & sick, np.nan, 1.0)

    @tf.custom_gradient
    def spoil(x):
        def gradient(upstream):
            return upstream * factor(where == "gradient")

        return x * factor(where == "loss"), gradient

    model.logits = lambda images: spoil(healthy(images))


@pytest.mark.parametrize(
    ("where", "term"), [("loss", "cross_entropy"), ("gradient", "gradient_norm")]
)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_sick_step_is_named_and_spoils_nothing(
    where, term, jit_compile, tmp_path, monkeypatch
):
    monkeypatch.setattr(training, "feed", plain_feed)
    plain = {"weight_average": 0.0, "clip_norm": 1.0, "momentum": 0.0}
    trainer = make_trainer(tmp_path, jit_compile=jit_compile, **plain)
    poison(trainer, 7, where)
    with pytest.raises(RamError) as caught:
        trainer.run()
    message = str(caught.value)
    assert message.startswith("step 7: expected finite terms of the loss and gradient")
    assert term in message and "\n" not in message
    # Kept are the checkpoints before; in memory nothing came after step 6.
    kept = trainer.checkpoints.newest()
    assert kept[0].name == "step_000000000006.npz"
    healthy = make_trainer(train_steps=7, jit_compile=jit_compile, **plain)
    healthy.run()
    for mine, theirs in zip(
        trainer.model.get_weights(), healthy.model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
