"""One way to ask exports and presets, and what predict makes of many files."""

import csv
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys

import h5py
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from helpers.data_files import write_images

from ram_tf import export, predict
from ram_tf.data import picture
from ram_tf.data.sources.open import open_source
from ram_tf.data.tasks import Task
from ram_tf.errors import RamError
from ram_tf.models.preset_files import find_preset
from ram_tf.serving import image_files
from ram_tf.serving import predictor as predictor_module
from ram_tf.serving.classify import classify_files
from ram_tf.serving.find_images import find_images
from ram_tf.serving.image_files import read_images, with_channels
from ram_tf.serving.model_folder import check_model
from ram_tf.serving.predictions import Prediction, line
from ram_tf.serving.predictor import load_predictor
from ram_tf.serving.prepare import prepare
from ram_tf.serving.signatures import first_locations
from ram_tf.viz.predicted_paths import PredictedPaths, distinct_names


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("predictor") / "model"
    assert export.main([f"--run_dir={tiny_run}", f"--export_dir={path}"]) == 0
    return path


@pytest.fixture(scope="module")
def of_export(exported):
    return load_predictor(str(exported))


@pytest.fixture(scope="module")
def of_preset():
    return load_predictor("preset:demo")


@pytest.fixture(scope="module")
def test_split():
    return open_source("mnist_sample").split("test")


@pytest.fixture
def pictures(tmp_path, test_split):
    """A folder with five digits, one of them in a folder, and what is no picture."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for index in range(5):
        name = f"more/{index}.png" if index == 4 else f"{index}.png"
        pixels = test_split.images[index, ..., 0]
        PIL.Image.fromarray(pixels).save(folder / name)
    shutil.copy(folder / "0.png", folder / ".hidden" / "0.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


# --- Predictor ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["of_export", "of_preset"])
def test_predictor_ends_its_path_where_it_predicts(kind, request, test_split):
    model = request.getfixturevalue(kind)
    images = test_split.images[:5]
    starts = np.tile(np.float32(model.first_location), [5, 1])
    path = model.path(images, starts)
    prediction = model.predict(images, rollouts=1)
    steps = model.num_glimpses
    assert path.probabilities.shape == (5, steps, len(model.class_names))
    np.testing.assert_array_equal(path.locations[:, 0], starts)
    np.testing.assert_allclose(
        path.probabilities[:, -1], prediction["probabilities"], atol=1e-5
    )
    np.testing.assert_allclose(path.locations, prediction["locations"], atol=1e-5)
    if model.num_rollouts == 1:
        mine = model.predict(images)
        np.testing.assert_allclose(
            mine["probabilities"], prediction["probabilities"], atol=1e-5
        )
    other = model.path(images, starts + 0.5)
    assert np.abs(other.locations[:, 0] - path.locations[:, 0]).min() > 0.4


def test_mean_of_rollouts_is_the_mean_of_their_paths(of_preset, test_split):
    images = test_split.images[:3]
    paths = [
        of_preset.path(images, np.tile(first, [3, 1])).probabilities[:, -1]
        for first in first_locations("center", 3)
    ]
    found = of_preset.predict(images, rollouts=3)
    np.testing.assert_allclose(found["probabilities"], np.mean(paths, 0), atol=1e-6)
    assert found["label"].tolist() == np.mean(paths, 0).argmax(-1).tolist()


def still_predictor(**metadata):
    """A model of one glimpse that finds all classes alike, and says where it began."""
    described = {
        "image_shape": (2, 2, 1),
        "class_names": ["a", "b"],
        "background": "white",
        "config": {"num_glimpses": 1},
    }

    def look(images, starts):
        return np.full([len(images), 1, 2], 0.5, np.float32), starts[:, None]

    return predictor_module.Predictor(
        "still", {**described, **metadata}, lambda images: {}, look
    )


@pytest.mark.parametrize("start", ["center", "random"])
def test_rollouts_begin_where_the_export_began(start):
    model = still_predictor(initial_location=start)
    found = model.predict(np.zeros([3, 2, 2, 1], np.uint8), rollouts=2)
    expected = np.tile(first_locations(start, 1), [3, 1])
    np.testing.assert_array_equal(found["locations"][:, 0], expected)


def test_a_model_of_the_centre_alone_takes_one_rollout(tmp_path, monkeypatch, capsys):
    model = still_predictor(config={"num_glimpses": 1, "policy": "center"})
    images = np.zeros([3, 2, 2, 1], np.uint8)
    assert model.predict(images, rollouts=1)["label"].tolist() == [0, 0, 0]
    expected = "--rollouts=2: expected one rollout from the centre, as the run of"
    with pytest.raises(RamError, match=expected):
        model.predict(images, rollouts=2)
    monkeypatch.setattr(predict, "check_model", lambda name: None)
    monkeypatch.setattr(predictor_module, "load_predictor", lambda name: model)
    words = ["--model=x", "--top=1", "--rollouts=2", str(tmp_path)]
    assert predict.main(words) == 1
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("given", ["./demo", "demo", "preset:./demo"])
def test_a_folder_of_a_shipped_name_is_itself(given, tmp_path, monkeypatch):
    folder = find_preset("demo")
    shutil.copytree(folder, tmp_path / "demo")
    weights = tmp_path / "demo" / "model.weights.h5"
    with h5py.File(weights, "r+") as file:
        file.visititems(
            lambda _, found: (
                found.write_direct(np.zeros_like(found[()]))
                if isinstance(found, h5py.Dataset)
                else None
            )
        )
    monkeypatch.chdir(tmp_path)
    found = load_predictor(given).predict(np.zeros([1, 28, 28, 1], np.uint8))
    np.testing.assert_allclose(found["probabilities"], 0.1)  # All weights are 0.
    shipped = load_predictor("preset:demo").predict(np.zeros([1, 28, 28, 1], np.uint8))
    assert shipped["probabilities"].max() > 0.2


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("use_prepare", [False, True])
def test_pictures_have_the_very_pixels_of_training(channels, use_prepare, tmp_path):
    """Resized, then made gray: in the other order levels differ by one."""
    for name in ("a", "b"):
        write_images(tmp_path / name, 9, (40, 50, 3), seed=ord(name))
    source = open_source(f"folder:{tmp_path}", image_size=16)
    names = source.record("train")["image_names"]
    images = tf.constant(source.split("train").images)
    trained = Task(grayscale=True).to_gray(images).numpy() if channels == 1 else images
    shape = (16, 16, channels)
    metadata = {"image_shape": shape, "class_names": ["a", "b"], "polarity": ""}
    how = (lambda image: prepare(image, metadata)) if use_prepare else None
    for name, expected in zip(names, trained, strict=True):
        path = str(tmp_path / name)
        found = image_files.read_images(path, shape, True, 2, prepare=how)
        np.testing.assert_array_equal(found.images[0], expected)


def test_every_batch_of_paths_begins_at_its_own_places(monkeypatch):
    monkeypatch.setattr(predictor_module, "_BATCH", 3)
    starts = np.random.default_rng(0).uniform(-1, 1, (7, 2)).astype(np.float32)
    path = still_predictor().path(np.zeros([7, 2, 2, 1], np.uint8), starts)
    np.testing.assert_array_equal(path.locations[:, 0], starts)


def test_files_are_classified_by_as_many_rollouts_as_are_asked_for(tmp_path):
    path = str(tmp_path / "a.npz")
    np.savez(path, images=np.zeros([2, 2, 2, 1], np.uint8))
    model, asked = still_predictor(), []
    predict = model.predict
    model.predict = lambda images, rollouts: (
        asked.append(rollouts) or predict(images, rollouts)
    )
    (found,) = classify_files(model, [path], rollouts=3)
    assert asked == [3] and len(found.predictions) == 2


def test_preset_is_right_on_digits_that_it_never_saw(of_preset, test_split):
    found = of_preset.predict(test_split.images[:200])["label"]
    assert np.mean(found == test_split.labels[:200]) > 0.9


def test_predictions_do_not_depend_on_the_batch(of_preset, test_split, monkeypatch):
    images = test_split.images[:7]
    together = of_preset.predict(images)
    monkeypatch.setattr(predictor_module, "_BATCH", 3)
    apart = of_preset.predict(images)
    np.testing.assert_array_equal(together["label"], apart["label"])
    np.testing.assert_allclose(
        together["probabilities"], apart["probabilities"], atol=1e-5
    )


def test_old_export_predicts_and_says_what_it_lacks_for_a_path(
    of_export, test_split, tmp_path, capsys, exported, monkeypatch, pictures
):
    old = predictor_module.Predictor("old", of_export.metadata, of_export._predict)
    images = test_split.images[:2]
    assert old.predict(images)["label"].shape == (2,)
    with pytest.raises(RamError, match="serving_path, found one of an earlier version"):
        old.path(images, np.zeros([2, 2]))
    monkeypatch.setattr(predictor_module, "load_predictor", lambda name: old)
    words = ["--model=old", f"--figure={tmp_path / 'x.png'}", str(pictures)]
    assert predict.main(words) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_unknown_preset_is_one_line(capsys, pictures):
    assert predict.main(["--model=preset:nope", str(pictures)]) == 1
    found = capsys.readouterr()
    assert found.out == "" and found.err.count("\n") == 1 and "nope" in found.err


# --- Files -------------------------------------------------------------------------


def test_folders_and_patterns_stand_for_their_pictures(pictures):
    names = [f"{index}.png" for index in range(4)]
    paths = [str(pictures / name) for name in names]
    assert find_images(str(pictures)) == ([*paths, str(pictures / "more/4.png")], 1)
    assert find_images(str(pictures / "*.png")) == (paths, 0)
    assert find_images(str(pictures / "**/4.png")) == (
        [str(pictures / "more/4.png")],
        0,
    )
    assert find_images(str(pictures / "[13].png")) == ([paths[1], paths[3]], 0)
    odd = pictures / "a[1].png"
    shutil.copy(paths[0], odd)
    assert find_images(str(odd)) == ([str(odd)], 0)  # A file of that very name.
    assert find_images("none.png") == (
        ["none.png"],
        0,
    )  # Reading it says what is wrong.


def test_names_of_pictures_may_end_in_capitals(tmp_path):
    path = tmp_path / "IMG_1.PNG"
    path.touch()
    assert find_images(str(tmp_path)) == ([str(path)], 0)


def test_linked_folders_are_taken_once(pictures, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(pictures / "0.png", other / "linked.png")
    (pictures / "z").symlink_to(other)
    (other / "back").symlink_to(pictures)
    found, _ = find_images(str(pictures))
    assert str(pictures / "z" / "linked.png") in found
    assert len(found) == 6


def test_patterns_follow_no_links_below_and_end(pictures, monkeypatch):
    paths = [str(pictures / f"{index}.png") for index in range(4)]
    paths.append(str(pictures / "more/4.png"))
    shutil.copy(paths[0], pictures / ".hidden.png")
    for name in ("l1", "l2", "more/l3"):
        (pictures / name).symlink_to(pictures)
    for pattern in ("**/*.png", "**/**/*.png", "[!.]*/../**/*.png"):
        found, _ = find_images(f"{pictures}/{pattern}")
        assert sorted(set(map(os.path.realpath, found))) == paths, pattern
    assert find_images(f"{pictures}/**/*.png") == (paths, 0)
    assert find_images(f"{pictures}/m*/**/[4].png") == ([paths[4]], 0)
    assert set(paths) <= set(find_images(f"{pictures}/**")[0])
    monkeypatch.chdir(pictures)
    assert find_images("**/4.png") == (["more/4.png"], 0)
    assert find_images("./**/4.png") == (["./more/4.png"], 0)


def test_pipes_in_a_folder_are_left_out(pictures):
    os.mkfifo(pictures / "pipe.png")
    found, others = find_images(str(pictures))
    assert len(found) == 5 and others == 2


def test_no_other_array_of_an_npz_is_read(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez(path, images=np.zeros([2, 4, 4, 1], np.uint8), other=np.zeros(9))
    read = []
    get = np.lib.npyio.NpzFile.__getitem__
    monkeypatch.setattr(
        np.lib.npyio.NpzFile,
        "__getitem__",
        lambda file, name: read.append(name) or get(file, name),
    )
    assert len(read_images(str(path), (4, 4, 1), False, 2).images) == 2
    assert read == ["images"]


def test_a_folder_that_cannot_be_read_is_told_and_the_others_are_taken(
    pictures, monkeypatch, capsys
):
    scandir = os.scandir

    def closed(path):
        if str(path).endswith("more"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    said = f"{pictures / 'more'}: expected a folder to read, found: Permission denied"
    with pytest.raises(RamError, match=said):
        find_images(str(pictures))
    told = []
    found, _ = find_images(str(pictures), told.append)
    assert len(found) == 4 and [str(fault) for fault in told] == [said]
    with pytest.raises(RamError, match="more: expected a folder to read"):
        find_images(str(pictures / "more"), told.append)
    assert predict.main(["--model=preset:demo", "--top=1", str(pictures)]) == 1
    printed = capsys.readouterr()
    assert printed.out.count("\n") == 4 and f"error: {said}" in printed.err


@pytest.mark.parametrize("word", [".hidden/none/*", "*.jpg", "**/no"])
def test_patterns_that_match_no_file_are_an_error(word, pictures):
    with pytest.raises(
        RamError, match="expected files whose names match this pattern, found none"
    ):
        find_images(str(pictures / word))


def test_folder_without_a_picture_is_an_error(tmp_path):
    with pytest.raises(
        RamError, match="a folder with images .*, found an empty folder"
    ):
        find_images(str(tmp_path))
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(RamError, match="a folder with images .*, found 1 other file$"):
        find_images(str(tmp_path))
    (tmp_path / "b.txt").write_text("x")
    with pytest.raises(RamError, match="a folder with images .*, found 2 other files"):
        find_images(str(tmp_path))


@pytest.mark.parametrize("kind", ["folder", "file", "pattern", "arrays", "none in it"])
def test_words_that_name_no_image_are_one_line(kind, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    word, expected, found = {
        "folder": ("empty", "expected a folder with images", "found an empty folder"),
        "file": ("no.png", "expected an image", "found no such file"),
        "pattern": ("*.png", "expected files whose names match", "found none"),
        "arrays": ("no.npz", "expected an .npz with `images`", "found no such file"),
        "none in it": ("0.npz", "expected images [n, H, W, 1]", "found (0, 28, 28, 1)"),
    }[kind]
    np.savez(tmp_path / "0.npz", images=np.zeros([0, 28, 28, 1], np.uint8))
    path = str(tmp_path / word)
    assert predict.main(["--model=preset:demo", path]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert said.err.startswith(f"error: {path}: {expected}") and found in said.err


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("preset:minst_6g", "mnist_6g, translated_8g, the folder"),
        ("preset:minst_6g", "did you mean mnist_6g?"),
        ("mnist_6g", "or a preset as preset:mnist_6g, found no such folder"),
        ("no/folder", "expected a folder of ram_tf.export, or preset:NAME, found no"),
    ],
)
def test_name_of_no_model_says_which_there_are(
    model, expected, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert predict.main([f"--model={model}", "x.png"]) == 1
    said = capsys.readouterr()
    assert said.out == "" and expected in said.err and said.err.count("\n") == 1


# --- The command -------------------------------------------------------------------


def test_predict_takes_folders_and_goes_on_after_errors(exported, pictures, capsys):
    (pictures / "9.png").write_bytes(b"")
    words = [f"--model={exported}", str(pictures), str(pictures / "*.jpg")]
    assert predict.main(words) == 1
    found = capsys.readouterr()
    assert len(found.out.splitlines()) == 5
    lines = found.err
    assert lines.count("\n") == 3
    assert "1 other file is left out (hidden, or no picture), 6 taken" in lines
    assert "9.png: expected an image" in lines
    assert f"{pictures / '*.jpg'}: expected files whose names match this" in lines


def test_predict_writes_csv_of_the_most_likely_classes(exported, pictures, capsys):
    odd = pictures / 'a,"b.png'
    shutil.copy(pictures / "0.png", odd)
    words = [f"--model={exported}", "--format=csv", "--top=3", str(odd)]
    assert predict.main([*words, str(pictures / "1.png")]) == 0
    assert predict.main([f"--model={exported}", "--format=json", str(odd)]) == 0
    *lines, prediction = capsys.readouterr().out.splitlines()
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
    assert [row["image"] for row in rows] == [str(odd), str(pictures / "1.png")]
    prediction = json.loads(prediction)
    order = np.argsort(prediction["probabilities"])[::-1][:3]
    for rank, label in enumerate(order, start=1):
        assert rows[0][f"class_{rank}"] == str(label)
        probability = float(rows[0][f"probability_{rank}"])
        assert probability == pytest.approx(
            prediction["probabilities"][label], abs=1e-6
        )
    assert rows[0]["label"] == str(prediction["label"]) and rows[0]["true_label"] == ""


def test_predict_names_the_true_label_in_json_and_csv(exported, tiny_run, capsys):
    examples = str(tiny_run / "examples.npz")
    labels = np.load(examples)["labels"]
    model = f"--model={exported}"
    assert predict.main([model, "--format=json", "--top=2", examples]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["true_label"] for row in rows] == labels.tolist()
    assert [row["image"] for row in rows][1] == f"{examples}[1]"
    for row in rows:
        first, second = row["top"]
        assert first["class"] == row["class"]
        assert first["probability"] >= second["probability"]
    assert predict.main([model, "--format=csv", examples]) == 0
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [int(row["true_label"]) for row in found] == labels.tolist()


def test_predict_draws_a_figure_and_an_animation(of_preset, pictures, tmp_path, capsys):
    figure, gif = tmp_path / "x.png", tmp_path / "x.gif"
    words = ["--model=preset:demo", str(pictures / "0.png")]
    words += [f"--figure={figure}", f"--animate={gif}"]
    assert predict.main(words) == 0
    said = capsys.readouterr().err
    assert f"{figure}: written\n{gif}: written\n" in said
    with PIL.Image.open(gif) as frames, PIL.Image.open(figure) as picture:
        assert frames.n_frames == of_preset.num_glimpses
        assert frames.info["loop"] == 0
        shown = []
        for index in range(frames.n_frames):
            frames.seek(index)
            shown.append(np.asarray(frames.convert("RGB"), np.int32))
        assert all((a != b).any() for a, b in zip(shown, shown[1:], strict=False))
        assert (shown[0][0, 0] == 255).all()
        # Its last frame is the figure, but for the colours of a palette. The figure
        # may be narrower: it needs room for the last prediction alone.
        width = min(picture.width, frames.width)
        still = np.asarray(picture.convert("RGB"), np.int32)[:, :width]
        assert np.abs(shown[-1][:, :width] - still).mean() < 2


def test_picture_of_an_export_that_stops_ends_where_it_stopped(tiny_run, tmp_path):
    folder = tmp_path / "model"
    words = ["--rollouts=1", "--threshold=0.3", f"--run_dir={tiny_run}"]
    assert export.main([*words, f"--export_dir={folder}"]) == 0
    stops = load_predictor(str(folder))
    pictures = PredictedPaths(stops)
    (file,) = classify_files(stops, [str(tiny_run / "examples.npz")])
    pictures.add(file)
    taken = [int(prediction.values["glimpses"]) for prediction in file.predictions]
    assert len({*taken[: len(pictures)]}) > 1, "some stop and some do not"
    for path, prediction in zip(pictures._record.paths, file.predictions, strict=False):
        assert len(path.locations) == int(prediction.values["glimpses"])
        assert path.prediction == prediction.label
    assert "It stops when a class is 30 % likely." in pictures._captions[1]
    assert pictures.png() and pictures.gif()


def test_rollouts_of_an_export_that_stops_say_what_is_not_used(
    tiny_run, pictures, tmp_path, capsys
):
    folder = tmp_path / "model"
    words = ["--rollouts=1", "--threshold=0.3", f"--run_dir={tiny_run}"]
    assert export.main([*words, f"--export_dir={folder}"]) == 0
    capsys.readouterr()
    words = [f"--model={folder}", "--rollouts=2", str(pictures / "0.png")]
    assert predict.main(words) == 0
    line = (
        "--rollouts=2: each rollout takes all glimpses; the export's threshold of 0.3"
    )
    assert line in capsys.readouterr().err


def test_figure_names_files_whose_names_are_no_text(pictures, tmp_path):
    odd = os.fsencode(tmp_path) + b"/caf\xe9.png"
    shutil.copy(os.fsencode(pictures / "0.png"), odd)
    words = ["--model=preset:demo", f"--figure={tmp_path / 'x.png'}", os.fsdecode(odd)]
    assert predict.main(words) == 0
    assert (tmp_path / "x.png").exists()


def test_lines_for_a_closed_output_are_lost_and_no_others(pictures):
    command = f"{sys.executable} -m ram_tf.predict --model=preset:demo --format=csv"
    large = pictures / "large.png"
    PIL.Image.new("L", (99, 99)).save(large)  # It is resized, which a line says.
    for closed in (">&-", "2>&-"):
        done = subprocess.run(
            f"{command} {large} {closed}",
            shell=True,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        if closed == "2>&-":
            assert len(done.stdout.splitlines()) == 2, done.stdout
        else:
            assert "was resized" in done.stderr and "Traceback" not in done.stderr


def test_no_images_have_no_predictions():
    nothing = np.zeros([0, 32, 32, 3], np.uint8)
    model = load_predictor("preset:cifar10_inception_4g")  # Its kernels need one.
    assert model.predict(nothing)["probabilities"].shape == (0, 10)
    path = model.path(nothing, np.zeros([0, 2]))
    assert path.locations.shape == (0, 4, 2)


@pytest.mark.parametrize("kind", ["text", "csv"])
def test_a_line_break_in_a_name_makes_no_second_line(kind):
    values = {"label": np.int32(1), "probabilities": np.float32([0.2, 0.8])}
    found = line(Prediction("a\nb.png", values, None), ["x", "y\r"], 1, kind)
    if kind == "text":
        assert found == r"a\nb.png: y\r (80.0 %)"
    else:
        assert next(csv.reader([found], strict=True))[0] == "a\nb.png"


def test_large_pictures_become_gray_in_parts(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), np.uint8)
    whole = with_channels(pixels, 1)
    monkeypatch.setattr(picture, "_STRIP", 4)
    np.testing.assert_array_equal(with_channels(pixels, 1), whole)
    np.testing.assert_array_equal(with_channels(whole, 3)[..., 2], whole[..., 0])


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--figure=x.jpg"], "--figure=x.jpg: expected the name of a file, *.png"),
        (["--animate=x.png"], "--animate=x.png: expected the name of a file, *.gif"),
        (["--top=11"], "--top=11: expected at most 10"),
        (["--format=xml"], "--format=xml: expected"),
    ],
)
def test_predict_refuses_flags_that_make_no_sense(
    flags, line, exported, pictures, capsys
):
    words = [f"--model={exported}", *flags, str(pictures)]
    assert predict.main(words) == 1
    found = capsys.readouterr()
    assert found.out == "" and line in found.err and found.err.count("\n") == 1


def test_sizes_of_many_kinds_are_summed_up(exported, pictures, capsys):
    for side in (10, 20, 30, 40):
        pixels = np.zeros([side, 2 * side], np.uint8)
        PIL.Image.fromarray(pixels).save(pictures / f"x{side}.png")
    words = [f"--model={exported}", str(pictures / "x*.png"), str(pictures / "0.png")]
    assert predict.main(words) == 0
    said = capsys.readouterr().err
    assert said == (
        "4 of 5 images were resized to 28x28 pixels (height x width), which this model "
        "takes: 1 of 10x20 (bilinear), 1 of 20x40 (bilinear), 1 of 30x60 (mean of "
        "areas), others of 1 more size\n"
    )


def write_dark_on_light(folder, test_split, count):
    """The first digits as ink on paper; returns their labels."""
    for index in range(count):
        pixels = 255 - test_split.images[index, ..., 0]
        PIL.Image.fromarray(pixels).save(folder / f"paper{index}.png")
    return test_split.labels[:count].tolist()


def labels_of(lines):
    return [int(line.split(": ")[1].split(" ")[0]) for line in lines.splitlines()]


def test_predict_warns_of_dark_on_light_and_prepares_it_when_asked(
    pictures, test_split, capsys
):
    labels = write_dark_on_light(pictures, test_split, 3)
    paper = [str(pictures / f"paper{index}.png") for index in range(3)]
    words = ["--model=preset:demo", *paper, str(pictures / "3.png")]
    assert predict.main(words) == 0
    found = capsys.readouterr()
    assert found.err == (
        "warning: 3 of 4 images are dark on light, and this model learned light on "
        "dark, so its predictions are probably wrong; --prepare makes them like the "
        "images of its training\n"
    )
    *wrong, right = labels_of(found.out)
    assert wrong != labels and right == test_split.labels[3]
    assert predict.main([*words, "--prepare"]) == 0
    found = capsys.readouterr()
    assert labels_of(found.out) == [*labels, right]
    assert found.err == (
        "3 of 4 images: inverted, because the model learned light on dark.\n"
        "1 of 4 images: no change was needed.\n"
    )


def test_export_states_its_polarity_and_an_old_one_is_silent(
    exported, pictures, test_split, tmp_path, capsys
):
    path = exported / "metadata.json"
    metadata = json.loads(path.read_text())
    assert metadata["polarity"] == "light on dark"
    write_dark_on_light(pictures, test_split, 1)
    paper = str(pictures / "paper0.png")
    assert predict.main([f"--model={exported}", paper]) == 0
    assert capsys.readouterr().err.startswith("warning: 1 of 1 image is dark on light")
    old = shutil.copytree(exported, tmp_path / "old")
    del metadata["polarity"]
    (old / "metadata.json").write_text(json.dumps(metadata))
    assert predict.main([f"--model={old}", paper]) == 0
    assert capsys.readouterr().err == ""


def test_prepared_pictures_are_those_of_the_app(of_preset, test_split, tmp_path):
    from ram_tf.playground.inputs import read_upload
    from ram_tf.serving.classify import read_for
    from ram_tf.serving.prepare import prepare

    path = str(tmp_path / "photo.png")
    pixels = 255 - np.kron(test_split.images[0, ..., 0], np.ones([9, 7], np.uint8))
    PIL.Image.fromarray(np.pad(pixels, 40, constant_values=255)).save(path)
    read = read_for(of_preset.metadata, path, prepared=True)
    upload = prepare(read_upload(path, of_preset.background), of_preset.metadata)
    np.testing.assert_array_equal(read.images[0], upload.image)
    assert read.said == (upload.said,) and "Made like a digit of MNIST" in upload.said
    assert of_preset.predict(read.images)["label"] == test_split.labels[:1]


def test_blank_picture_cannot_be_prepared(of_preset, tmp_path, capsys):
    path = tmp_path / "blank.png"
    PIL.Image.fromarray(np.full([40, 40], 255, np.uint8)).save(path)
    assert predict.main(["--model=preset:demo", "--prepare", str(path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {path}: expected a digit, found nothing")
    np.savez(tmp_path / "a.npz", images=np.full([2, 40, 40, 1], 255, np.uint8))
    words = ["--model=preset:demo", "--prepare", str(tmp_path / "a.npz")]
    assert predict.main(words) == 1
    assert "a.npz[0]: expected a digit" in capsys.readouterr().err


def test_bar_is_for_terminals_alone(exported, pictures, capsys):
    for index in range(70):
        shutil.copy(pictures / "0.png", pictures / f"y{index}.png")
    assert predict.main([f"--model={exported}", str(pictures / "y*.png")]) == 0
    found = capsys.readouterr()
    assert found.err == "" and len(found.out.splitlines()) == 70
    assert pathlib.Path(found.out.splitlines()[69].split(": ")[0]).name == "y9.png"


def test_the_early_check_leaves_the_hub_alone(monkeypatch):
    asked = "ram_tf.models.preset_files._download"
    monkeypatch.setattr(asked, lambda address: pytest.fail(f"asked for {address}"))
    check_model("preset:hf://user/name")
    with pytest.raises(RamError, match="expected one of"):
        check_model("preset:wanting")


def test_files_of_one_name_are_told_apart_by_their_folder():
    assert distinct_names(["pets/cat/1.png", "2.png"]) == ["1.png", "2.png"]
    found = distinct_names(["pets/cat/1.png", "pets/dog/1.png", "2.png"])
    assert found == ["cat/1.png", "dog/1.png", "2.png"]
