"""What the app shows: paths of a model, and the HTML of a moment."""

import base64
import io
import re

import numpy as np
import PIL.Image
import pytest

from ram_tf.data.sources.open import open_source
from ram_tf.playground import looks, scene
from ram_tf.serving.predictor import Path, load_predictor
from ram_tf.viz.geometry import cut_patches, top_left_px


@pytest.fixture(scope="module")
def model():
    return load_predictor("preset:demo")


@pytest.fixture(scope="module")
def digit():
    return open_source("mnist_sample").split("test").images[0]


def test_rollouts_begin_at_the_given_place_and_elsewhere(model, digit):
    found = looks.look(model, digit, (1.0, -0.5), 5)
    assert found.probabilities.shape == (5, 8, 10)
    starts = found.locations[:, 0]
    assert starts[0].tolist() == [1.0, -0.5] and np.abs(starts).max() <= 1
    apart = np.abs(starts[:, None] - starts).sum(-1) + 9 * np.eye(5)
    assert apart.min() > 0.2
    again = looks.look(model, digit, (1.0, -0.5), 5)
    np.testing.assert_array_equal(again.probabilities, found.probabilities)


def test_policies_are_compared_on_the_same_weights(model, digit):
    found = looks.compare_policies(model, digit, (0.0, 0.0))
    assert [prediction.policy for prediction in found] == [
        "learned",
        "random",
        "center",
    ]
    assert [prediction.num_paths for prediction in found] == [20, 20, 1]
    path = looks.look(model, digit, (0.0, 0.0), 20).probabilities[:, -1].mean(0)
    assert found[0].label == path.argmax()
    assert found[0].probability == pytest.approx(path.max(), abs=1e-5)
    assert looks.compare_policies(model, digit, (0.0, 0.0)) == found
    html = scene.policy_table(found, model.class_names)
    assert html.count("<tr>") == 4 and " of 20<" in html and " of 1<" in html


@pytest.mark.parametrize("step", [0, 3, 7])
def test_scene_shows_the_glimpses_so_far(step, model, digit):
    path = looks.look(model, digit, (0.2, -0.4), 1)
    html = scene.scene(digit, path, step, model, "<said> & done")
    assert f'data-step="{step + 1}"' in html and "&lt;said&gt; &amp; done" in html
    boxes = re.findall(r'<rect x="(-?\d+)" y="(-?\d+)" width="8"', html)
    expected = top_left_px(path.locations[0, : step + 1], (28, 28), 8)
    assert [(int(y), int(x)) for x, y in boxes] == list(map(tuple, expected.tolist()))
    tiles = html.split('class="ram-tiles"')[1].split('class="ram-bars"')[0]
    seen = re.findall(r"base64,([^\"]+)", tiles)
    assert len(seen) == step + 1 and tiles.count("ram-to-come") == 7 - step
    pixels = np.asarray(PIL.Image.open(io.BytesIO(base64.b64decode(seen[-1]))))
    patch = cut_patches(digit, path.locations[0, step], 8, 1)[0, ..., 0]
    np.testing.assert_array_equal(pixels, patch)
    label = path.probabilities[0, step].argmax()
    assert f'data-label="{model.class_names[label]}"' in html
    widths = [float(width) for width in re.findall(r"width:([\d.]+)%", html)]
    assert widths == pytest.approx(100 * path.probabilities[0, step], abs=0.051)


def test_names_of_classes_are_no_markup(digit):
    class Model:
        class_names = ["<em>", "x"]
        num_glimpses, num_scales, patch_size = 1, 1, 8

    path = Path(np.float32([[[0.9, 0.1]]]), np.zeros([1, 1, 2], np.float32))
    html = scene.scene(digit, path, 0, Model, "")
    assert "<em>" not in html and "&lt;em&gt;" in html
    assert 'role="alert"' in scene.message("<i>", is_error=True)
    assert "<i>" not in scene.message("<i>")
