"""Tests of a run's folder: who owns it, and whose Config it holds."""

import errno
import fcntl
import json

import pytest

from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.files import read_json, to_json
from ram_tf.runs.data_changes import data_changes
from ram_tf.runs.directory import RunDirectory


def test_run_directory_needs_a_path():
    with pytest.raises(RamError, match="--run_dir: expected a folder, found none"):
        RunDirectory("")


def test_claim_makes_the_folder_and_keeps_others_out(tmp_path):
    path = tmp_path / "a" / "b"
    first, second = RunDirectory(path), RunDirectory(path)
    first.claim()
    with pytest.raises(RamError) as caught:
        second.claim()
    assert str(caught.value) == (
        f"--run_dir={path}: expected no other run in it, found one that is running"
    )
    first.release()
    second.claim()
    second.release()


def test_claim_of_a_file_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(RamError, match=f"--run_dir={path}: expected a folder to write"):
        RunDirectory(path).claim()


def test_claim_removes_the_files_that_a_killed_run_left_and_no_folder(tmp_path):
    (tmp_path / ".curve.csv.7.tmp").touch()
    (tmp_path / ".model.tmp").mkdir()  # Of an export into the folder of the run.
    directory = RunDirectory(tmp_path)
    directory.checkpoints.mkdir()
    (directory.checkpoints / ".step_000000000100.npz.7.tmp").touch()
    directory.logs.mkdir()
    # TensorBoard would read it, whose name has "tfevents".
    (directory.logs / ".events.out.tfevents.1.host.7.tmp").touch()
    directory.claim()
    directory.release()
    left = {".lock", ".model.tmp", directory.checkpoints.name, directory.logs.name}
    assert {path.name for path in tmp_path.iterdir()} == left
    assert not list(directory.checkpoints.iterdir())
    assert not list(directory.logs.iterdir())


def test_a_folder_that_was_made_and_left_empty_is_removed(tmp_path):
    made = RunDirectory(tmp_path / "new" / "run")
    made.claim()
    made.release()
    assert not made.path.exists()
    made.claim()
    made.curve.write_text("step")
    made.release()
    assert made.curve.exists()
    own = RunDirectory(tmp_path / "own")
    own.path.mkdir()  # By the user.
    own.claim()
    own.release()
    assert own.path.exists()


def test_claim_of_a_lock_that_is_just_removed_is_refused(tmp_path, monkeypatch):
    directory = RunDirectory(tmp_path)
    monkeypatch.setattr(
        fcntl, "flock", lambda *_: (tmp_path / ".lock").unlink(missing_ok=True)
    )
    with pytest.raises(RamError, match="found one that is running"):
        directory.claim()


def test_claim_says_where_a_file_system_has_no_locks(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(RamError) as caught:
        RunDirectory(tmp_path).claim()
    assert str(caught.value) == (
        f"--run_dir={tmp_path}: expected a file system that locks files, found: No "
        "locks available"
    )


def save_nothing(directory):
    """Leaves a checkpoint that is one by its name."""
    directory.checkpoints.mkdir()
    (directory.checkpoints / "step_000000000001.npz").touch()


def test_begin_writes_the_config_once(tmp_path):
    directory = RunDirectory(tmp_path)
    config = Config(seed=3, run_dir=str(tmp_path))
    directory.begin(config, ["cat", "dog"])
    assert json.loads(directory.config.read_text()) == config.to_dict()
    assert directory.read_config() == config
    assert "--seed=3\n" in directory.flags.read_text()
    assert "--grayscale=false\n" in directory.flags.read_text()
    assert json.loads(directory.class_names.read_text()) == ["cat", "dog"]
    save_nothing(directory)
    directory.begin(Config(seed=3, steps_per_call=1), ["cat", "dog"])
    assert directory.read_config() == config


def test_check_refuses_another_config_and_names_its_fields(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.check(Config(seed=3))  # Nothing there yet.
    directory.begin(Config(seed=3), ["cat", "dog"])
    directory.check(Config(seed=3, steps_per_call=1, data_dir="elsewhere"))
    directory.check(Config(seed=4))  # Nothing trained yet, nothing to lose.
    save_nothing(directory)
    with pytest.raises(RamError) as caught:
        directory.check(Config(seed=4, core="rnn"))
    message = str(caught.value)
    assert message.startswith(f"--run_dir={tmp_path}: ")
    assert message.endswith(
        "core=lstm (now rnn), seed=3 (now 4); move this folder away, or give another"
    )


def test_results_without_a_config_are_of_nobody(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.results.write_text("{}")
    with pytest.raises(
        RamError, match=r"expected config\.json beside its results\.json"
    ):
        directory.check(Config())


def test_decay_steps_are_named_only_where_they_were_given(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.begin(Config(train_steps=200), ["cat", "dog"])
    save_nothing(directory)
    with pytest.raises(RamError, match="values: train_steps=200 [(]now 400[)]; move"):
        directory.check(Config(train_steps=400))
    with pytest.raises(RamError, match="decay_steps=200 [(]now 300[)], train_steps"):
        directory.check(Config(train_steps=400, decay_steps=300))


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (
            ["cat", "hound"],
            "the 2 classes of its training, found 2, with hound where dog",
        ),
        (
            ["ape", "cat", "dog"],
            "2 classes of its training, found 3, with ape where cat",
        ),
        (["cat"], "the 2 classes of its training, found 1, with none where dog was"),
    ],
)
def test_check_classes_names_the_first_that_differs(now, words, tmp_path):
    directory = RunDirectory(tmp_path)
    directory.check_classes(now)  # Nothing there yet.
    directory.begin(Config(), ["cat", "dog"])
    directory.check_classes(now)  # Nothing trained yet.
    save_nothing(directory)
    directory.check_classes(["cat", "dog"])
    with pytest.raises(RamError, match=words):
        directory.check_classes(now)
    directory.class_names.write_text("1")
    with pytest.raises(RamError, match="class_names.json: expected a list of names"):
        directory.check_classes(now)
    directory.class_names.unlink()  # A run of an earlier version.
    directory.check_classes(now)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "expected JSON"),
        ("[]", "expected an object of flags"),
        ('{"speed": 1}', "unknown field of Config: speed"),
        ('{"batch_size": 0}', "--batch_size=0: expected an integer of at least 1"),
    ],
)
def test_read_config_names_a_broken_file(text, reason, tmp_path):
    directory = RunDirectory(tmp_path)
    directory.config.write_text(text)
    with pytest.raises(RamError) as caught:
        directory.read_config()
    assert str(caught.value).startswith(f"{directory.config}: {reason}")


def test_json_is_readable_and_comes_back(tmp_path):
    path, value = tmp_path / "a.json", {"a": [1, 2.5, None], "b": "text"}
    path.write_text(to_json(value))
    assert path.read_text().endswith("}\n")
    assert read_json(path) == value


def test_missing_json_is_named(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(RamError, match=f"{path}: expected a JSON file, found: No such"):
        read_json(path)


def records(*, named=True, **images):
    """Returns what a source says of data: by split, images as "digest name"."""
    splits = {}
    for split, words in images.items():
        digests, names = zip(*(word.split() for word in words), strict=True)
        digests = [digest.replace("_", " ") for digest in digests]  # With its label.
        splits[split] = {"images": len(words), "image_digests": list(digests)}
        if named:
            splits[split]["image_names"] = list(names)
    return {"dataset": "folder:x", "splits": splits}


BEFORE = {"train": ["a 1.png", "b 2.png", "b 3.png"], "test": ["c 4.png"]}


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (
            {"train": ["a 1.png", "b 2.png", "d 5.png"], "test": ["c 4.png"]},
            "1 new (5.png); 1 gone (3.png)",
        ),
        (
            {"train": ["a 1.png", "b 2.png", "c 4.png"], "test": ["b 3.png"]},
            "2 now in another split",
        ),
        (
            {"train": ["b 2.png", "b 3.png", "c 4.png"], "test": ["d 5.png"]},
            "1 new (5.png); 1 gone (1.png); 1 now in another split",
        ),
        (
            {"train": [f"{x} {x}.png" for x in "abbefghi"], "test": ["c 4.png"]},
            "5 new (e.png; f.png; g.png and 2 more); train of 8 images (was 3)",
        ),
        (
            {
                "train": ["a 0.png", "a 1.png", "b 2.png", "b 3.png"],
                "test": ["c 4.png"],
            },
            "1 new (0.png, a copy of 1.png); train of 4 images (was 3)",
        ),
        (
            {"train": ["a_1 9.png", "b 2.png", "b 3.png"], "test": ["c 4.png"]},
            "1 now in another class (9.png, was 1.png)",
        ),
    ],
    ids=["one for another", "moved", "cut otherwise", "many", "copied", "relabelled"],
)
def test_check_data_names_what_changed(now, words, tmp_path):
    directory = RunDirectory(tmp_path)
    before = records(**BEFORE)
    directory.check_data(before)  # Nothing there yet.
    directory.begin(Config(), ["cat", "dog"], before)
    save_nothing(directory)
    directory.check_data(before)
    with pytest.raises(RamError) as caught:
        directory.check_data(records(**now))
    assert str(caught.value) == (
        f"--run_dir={tmp_path}: expected the data that the run began with, found "
        f"other: {words}; restore them, or train anew in another folder"
    )


def test_check_data_knows_images_by_content_alone(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.begin(Config(), ["cat", "dog"], records(**BEFORE))
    save_nothing(directory)
    renamed = {
        split: [f"{word.split()[0]} new_{word.split()[1]}" for word in words]
        for split, words in BEFORE.items()
    }
    directory.check_data(records(**renamed))


def test_check_data_of_earlier_versions(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.begin(Config(), ["cat", "dog"], records(named=False, **BEFORE))
    save_nothing(directory)
    directory.check_data(records(**BEFORE))
    now = records(train=["a 1.png", "b 2.png", "d 5.png"], test=["c 4.png"])
    with pytest.raises(RamError, match=r"1 new \(5.png\); 1 gone; restore"):
        directory.check_data(now)
    directory.data.write_text("1")
    with pytest.raises(RamError, match="data.json: expected an object of the run's"):
        directory.check_data(now)
    directory.data.unlink()  # An older version still.
    directory.check_data(now)


def test_check_data_of_tfds_names_version_and_cut(tmp_path):
    directory = RunDirectory(tmp_path)
    split = {"images": 9, "cut": "train[0:9]"}
    before = {"dataset": "x", "version": "1.0.0", "splits": {"train": split}}
    directory.begin(Config(), ["cat", "dog"], before)
    save_nothing(directory)
    moved = {**before, "dataset": "elsewhere"}
    directory.check_data(moved)
    other = {"images": 8, "cut": "train[0:8]"}
    now = {"dataset": "x", "version": "2.0.0", "splits": {"train": other}}
    with pytest.raises(RamError) as caught:
        directory.check_data(now)
    assert str(caught.value).endswith(
        "version 1.0.0 (now 2.0.0); train of 8 images (was 9), train[0:8] (was "
        "train[0:9]); restore them, or train anew in another folder"
    )


def test_begin_takes_names_that_are_no_text(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.begin(Config(dataset="folder:\udce9"), ["cat", "dog"])
    assert b"--dataset=folder:\xe9\n" in directory.flags.read_bytes()
    assert directory.read_config().dataset == "folder:\udce9"


def test_check_data_of_other_images_says_so_without_their_digests(tmp_path):
    directory = RunDirectory(tmp_path)
    before = {"dataset": "folder:x", "splits": {"train": {"images": 3, "digest": "a"}}}
    directory.begin(Config(), ["cat", "dog"], before)
    save_nothing(directory)
    with pytest.raises(RamError, match="found other: other images in train; restore"):
        directory.check_data({"splits": {"train": {"images": 3, "digest": "b"}}})


def test_what_a_run_recorded_of_its_data_is_compared_and_nothing_else():
    train = {"images": 3, "cut": "train[0:3]"}
    whole = {"dataset": "x", "version": "1", "splits": {"train": train}}
    older = {"dataset": "x", "splits": {"train": {"images": 3}}}
    assert data_changes(older, whole) == []
    assert data_changes(whole, older) == [
        "version 1 (now None)",
        "train of 3 images (was 3), None (was train[0:3])",
    ]
