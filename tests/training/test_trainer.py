"""Tests of the training loop: exact, resumable, and whole when it stops."""

import dataclasses
import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from ram_tf.config import Config
from ram_tf.data.pipeline import training_blocks
from ram_tf.data.sources.base import ImageSet
from ram_tf.data.tasks import Task
from ram_tf.errors import Interrupted, RamError
from ram_tf.models.factory import build_model
from ram_tf.models.variables import named_variables
from ram_tf.runs.checkpoints import CheckpointFolder, restore
from ram_tf.runtime.devices import use_jit
from ram_tf.training.feed import feed, plan_blocks
from ram_tf.training.trainer import Trainer

STEPS = 12


# The loop is the same for every model: most tests take the one that traces fastest.
RAM = {"model": "ram", "optimizer": "adam", "learning_rate": 1e-3}


def small_config(**settings) -> Config:
    small = {
        "model": "fc",
        "fc_units": 4,
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "patch_size": 3,
        "num_glimpses": 2,
        "core": "rnn",
        "core_units": 8,
        "glimpse_units": 8,
        "batch_size": 8,
        "train_steps": STEPS,
        "steps_per_call": 4,
        "eval_every": 4,
        "checkpoint_every": 4,
        "reinforce_weight": 0.1,
    }
    return Config(**{**small, **settings})


def small_set() -> ImageSet:
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (40, 8, 8, 1), np.uint8)
    return ImageSet(images, numbers.integers(0, 3, 40).astype(np.int32))


def small_trainer(folder=None, validate=lambda: 0.5, jit_compile=False, **settings):
    config = small_config(jit_compile="on" if jit_compile else "off", **settings)
    checkpoints = CheckpointFolder(folder, keep=2) if folder else None
    return Trainer(
        config,
        build_model(config, 3, (8, 8, 1)),
        small_set(),
        Task(),
        validate,
        jit_compile=jit_compile,
        checkpoints=checkpoints,
    )


def state_of(trainer) -> dict[str, np.ndarray]:
    """Returns weights, optimizer state and trackers."""
    variables = named_variables(trainer.model)
    return {name: np.asarray(variable) for name, variable in variables.items()}


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> Trainer:
    """A run that nothing interrupted."""
    trainer = small_trainer(tmp_path_factory.mktemp("straight"))
    trainer.run()
    return trainer


@pytest.fixture(scope="module")
def straight_ram() -> Trainer:
    """The same with a recurrent attention model and Adam."""
    trainer = small_trainer(**RAM)
    trainer.run()
    return trainer


def check_same_bits(one, two) -> None:
    for name, value in state_of(one).items():
        np.testing.assert_array_equal(value, state_of(two)[name], err_msg=name)


class Watcher(keras.callbacks.Callback):
    """Notes what the loop reports, and acts behind a step."""

    def __init__(self, at=None, act=None):
        super().__init__()
        self.batches, self.epochs, self.ends = [], [], 0
        self.batches_begun, self.epochs_begun = [], []
        self.at, self.act = at, act

    def on_train_batch_begin(self, batch, logs=None):
        self.batches_begun.append(batch)

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs_begun.append(epoch)

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append((batch, dict(logs)))
        if self.at is not None and batch >= self.at:
            self.at = None
            self.act(self.model)

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append((epoch, dict(logs)))

    def on_train_end(self, logs=None):
        self.ends += 1


def spoil_bias(layer):
    layer.bias.assign(np.full(layer.bias.shape, np.nan))


def stop_training(model):
    model.stop_training = True


# --- The same numbers -----------------------------------------------------------------


def check_repeats(first, again) -> None:
    before = state_of(again)
    again.run()
    assert first.step == again.step == STEPS
    check_same_bits(first, again)
    assert first.curve == again.curve
    changed = [n for n, v in state_of(again).items() if np.any(v != before[n])]
    assert {name.split("/")[0] for name in changed} >= {"weights", "optimizer"}


def test_trainer_repeats_a_seed_bit_for_bit(straight_ram):
    check_repeats(straight_ram, small_trainer(**RAM))


def test_trainer_repeats_a_seed_bit_for_bit_under_xla():
    first = small_trainer(jit_compile=True, **RAM)
    first.run()
    check_repeats(first, small_trainer(jit_compile=True, **RAM))


def test_trainer_differs_by_seed(straight):
    other = small_trainer(seed=1)
    other.model.set_weights(small_trainer().model.get_weights())
    other.run()
    pairs = zip(straight.model.get_weights(), other.model.get_weights(), strict=True)
    assert any(np.any(a != b) for a, b in pairs)


@pytest.mark.parametrize(
    "settings",
    [
        {"steps_per_call": 1},
        {"steps_per_call": 5},
        {"steps_per_call": 50},
        {"checkpoint_every": 1},
    ],
)
def test_trainer_gives_the_same_in_any_pieces(settings, straight, tmp_path):
    found = small_trainer(tmp_path, **settings)
    found.run()
    for name, value in state_of(straight).items():
        np.testing.assert_allclose(state_of(found)[name], value, atol=1e-5)
    assert [row["step"] for row in found.curve] == [4, 8, 12]


CONVOLVING = {
    "glimpse_network": "inception",
    "glimpse_units": 4,
    "core": "conv_lstm",
    "core_units": 4,
    "patch_size": 4,
}


@pytest.mark.parametrize(
    ("jit_compile", "num_parts", "settings"),
    [
        ("off", 1, {}),
        pytest.param("on", 1, {}, marks=pytest.mark.slow),
        # As a convolutional model trains: on one core XLA has the update alone, on
        # a few the batch is in parts, and XLA has nothing.
        ("auto", 1, CONVOLVING),
        ("auto", 2, CONVOLVING),
    ],
)
def test_trainer_takes_the_steps_of_train_step(jit_compile, num_parts, settings):
    settings = {**RAM, "steps_per_call": STEPS, **settings}
    config = small_config(jit_compile=jit_compile, **settings)
    jit_compile = use_jit(config, ["CPU"])
    model = build_model(config, 3, (8, 8, 1), num_parts)
    data = small_set(), Task()
    trainer = Trainer(config, model, *data, lambda: 0.5, jit_compile=jit_compile)
    trainer.run()
    assert model.jit_update == (config.jit_compile != "off" and num_parts == 1)
    # One step at a time, of whole batches and with no update of its own.
    config = dataclasses.replace(config, jit_compile="on" if jit_compile else "off")
    model = build_model(config, 3, (8, 8, 1))
    block = training_blocks(small_set(), Task(), [0], STEPS, 8, config.seed)
    images, labels = next(iter(block))
    step = tf.function(lambda *data: model.train_step(data), jit_compile=jit_compile)
    for i in range(STEPS):
        step(images[i], labels[i])
    assert model.optimizer.iterations.numpy() == STEPS
    pairs = zip(model.get_weights(), trainer.model.get_weights(), strict=True)
    for single, many in pairs:
        np.testing.assert_allclose(many, single, atol=1e-5)


# --- Stopping and going on ------------------------------------------------------------


def test_trainer_resumes_as_if_it_had_never_stopped(straight_ram, tmp_path):
    broken = small_trainer(tmp_path, **RAM)
    broken.wall_seconds = 1000.0  # As if it had been resumed before.
    broken.run([Watcher(5, stop_training)])
    assert 5 < broken.step < STEPS
    resumed = small_trainer(tmp_path, **RAM)
    resumed.run()
    assert resumed.step == STEPS
    check_same_bits(resumed, straight_ram)
    assert resumed.curve == straight_ram.curve
    assert resumed.best == straight_ram.best
    assert resumed.wall_seconds > broken.wall_seconds > 1000


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_trainer_saves_on_a_signal(number, tmp_path):
    handler = signal.getsignal(number)
    broken = small_trainer(tmp_path)
    with pytest.raises(Interrupted) as caught:
        broken.run([Watcher(2, lambda model: os.kill(os.getpid(), number))])
    assert caught.value.signal == number
    assert signal.getsignal(number) is handler
    newest = CheckpointFolder(tmp_path, keep=2).newest()[0]
    assert newest.name == f"step_{broken.step:012d}.npz"
    assert 2 < broken.step < STEPS
    saved = small_trainer()
    restore(newest, named_variables(saved.model))
    pairs = zip(saved.model.get_weights(), broken.model.get_weights(), strict=True)
    assert all(np.array_equal(one, two) for one, two in pairs)
    assert saved.model.optimizer.iterations.numpy() == broken.step


def test_trainer_of_several_workers_answers_a_signal_of_the_last_evaluation(tmp_path):
    def validate() -> float:
        if trainer.step == STEPS:
            os.kill(os.getpid(), signal.SIGTERM)
        return 0.5

    trainer = small_trainer(tmp_path, validate)
    # As of several: a signal is noted, and all stop together at the next decision.
    trainer.workers.alone = False
    trainer.workers.decide = lambda mine: mine
    with pytest.raises(Interrupted):
        trainer.run()
    assert trainer.curve[-1]["step"] == STEPS


def test_trainer_that_has_finished_does_nothing_more(straight):
    again, watcher = small_trainer(straight.checkpoints.folder), Watcher()
    again.run([watcher])
    assert watcher.batches == []
    check_same_bits(again, straight)
    assert again.curve == straight.curve


def test_trainer_stops_at_the_first_sick_step_and_names_it(tmp_path):
    def spoil(model):
        spoil_bias(model.action_network.logits)

    trainer = small_trainer(tmp_path, steps_per_call=1, **RAM)
    with pytest.raises(RamError) as caught:
        trainer.run([Watcher(5, spoil)])
    message = str(caught.value)
    assert message.startswith("step 6: expected finite terms of the loss and gradient")
    # Not the loss, their sum, and not what does not depend on what was spoiled.
    assert "found a bad cross_entropy and gradient_norm;" in message
    assert "\n" not in message
    # The last good checkpoint is the newest, and whole.
    fresh = small_trainer(**RAM)
    state = CheckpointFolder(tmp_path, keep=2).restore(named_variables(fresh.model))
    assert state["step"] == 4
    assert all(np.isfinite(weight).all() for weight in fresh.model.get_weights())


def test_trainer_applies_no_update_behind_a_sick_step():
    trainer = small_trainer(steps_per_call=STEPS, eval_every=STEPS)
    spoil_bias(trainer.model.stack[-1])
    with pytest.raises(RamError, match="^step 0: "):
        trainer.run()
    assert trainer.model.optimizer.iterations.numpy() <= 1


def test_trainer_refuses_a_batch_of_more_images_than_there_are():
    with pytest.raises(RamError, match="--batch_size=41: expected at most 40"):
        small_trainer(batch_size=41).run()


# --- What it reports ------------------------------------------------------------------


def test_trainer_reports_steps_and_evaluations_to_callbacks():
    trainer, watcher = small_trainer(), Watcher()
    trainer.run([watcher])
    steps = [batch for batch, _ in watcher.batches]
    assert steps == sorted(set(steps))
    assert steps[-1] == STEPS - 1
    assert {3, 7, 11} <= set(steps)  # The last before each evaluation.
    assert [epoch for epoch, _ in watcher.epochs] == [0, 1, 2]
    assert watcher.epochs_begun == [0, 1, 2]
    assert watcher.batches_begun == [0, *(step + 1 for step in steps[:-1])]
    assert watcher.ends == 1
    for _, logs in watcher.batches:
        assert set(logs) == {metric.name for metric in trainer.model.trackers}
    for _, logs in watcher.epochs:
        assert logs["val_accuracy"] == 0.5


def test_trainer_cuts_calls_that_take_long(monkeypatch):
    monkeypatch.setattr("ram_tf.training.trainer._CALL_SECONDS", 1e-9)
    trainer = small_trainer(steps_per_call=STEPS, eval_every=STEPS)
    watcher = Watcher()
    trainer.run([watcher])
    assert watcher.batches_begun == list(range(STEPS))


def test_trainer_obeys_a_learning_rate_scheduler():
    trainer = small_trainer()
    rates = [0.05, 0.01, 0.0]
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, _: rates[epoch])
    trainer.run([scheduler])
    assert [row["learning_rate"] for row in trainer.curve] == pytest.approx(rates)


def test_trainer_stops_at_pixels_that_are_not_numbers():
    images = np.full([40, 8, 8, 1], np.nan, np.float32)
    trainer = small_trainer(**RAM)
    trainer.train = ImageSet(images, trainer.train.labels)
    with pytest.raises(RamError, match="^step 0: .* found a bad .*gradient_norm"):
        trainer.run()
    assert all(np.isfinite(weight).all() for weight in trainer.model.get_weights())


def test_trainer_obeys_early_stopping():
    trainer = small_trainer(train_steps=40)  # Validation says 0.5 for ever.
    stopping = keras.callbacks.EarlyStopping("val_accuracy", patience=2, mode="max")
    trainer.run([stopping])
    assert [row["step"] for row in trainer.curve] == [4, 8, 12]
    assert trainer.step == 12


def test_trainer_curve_holds_means_since_the_evaluation_before():
    trainer, watcher = small_trainer(steps_per_call=1, learning_rate=0.0), Watcher()
    trainer.run([watcher])
    # `logs` are running means: the sum of a step is n mean_n - (n - 1) mean_{n-1}.
    by_step = {batch: logs["loss"] for batch, logs in watcher.batches}
    assert len(by_step) == STEPS
    for row in trainer.curve:
        assert row["loss"] == by_step[row["step"] - 1]
        assert row["validation_accuracy"] == 0.5
        assert row["learning_rate"] == 0.0
    # Behind an evaluation the mean starts again: one step, one value.
    model = trainer.model
    block = training_blocks(small_set(), Task(), [4], 1, 8, trainer.config.seed)
    images, labels = next(iter(block))
    model.reset_metrics()
    model.optimizer.iterations.assign(4)
    terms = model.train_step((images[0], labels[0]))
    np.testing.assert_allclose(terms["loss"], by_step[4], rtol=1e-5)


def test_trainer_keeps_the_earliest_best_weights_apart(tmp_path):
    accuracies = iter([0.1, 0.6, 0.6, 0.4])
    seen = {}

    def validate():
        accuracy = next(accuracies)
        seen[len(seen)] = trainer.model.get_weights()
        return accuracy

    trainer = small_trainer(tmp_path, validate, train_steps=16)
    trainer.run()
    best = {"step": 8, "validation_accuracy": 0.6}
    assert trainer.best == best
    fresh = small_trainer().model
    folder = CheckpointFolder(tmp_path, keep=2)
    assert restore(folder.best, named_variables(fresh)) == best
    for found, expected in zip(fresh.get_weights(), seen[1], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_trainer_takes_an_accuracy_of_0_for_the_best_until_there_is_another(tmp_path):
    trainer = small_trainer(tmp_path, lambda: 0.0)
    trainer.run()
    best = {"step": 4, "validation_accuracy": 0.0}
    assert trainer.best == trainer.checkpoints.read_best() == best


def test_trainer_saves_before_the_first_evaluation_which_compiles(tmp_path):
    folder, seen = CheckpointFolder(tmp_path, keep=2), []

    def validate():
        seen.append(folder.newest())
        return 0.5

    small_trainer(tmp_path, validate, checkpoint_every=STEPS).run()
    first, last = folder.at(4), folder.at(STEPS)
    assert seen == [[first], [first], [last, first]]


def test_trainer_keeps_the_best_weights_of_an_evaluation_after_its_checkpoint(tmp_path):
    """A killed run goes on elsewhere, where the same steps end a little differently."""
    killed = iter([0.1, 0.9])
    trainer = small_trainer(tmp_path, lambda: next(killed), checkpoint_every=4)
    trainer.run([Watcher(7, stop_training)])
    folder = CheckpointFolder(tmp_path, keep=9)
    for path in folder.newest()[:-1]:
        path.unlink()
    assert (folder.newest(), folder.read_best()["step"]) == ([folder.at(4)], 8)
    elsewhere = iter([0.8, 0.2, 0.3])
    resumed = small_trainer(tmp_path, lambda: next(elsewhere), checkpoint_every=4)
    resumed.run()
    best = {"step": 8, "validation_accuracy": 0.9}
    assert resumed.best == best
    assert {name: folder.read_best()[name] for name in best} == best


@pytest.mark.parametrize("left", [0, 200])
def test_trainer_goes_on_without_a_damaged_best_checkpoint(tmp_path, left, caplog):
    killed = iter([0.9, 0.1])
    trainer = small_trainer(tmp_path, lambda: next(killed), checkpoint_every=4)
    trainer.run([Watcher(7, stop_training)])
    folder = CheckpointFolder(tmp_path, keep=9)
    assert folder.read_best()["step"] == 4
    whole = folder.best.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF  # In the weights.
    folder.best.write_bytes(damaged if left else b"")
    resumed = small_trainer(tmp_path, lambda: 0.3, checkpoint_every=4)
    resumed.run()
    best = {"step": 8, "validation_accuracy": 0.3}  # Which is evaluated once more.
    assert resumed.best == best
    assert {name: folder.read_best()[name] for name in best} == best
    assert "best.npz is missing or damaged" in caplog.text


def test_trainer_validates_averaged_weights_and_trains_on_its_own(straight):
    seen, observed = [], []

    def validate():
        seen.append(trainer.model.get_weights())
        return 0.5

    def observe():
        observed.append(trainer.model.get_weights())
        return {}

    trainer = small_trainer(validate=validate, weight_average=0.9)
    trainer.observe = observe
    trainer.run()
    # What is measured beside the accuracy is of the same weights.
    assert len(observed) == len(seen) > 1
    for mine, theirs in zip(observed[-1], seen[-1], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    last = trainer.model.get_weights()
    for mine, theirs in zip(last, straight.model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)
    assert any(np.any(a != b) for a, b in zip(seen[-1], last, strict=True))


# --- Blocks ---------------------------------------------------------------------------


@given(
    start=st.integers(0, 50),
    length=st.integers(0, 120),
    size=st.integers(1, 60),
    boundaries=st.lists(st.integers(1, 70), min_size=1, max_size=3),
)
def test_plan_blocks_covers_every_step_once_and_stops_at_boundaries(
    start, length, size, boundaries
):
    blocks = plan_blocks(start, start + length, size, boundaries)
    steps = [first + i for first, count in blocks for i in range(count)]
    assert steps == list(range(start, start + length))
    ends = {first + count for first, count in blocks}
    for first, count in blocks:
        assert 1 <= count <= size
        for every in boundaries:
            assert (first // every) == ((first + count - 1) // every)
    due = {s for s in steps[1:] if any(s % every == 0 for every in boundaries)}
    assert due <= ends


@pytest.mark.parametrize("redraw", [True, False])
def test_feed_draws_images_afresh_only_when_the_config_says_so(redraw):
    data = ImageSet(np.full((4, 3, 3, 1), 255, np.uint8), np.arange(4, dtype=np.int32))
    config = small_config(batch_size=4, redraw=redraw)
    task = Task(task="translated", canvas_size=40)
    blocks = feed(config, tf.distribute.get_strategy(), data, task, 0)
    seen = {
        (int(label), canvas.tobytes())
        for _, _, images, labels in blocks
        for canvas, label in zip(
            images.numpy().reshape(-1, 1600), labels.numpy().reshape(-1), strict=True
        )
    }
    assert len(seen) == 4 if not redraw else len(seen) > 40
