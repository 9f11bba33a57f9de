"""Pictures of what a preset looks at."""

import json
import shutil
import types

import numpy as np
import PIL.Image
import pytest

from ram_tf.data.sources.open import open_source
from ram_tf.figures import main
from ram_tf.models.presets import load_preset
from ram_tf.viz.geometry import UNKNOWN
from ram_tf.viz.path_figure import _verdict
from ram_tf.viz.path_panels import _shown_classes, draw_probabilities
from ram_tf.viz.preset_paths import NUM_IMAGES, paths_on_files, paths_on_test


@pytest.fixture
def digits(tmp_path):
    """Files of the first three test digits, and their images."""
    images = open_source("mnist_sample").split("test").images[:3]
    files = [str(tmp_path / f"{index}.png") for index in range(3)]
    for file, image in zip(files, images, strict=True):
        PIL.Image.fromarray(image[..., 0]).save(file)
    return files, images


def test_paths_on_test_are_of_the_first_test_images():
    preset = load_preset("demo")
    record = paths_on_test(preset)
    test = open_source("mnist_sample").split("test")
    assert len(record.paths) == NUM_IMAGES
    for index, path in enumerate(record.paths):
        np.testing.assert_array_equal(path.image, test.images[index])
        assert path.label == test.labels[index]
        np.testing.assert_array_equal(path.locations[0], [0, 0])
    assert sum(path.is_right for path in record.paths) > 15
    ends = np.stack([path.probabilities[-1] for path in record.paths])
    expected = preset.model(test.images[:NUM_IMAGES]).numpy()
    np.testing.assert_allclose(ends, expected, atol=1e-4)


def test_a_task_is_shown_on_the_embedded_digits():
    record = paths_on_test(load_preset("cluttered60_8g"))
    assert record.paths[0].image.shape == (60, 60, 1)
    labels = open_source("mnist_sample").split("test").labels[:NUM_IMAGES]
    assert [path.label for path in record.paths] == labels.tolist()
    assert sum(path.is_right for path in record.paths) > 15


def test_files_have_no_label_and_keep_their_order(digits):
    files, images = digits
    record, notes = paths_on_files(load_preset("demo"), files, resize=False)
    assert notes == []
    assert [path.label for path in record.paths] == [UNKNOWN] * 3
    for path, image in zip(record.paths, images, strict=True):
        np.testing.assert_array_equal(path.image, image)


@pytest.mark.parametrize(
    "words",
    [
        ["--run_dir=x", "--prepare"],
        ["--run_dir=x", "--resize=false"],
        ["--run_dir=x", "--data_dir=y"],
        ["--model=preset:demo", "--prepare"],
        ["--model=preset:demo", "--resize=false"],
        ["--model=preset:demo", "--data_dir=y", "x.png"],
    ],
)
def test_flags_without_a_meaning_are_refused(words, tmp_path, capsys):
    assert main([*words, f"--out={tmp_path / 'x.png'}"]) == 1
    name = words[1].partition("=")[0]
    assert f"error: {name}: expected with" in capsys.readouterr().err


def test_a_folder_of_a_preset_needs_no_prefix_and_its_own_images_files(
    digits, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "pets"
    shutil.copytree(load_preset("demo").folder, folder)
    out = tmp_path / "x.png"
    monkeypatch.chdir(tmp_path)
    assert main(["--model=./pets", f"--out={out}", digits[0][0]]) == 0
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["config"]["dataset"] = "folder:shapes"
    (folder / "metadata.json").write_text(json.dumps(metadata))
    capsys.readouterr()
    assert main(["--model=./pets", f"--out={out}"]) == 1
    said = "the preset is of own images, folder:shapes, which are not here: name image"
    assert said in capsys.readouterr().err


def test_of_many_classes_the_prediction_is_shown():
    probabilities = np.zeros([12, 20], np.float32)
    probabilities[np.arange(11), np.arange(11)] = 0.9  # Others were surer before.
    probabilities[11, 15] = 0.5
    path = types.SimpleNamespace(probabilities=probabilities, label=UNKNOWN)
    assert 15 in _shown_classes(path)


def test_an_image_without_a_label_is_neither_right_nor_wrong(digits):
    from matplotlib.figure import Figure

    files, _ = digits
    record, _ = paths_on_files(load_preset("demo"), files[:1])
    (path,) = record.paths
    text, colour = _verdict(path, record.class_names, -1)
    marked, other = _verdict(
        path._replace(label=path.prediction), record.class_names, -1
    )
    assert text.startswith("0.png: predicts ")
    assert marked.startswith("✓ 0.png: predicts ")
    assert colour != other
    draw_probabilities(Figure().add_subplot(), path, record, record.class_names, -1)


def test_figures_command_draws_a_preset(digits, tmp_path, capsys):
    files, images = digits
    out = tmp_path / "x.png"
    assert main(["--model=preset:demo", f"--out={out}", *files]) == 0
    assert capsys.readouterr().out == f"{out}: Shown: 3 images\n"
    words = ["--model=preset:demo", f"--out={out}", "--num_examples=1", *files]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{out}: Shown: 1 of 3 images\n"
    np.savez(tmp_path / "x.npz", images=images, labels=[0, 0, 0])
    assert main(["--model=preset:demo", f"--out={out}", str(tmp_path / "x.npz")]) == 0
    assert " of 3 images predicted right; shown: " in capsys.readouterr().out
    assert PIL.Image.open(out).size[0] > 500


def test_wrong_words_of_figures_are_one_line(digits, tmp_path, capsys):
    files, _ = digits
    out = f"--out={tmp_path / 'x.png'}"
    for words, expected in (
        (["--model=demo", out], "--model=demo: expected preset:NAME"),
        (["--model=preset:demo"], "--out is required with --model"),
        (["--model=preset:none", out], "cluttered60_8g, demo"),
        (["--model=preset:demo", "--run_dir=x", out], "one of --run_dir and --model"),
        (["--run_dir=x", out, files[0]], f"{files[0]}: expected no images"),
        (
            ["--model=preset:cluttered60_8g", out, "--resize=false", files[0]],
            "--resize=true resizes",
        ),
        (["--model=preset:demo", out, "no.png"], "no.png: "),
    ):
        assert main(words) == 1, words
        error = capsys.readouterr().err
        assert expected in error and error.count("\n") == 1
    assert not (tmp_path / "x.png").exists()
