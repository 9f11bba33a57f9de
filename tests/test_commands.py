"""Tests of train, evaluate, export and predict, as people call them."""

import csv
import dataclasses
import fcntl
import io
import json
import os
import pathlib
import resource
import shlex
import shutil
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from ram_tf import evaluate, export, figures, predict, train
from ram_tf.config import Config
from ram_tf.data.sources.open import open_source
from ram_tf.errors import RamError
from ram_tf.evaluation import final_results
from ram_tf.flags import config_settings, parse
from ram_tf.runs.provenance import versions
from ram_tf.runs.setup import load_run

COMMANDS = {"train": train, "evaluate": evaluate, "export": export, "predict": predict}


@pytest.fixture
def refused(capsys):
    """Runs a command that must fail: returns its one line."""

    def refused(command, *argv) -> str:
        capsys.readouterr()
        assert command.main([str(word) for word in argv]) == 1
        found = capsys.readouterr()
        assert found.out == ""
        assert found.err.startswith("error: ")
        assert found.err.endswith("\n") and found.err.count("\n") == 1, found.err
        return found.err

    return refused


@pytest.fixture
def run_copy(tiny_run, tmp_path):
    """A copy of the finished run, to break."""
    return pathlib.Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("commands") / "model"
    assert export.main([f"--run_dir={tiny_run}", f"--export_dir={path}"]) == 0
    return path


def write_image(path: pathlib.Path, image: np.ndarray) -> pathlib.Path:
    path.write_bytes(tf.io.encode_png(image).numpy())
    return path


@pytest.fixture(scope="module")
def digit():
    return open_source("mnist_sample").split("test").images[0]


# --- train -------------------------------------------------------------------------


def test_train_leaves_everything_that_it_promises(tiny_run):
    config = json.loads((tiny_run / "config.json").read_text())
    results = json.loads((tiny_run / "results.json").read_text())
    assert Config.from_dict(config).to_dict() == config
    flags = parse(config_settings(), [f"--flagfile={tiny_run / 'flags.cfg'}"])
    assert flags.config() == Config.from_dict(config)
    assert results["config"] == {**config, "run_dir": "", "data_dir": ""}
    assert results["config_digest"] == Config.from_dict(config).digest()
    assert results["experiment"] == "flagfiles/tiny"  # The flagfile's own name.
    assert results["seed"] == 0
    assert results["train_steps"] == 300
    assert results["test_error"] == 1 - results["test_accuracy"]
    assert results["test_accuracy"] > 0.4
    assert results["versions"] == versions()
    assert results["wall_seconds"] > 0 and results["images_per_second"] > 0
    assert results["evaluation_seconds"] > 0
    assert results["pixels_per_image"] == 3 * 2 * 12 * 12
    for name in ("validation_accuracy", "num_parameters", "flops_per_image", "commit"):
        assert name in results
    evaluation = json.loads((tiny_run / "evaluation.json").read_text())
    assert results["evaluation"] == evaluation
    learned = evaluation["policies"]["learned"]
    assert evaluation["split"] == "test"
    assert learned["accuracy"] == results["test_accuracy"]


def test_train_leaves_a_curve_and_tensorboard_logs(tiny_run):
    rows = list(csv.DictReader(io.StringIO((tiny_run / "curve.csv").read_text())))
    assert [row["step"] for row in rows] == ["150", "300"]
    results = json.loads((tiny_run / "results.json").read_text())
    best = max(float(row["validation_accuracy"]) for row in rows)
    assert results["validation_accuracy"] == best
    for row in rows:
        loss = float(row["cross_entropy"]) + float(row["baseline_mse"])
        loss += 0.01 * float(row["reinforce"])
        assert float(row["loss"]) == pytest.approx(loss, rel=1e-4)
    tags = set()
    for path in (tiny_run / "logs").iterdir():
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            tags |= {value.tag for value in event.summary.value}
    assert tags == {
        "loss/total",
        "loss/cross_entropy",
        "loss/baseline_mse",
        "loss/reinforce",
        "reward/mean",
        "accuracy/train",
        "accuracy/validation",
        "gradient/norm",
        "learning_rate",
        "images_per_second",
        "policy/border_share",
        "policy/step_length",
        "policy/glimpse_distance",
        "policy/location_entropy",
        "policy/accuracy_learned",
        "policy/accuracy_random",
        "policy/accuracy_center",
        "gradient/cross_entropy_glimpse_network",
        "gradient/cross_entropy_core",
        "gradient/cross_entropy_action_network",
        "gradient/baseline_mse_baseline_network",
        "gradient/reinforce_location_network",
        "gradient/reinforce_core",
        "gradient/reinforce_glimpse_network",
        "glimpses/paths",
        "glimpses/landing",
        "glimpses/y",
        "glimpses/x",
        "_hparams_/session_start_info",
    }


def test_train_leaves_examples_of_real_digits(tiny_run):
    path = tiny_run / "examples.npz"
    assert path.stat().st_size < 200_000
    test = open_source("mnist_sample").split("test")
    with np.load(path) as examples:
        np.testing.assert_array_equal(examples["images"], test.images[:20])
        np.testing.assert_array_equal(examples["labels"], test.labels[:20])
        assert examples["locations"].shape == (20, 3, 2)
        assert examples["probabilities"].shape == (20, 3, 10)
        sums = examples["probabilities"].sum(axis=-1)
        np.testing.assert_allclose(sums, np.ones([20, 3]), rtol=1e-4)
        assert list(examples["class_names"]) == [str(digit) for digit in range(10)]


def test_train_keeps_the_newest_checkpoints_and_the_best(tiny_run):
    names = sorted(path.name for path in (tiny_run / "checkpoints").iterdir())
    steps = [f"step_{step:012d}.npz" for step in (100, 200, 300)]
    assert names[0] == "best.npz"
    assert set(names[1:]) <= set(steps) | {f"step_{150:012d}.npz"}
    assert names[-1] == steps[-1]
    assert len(names) == 1 + 3


def test_train_of_a_finished_run_prints_its_result(run_copy, capsys):
    before = {p: p.stat().st_mtime_ns for p in run_copy.rglob("*") if p.is_file()}
    argv = [f"--flagfile={run_copy / 'flags.cfg'}", f"--run_dir={run_copy}"]
    assert train.main(argv) == 0
    found = capsys.readouterr()
    accuracy = json.loads((run_copy / "results.json").read_text())["test_accuracy"]
    assert f"test accuracy {100 * accuracy:.2f} %" in found.out
    assert "random:" in found.out and "center:" in found.out
    assert found.err == ""
    after = {p: p.stat().st_mtime_ns for p in run_copy.rglob("*") if p.is_file()}
    lock = run_copy / ".lock"
    assert {**before, lock: 0} == {**after, lock: 0}


def test_train_refuses_a_folder_of_another_config(run_copy, refused):
    flagfile = f"--flagfile={run_copy / 'flags.cfg'}"
    line = refused(
        train, flagfile, f"--run_dir={run_copy}", "--seed=7", "--batch_size=50"
    )
    assert "batch_size=100 (now 50), seed=0 (now 7)" in line


def test_train_refuses_a_folder_that_another_process_uses(run_copy, refused):
    with open(run_copy / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        line = refused(train, f"--run_dir={run_copy}")
    assert f"--run_dir={run_copy}" in line and "running" in line


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], ["--run_dir", "found none"]),
        (["--speed=9"], ["speed"]),
        (["--batch_size=0"], ["--batch_size=0", "at least 1", "found 0"]),
        (["--core=gru"], ["--core=gru", "one of rnn, lstm, conv_lstm, none"]),
        (["--flagfile=missing.cfg"], ["--flagfile=missing.cfg", "No such file"]),
        (["words"], ["'words'"]),
        (["--core=conv_lstm"], ["--core=conv_lstm", "--glimpse_network=inception"]),
        (
            ["--run_dir=run", "--dataset=folder:missing"],
            ["--dataset=folder:missing"],
        ),
        (
            ["--run_dir=run", "--model=conv", "--image_size=8"],
            ["--model=conv", "at least 10 pixels", "found 8x8"],
        ),
        (
            ["--run_dir=run", "--task=translated", "--canvas_size=20"],
            ["--canvas_size=20", "28"],
        ),
        (
            ["--run_dir=run", "--validation_size=10000"],
            ["--validation_size=10000", "less than the 10000"],
        ),
    ],
)
def test_train_tells_what_is_wrong_and_leaves_no_run(
    argv, words, refused, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    line = refused(train, *argv)
    for word in words:
        assert word in line
    assert list(tmp_path.iterdir()) == []


def test_train_that_cannot_make_its_folder_says_so(refused, tmp_path):
    (tmp_path / "file").write_text("")
    line = refused(train, f"--run_dir={tmp_path / 'file' / 'run'}")
    assert "expected a folder to write to, found: Not a directory" in line


def test_train_whose_logs_are_no_folder_says_so(refused, tmp_path):
    (tmp_path / "logs").write_text("")
    line = refused(train, f"--run_dir={tmp_path}", "--model=fc", "--train_steps=1")
    assert f"{tmp_path / 'logs'}: expected a folder to write to, found: Not a" in line


@pytest.mark.parametrize("command", [train, figures])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda found: {"x": 1}, "results.json: expected a text as experiment"),
        (lambda found: [found], "results.json: expected an object, found [{"),
        (
            lambda found: {**found, "test_accuracy": float("nan")},
            "results.json: expected a finite number as test_accuracy, found nan",
        ),
        (
            lambda found: {**found, "evaluation": {"policy": "own", "policies": {}}},
            "results.json: expected an object as evaluation.policies.own, found none",
        ),
        (
            lambda found: {**found, "image_shape": [28, 28]},
            "results.json: expected 3 numbers as image_shape, found [28, 28]",
        ),
    ],
)
def test_broken_results_are_named(command, change, words, run_copy, refused):
    path = run_copy / "results.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    more = [f"--flagfile={run_copy / 'flags.cfg'}"] if command is train else []
    assert words in refused(command, *more, f"--run_dir={run_copy}")


def test_train_warns_of_a_policy_that_sits_at_the_border(run_copy, capsys):
    path = run_copy / "results.json"
    results = json.loads(path.read_text())
    results["evaluation"]["policies"]["learned"]["border_share"] = 0.52
    path.write_text(json.dumps(results))
    argv = [f"--flagfile={run_copy / 'flags.cfg'}", f"--run_dir={run_copy}"]
    assert train.main(argv) == 0
    out = capsys.readouterr().out
    assert "warning: 52 % of the policy's coordinates are at the border" in out


def test_train_that_goes_sick_names_step_and_term(tmp_path, capsys):
    argv = [
        f"--run_dir={tmp_path}",
        "--model=fc",
        "--fc_units=4",
        "--optimizer=sgd",
        "--learning_rate=1e38",
        "--train_steps=50",
        "--steps_per_call=10",
        "--jit_compile=off",
    ]
    assert train.main(argv) == 1
    lines = capsys.readouterr().err.splitlines()
    # The progress bar comes before it, in lines of its own.
    assert lines[-1].startswith("error: step ")
    assert "expected finite terms of the loss and gradient" in lines[-1]
    assert sum("error" in line for line in lines) == 1
    assert not (tmp_path / "results.json").exists()


# --- evaluate ----------------------------------------------------------------------


def test_evaluate_prints_and_writes_the_validation_accuracy(run_copy, capsys):
    assert evaluate.main([f"--run_dir={run_copy}"]) == 0
    found = capsys.readouterr()
    measures = json.loads((run_copy / "evaluation.json").read_text())
    assert measures["split"] == "validation"
    results = json.loads((run_copy / "results.json").read_text())
    # The chosen weights: what training measured, here again.
    learned = measures["policies"]["learned"]
    assert learned["accuracy"] == results["validation_accuracy"]
    assert found.out.startswith("flagfiles/tiny on validation, 500 images\n")
    assert f"learned: {100 * learned['accuracy']:.2f} %" in found.out
    assert found.err == ""


def test_evaluate_on_test_repeats_what_train_found(run_copy):
    argv = [f"--run_dir={run_copy}", "--split=test", "--policy=learned"]
    assert evaluate.main(argv) == 0
    measures = json.loads((run_copy / "evaluation.json").read_text())
    results = json.loads((run_copy / "results.json").read_text())
    expected = results["evaluation"]["policies"]["learned"]
    assert measures["policies"]["learned"] == expected


def test_evaluate_takes_policy_and_rollouts(run_copy):
    argv = [f"--run_dir={run_copy}", "--policy=random", "--eval_rollouts=3"]
    assert evaluate.main(argv) == 0
    measures = json.loads((run_copy / "evaluation.json").read_text())
    assert list(measures["policies"]) == ["random"]
    assert measures["policies"]["random"]["num_rollouts"] == 3


def test_evaluation_of_a_policy_that_was_not_trained_is_refused(tiny_run):
    run = load_run(tiny_run)
    of_random = dataclasses.replace(run.config, policy="random")
    run = dataclasses.replace(run, config=of_random)
    with pytest.raises(RamError, match="=learned, found --policy=random, whose locat"):
        final_results.evaluate(run, "test", False, ("learned",))


def test_evaluate_prints_what_it_cannot_write(run_copy, capsys, monkeypatch):
    def full(path, content):
        raise RamError(f"{path}: expected to write, found: a full disk")

    monkeypatch.setattr(evaluate, "write_atomic", full)
    assert evaluate.main([f"--run_dir={run_copy}"]) == 1
    found = capsys.readouterr()
    assert "learned: " in found.out
    assert found.err.endswith("found: a full disk\n")


def test_evaluate_of_no_run_is_refused(refused, tmp_path):
    line = refused(evaluate, f"--run_dir={tmp_path}")
    assert f"--run_dir={tmp_path}: expected a run of ram_tf.train" in line
    assert "--run_dir" in refused(evaluate)


def test_evaluate_of_an_unfinished_run_is_refused(run_copy, refused):
    (run_copy / "results.json").unlink()
    line = refused(evaluate, f"--run_dir={run_copy}")
    assert "expected a finished run, found no results.json" in line


@pytest.mark.parametrize("command", [evaluate, export])
@pytest.mark.parametrize("damage", ["truncated", "missing", "other"])
def test_broken_checkpoint_is_named(command, damage, run_copy, refused, tmp_path):
    best = run_copy / "checkpoints" / "best.npz"
    before = (run_copy / "evaluation.json").read_bytes()
    if damage == "truncated":
        best.write_bytes(best.read_bytes()[:-100])
    elif damage == "missing":
        best.unlink()
    else:
        config = json.loads((run_copy / "config.json").read_text())
        (run_copy / "config.json").write_text(json.dumps({**config, "core_units": 16}))
    more = [f"--export_dir={tmp_path / 'model'}"] if command is export else []
    line = refused(command, f"--run_dir={run_copy}", *more)
    assert f"{best}: expected" in line
    assert (run_copy / "evaluation.json").read_bytes() == before
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("text", ["", "{", '{"speed": 1}', '{"core": "gru"}', "[1]"])
def test_broken_config_is_named(text, run_copy, refused):
    (run_copy / "config.json").write_text(text)
    line = refused(evaluate, f"--run_dir={run_copy}")
    assert f"{run_copy / 'config.json'}: " in line


# --- export ------------------------------------------------------------------------


def test_export_refuses_what_it_would_overwrite(exported, tiny_run, refused):
    before = sorted(exported.rglob("*"))
    line = refused(export, f"--run_dir={tiny_run}", f"--export_dir={exported}")
    assert f"--export_dir={exported}: it exists; remove it" in line
    assert sorted(exported.rglob("*")) == before


def test_export_that_cannot_write_leaves_nothing(tiny_run, refused, tmp_path):
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "model"
    line = refused(export, f"--run_dir={tiny_run}", f"--export_dir={target}")
    assert f"--export_dir={target}: expected a folder to write to" in line
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_export_refuses_a_threshold_that_nothing_reaches(tiny_run, refused):
    flags = (f"--run_dir={tiny_run}", "--export_dir=x", "--threshold=1")
    assert "--threshold=1.0: expected a probability below 1" in refused(export, *flags)


def test_export_takes_a_run_or_a_preset(tiny_run, refused):
    target = "--export_dir=x"
    expected = "expected --run_dir, a finished run, or --model=preset:NAME, found"
    assert f"{expected} neither" in refused(export, target)
    both = (f"--run_dir={tiny_run}", "--model=preset:demo")
    assert f"{expected} both" in refused(export, target, *both)
    assert "--model=demo: expected preset:NAME" in refused(
        export, target, "--model=demo"
    )
    line = refused(export, target, "--model=preset:none")
    assert "preset 'none': expected one of " in line and "demo" in line


def test_export_needs_a_folder(tiny_run, refused):
    assert "--export_dir is required" in refused(export, f"--run_dir={tiny_run}")


# --- a folder of images, from training to answers ------------------------------------


@pytest.fixture(scope="module")
def folder_run(tmp_path_factory):
    """A folder of digits in two classes, and the words of a short run on it."""
    folder = tmp_path_factory.mktemp("folder")
    images, labels = open_source("mnist_sample").split("test")
    for name, label in (("one", 1), ("zero", 0)):
        (folder / "data" / name).mkdir(parents=True)
        for number, image in enumerate(images[labels == label][:30]):
            write_image(folder / "data" / name / f"{number}.png", image)
    words = [f"--dataset=folder:{folder / 'data'}", f"--run_dir={folder / 'run'}"]
    words += ["--train_steps=2", "--batch_size=4", "--num_glimpses=2"]
    assert train.main([*words, "--core=rnn", "--eval_rollouts=1"]) == 0
    return folder, [*words, "--core=rnn", "--eval_rollouts=1"]


def test_run_of_a_folder_keeps_its_classes(folder_run, refused):
    folder, _ = folder_run
    run = f"--run_dir={folder / 'run'}"
    (folder / "data" / "one").rename(folder / "data" / "zzz")
    try:
        message = refused(evaluate, run)
        assert "found 2, with zero where one was" in message
        exported = folder / "exported"
        assert refused(export, run, f"--export_dir={exported}") == message
        assert not exported.exists()
    finally:
        (folder / "data" / "zzz").rename(folder / "data" / "one")
    assert evaluate.main([run]) == 0


def test_run_of_a_folder_says_what_it_found(folder_run, capsys, tmp_path):
    folder, words = folder_run
    words = [word for word in words if not word.startswith("--run_dir")]
    capsys.readouterr()
    assert train.main([*words, f"--run_dir={tmp_path / 'run'}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        f"data: folder:{folder / 'data'}, 2 classes, images 28x28 (height x width), "
        "gray"
    )
    assert lines[1].startswith("  train: 49 images (one 2")
    assert "test accuracy" in "".join(lines)


def test_run_of_a_folder_is_held_to_its_images(folder_run, refused, digit):
    folder, words = folder_run
    run = f"--run_dir={folder / 'run'}"
    for number, path in enumerate(sorted((folder / "data").glob("*/*.png"))):
        path.rename(path.with_name(f"renamed{number}.png"))
    assert evaluate.main([run]) == 0  # Other names are the same data.
    new = write_image(folder / "data" / "one" / "new.png", digit)
    results = folder / "run" / "results.json"
    try:
        message = refused(evaluate, run)
        assert "expected the data that the run began with" in message
        assert "1 new (one/new.png)" in message
        exported = folder / "exported"
        assert refused(export, run, f"--export_dir={exported}") == message
        results.rename(folder / "results.json")  # An unfinished run.
        assert refused(train, *words) == message
    finally:
        new.unlink()
        if not results.exists():
            (folder / "results.json").rename(results)
    assert evaluate.main([run]) == 0


def test_checkpoints_of_a_lost_config_are_of_their_own(run_copy, refused):
    (run_copy / "results.json").unlink()
    (run_copy / "config.json").unlink()
    before = sorted(path.name for path in run_copy.iterdir())
    flags = [f"--flagfile={run_copy / 'flags.cfg'}", f"--run_dir={run_copy}"]
    message = refused(train, *flags, "--learning_rate=0.5")
    assert "expected a checkpoint of this Config (config_digest " in message
    assert sorted(path.name for path in run_copy.iterdir()) == before
    assert train.main(flags) == 0


def test_no_validation_images_are_refused_at_once(refused, tmp_path):
    message = refused(train, "--validation_size=0", f"--run_dir={tmp_path / 'run'}")
    assert "--validation_size=0: expected at least 1 image" in message


def test_predict_goes_on_after_names_that_are_no_text(
    exported, digit, tmp_path, capsys
):
    names = (b"\xe9.png", b"b\xff.png", "c\u00e9.png".encode())
    paths = [str(write_image(tmp_path / os.fsdecode(name), digit)) for name in names]
    broken = tmp_path / os.fsdecode(b"\xfe.png")
    broken.write_bytes(b"")
    words = [f"--model={exported}", paths[0], str(broken), *paths[1:]]
    capsys.readouterr()
    assert predict.main(words) == 1
    found = capsys.readouterr()
    shown = [line.split(": ")[0].split("/")[-1] for line in found.out.splitlines()]
    assert shown == [r"\xe9.png", r"b\xff.png", "c\u00e9.png"]
    assert len(found.err.splitlines()) == 1 and "an empty file" in found.err
    assert predict.main([words[0], "--format=json", paths[0]]) == 0
    assert os.fsencode(json.loads(capsys.readouterr().out)["image"]) == os.fsencode(
        paths[0]
    )


def test_predict_puts_transparency_on_the_background_of_training(
    exported, digit, tmp_path, capsys
):
    clear = np.concatenate([np.zeros([28, 28, 3], np.uint8), digit], -1)
    path = write_image(tmp_path / "a.png", clear)
    same = write_image(tmp_path / "b.png", 255 - digit)
    model = pathlib.Path(shutil.copytree(exported, tmp_path / "model"))
    metadata = json.loads((model / "metadata.json").read_text())
    predicted = []
    for background in ("white", "black", None):
        metadata["config"]["background"] = background
        if background is None:
            del metadata["config"]["background"]
        (model / "metadata.json").write_text(json.dumps(metadata))
        capsys.readouterr()
        assert (
            predict.main([f"--model={model}", "--format=json", str(path), str(same)])
            == 0
        )
        first, second = map(json.loads, capsys.readouterr().out.splitlines())
        predicted.append(first["probabilities"])
        if background != "black":
            # Two rows of one batch: the last bits may differ.
            assert first["probabilities"] == pytest.approx(
                second["probabilities"], 1e-4
            )
    assert predicted[0] == predicted[2] != predicted[1]


def test_broken_test_image_is_told_before_the_training(folder_run, refused):
    folder, words = folder_run
    source = open_source(f"folder:{folder / 'data'}")
    path = folder / "data" / source.record("test")["image_names"][0]
    content = path.read_bytes()
    path.write_bytes(content[:50])
    new = folder / "new"
    try:
        assert f"{path}: expected an image" in refused(
            train, *words, f"--run_dir={new}"
        )
    finally:
        path.write_bytes(content)
    assert not (new / "config.json").exists() and not (new / "checkpoints").exists()


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["--flagfile=experiments/table1/fc.cfg"], "table1/fc"),
        (["--flagfile=experiments/table1/fc.cfg", "--seed=3"], "table1/fc"),
        (["--flagfile=experiments/table1/fc.cfg", "--train_steps=5"], "pets"),
        (["--flagfile=experiments/table1/fc.cfg", "--experiment=mine"], "mine"),
        (["--flagfile=experiments/shared/credit.cfg"], "pets"),
        ([], "pets"),
        (["--experiment=mine"], "mine"),
    ],
)
def test_run_is_named_by_its_row_or_its_folder(words, name):
    arguments = parse(config_settings(), [*words, "--run_dir=runs/pets"])
    assert train.run_name(arguments.flagfile, arguments.config()) == name


def test_run_by_the_flags_of_another_run_is_named_by_its_folder(tmp_path):
    flags = tmp_path / "flags.cfg"
    flags.write_text("--core=rnn\n--experiment=first\n--run_dir=runs/first\n")
    words = [f"--flagfile={flags}"]
    same = parse(config_settings(), words)
    assert train.run_name(same.flagfile, same.config()) == "first"
    other = parse(config_settings(), [*words, "--core=lstm", "--run_dir=runs/next"])
    assert train.run_name(other.flagfile, other.config()) == "next"


def test_folder_run_is_named_by_its_run_dir(folder_run):
    folder, _ = folder_run
    assert json.loads((folder / "run" / "results.json").read_text())["experiment"] == (
        "run"
    )


def test_export_tells_its_accuracy_beside_the_run_s(folder_run, capsys):
    folder, _ = folder_run
    words = [f"--run_dir={folder / 'run'}", f"--export_dir={folder / 'beside'}"]
    assert export.main(words) == 0
    run = json.loads((folder / "run" / "results.json").read_text())
    line, *others = capsys.readouterr().out.splitlines()
    assert line.endswith(
        "4 rollouts' mean probability, the first from the centre; one rollout of the "
        "run, from one random location, has "
        f"{100 * run['test_accuracy']:.2f} %"
    )
    for others_line, count in zip(others, (1, 4, 10), strict=False):
        assert others_line.startswith(f"  --rollouts={count}: test accuracy ")


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ({"a": 5}, "expected at least two classes, found a alone"),
        ({"a": 1, "b": 1}, "expected at least 3 images"),
    ],
)
def test_folder_too_small_to_train_on_is_refused(
    images, words, digit, refused, tmp_path
):
    for name, count in images.items():
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(count):
            write_image(tmp_path / "data" / name / f"{number}.png", digit)
    run = tmp_path / "run"
    assert words in refused(
        train,
        f"--dataset=folder:{tmp_path / 'data'}",
        f"--run_dir={run}",
        "--batch_size=1",
    )


def test_batch_larger_than_training_takes_no_folder(refused, tmp_path):
    words = ["--batch_size=20000", f"--run_dir={tmp_path / 'run'}"]
    message = refused(train, "--dataset=mnist_sample", *words)
    assert "--batch_size=20000: expected at most 9000, the training images" in message
    assert not (tmp_path / "run" / "config.json").exists()


def test_patch_wider_than_the_image_is_refused(refused, tmp_path):
    words = ["--patch_size=29", f"--run_dir={tmp_path / 'run'}"]
    message = refused(train, "--dataset=mnist_sample", *words)
    assert "--patch_size=29: expected at most 28, the larger side" in message


# --- predict -----------------------------------------------------------------------


def test_predict_answers_for_images_and_examples(exported, tiny_run, tmp_path, capsys):
    test = open_source("mnist_sample").split("test")
    images = test.images[:20]
    paths = [write_image(tmp_path / f"{i}.png", images[i]) for i in range(3)]
    argv = [f"--model={exported}", *map(str, paths), str(tiny_run / "examples.npz")]
    assert predict.main(argv) == 0
    found = capsys.readouterr()
    assert found.err == ""
    *lines, last = found.out.splitlines()
    assert len(lines) == 3 + 20
    labels = [line.split(": ", 1)[1].split(" ", 1)[0] for line in lines]
    assert labels[:3] == labels[3:6]  # The same digits, from both kinds of file.
    right = sum(int(a) == b for a, b in zip(labels[3:], test.labels[:20], strict=True))
    assert last == f"{right} of 20 right"
    assert sum("wrong: it is" in line for line in lines) == 20 - right


def test_predict_prints_json_with_the_path_of_glimpses(
    exported, digit, tmp_path, capsys
):
    path = write_image(tmp_path / "digit.png", digit)
    assert predict.main([f"--model={exported}", "--format=json", str(path)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["image"] == str(path)
    assert len(answer["probabilities"]) == 10
    assert answer["label"] == int(np.argmax(answer["probabilities"]))
    assert answer["class"] == str(answer["label"])
    assert answer["locations"][0] == [0.0, 0.0]
    assert len(answer["locations"]) == 3


def test_predict_resizes_unless_told_not_to(exported, digit, refused, tmp_path, capsys):
    large = np.kron(digit, np.ones([2, 2, 1], np.uint8))
    path = write_image(tmp_path / "large.png", large)
    words = [f"--model={exported}", "--resize=false", path]
    line = refused(predict, *words)
    assert f"{path}: expected 28x28 pixels, found 56x56" in line
    small = write_image(tmp_path / "small.png", digit)
    argv = [f"--model={exported}", str(path), str(small)]
    assert predict.main(argv) == 0
    found = capsys.readouterr()
    first, second = found.out.splitlines()
    assert first.split(": ", 1)[1] == second.split(": ", 1)[1]
    assert found.err == (
        "1 of 2 images was resized to 28x28 pixels (height x width), which this model "
        "takes: 1 of 56x56 (mean of areas)\n"
    )


@pytest.mark.parametrize("size", [(20, 20), (56, 56), (20, 56)])
def test_predict_resizes_as_training_data_are(exported, digit, size, tmp_path, capsys):
    original = tf.image.resize(digit, size, method="bilinear")
    image = tf.cast(tf.round(original), tf.uint8).numpy()
    (tmp_path / "data" / "a").mkdir(parents=True)
    for number in range(4):
        path = write_image(tmp_path / "data" / "a" / f"{number}.png", image)
    source = open_source(
        f"folder:{tmp_path / 'data'}", image_size=28, validation_size=1
    )
    np.savez(tmp_path / "trained.npz", images=source.split("train").images[:1])
    words = ["--format=json", "--resize", path, tmp_path / "trained.npz"]
    assert predict.main([f"--model={exported}", *map(str, words)]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    # Two batches, or two rows of one: the last bits may differ.
    assert first["probabilities"] == pytest.approx(second["probabilities"], abs=1e-5)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".gif"])
def test_predict_makes_colour_gray_for_a_gray_model(
    exported, digit, suffix, tmp_path, capsys
):
    path = tmp_path / f"digit{suffix}"
    image = np.repeat(digit, 3, axis=-1)
    if suffix == ".png":
        write_image(path, image)
    else:
        PIL.Image.fromarray(image).save(path)
    gray = write_image(tmp_path / "gray.png", digit)
    assert (
        predict.main([f"--model={exported}", "--format=json", str(path), str(gray)])
        == 0
    )
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["probabilities"] == pytest.approx(second["probabilities"], abs=1e-5)


def test_predict_tells_bad_files_and_answers_for_the_others(
    exported, digit, tmp_path, capsys
):
    good = write_image(tmp_path / "good.png", digit)
    bad, none = tmp_path / "bad.png", tmp_path / "none.png"
    bad.write_text("no picture")
    assert (
        predict.main([f"--model={exported}", *map(str, (bad, good, none, good))]) == 1
    )
    found = capsys.readouterr()
    assert [line.split(": ")[0] for line in found.out.splitlines()] == [str(good)] * 2
    first, second = found.err.splitlines()
    assert first.startswith(f"error: {bad}: expected an image")
    assert second.startswith(f"error: {none}: expected an image")


def test_predict_refuses_what_is_no_image(exported, refused, tmp_path):
    path = tmp_path / "a.png"
    model = f"--model={exported}"
    assert f"{path}: expected an image" in refused(predict, model, path)
    path.write_text("no picture")
    assert f"{path}: expected an image" in refused(predict, model, path)
    arrays = tmp_path / "a.npz"
    arrays.write_bytes(b"")
    assert f"{arrays}: expected an .npz with" in refused(predict, model, arrays)
    np.savez(arrays, images=np.zeros([1, 28, 28, 1], np.uint8))
    content = bytearray(arrays.read_bytes())
    content[len(content) // 2] ^= 1
    arrays.write_bytes(content)
    assert f"{arrays}: expected an .npz with" in refused(predict, model, arrays)
    np.savez(arrays, pictures=[1])
    assert f"{arrays}: expected an .npz with" in refused(predict, model, arrays)
    assert "at least one image" in refused(predict, model)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"images": np.zeros([2, 9, 9, 1], np.uint8)}, "expected 28x28 pixels"),
        ({"images": np.zeros([2, 28, 28, 3], np.uint8)}, "images [n, H, W, 1]"),
        ({"images": np.zeros([28, 28], np.uint8)}, "images [n, H, W, 1]"),
        ({"images": np.full([1, 28, 28, 1], np.nan)}, "uint8"),
        ({"images": np.zeros([1, 28, 28, 1], np.float32)}, "uint8"),
        (
            {"images": np.zeros([2, 28, 28, 1], np.uint8), "labels": np.array([1])},
            "labels",
        ),
        (
            {"images": np.zeros([1, 28, 28, 1], np.uint8), "labels": np.array([12])},
            "labels",
        ),
    ],
)
def test_predict_refuses_arrays_that_do_not_fit(
    arrays, words, exported, refused, tmp_path
):
    path = tmp_path / "arrays.npz"
    np.savez(path, **arrays)
    line = refused(predict, f"--model={exported}", "--resize=false", path)
    assert str(path) in line and words in line


@pytest.mark.parametrize("damage", ["no folder", "graph", "variables", "metadata"])
def test_predict_refuses_a_broken_model(damage, exported, digit, refused, tmp_path):
    model = tmp_path / "model"
    if damage != "no folder":
        shutil.copytree(exported, model)
    if damage == "graph":
        graph = model / "saved_model.pb"
        graph.write_bytes(graph.read_bytes()[:1000])
    elif damage == "variables":
        (model / "variables" / "variables.index").unlink()
    elif damage == "metadata":
        (model / "metadata.json").write_text("{}")
    path = write_image(tmp_path / "digit.png", digit)
    assert str(model) in refused(predict, f"--model={model}", path)


@pytest.mark.parametrize(
    "change",
    [
        {"class_names": ["0", "1"]},
        {"image_shape": [28, 28, 3]},
        {"image_shape": [28]},
    ],
)
def test_predict_refuses_metadata_of_another_model(
    change, exported, digit, refused, tmp_path
):
    model = shutil.copytree(exported, tmp_path / "model")
    path = model / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    line = refused(predict, f"--model={model}", write_image(tmp_path / "a.png", digit))
    assert f"{path}: expected 10 class_names and image_shape [28, 28, 1]" in line


# --- In processes of their own -----------------------------------------------------


def test_help_is_quick_and_does_not_wait_for_tensorflow():
    script = (
        "import sys\n"
        "from ram_tf import evaluate, export, predict, train\n"
        "for command in (train, evaluate, export, predict):\n"
        "    assert command.main(['--help']) == 0\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert found.stderr == ""
    for name in COMMANDS:
        assert f"python -m ram_tf.{name} " in found.stdout
    # Of its own time, however busy the machine is.
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    assert seconds < 1.5


def test_train_imports_nothing_that_starts_threads_before_it_takes_signals():
    """A thread that NumPy started would take SIGTERM first, and end the process."""
    script = (
        "import sys\n"
        "from ram_tf import train\n"
        "assert not {'numpy', 'tensorflow', 'PIL'} & set(sys.modules)\n"
    )
    found = run_python("-c", script)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize(
    "name, flags",
    [
        ("predict", ["--model=wanting", "a.png"]),
        ("train", ["--initial_weights=wanting", "--run_dir=b"]),
        ("train", ["--initial_weights=preset:wanting", "--run_dir=b"]),
        ("predict", ["--model=preset:wanting", "a.png"]),
        ("figures", ["--model=preset:wanting", "--out=a.png"]),
        ("app", ["--model=wanting"]),
        ("evaluate", ["--run_dir=wanting"]),
        ("export", ["--run_dir=wanting", "--export_dir=b"]),
        ("export", ["--model=preset:wanting", "--export_dir=b"]),
        ("export", ["--run_dir=wanting", "--export_dir=."]),
    ],
)
def test_a_wrong_path_does_not_wait_for_tensorflow(name, flags):
    script = (
        "import sys\n"
        f"from ram_tf import {name}\n"
        f"assert {name}.main({flags}) == 1\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    found = run_python("-c", script)
    assert found.returncode == 0, found.stderr
    assert found.stderr.startswith("error: ") and found.stderr.count("\n") == 1
    assert ("wanting" in found.stderr) != ("--export_dir=.: it exists" in found.stderr)


@pytest.mark.parametrize("name", COMMANDS)
def test_command_exits_with_one_line_and_status_1(name):
    found = run_python("-m", f"ram_tf.{name}", "--nonsense=1")
    assert found.returncode == 1
    assert found.stdout == ""
    assert found.stderr.startswith("error: ") and found.stderr.count("\n") == 1
    assert "nonsense" in found.stderr


def test_command_says_nothing_but_its_line_when_tensorflow_is_loaded(run_copy):
    best = run_copy / "checkpoints" / "best.npz"
    best.write_bytes(b"")
    found = run_python("-m", "ram_tf.evaluate", f"--run_dir={run_copy}")
    assert found.returncode == 1
    assert found.stdout == ""
    assert found.stderr.startswith(f"error: {best}: expected a whole checkpoint")
    assert found.stderr.count("\n") == 1


def test_train_writes_only_its_progress_to_standard_error(tmp_path):
    found = run_python(
        "-m",
        "ram_tf.train",
        f"--run_dir={tmp_path / 'run'}",
        "--model=fc",
        "--fc_units=4",
        "--train_steps=20",
        "--eval_every=20",
        "--jit_compile=off",
    )
    assert found.returncode == 0
    lines = found.stderr.replace("\r", "\n").strip().splitlines()
    assert lines and all(" of 20 steps, " in line for line in lines)
    assert "20 of 20" in lines[-1] and "validation" in lines[-1]
    assert found.stdout.startswith("run, seed 0: test accuracy ")
    assert (tmp_path / "run" / "results.json").exists()


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_train_goes_on_where_progress_cannot_be_written(redirection, tmp_path):
    flags = ["--model=fc", "--fc_units=4", "--train_steps=20", "--eval_every=20"]
    run = f"--run_dir={tmp_path / 'run'}"
    words = ["-m", "ram_tf.train", run, *flags, "--jit_compile=off"]
    found = run_python(*words, redirection=redirection)
    assert found.returncode == 0
    assert found.stdout.startswith("run, seed 0: test accuracy ")
    assert len(found.stdout.splitlines()) == 2


def run_python(*words, redirection="") -> subprocess.CompletedProcess:
    # As somebody's shell: nothing that a test has set keeps TensorFlow quiet.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_CPP")}
    environment["PYTHONPATH"] = str(pathlib.Path(train.__file__).parent.parent)
    command = f"exec {shlex.join([sys.executable, *words])} {redirection}"
    return subprocess.run(
        command, shell=True, capture_output=True, text=True, env=environment
    )
