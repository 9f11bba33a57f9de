import json

import numpy as np
import pytest
import tensorflow as tf
from helpers.run_files import CLASSES, write_run

from ram_tf.errors import RamError
from ram_tf.layers import GlimpseSensor
from ram_tf.layers.sensor import top_left
from ram_tf.runs.directory import RunDirectory
from ram_tf.viz.geometry import (
    GlimpsePath,
    choose_paths,
    cut_patches,
    moved_apart_px,
    read_paths,
    top_left_px,
)


def path_of(label: int, prediction: int) -> GlimpsePath:
    probabilities = np.eye(CLASSES, dtype=np.float32)[[prediction]]
    return GlimpsePath(
        np.zeros([4, 4, 1], np.uint8), label, np.zeros([1, 2]), probabilities
    )


@pytest.mark.parametrize("patch_size", [3, 8])
@pytest.mark.parametrize("channels", [1, 3])
def test_cut_patches_equals_the_sensor(patch_size, channels):
    random = np.random.default_rng(1)
    image = random.integers(0, 256, [28, 20, channels], np.uint8)
    corners = [[-1, -1], [-1, 1], [1, -1], [1, 1], [0, 0]]
    locations = np.concatenate([corners, random.uniform(-1, 1, [40, 2])])
    locations = locations.astype(np.float32)
    images = np.repeat(image[None].astype(np.float32), len(locations), 0)
    expected = GlimpseSensor(patch_size, 3)(images, locations).numpy()
    for location, patches in zip(locations, expected, strict=True):
        found = cut_patches(image, location, patch_size, 3)
        scales = np.split(patches, 3, axis=-1)
        np.testing.assert_allclose(found, scales, rtol=1e-5, atol=1e-3)


def test_top_left_px_of_the_centre_and_the_corner():
    # Even: of 28 pixels the centre is at 13.5, and rows 10..17 are the patch.
    assert top_left_px([0.0, 0.0], (28, 28), 8).tolist() == [10, 10]
    corner = [[-1.0, 1.0]]
    assert top_left_px(corner, (28, 20), 8).tolist() == [[-3, 16]]
    assert top_left_px(corner, (28, 20), 3).tolist() == [[-1, 18]]


@pytest.mark.parametrize("side", [1, 3, 8, 12])
def test_top_left_px_rounds_as_the_sensor_does(side):
    # Locations whose pixel is whole or a half: where rounding decides.
    halves = np.random.default_rng(0).integers(0, 2 * 27, (50, 2))
    locations = halves.astype(np.float32) / 27 - 1
    expected = top_left(locations, tf.constant([28, 28]), side)
    np.testing.assert_array_equal(top_left_px(locations, (28, 28), side), expected)


def test_choose_paths_shows_many_classes_and_wrong_predictions_last():
    paths = [path_of(0, 0), path_of(0, 0), path_of(2, 1), path_of(1, 1), path_of(3, 0)]
    chosen = choose_paths(paths, 3)
    assert [(p.label, p.prediction) for p in chosen] == [(0, 0), (1, 1), (2, 1)]
    assert [p.label for p in choose_paths(paths, 10)] == [0, 1, 0, 2, 3]
    assert [p.label for p in choose_paths(paths, 1)] == [2]
    assert all(p.is_right for p in choose_paths(paths[:2], 2))


def test_read_paths_returns_what_the_run_wrote(tmp_path):
    record = read_paths(write_run(tmp_path, [0, 1, 2], [0, 1, 3]))
    assert [(p.label, p.prediction, p.is_right) for p in record.paths] == [
        (0, 0, True),
        (1, 1, True),
        (2, 3, False),
    ]
    assert record.class_names == list("abcd")
    assert record.config.patch_size == 4


def test_read_paths_names_the_fault(tmp_path):
    with pytest.raises(RamError, match="expected a run of ram_tf.train, found none"):
        read_paths(RunDirectory(tmp_path))
    directory = write_run(tmp_path, [0], [0])
    whole = directory.examples.read_bytes()
    directory.examples.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RamError, match="examples.npz: expected the examples"):
        read_paths(directory)
    directory.examples.unlink()
    with pytest.raises(RamError, match="expected a finished run, found no results"):
        read_paths(directory)
    directory.results.write_text("{}")
    with pytest.raises(RamError, match="examples.npz.*found no such file"):
        read_paths(directory)
    directory.results.unlink()
    directory = write_run(tmp_path, [0], [0])
    values = json.loads(directory.config.read_text())
    directory.config.write_text(json.dumps({**values, "num_glimpses": 7}))
    with pytest.raises(RamError, match="paths of 7 glimpses"):
        read_paths(directory)
    write_run(tmp_path, [0], [0], model="fc")
    with pytest.raises(RamError, match="expected a run of --model=ram"):
        read_paths(directory)


def distances(points: np.ndarray) -> np.ndarray:
    apart = points[:, None] - points[None]
    return np.hypot(apart[..., 0], apart[..., 1])[np.triu_indices(len(points), 1)]


@pytest.mark.parametrize("spot", [(0, 0), (27, 27), (13.5, 9), (0, 13)])
def test_marks_on_one_spot_are_moved_apart_but_stay_in_the_image(spot):
    moved = moved_apart_px(np.full((8, 2), spot), 2.0, (28, 28))
    assert distances(moved).min() > 1.9
    assert moved.min() >= 0 and moved.max() <= 27
    assert np.abs(moved - spot).max() < 8


def test_marks_move_no_more_than_it_takes():
    points = np.array([[3, 3], [3, 3.5], [20, 20], [20, 8]], np.float32)
    moved = moved_apart_px(points, 2.0, (28, 28))
    np.testing.assert_array_equal(moved[2:], points[2:])
    np.testing.assert_allclose(moved[:2].mean(0), points[:2].mean(0))
    np.testing.assert_allclose(np.hypot(*(moved[0] - moved[1])), 2.0, rtol=0.02)
    np.testing.assert_array_equal(points[0], [3, 3])  # The path itself stays.


def test_marks_of_a_tiny_image_are_moved_as_far_as_it_reaches():
    moved = moved_apart_px(np.zeros((3, 2)), 2.0, (1, 1))
    np.testing.assert_array_equal(moved, np.zeros((3, 2)))
