"""A preset made from a run."""

import contextlib
import dataclasses
import json
import pathlib
import shlex
import shutil

import numpy as np
import pytest
from PIL import Image

from ram_tf import train
from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.evaluation.calibration import expected_calibration_error
from ram_tf.evaluation.evaluator import Evaluator
from ram_tf.files import read_json
from ram_tf.models.preset_files import CARD, CONFIG, METADATA, WEIGHTS
from ram_tf.models.presets import load_preset
from ram_tf.models.recurrent_attention import RecurrentAttentionModel
from ram_tf.presets.card import card
from ram_tf.presets.command import main
from ram_tf.presets.measures import measured, probe_images, stated, train_command
from ram_tf.presets.saving import save_preset
from ram_tf.presets.seeds import seed_accuracies
from ram_tf.runs.setup import assemble, load_run
from ram_tf.serving import preset_run
from ram_tf.serving.preset_run import load_preset_run

STOPPING = ("by_threshold", "suggested_threshold")


@pytest.fixture(scope="module")
def saved(tiny_run, tmp_path_factory):
    """The folder of a preset of the small run."""
    folder = tmp_path_factory.mktemp("saved") / "tiny"
    save_preset(tiny_run, folder)
    return folder


def test_a_preset_predicts_as_its_run(saved, tiny_run):
    trained = load_run(tiny_run).model
    preset = load_preset(saved)
    images = probe_images((28, 28, 1))
    found, expected = preset.model(images).numpy(), trained(images).numpy()
    np.testing.assert_allclose(found, expected, atol=5e-3)
    assert not np.array_equal(found, expected)  # float16 is between them.
    for mine, theirs in zip(preset.model.weights, trained.weights, strict=True):
        np.testing.assert_array_equal(
            mine.numpy(), theirs.numpy().astype(np.float16).astype(np.float32)
        )


def test_it_states_what_the_run_left(saved, tiny_run):
    metadata, results = (
        read_json(saved / METADATA),
        read_json(tiny_run / "results.json"),
    )
    assert metadata["results"]["test_accuracy"] == results["test_accuracy"]
    assert metadata["accuracy_of_float32"] == pytest.approx(
        results["test_accuracy"], abs=0.001
    )
    assert metadata["name"] == "tiny" and metadata["license"] == ""
    assert metadata["seeds"] == {"0": results["test_accuracy"]}
    assert metadata["config"] == {**results["config"], "run_dir": "", "data_dir": ""}
    assert str(tiny_run) not in (saved / METADATA).read_text()
    assert metadata["polarity"] == "light on dark"
    test = load_run(tiny_run).source.split("test")
    probabilities = load_preset(saved).model.predict(test.images, verbose=0)
    right = probabilities.argmax(-1) == test.labels
    error = expected_calibration_error(probabilities.max(-1), right)
    assert metadata["calibration_error"] == pytest.approx(error, abs=1e-3)
    brier = np.mean(np.sum((probabilities - np.eye(10)[test.labels]) ** 2, -1))
    assert metadata["brier_score"] == pytest.approx(brier, abs=1e-4)
    confusion = np.array(
        results["evaluation"]["policies"]["learned"]["confusion_matrix"]
    )
    np.testing.assert_allclose(
        metadata["results"]["accuracy_by_class"],
        np.diag(confusion) / confusion.sum(axis=1),
        atol=1e-4,
    )
    card = (saved / CARD).read_text()
    assert f"{100 * results['test_accuracy']:.2f} %" in card
    assert "Weights: none is stated" in card and "\nlicense:" not in card
    assert "One seed was trained (0)" in card


def test_it_states_what_stopping_when_sure_would_cost(saved, tiny_run):
    metadata = read_json(saved / METADATA)
    experiment = load_run(tiny_run)
    model = RecurrentAttentionModel.from_preset(saved, initial_location="center")
    for split, curve in metadata["by_threshold"].items():
        images = experiment.source.split(split)
        found = Evaluator(model, images, experiment.task).predict()
        right = found.step_probabilities.argmax(-1) == found.labels[:, None]
        for row in curve:
            sure = found.step_probabilities.max(-1) >= row["threshold"]
            last = np.where(sure.any(-1), sure.argmax(-1), 2)
            accuracy = np.mean([hits[t] for hits, t in zip(right, last, strict=True)])
            assert row["accuracy"] == pytest.approx(accuracy)
            assert row["mean_glimpses"] == pytest.approx(np.mean(last + 1))
        if split == "validation":
            kept = [row for row in curve if row["accuracy"] >= right[:, -1].mean()]
    fewest = min(kept, key=lambda row: row["mean_glimpses"], default={"threshold": 0})
    assert metadata["suggested_threshold"] == fewest["threshold"]
    assert set(metadata["by_threshold"]) == {"validation", "test"}


def test_it_suggests_no_threshold_where_validation_has_few_images(
    saved, tiny_run, monkeypatch
):
    monkeypatch.setattr("ram_tf.evaluation.anytime.choose_threshold", lambda *_: 0.9)
    experiment = load_run(tiny_run)
    count = len(experiment.source.split("validation").labels)
    for few, expected in ((count, 0.9), (count + 1, 0.0)):
        monkeypatch.setattr("ram_tf.evaluation.anytime.FEW_IMAGES", few)
        assert measured(experiment, saved)["suggested_threshold"] == expected


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (99, "None is suggested: 99 validation images are too few for that."),
        (100, "None is suggested: each costs some accuracy on validation."),
    ],
)
def test_a_card_says_why_no_threshold_is_suggested(saved, images, expected):
    metadata = {
        **read_json(saved / METADATA),
        "suggested_threshold": 0.0,
        "num_validation_images": images,
    }
    assert expected in card(metadata)


def test_a_card_leaves_out_the_classes_without_a_test_image(saved):
    metadata = read_json(saved / METADATA)
    accuracies = [0.5, None, 0.9, None, *[0.6] * 6]
    metadata["results"]["accuracy_by_class"] = accuracies
    assert (
        "- Right by class: from 50.0 % (0) to 90.0 % (2) of the test images. The test "
        "images have none of 1, 3."
    ) in card(metadata)


def test_a_card_has_a_line_for_each_threshold(saved):
    metadata = read_json(saved / METADATA)
    rows = [
        {"threshold": 0.5, "accuracy": 0.81234, "mean_glimpses": 1.236},
        {"threshold": 0.995, "accuracy": 0.9, "mean_glimpses": 2.5},
    ]
    metadata |= {"by_threshold": {"test": rows}, "suggested_threshold": 0.995}
    metadata["test_accuracy"] = 0.91
    text = card(metadata)
    lines = ["| 0.5 | 1.24 | 81.23 % |", "| **0.995** | 2.50 | 90.00 % |"]
    assert "\n".join([*lines, "| none | 3 | 91.00 % |"]) in text
    assert "The threshold 0.995 takes the fewest glimpses" in text
    assert "None is suggested" in card({**metadata, "suggested_threshold": 0.0})
    of_one_glimpse = card({**metadata, "by_threshold": {"test": []}})
    assert "Stop when" in text and "Stop when" not in of_one_glimpse


def test_a_class_with_a_bar_in_its_name_leaves_the_table_whole(saved):
    metadata = read_json(saved / METADATA)
    metadata["class_names"] = ["cat|dog", *metadata["class_names"][1:]]
    assert "\n| Classes | cat\\|dog, " in card(metadata)


def test_a_preset_is_measured_again_without_its_run(saved, tmp_path, capsys):
    folder = tmp_path / "tiny"
    shutil.copytree(saved, folder)
    before = read_json(folder / METADATA)
    old = {key: value for key, value in before.items() if key not in STOPPING}
    (folder / METADATA).write_text(json.dumps(old))
    (folder / CARD).write_text("of an earlier version")
    capsys.readouterr()
    assert main([f"--measure={folder}"]) == 0
    assert f"{folder}: preset, test accuracy" in capsys.readouterr().out
    assert read_json(folder / METADATA) == before
    for name in (CARD, CONFIG, WEIGHTS):
        assert (folder / name).read_bytes() == (saved / name).read_bytes()


@pytest.mark.parametrize(
    "change, expected",
    [
        ({"test_accuracy": 0.99}, "expected test_accuracy as stated, 99.00 %, found"),
        ({"results": {"splits": {"test": "other"}}}, "expected data split as"),
    ],
)
def test_a_preset_of_other_measures_or_data_is_kept(
    saved, tmp_path, capsys, change, expected
):
    folder = tmp_path / "tiny"
    shutil.copytree(saved, folder)
    metadata = read_json(folder / METADATA)
    if "results" in change:
        change = {"results": {**metadata["results"], **change["results"]}}
    text = json.dumps({**metadata, **change})
    (folder / METADATA).write_text(text)
    capsys.readouterr()
    assert main([f"--measure={folder}"]) == 1
    error = capsys.readouterr().err
    assert expected in error and error.count("\n") == 1
    assert (folder / METADATA).read_text() == text
    assert (folder / CARD).read_bytes() == (saved / CARD).read_bytes()


def test_the_same_run_gives_the_same_bytes(saved, tiny_run, tmp_path):
    save_preset(tiny_run, tmp_path / "tiny")
    names = {path.name for path in saved.iterdir()}
    assert names == {CARD, CONFIG, METADATA, WEIGHTS}
    for name in names:
        assert (saved / name).read_bytes() == (tmp_path / "tiny" / name).read_bytes()


def test_a_folder_that_exists_is_kept(saved, tiny_run, tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(RamError, match="it exists; remove it or name another"):
        save_preset(tiny_run, folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["x", "mine.txt"]


def test_a_run_with_another_accuracy_than_its_results_is_refused(tiny_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    results = read_json(run / "results.json")
    measures = results["evaluation"]["policies"]["learned"]
    results["test_accuracy"] = measures["accuracy"] = 0.99
    (run / "results.json").write_text(json.dumps(results))
    with pytest.raises(RamError, match="expected the test accuracy of its results, 99"):
        save_preset(run, tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("flag", ["--model=fc", "--policy=random"])
def test_a_run_without_a_path_of_its_own_is_refused(tmp_path, capsys, flag):
    flags = ["--train_steps=2", "--eval_every=2", "--eval_rollouts=1", "--core_units=8"]
    run = tmp_path / "run"
    assert train.main([*flags, flag, f"--run_dir={run}"]) == 0
    capsys.readouterr()
    assert main([f"--run_dir={run}", f"--out={tmp_path / 'x'}"]) == 1
    error = capsys.readouterr().err
    assert flag in error and error.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_the_command_says_what_it_made(tiny_run, tmp_path, capsys):
    folder = tmp_path / "presets" / "mine"
    capsys.readouterr()
    words = [f"--run_dir={tiny_run}", f"--out={folder}", "--license=MIT"]
    assert main(words) == 0
    said = capsys.readouterr().out
    metadata = read_json(folder / METADATA)
    assert f"{100 * metadata['test_accuracy']:.2f} % with the first glimpse" in said
    assert "license: mit\n" in (folder / CARD).read_text()


@pytest.mark.parametrize(
    "words, expected",
    [
        ([], "--run_dir is required"),
        (["--run_dir=x"], "--out is required"),
        (["--run_dir=nowhere", "--out=x"], "--run_dir=nowhere: expected a run"),
        (["--shipped", "--out=x"], "--out: expected without --shipped, found both"),
        (["--shipped", "--license=MIT"], "--license: expected without --shipped"),
        (["--measure=x", "--shipped"], "--shipped: expected without --measure"),
        (["--measure=x", "--license=MIT"], "--license: expected without --measure"),
        (["--measure=x", "--runs_dir=y"], "--runs_dir: expected without --measure"),
        (["--run_dir=x", "--runs_dir=y"], "--runs_dir: expected without --run_dir"),
        (["--measure=x"], "preset 'x': expected one of"),
    ],
)
def test_wrong_words_are_one_line(words, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    error = capsys.readouterr().err
    assert expected in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_help_shows_how_a_preset_is_named_on_one_line(capsys):
    assert main(["--help"]) == 0
    assert "\n  --model=preset:presets/x\n" in capsys.readouterr().out


def test_without_runs_the_shipped_presets_are_kept(tmp_path, capsys):
    assert main(["--shipped", f"--runs_dir={tmp_path}"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert f"demo: kept, there is no finished run {tmp_path}/demo" in said


def test_shipped_presets_are_made_from_the_runs_of_the_catalogue(
    tiny_run, tmp_path, monkeypatch, capsys
):
    from ram_tf.models import preset_files
    from ram_tf.presets import catalogue, page

    runs, presets = tmp_path / "runs", tmp_path / "presets"
    runs.mkdir()
    (runs / "mine").symlink_to(tiny_run)
    monkeypatch.setattr(catalogue, "CATALOGUE", {"a": "mine", "b": "other"})
    monkeypatch.setattr(preset_files, "PRESETS_DIR", presets)
    monkeypatch.setattr(page, "fill_page", lambda: False)
    for _ in range(2):  # The second time it takes the place of the first.
        assert main(["--shipped", f"--runs_dir={runs}"]) == 0
        said = capsys.readouterr().out
        assert f"{presets / 'a'}: preset, test accuracy" in said
        assert "b: not made, there is no finished run" in said
        assert [path.name for path in presets.iterdir()] == ["a"]


def write_seed(folder, results, seed, accuracy):
    config = Config.from_dict({**results["config"], "seed": seed})
    changed = {
        **results,
        "seed": seed,
        "test_accuracy": accuracy,
        "config": config.to_dict(),
        "config_digest": config.digest(),
    }
    path = folder / results["experiment"] / f"seed{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(changed))
    return changed


def test_other_seeds_of_the_same_config_are_stated(tiny_run, tmp_path):
    results = read_json(tiny_run / "results.json")
    config, own = Config.from_dict(results["config"]), results["test_accuracy"]
    write_seed(tmp_path, results, 2, 0.7)
    write_seed(tmp_path, results, 10, 0.8)
    other = {**results, "config": {**results["config"], "num_glimpses": 2}}
    write_seed(tmp_path, other, 3, 0.9)  # Of another Config: no seed of this one.
    found = seed_accuracies(config, own, tmp_path)
    assert found == {"0": own, "2": 0.7, "10": 0.8}
    assert list(found) == ["0", "2", "10"]
    assert seed_accuracies(config, own) == {"0": own}
    write_seed(tmp_path, results, 0, 0.5)  # As another machine trained it.
    assert seed_accuracies(config, own, tmp_path)["0"] == own


def test_a_preset_keeps_the_name_of_its_folder_of_images_alone(tiny_run, monkeypatch):
    run, results = load_run(tiny_run), read_json(tiny_run / "results.json")

    def stated_of(place, train):
        config = dataclasses.replace(run.config, dataset=f"folder:{place}")
        monkeypatch.setattr(
            run.source, "split_description", {"train": train, "test": "images 1 to 2"}
        )
        found = stated(dataclasses.replace(run, config=config), results)
        return found["config"]["dataset"], found["results"]["splits"]["train"]

    assert stated_of("/photos/pets", "all of /photos/pets/train") == (
        "folder:pets",
        "all of pets/train",
    )
    confusion = np.array(
        results["evaluation"]["policies"]["learned"]["confusion_matrix"]
    )
    confusion[3] = 0
    results["evaluation"]["policies"]["learned"]["confusion_matrix"] = confusion
    monkeypatch.setattr(run.source, "split_description", {})
    found = stated(run, results)["results"]["accuracy_by_class"]
    assert [label for label, value in enumerate(found) if value is None] == [3]
    odd = r"all of a\d/train"  # No group of a regular expression.
    assert stated_of(r"/photos/a\d", r"all of /photos/a\d/train")[1] == odd
    here = pathlib.Path().resolve().name
    assert stated_of(".", "all of a.b/train") == (f"folder:{here}", "all of a.b/train")
    assert stated_of("/", "images 1 to 9")[0] == "folder:images"


@pytest.mark.parametrize(
    ("name", "value"), [("class_names", ["a", "b"]), ("image_shape", [32, 32, 1])]
)
def test_a_preset_whose_metadata_are_of_another_model_is_refused(
    name, value, saved, tmp_path
):
    folder = pathlib.Path(shutil.copytree(saved, tmp_path / "other"))
    metadata = read_json(folder / METADATA)
    (folder / METADATA).write_text(json.dumps({**metadata, name: value}))
    with pytest.raises(RamError, match=f"{METADATA}: expected .*{name}"):
        load_preset(folder)


def test_a_preset_is_not_measured_on_data_of_other_classes(saved, tmp_path):
    folder = pathlib.Path(shutil.copytree(saved, tmp_path / "other"))
    metadata = read_json(folder / METADATA)
    metadata["class_names"][3] = "drei"
    (folder / METADATA).write_text(json.dumps(metadata))
    with pytest.raises(RamError, match="expected data of the 10 classes .* drei was"):
        load_preset_run(str(folder))


def test_a_preset_whose_data_are_of_another_shape_is_refused(monkeypatch):
    def of_another_shape(config):
        return dataclasses.replace(assemble(config), image_shape=(14, 14, 1))

    monkeypatch.setattr(preset_run, "assemble", of_another_shape)
    with pytest.raises(RamError, match=r"shape \(28, 28, 1\), found \(14, 14, 1\)"):
        load_preset_run("demo")


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    """A folder `pets`, a run on it by its relative name, and a preset of the run."""
    root = tmp_path_factory.mktemp("own")
    numbers = np.random.default_rng(0)
    for label, low in (("dark", 0), ("light", 128)):
        (root / "pets" / label).mkdir(parents=True)
        for index in range(30):
            pixels = numbers.integers(low, low + 128, [12, 12], np.uint8)
            Image.fromarray(pixels).save(root / "pets" / label / f"{index}.png")
    with contextlib.chdir(root):
        flags = ["--dataset=folder:pets", "--patch_size=4", "--num_glimpses=2"]
        flags += ["--glimpse_units=8", "--core=rnn", "--core_units=8"]
        flags += ["--train_steps=20", "--batch_size=8", "--eval_rollouts=1"]
        assert train.main([*flags, "--run_dir=run"]) == 0
        save_preset(pathlib.Path("run"), pathlib.Path("preset"))
    return root


@pytest.mark.parametrize("age", ["new", "earlier"])
@pytest.mark.parametrize("change", ["none", "swapped", "fewer", "gone"])
def test_a_preset_of_own_images_is_measured_on_these_alone(
    change, age, pets, tmp_path, monkeypatch
):
    shutil.copytree(pets, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "preset" / METADATA
    metadata = read_json(path)
    assert set(metadata["results"]["digests"]) == {"train", "validation", "test"}
    if age == "earlier":
        del metadata["results"]["digests"]
        path.write_text(json.dumps(metadata))
    if change == "swapped":
        (tmp_path / "pets/dark").rename(tmp_path / "pets/x")
        (tmp_path / "pets/light").rename(tmp_path / "pets/dark")
        (tmp_path / "pets/x").rename(tmp_path / "pets/light")
    if change == "fewer":
        (tmp_path / "pets/dark/0.png").unlink()
    if change == "gone":
        shutil.rmtree(tmp_path / "pets")
        with pytest.raises(
            RamError, match="in folder:pets, found no such .* where tha"
        ):
            load_preset_run("preset")
        with pytest.raises(RamError, match="in pets, found no such .* back there"):
            load_run("run")
        return
    # Of an earlier preset the numbers of images are known alone.
    if change == "none" or (change, age) == ("swapped", "earlier"):
        load_preset_run("preset")
        return
    with pytest.raises(RamError, match="expected folder:pets to hold the images that"):
        load_preset_run("preset")


@pytest.mark.parametrize(
    ("name", "value"),
    [("core_units", 10**6), ("location_hidden_units", 10**7), ("patch_size", 10**6)],
)
def test_a_preset_wider_than_its_weights_is_refused_before_it_is_built(
    name, value, saved, tmp_path
):
    folder = pathlib.Path(shutil.copytree(saved, tmp_path / "wide"))
    config = read_json(folder / CONFIG)
    config["config"][name] = value
    (folder / CONFIG).write_text(json.dumps(config))
    with pytest.raises(RamError, match=f"{CONFIG}: expected {name} of at most"):
        load_preset(folder)


def test_the_command_of_a_card_trains_the_same_config(tmp_path):
    from ram_tf.config import Config
    from ram_tf.flags import config_settings, parse

    def config_of(command):
        words = shlex.split(command)
        assert words[:3] == ["python", "-m", "ram_tf.train"]
        return parse(config_settings(), words[3:]).config()

    gray = train_command(Config(grayscale=True), str(tmp_path))
    assert "--grayscale=true" in gray and config_of(gray).grayscale
    config = Config(dataset="folder:my cats", num_glimpses=3, experiment="a/b", seed=4)
    command = train_command(config, str(tmp_path))
    assert "--flagfile" not in command
    assert config_of(command).digest() == config.digest()
    (tmp_path / "a").mkdir()
    flagfile = tmp_path / "a" / "b.cfg"
    flagfile.write_text("--dataset=folder:my cats\n--num_glimpses=3\n")
    command = train_command(config, str(tmp_path))
    assert f"--flagfile={flagfile}" in command
    assert config_of(command).digest() == config.digest()
    flagfile.write_text("--dataset=folder:my cats\n--num_glimpses=5\n")
    assert "--flagfile" not in train_command(config, str(tmp_path))
