"""Tests of checkpoints: whole or not there, and told when they are not whole."""

import logging
import os

import keras
import numpy as np
import pytest

from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.models.factory import build_model
from ram_tf.models.variables import averaged_weights, named_variables
from ram_tf.runs.checkpoints import CheckpointFolder, restore, save

STATE = {"step": 7, "curve": [{"step": 5, "loss": 0.1}], "best": {}}


def variables(value=0.0):
    return {
        "weights/a": keras.Variable(np.full([2, 3], value, np.float32)),
        "optimizer/b": keras.Variable(np.int64(value), dtype="int64"),
        "metrics/c": keras.Variable(np.full([4], value), dtype="float64"),
    }


def values(of):
    return {name: variable.numpy().tolist() for name, variable in of.items()}


def test_checkpoint_gives_back_variables_and_state(tmp_path):
    path = tmp_path / "new" / "folder" / "a.npz"
    saved, fresh = variables(1 / 3), variables()
    save(path, saved, STATE)
    assert restore(path, fresh) == STATE
    assert values(fresh) == values(saved)
    assert os.listdir(path.parent) == ["a.npz"]


def test_checkpoint_replaces_the_one_before(tmp_path):
    path, fresh = tmp_path / "a.npz", variables()
    save(path, variables(1.0), {"step": 1})
    save(path, variables(2.0), {"step": 2})
    assert restore(path, fresh) == {"step": 2}
    assert values(fresh) == values(variables(2.0))


def test_missing_checkpoint_is_named(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(RamError) as caught:
        restore(path, variables())
    said = str(caught.value)
    assert said == f"{path}: expected a whole checkpoint, found no such file"


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    {
        "empty": lambda content: b"",
        "cut": lambda content: content[: len(content) // 2],
        "last byte gone": lambda content: content[:-1],
        "no archive": lambda content: b"what is this" * 100,
        "a bit of the first array": lambda content: flip(content, 180),
        "a bit in the middle": lambda content: flip(content, len(content) // 3),
    }.items(),
    ids=lambda item: item[0],
)
def test_damaged_checkpoint_is_told_and_changes_nothing(damage, tmp_path):
    path = tmp_path / "a.npz"
    save(path, variables(1.0), STATE)
    path.write_bytes(damage[1](path.read_bytes()))
    kept = variables(5.0)
    with pytest.raises(RamError) as caught:
        restore(path, kept)
    assert str(caught.value).startswith(f"{path}: expected a whole checkpoint, found: ")
    assert "\n" not in str(caught.value)
    assert values(kept) == values(variables(5.0))


def test_checkpoint_of_another_model_is_told_and_changes_nothing(tmp_path):
    path = tmp_path / "a.npz"
    save(path, variables(1.0), STATE)
    kept = {**variables(5.0), "weights/a": keras.Variable(np.full([3, 2], 5.0))}
    before = values(kept)
    with pytest.raises(RamError, match=r"expected weights/a .*3, 2.*found .*2, 3"):
        restore(path, kept)
    more = {**variables(5.0), "weights/d": keras.Variable(1.0)}
    with pytest.raises(RamError, match=r"expected weights/d .*found nothing"):
        restore(path, more)
    assert values(kept) == before


def test_folder_keeps_the_newest_and_the_best_apart(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=2)
    for step in (1, 9, 10, 100):
        folder.save(step, variables(step), {"step": step})
        if step == 9:
            folder.save_best(variables(step), {"step": step})
    kept = [f"step_{step:012d}.npz" for step in (100, 10)]
    assert [path.name for path in folder.newest()] == kept
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, "best.npz"])
    fresh = variables()
    assert folder.restore(fresh) == {"step": 100}
    assert values(fresh) == values(variables(100))
    assert restore(folder.best, fresh) == {"step": 9}


def test_folder_uses_the_checkpoint_before_a_damaged_one_and_says_so(tmp_path, caplog):
    folder = CheckpointFolder(tmp_path, keep=3)
    for step in (1, 2, 3):
        folder.save(step, variables(step), {"step": step})
    newest = folder.newest()[0]
    newest.write_bytes(newest.read_bytes()[:-50])
    with caplog.at_level(logging.WARNING, logger="absl"):
        assert folder.restore(variables()) == {"step": 2}
    assert str(newest) in caplog.text


def test_folder_keeps_what_it_saved_beside_damaged_ones_of_later_steps(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=3)
    for step in (1, 2, 3, 4):
        folder.save(step, variables(step), {"step": step})
    for path in folder.newest()[:2]:
        path.write_bytes(path.read_bytes()[:-50])
    again = CheckpointFolder(tmp_path, keep=1)
    assert again.restore(variables()) == {"step": 2}
    again.save(3, variables(3), {"step": 3})
    assert folder.restore(variables()) == {"step": 3}
    kept = [f"step_{step:012d}.npz" for step in (4, 3)]
    assert [path.name for path in folder.newest()] == kept


def test_folder_without_any_whole_checkpoint_never_starts_again(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=3)
    for step in (1, 2):
        folder.save(step, variables(step), {"step": step})
    for path in folder.newest():
        path.write_bytes(b"")
    with pytest.raises(RamError, match=f"{tmp_path}: .* among 2, found none"):
        folder.restore(variables())


def test_folder_without_checkpoints_gives_none(tmp_path):
    assert CheckpointFolder(tmp_path / "absent", keep=3).restore(variables()) is None


def small_model(**settings):
    config = Config(core="rnn", core_units=4, glimpse_units=4, patch_size=2, **settings)
    return build_model(config, 3, (8, 8, 1))


def test_named_variables_are_all_of_training_by_stable_names():
    model = small_model()
    found = named_variables(model)
    assert list(found) == list(named_variables(small_model()))
    kinds = [name.split("/")[0] for name in found]
    num_weights = len(model.trainable_variables)
    assert kinds.count("weights") == num_weights
    # Adam: two moments a weight, the step count and the learning rate.
    assert kinds.count("optimizer") == 2 * num_weights + 2
    # A sum and a count for each running mean.
    assert kinds.count("metrics") == 2 * len(model.trackers)
    assert any(variable is model.optimizer.iterations for variable in found.values())


def test_averaged_weights_are_put_in_place_for_a_while():
    model = small_model(weight_average=0.5, optimizer="sgd", learning_rate=0.1)
    images, labels = np.ones([4, 8, 8, 1], np.float32), np.array([0, 1, 2, 0])
    average = []
    for _ in range(3):
        model.train_step((images, labels))
        now = [variable.numpy() for variable in model.trainable_variables]
        # It begins at the weights of the first step.
        average = average or now
        average = [0.5 * a + 0.5 * n for a, n in zip(average, now, strict=True)]
    with averaged_weights(model):
        for variable, value in zip(model.trainable_variables, average, strict=True):
            np.testing.assert_allclose(variable, value, atol=1e-6)
    for variable, value in zip(model.trainable_variables, now, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_averaged_weights_without_an_average_are_the_weights():
    model = small_model()
    before = model.get_weights()
    with averaged_weights(model):
        assert all(map(np.array_equal, model.get_weights(), before))


def test_checkpoint_of_another_config_is_refused(tmp_path):
    mine = CheckpointFolder(tmp_path, keep=2, config_digest="mine")
    mine.check()  # Nothing there yet.
    mine.save(1, variables(1.0), {"step": 1})
    mine.save_best(variables(1.0), {"step": 1})
    mine.check()
    assert mine.restore(variables())["config_digest"] == "mine"
    assert mine.read_best()["step"] == 1
    other = CheckpointFolder(tmp_path, keep=2, config_digest="other")
    for action in (other.check, lambda: other.restore(variables())):
        with pytest.raises(
            RamError, match=r"step_.*digest other\), found one of .*mine"
        ):
            action()
    with pytest.raises(RamError, match=r"best.npz: expected a checkpoint of this"):
        restore(other.best, variables(), "other")
    assert other.read_best() is None
    save(other.at(2), variables(2.0), {"step": 2})  # Of an earlier version.
    assert other.restore(variables())["step"] == 2
