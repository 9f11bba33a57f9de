"""Affine changes against bilinear interpolation in NumPy, and what they keep."""

import math

import numpy as np
import pytest
import tensorflow as tf

from ram_tf.data import affine
from ram_tf.data.sources.mnist_sample import MnistSample
from ram_tf.data.tasks import Task

MIDDLE = 2**31  # The draw of no change.


def draws_of(count, **fractions):
    """Draws of which each is a fraction of its largest value, by default 0."""
    names = ("angle", "zoom", "slant", "down", "right")
    draws = np.full([count, len(names)], MIDDLE, np.uint32)
    for name, fraction in fractions.items():
        value = min(round((1 + fraction) * 2**31), 2**32 - 1)
        draws[:, names.index(name)] = value
    return draws


def oracle(image, draws, max_shift):
    """One gray image, pixel by pixel: where it is read, and a bilinear mean there."""
    rows, columns = image.shape
    fractions = draws.astype(np.float64) / 2**31 - 1
    angle, zoom, slant = fractions[:3] * [math.radians(15), 0.15, 0.15]
    shift = fractions[3:] * max_shift
    turn = np.array(
        [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    )  # Of (row, column).
    matrix = (1 + zoom) * turn @ np.array([[1, 0], [slant, 1]])
    center = np.array([(rows - 1) / 2, (columns - 1) / 2])
    result = np.zeros(image.shape)
    for row in range(rows):
        for column in range(columns):
            y, x = matrix @ (np.array([row, column]) - center - shift) + center
            top, left = math.floor(y), math.floor(x)
            for near_y, near_x in np.ndindex(2, 2):
                at = (top + near_y, left + near_x)
                if 0 <= at[0] < rows and 0 <= at[1] < columns:
                    weight = (1 - abs(y - at[0])) * (1 - abs(x - at[1]))
                    result[row, column] += weight * image[at]
    return result


@pytest.mark.parametrize("shape", [(9, 12), (10, 7)])
def test_equals_bilinear_interpolation(shape):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, [6, *shape, 1], np.uint8)
    draws = rng.integers(0, 2**32, [6, 5], dtype=np.uint32)
    changed = affine.change(tf.constant(images), tf.constant(draws), 2).numpy()
    expected = [
        oracle(image[..., 0], draw, 2)
        for image, draw in zip(images, draws, strict=True)
    ]
    # Half a level of rounding, and the corner cases of float32.
    assert np.abs(changed[..., 0] - np.stack(expected)).max() < 0.51


def test_the_middle_draw_changes_nothing():
    images = np.random.default_rng(1).integers(0, 256, [3, 8, 8, 3], np.uint8)
    changed = affine.change(tf.constant(images), tf.constant(draws_of(3)), 2)
    np.testing.assert_array_equal(changed, images)


@pytest.mark.parametrize(
    ("fractions", "moved"),
    [({"down": 1}, (2, 0)), ({"right": 1}, (0, 2)), ({"right": -0.5}, (0, -1))],
)
def test_shift_moves_by_pixels(fractions, moved):
    image = np.zeros([1, 9, 9, 1], np.uint8)
    image[0, 4, 4] = 200
    changed = affine.change(
        tf.constant(image), tf.constant(draws_of(1, **fractions)), 2
    )
    expected = np.zeros([1, 9, 9, 1], np.uint8)
    expected[0, 4 + moved[0], 4 + moved[1]] = 200
    np.testing.assert_allclose(changed, expected, atol=1)


def test_digits_stay_inside():
    """Ink shrinks or grows with the size; the border costs few digits a little."""
    digits = MnistSample().split("train").images[:200]
    rng = np.random.default_rng(2)
    draws = rng.integers(0, 2**32, [200, 5], dtype=np.uint32)
    changed = affine.change(tf.constant(digits), tf.constant(draws), 2).numpy()
    ink, before = (x.sum((1, 2, 3), dtype=np.float64) for x in (changed, digits))
    zoom = 1 + 0.15 * (draws[:, 1] / 2**31 - 1)
    kept = ink * zoom**2 / before
    assert np.mean(np.abs(kept - 1) < 0.03) > 0.95
    assert kept.min() > 0.9 and kept.max() < 1.03
    assert (changed != digits).any((1, 2, 3)).all()


def test_the_task_changes_images_in_training_only():
    digits = MnistSample().split("train").images[:50]
    task = Task("translated", canvas_size=40, augmentation="affine", max_shift=1)
    plain = Task("translated", canvas_size=40)
    rng = np.random.default_rng(3)
    assert task.num_draws(training=True) == plain.num_draws(training=True) + 5
    assert task.num_draws(training=False) == plain.num_draws(training=False)
    draws = rng.integers(0, 2**32, [50, task.num_draws(True)], dtype=np.uint32)
    index = np.arange(50)
    found = task.compose(digits, draws, digits, index, training=True)
    changed = affine.change(tf.constant(digits), tf.constant(draws[:, 2:]), 1)
    expected = plain.compose(changed, draws[:, :2], digits, index, training=True)
    np.testing.assert_array_equal(found, expected)
    kept = task.compose(digits, draws[:, :2], digits, index)
    np.testing.assert_array_equal(
        kept, plain.compose(digits, draws[:, :2], digits, index)
    )
