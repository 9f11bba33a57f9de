"""Trained weights that a training begins with."""

import dataclasses
import json
import pathlib
import shutil
import signal

import numpy as np
import pytest
from helpers.data_files import write_images

from ram_tf import evaluate
from ram_tf.config import Config, short_name
from ram_tf.data.sources.mnist_sample import MnistSample
from ram_tf.errors import Interrupted, RamError
from ram_tf.evaluation.evaluator import Evaluator
from ram_tf.models.factory import build_model
from ram_tf.models.presets import load_preset
from ram_tf.presets.saving import save_preset
from ram_tf.runs.directory import RunDirectory
from ram_tf.runs.initial_weights import (
    _misfit,
    _Trained,
    check_initial_weights,
    load_initial_weights,
)
from ram_tf.runs.trained_on import TrainedOn
from ram_tf.train import main, summary
from ram_tf.training.run import train

DEMO = "preset:demo"
DIGITS = [str(digit) for digit in range(10)]
SAMPLE = MnistSample().records()
PETS = ["cat", "dog"]


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    """A folder of two classes, and the settings of a tiny model of it."""
    folder = tmp_path_factory.mktemp("data") / "pets"
    for seed, name in enumerate(PETS):
        write_images(folder / name, 30, (8, 8, 1), seed)
    return {
        "dataset": f"folder:{folder}",
        "patch_size": 3,
        "num_glimpses": 2,
        "core": "rnn",
        "core_units": 8,
        "glimpse_units": 8,
        "batch_size": 8,
        "train_steps": 4,
        "eval_every": 4,
        "eval_rollouts": 1,
        "jit_compile": "off",
    }


@pytest.fixture(scope="module")
def finished(pets, tmp_path_factory):
    """The folder of a finished run, and its results."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    return folder, train(Config(**pets, run_dir=str(folder), weight_average=0.5))


def demo_config(**changes) -> Config:
    config = load_preset("demo").config
    return dataclasses.replace(config, initial_weights=DEMO, **changes)


def test_weights_of_a_preset_are_taken_over():
    config = demo_config(seed=7)
    model = build_model(config, 10, (28, 28, 1))
    found = load_initial_weights(model, config, DIGITS, SAMPLE)
    assert found.lines == ["begins with the weights of preset:demo"]
    assert found.warnings == []
    assert found.trained_on == TrainedOn(cuts=frozenset(["mnist train[0:9000]"]))
    expected = load_preset("demo").model.get_weights()
    for mine, theirs in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_an_offset_that_is_not_used_may_stay_away():
    """Of one glimpse there is one offset all the same, as of two."""
    settings = {"num_glimpses": 2, "location_spread": 0.5, "core": "rnn"}
    two = Config(**settings)
    one = dataclasses.replace(two, num_glimpses=1)
    plain = dataclasses.replace(one, location_spread=0.0)
    models = [build_model(config, 10, (28, 28, 1)) for config in (one, two, plain)]
    shapes = [[weight.shape for weight in model.weights] for model in models]
    assert shapes[0] == shapes[1] != shapes[2]
    trained = _Trained(models[1], two, DIGITS, TrainedOn())
    assert _misfit(one, trained, models[0]) == ""
    expected = "expected --location_spread=0.5 --num_glimpses=2 as there, since each"
    assert _misfit(plain, trained, models[2]).startswith(expected)
    trained = _Trained(models[2], plain, DIGITS, TrainedOn())
    expected = "expected --location_spread=0.0 as there, since each"
    assert _misfit(one, trained, models[0]).startswith(expected)


def test_a_preset_has_the_name_that_its_folder_has_now(pets, finished, tmp_path):
    save_preset(finished[0], tmp_path / "mine")
    (tmp_path / "mine").rename(tmp_path / "other")
    given = f"preset:{tmp_path / 'other'}"
    config = Config(**pets, initial_weights=given)
    model = build_model(config, 2, (8, 8, 1))
    (warning,) = load_initial_weights(model, config, PETS, SAMPLE).warnings
    assert "which images preset:other was trained on is not recorded" in warning


def test_a_damaged_preset_is_named_with_its_file(tmp_path):
    folder = tmp_path / "old"
    shutil.copytree(load_preset("demo").folder, folder)
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["trained_on"]["cuts"] = ["x"]
    (folder / "metadata.json").write_text(json.dumps(metadata))
    config = dataclasses.replace(demo_config(), initial_weights=f"preset:{folder}")
    model = build_model(config, 10, (28, 28, 1))
    expected = "metadata.json: expected a list of texts as trained_on.cuts"
    with pytest.raises(RamError, match=expected):
        load_initial_weights(model, config, DIGITS, SAMPLE)


def test_initial_weights_as_an_earlier_version_kept_them_are_read(finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    own = RunDirectory(run).read_trained_on()
    saved = {"warnings": ["warning: x"], "unrecorded": ["y"], "trained_on": ["z"]}
    (run / "initial_weights.json").write_text(json.dumps(saved))
    directory = RunDirectory(run)
    assert directory.read_warnings() == ["warning: x"]
    added = TrainedOn(frozenset(["z"]), frozenset(), frozenset(["y"]))
    assert directory.read_trained_on() == own | added


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (PETS, "new: cat, dog; gone: 0, 1, 2, 3, 4 and 5 more"),
        (["0", "a", *DIGITS[1:]], "new: a"),
        (DIGITS[:-1], "gone: 9"),
        (DIGITS[::-1], "the same names in another order"),
    ],
)
def test_other_classes_leave_the_action_network_as_it_was(names, said):
    config = demo_config(seed=7)
    model = build_model(config, len(names), (40, 28, 1))
    before = model.action_network.get_weights()
    found = load_initial_weights(model, config, names, SAMPLE)
    assert found.lines[1] == (
        f"the classes are others than those of preset:demo ({said}): the action "
        "network begins with random weights"
    )
    for mine, theirs in zip(model.action_network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    trained = load_preset("demo").model
    for part in ("glimpse_network", "core", "location_network", "baseline_network"):
        mine, theirs = getattr(model, part), getattr(trained, part)
        assert mine.weights
        for one, other in zip(mine.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_what_the_weights_were_trained_with_is_said_where_it_differs():
    trained = load_preset("demo").config
    config = demo_config(pixel_range="byte", task="translated", image_size=20)
    found = load_initial_weights(
        build_model(config, 10, (60, 60, 1)), config, DIGITS, SAMPLE
    )
    assert trained.task == "plain"
    assert found.lines[-1] == (
        "the weights were trained with --pixel_range=unit --image_size=0 --task=plain"
    )


@pytest.mark.parametrize(
    ("changes", "channels", "expected"),
    [
        (
            {"core_units": 8, "patch_size": 5},
            1,
            "expected a model of the same shape, --patch_size=8 --core_units=256, "
            "found --patch_size=5 --core_units=8",
        ),
        ({"core": "none", "core_units": 256}, 1, "--core=rnn, found --core=none"),
        # As many pixels, so that every array would fit.
        (
            {"patch_size": 4, "num_scales": 4},
            1,
            "--patch_size=8 --num_scales=1, found --patch_size=4 --num_scales=4",
        ),
        ({}, 3, "expected gray images as there (--grayscale), found 3 channels"),
        ({"location_spread": 0.0}, 1, "expected --location_spread=0.5 as there, since"),
        ({"num_glimpses": 4}, 1, "expected --num_glimpses=8 as there, since each deci"),
    ],
)
def test_weights_of_another_shape_are_refused(changes, channels, expected):
    config = demo_config(**changes)
    model = build_model(config, 10, (28, 28, channels))
    before = model.get_weights()
    with pytest.raises(RamError, match="^--initial_weights=preset:demo: ") as error:
        load_initial_weights(model, config, DIGITS, SAMPLE)
    assert expected in str(error.value)
    for mine, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_training_begins_with_the_weights_that_a_run_chose(pets, finished, tmp_path):
    folder, results = finished
    still = {**pets, "learning_rate": 0.0, "seed": 3}
    config = Config(**still, run_dir=str(tmp_path), initial_weights=str(folder))
    said = []
    again = train(config, report=said.append)
    assert f"begins with the weights of {folder}" in said[0]
    assert "warning" not in said[0]
    assert again["config"]["initial_weights"] == folder.name
    # The same model of the same images: a rate of 0 leaves it as it was.
    for name in ("test_accuracy", "validation_accuracy"):
        assert again[name] == results[name]
    confusion = "confusion_matrix"
    mine, theirs = (
        each["evaluation"]["policies"]["learned"][confusion]
        for each in (again, results)
    )
    assert mine == theirs
    other = Config(**still, run_dir=str(tmp_path))
    with pytest.raises(RamError, match="initial_weights="):
        train(other)


def test_a_run_that_is_taken_up_again_does_not_ask_for_them(pets, finished, tmp_path):
    first = tmp_path / "first"
    shutil.copytree(finished[0], first)
    settings = {**pets, "train_steps": 8, "initial_weights": str(first)}
    config = Config(**settings, run_dir=str(tmp_path / "next"))
    whole = train(dataclasses.replace(config, run_dir=str(tmp_path / "whole")))

    def stopped(self, sample=False):
        raise Interrupted(signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(Evaluator, "accuracy", stopped)  # After four steps of eight.
        train(config)
    assert list((tmp_path / "next" / "checkpoints").glob("step_*4.npz"))
    shutil.rmtree(first)
    resumed = train(config)
    assert resumed["test_accuracy"] == whole["test_accuracy"]
    assert resumed["validation_accuracy"] == whole["validation_accuracy"]


@pytest.fixture(scope="module")
def cut(pets, tmp_path_factory):
    """The images of `pets`, cut by hand: most of test were of training before."""
    source = pathlib.Path(pets["dataset"].removeprefix("folder:"))
    root = tmp_path_factory.mktemp("cut") / "pets"
    for name in PETS:
        files = sorted((source / name).iterdir())
        for split, part in {"train": files[:10], "test": files[10:]}.items():
            (root / split / name).mkdir(parents=True)
            for file in part:
                shutil.copy(file, root / split / name)
    return root


def known_images(run: pathlib.Path, test: pathlib.Path) -> int:
    """How many test images of a run another run was trained on."""

    def contents(folder, split):
        splits = json.loads((folder / "data.json").read_text())["splits"]
        return [each.split()[0] for each in splits[split]["image_digests"]]

    return sum(each in set(contents(run, "train")) for each in contents(test, "test"))


def test_images_that_the_weights_were_trained_on_are_said(
    pets, finished, cut, tmp_path, capsys
):
    said = []
    settings = {**pets, "dataset": f"folder:{cut}", "train_steps": 1}
    run = tmp_path / "run"
    config = Config(**settings, initial_weights=str(finished[0]), run_dir=str(run))
    results = train(config, report=said.append)
    count = known_images(finished[0], run)
    assert 0 < count < 40
    (warning,) = results["warnings"]
    assert warning.startswith("warning: first was trained on ") and warning in said[0]
    assert f"{count} of the 40 images of test: accuracy on those says" in warning
    # It stays with the figures, and no path of this machine does.
    assert results["config"]["initial_weights"] == "first"
    assert summary(results).endswith(warning)
    assert evaluate.main([f"--run_dir={run}", "--jit_compile=off"]) == 0
    assert warning in capsys.readouterr().out
    metadata = save_preset(run, tmp_path / "preset")
    text = (tmp_path / "preset" / "README.md").read_text()
    assert f"- W{warning[1:]}." in text and str(tmp_path) not in text
    assert str(finished[0]) not in text + json.dumps(metadata)


def test_images_that_an_earlier_run_was_trained_on_are_remembered(
    pets, finished, cut, tmp_path
):
    other = tmp_path / "other"
    for seed, name in enumerate(PETS):
        write_images(other / name, 30, (8, 8, 1), 50 + seed)
    settings = {**pets, "train_steps": 1}
    first, between, last = (str(path) for path in (finished[0], tmp_path, tmp_path))
    between, last = f"{between}/between", f"{last}/last"
    found = train(
        Config(
            **{**settings, "dataset": f"folder:{other}"},
            initial_weights=first,
            run_dir=between,
        )
    )
    assert found["warnings"] == []
    found = train(
        Config(
            **{**settings, "dataset": f"folder:{cut}"},
            initial_weights=between,
            run_dir=last,
        )
    )
    count = known_images(finished[0], pathlib.Path(last))
    (warning,) = found["warnings"]
    assert f"{count} of the 40 images of test: accuracy on those says" in warning


def test_a_preset_of_own_images_does_not_say_which(pets, finished, tmp_path):
    folder, run = tmp_path / "mine", tmp_path / "run"
    save_preset(finished[0], folder)
    settings = {**pets, "train_steps": 1}
    config = Config(**settings, initial_weights=f"preset:{folder}", run_dir=str(run))
    expected = (
        "warning: which images preset:mine was trained on is not recorded: accuracy "
        "counts only if none of them is in validation and test"
    )
    assert train(config)["warnings"] == [expected]
    # Nor does a run that goes on from that run.
    config = Config(**settings, initial_weights=str(run))
    model = build_model(config, 2, (8, 8, 1))
    records = json.loads((run / "data.json").read_text())
    found = load_initial_weights(model, config, PETS, records)
    assert found.warnings == [expected]


@pytest.mark.parametrize(
    ("preset", "validation_size", "expected"),
    [
        ("demo", -1, ""),
        ("demo", 1000, ""),  # The same, said in a number.
        ("demo", 500, ""),
        ("demo", 1500, "500 of the 1,500 images of validation"),
        # Trained on MNIST, which the sample is a part of.
        ("mnist_6g", -1, "1,000 of the 1,000 images of validation"),
    ],
)
def test_a_preset_knows_which_public_images_it_was_trained_on(
    preset, validation_size, expected
):
    records = MnistSample(validation_size).records()
    config = dataclasses.replace(
        load_preset(preset).config,
        dataset="mnist_sample",
        validation_size=validation_size,
        initial_weights=f"preset:{preset}",
    )
    model = build_model(config, 10, (28, 28, 1))
    found = load_initial_weights(model, config, DIGITS, records).warnings
    warning = (
        f"warning: preset:{preset} was trained on {expected} and none of the 2,000 "
        "images of test: accuracy on those says nothing of new images"
    )
    assert found == ([warning] if expected else [])


def test_a_preset_of_an_earlier_version_does_not_say_which(tmp_path):
    folder = tmp_path / "old"
    shutil.copytree(load_preset("demo").folder, folder)
    metadata = json.loads((folder / "metadata.json").read_text())
    del metadata["trained_on"]
    (folder / "metadata.json").write_text(json.dumps(metadata))
    config = demo_config()
    config = dataclasses.replace(config, initial_weights=f"preset:{folder}")
    model = build_model(config, 10, (28, 28, 1))
    (warning,) = load_initial_weights(model, config, DIGITS, SAMPLE).warnings
    assert "which images preset:old was trained on is not recorded" in warning


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", ""),
        ("/home/me/runs/pets", "pets"),
        ("preset:demo", "preset:demo"),
        ("preset:/home/me/mine", "preset:mine"),
        ("preset:hf://me/mine", "preset:hf://me/mine"),
    ],
)
def test_short_name_has_no_place_of_a_machine(given, expected):
    assert short_name(given) == expected


def cut_record(stop: int, dataset: str = "mnist") -> dict:
    """What a run keeps of public data of 100 training images, cut at one."""
    cuts = {
        "train": f"train[0:{stop}]",
        "validation": f"train[{stop}:100]",
        "test": "test[0:10]",
    }
    splits = {split: {"images": 9, "cut": cut} for split, cut in cuts.items()}
    return {"dataset": dataset, "splits": splits}


def test_what_weights_were_trained_on_is_known_by_example():
    first = TrainedOn.of(cut_record(90), "first")
    assert first.seen(cut_record(90)) == first.seen(cut_record(95)) == []
    assert first.seen(cut_record(80, "cifar10")) == []
    clean = "none of the 10 images of test"
    assert first.seen(cut_record(80)) == ["10 of the 20 images of validation", clean]
    assert first.seen(cut_record(80, "mnist:3.0.1")) == first.seen(cut_record(80))
    # A run that goes on from one that goes on from the first.
    last = TrainedOn.of(cut_record(70), "last") | first
    assert last.seen(cut_record(70)) == ["20 of the 30 images of validation", clean]
    saved = json.loads(json.dumps(last.to_json()))
    assert TrainedOn.from_json(saved, pathlib.Path("x")) == last
    trained_on_test = {**cut_record(90), "splits": {"train": {"cut": "test[5:10]"}}}
    last |= TrainedOn.of(trained_on_test, "odd")
    assert last.seen(cut_record(90)) == [
        "none of the 10 images of validation",
        "5 of the 10 images of test",
    ]


def test_a_run_of_the_sample_with_another_cut_is_said(tmp_path):
    settings = {
        "dataset": "mnist_sample",
        "patch_size": 4,
        "num_glimpses": 2,
        "core": "rnn",
        "core_units": 4,
        "glimpse_units": 4,
        "train_steps": 1,
        "eval_every": 1,
        "eval_rollouts": 1,
        "jit_compile": "off",
    }
    first, second, third = (str(tmp_path / name) for name in ("a", "b", "c"))
    train(Config(**settings, validation_size=500, run_dir=first))
    expected = "a was trained on 500 of the 1,000 images of validation and none of"
    (warning,) = train(Config(**settings, run_dir=second, initial_weights=first))[
        "warnings"
    ]
    assert expected in warning
    (warning,) = train(Config(**settings, run_dir=third, initial_weights=second))[
        "warnings"
    ]
    assert expected.replace("a was", "b was", 1) in warning


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("data.json", "[1]", "expected an object of the run's data"),
        ("data.json", '{"splits": {}}', "expected an object of the run's data"),
        ("class_names.json", "{}", "expected a list of names"),
        ("initial_weights.json", "[]", "expected an object"),
        (
            "initial_weights.json",
            '{"warnings": [], "trained_on": {}}',
            "a list of texts as trained_on.contents",
        ),
        (
            "initial_weights.json",
            '{"warnings": [], "trained_on": {"contents": [], "cuts": ["x"]}}',
            "expected a list of texts as trained_on.cuts",
        ),
    ],
)
def test_a_damaged_record_of_a_run_is_named(finished, tmp_path, name, text, expected):
    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    (run / name).write_text(text)
    config = dataclasses.replace(demo_config(), initial_weights=str(run))
    model = build_model(config, 10, (28, 28, 1))
    with pytest.raises(RamError, match=r"^--initial_weights=\S+: \S+: ") as error:
        load_initial_weights(model, config, DIGITS, SAMPLE)
    assert name in str(error.value) and expected in str(error.value)


def test_weights_that_there_are_not_are_named(pets, finished, tmp_path, capsys):
    for given, expected in {
        str(tmp_path / "none"): "expected a run of ram_tf.train, found none; there is",
        "demo": "expected a run of .*; did you mean preset:demo?",
        "preset:dmeo": "preset 'dmeo': expected one of .*did you mean demo",
        str(load_preset("demo").folder): "found a preset, which is given as preset:/",
    }.items():
        with pytest.raises(RamError, match=expected) as error:
            check_initial_weights(given)
        assert str(error.value).startswith(f"--initial_weights={given}: ")
        run_dir = tmp_path / "run"
        words = [f"--{name}={value}" for name, value in pets.items()]
        words += [f"--initial_weights={given}", f"--run_dir={run_dir}"]
        assert main(words) == 1
        assert capsys.readouterr().err.count("\n") == 1 and not run_dir.exists()
    unfinished = tmp_path / "unfinished"
    shutil.copytree(finished[0], unfinished)
    (unfinished / "results.json").unlink()
    with pytest.raises(RamError, match=r"unfinished: expected a finished run, found"):
        check_initial_weights(str(unfinished))


def test_only_a_recurrent_attention_model_takes_them():
    with pytest.raises(RamError, match="expected --model=ram, found --model=fc"):
        Config(model="fc", initial_weights=DEMO)
