"""Tasks against a NumPy oracle, their chances against the uniform distribution."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from ram_tf.config import Config
from ram_tf.data.tasks import Task
from ram_tf.errors import RamError

SHIFT = 4  # The default of max_shift.


def draws_for(task, count, *, training=False, seed=0):
    generator = np.random.default_rng(seed)
    shape = (count, task.num_draws(training))
    return generator.integers(0, 2**32, shape, dtype=np.uint32)


def random_pool(count, height, width, channels, seed=1):
    generator = np.random.default_rng(seed)
    return generator.integers(1, 256, (count, height, width, channels), dtype=np.uint8)


def oracle(task, pool, index, draws):
    """Composes one image pixel by pixel, as design and paper describe it."""
    draws = [int(draw) for draw in draws]
    height, width, channels = pool.shape[1:]
    size, side = task.clutter_size, task.canvas_size
    canvas = np.zeros((side, side, channels), np.uint8)
    top, left = draws[0] % (side - height + 1), draws[1] % (side - width + 1)
    canvas[top : top + height, left : left + width] = pool[index]
    for piece in range(task.num_clutter):
        other, cut_y, cut_x, put_y, put_x = draws[2 + 5 * piece : 7 + 5 * piece]
        source = pool[(index + 1 + other % (len(pool) - 1)) % len(pool)]
        cut_y, cut_x = cut_y % (height - size + 1), cut_x % (width - size + 1)
        put_y, put_x = put_y % (side - size + 1), put_x % (side - size + 1)
        cut = source[cut_y : cut_y + size, cut_x : cut_x + size]
        under = canvas[put_y : put_y + size, put_x : put_x + size]
        if not task.clutter_overlap:
            under[:] = under if under.any() else cut
        else:
            under[:] = np.maximum(under, cut) if channels == 1 else cut
    return canvas


def chi_square(counts):
    expected = np.sum(counts) / np.size(counts)
    return np.sum((np.asarray(counts) - expected) ** 2) / expected


def assert_uniform(values, choices):
    counts = np.bincount(np.asarray(values).reshape(-1), minlength=choices)
    assert len(counts) == choices
    freedom = choices - 1
    # Mean plus 5 standard deviations of the chi-square distribution.
    assert chi_square(counts) < freedom + 5 * np.sqrt(2 * freedom)


def test_plain_only_scales():
    pool = random_pool(4, 5, 6, 3)
    task = Task()
    images = task(pool[:2], draws_for(task, 2), pool, [0, 1])
    np.testing.assert_allclose(images, pool[:2].astype(np.float32) / 255, rtol=1e-6)
    levels = np.arange(256, dtype=np.uint8)
    assert (np.diff(task.to_float(levels)) > 0).all()
    assert task.to_float(levels).numpy()[[0, 255]].tolist() == [0, 1]
    assert task.output_shape((5, 6, 3)) == (5, 6, 3)


def test_pixel_range_byte_keeps_0_to_255():
    pool = random_pool(2, 5, 5, 1)
    task = Task(pixel_range="byte")
    images = task(pool, draws_for(task, 2), pool, [0, 1])
    assert images.dtype == tf.float32
    np.testing.assert_array_equal(images, pool.astype(np.float32))


@pytest.mark.parametrize("pixel_range", ["unit", "byte"])
def test_bytes_come_back_as_they_were(pixel_range):
    task = Task(pixel_range=pixel_range)
    levels = np.arange(256, dtype=np.uint8)
    found = task.to_bytes(task.to_float(levels))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, levels)


@pytest.mark.parametrize("channels", [1, 3])
def test_translated_image_is_whole_on_a_black_canvas(channels):
    pool = random_pool(64, 7, 5, channels)  # No black pixel: the image is seen.
    task = Task(task="translated", canvas_size=12)
    images = task.compose(pool, draws_for(task, 64), pool, np.arange(64)).numpy()
    assert images.shape == (64, 12, 12, channels)
    assert images.shape[1:] == task.output_shape(pool.shape[1:])
    for image, canvas in zip(pool, images, strict=True):
        rows, columns = np.nonzero(canvas.any(-1))
        seen = canvas[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        np.testing.assert_array_equal(seen, image)
        assert np.count_nonzero(canvas) == image.size


def test_translated_places_are_uniform():
    count, side, size = 20_000, 9, 5
    pool = np.full((2, size, size, 1), 255, np.uint8)
    task = Task(task="translated", canvas_size=side)
    draws = tf.random.stateless_uniform([count, 2], [3, 4], None, None, tf.uint32)
    images = task.compose(pool[np.zeros(count, int)], draws, pool, np.zeros(count, int))
    seen = images.numpy()[..., 0] > 0
    top, left = seen.any(2).argmax(1), seen.any(1).argmax(1)
    choices = side - size + 1
    assert_uniform(top * choices + left, choices**2)


def test_canvas_of_the_image_size_moves_nothing():
    pool = random_pool(3, 6, 6, 1)
    task = Task(task="translated", canvas_size=6)
    images = task.compose(pool, draws_for(task, 3), pool, [0, 1, 2])
    np.testing.assert_array_equal(images, pool)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(8, 8), (9, 6)])
def test_cluttered_equals_the_oracle(channels, shape):
    pool = random_pool(20, *shape, channels)
    task = Task(task="cluttered", canvas_size=14, num_clutter=5, clutter_size=4)
    index = np.random.default_rng(5).integers(0, 20, 50)
    draws = draws_for(task, 50)
    images = task.compose(pool[index], draws, pool, index).numpy()
    for row in range(50):
        expected = oracle(task, pool, index[row], draws[row])
        np.testing.assert_array_equal(images[row], expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_clutter_without_overlap_equals_the_oracle(channels):
    pool = random_pool(20, 8, 8, channels)
    pool[::3] = 0  # A black piece leaves its place free.
    task = Task(
        task="cluttered",
        canvas_size=16,
        num_clutter=9,
        clutter_size=3,
        clutter_overlap=False,
    )
    index = np.random.default_rng(5).integers(0, 20, 50)
    draws = draws_for(task, 50)
    images = task.compose(pool[index], draws, pool, index).numpy()
    expected = [oracle(task, pool, *row) for row in zip(index, draws, strict=True)]
    np.testing.assert_array_equal(images, expected)
    # The rule was asked: some pieces landed, some did not.
    alone = Task(task="translated", canvas_size=16)
    added = images != alone.compose(pool[index], draws, pool, index).numpy()
    landed = added.any(axis=-1).sum(axis=(1, 2)) / 9
    assert 1 < landed.mean() < 6  # Of 9, a third of them black.


def test_clutter_count_and_size():
    # Black images with one bright stranger: what is bright is clutter.
    pool = np.full((200, 10, 10, 1), 255, np.uint8)
    pool[0] = 0
    areas = {}
    for count in (0, 1, 3):
        task = Task(task="cluttered", canvas_size=40, num_clutter=count, clutter_size=6)
        draws = draws_for(task, 300)
        images = task.compose(pool[np.zeros(300, int)], draws, pool, np.zeros(300, int))
        bright = images.numpy()[..., 0] > 0
        areas[count] = bright.sum((1, 2))
        if count == 1:
            assert (bright.any(1).sum(1) == 6).all()
            assert (bright.any(2).sum(1) == 6).all()
    assert (areas[0] == 0).all()
    assert (areas[1] == 36).all()
    assert areas[3].max() == 3 * 36  # Side by side on most canvases, ...
    assert (areas[3] >= 36).all()  # ... or on each other.
    assert np.median(areas[3]) > 2 * 36


def test_clutter_is_cut_from_other_images_of_the_pool_only():
    count, num_images = 4000, 12
    levels = np.arange(1, num_images + 1, dtype=np.uint8)
    pool = np.broadcast_to(levels[:, None, None, None], (num_images, 4, 4, 1))
    task = Task(task="cluttered", canvas_size=60, num_clutter=1, clutter_size=2)
    index = np.arange(count) % num_images
    images = task.compose(pool[index], draws_for(task, count), pool, index).numpy()
    steps = []
    for canvas, own in zip(images, index, strict=True):
        found = set(np.unique(canvas)) - {0, levels[own]}
        assert len(found) <= 1  # Darker clutter may lie under the image.
        assert found <= set(levels.tolist())
        steps += [(level - 1 - own) % num_images for level in found]
    assert len(steps) > 0.98 * count
    assert 0 not in steps
    assert_uniform(np.array(steps) - 1, num_images - 1)


def test_clutter_from_a_split_of_two_is_never_the_image_itself():
    pool = np.zeros((2, 4, 4, 1), np.uint8)
    pool[1] = 9
    task = Task(task="cluttered", canvas_size=4, num_clutter=3, clutter_size=4)
    zeros, ones = np.zeros(50, int), np.ones(50, int)
    draws = draws_for(task, 50)
    assert (task.compose(pool[zeros], draws, pool, zeros).numpy() == 9).all()
    colour = np.repeat(pool, 3, -1)  # Replaced: the black stranger covers.
    assert (task.compose(colour[ones], draws, colour, ones).numpy() == 0).all()


def test_clutter_of_one_channel_keeps_the_brighter_pixel():
    pool = np.array([[[[7]]], [[[200]]]], np.uint8)
    task = Task(task="cluttered", canvas_size=1, num_clutter=1, clutter_size=1)
    images = task.compose(pool, draws_for(task, 2), pool, [0, 1])
    np.testing.assert_array_equal(images, [[[[200]]], [[[200]]]])


def test_grayscale_is_rounded_itu_601_luma():
    pool = random_pool(30, 6, 6, 3)
    task = Task(grayscale=True, pixel_range="byte")
    images = task(pool, draws_for(task, 30), pool, np.arange(30)).numpy()
    luma = pool.astype(np.float64) @ [0.299, 0.587, 0.114]
    assert images.shape == (30, 6, 6, 1)
    assert np.abs(images[..., 0] - luma).max() <= 0.5 + 1e-9
    white = task.to_gray(tf.fill([1, 1, 1, 3], tf.constant(255, tf.uint8)))
    assert white.numpy().item() == 255


def test_grayscale_clutter_is_merged_by_maximum():
    pool = random_pool(10, 6, 6, 3)
    task = Task(task="cluttered", canvas_size=9, clutter_size=3, grayscale=True)
    draws, index = draws_for(task, 10), np.arange(10)
    images = task.compose(pool, draws, pool, index).numpy()
    gray = task.to_gray(pool).numpy()
    for row in range(10):
        expected = oracle(task, gray, row, draws[row])
        np.testing.assert_array_equal(images[row], expected)


def test_grayscale_leaves_gray_images():
    pool = random_pool(3, 4, 4, 1)
    assert Task(grayscale=True).to_gray(pool) is pool


def test_flip_mirrors_half_of_the_training_images():
    pool = random_pool(400, 4, 5, 3)
    task = Task(augmentation="flip")
    draws = draws_for(task, 400, training=True)
    images = task.compose(pool, draws, pool, np.arange(400), training=True).numpy()
    kept = (images == pool).all((1, 2, 3))
    mirrored = (images == pool[:, :, ::-1]).all((1, 2, 3))
    assert (kept ^ mirrored).all()
    assert 150 < mirrored.sum() < 250


def test_shift_keeps_the_image_and_moves_it_by_at_most_max_shift():
    pool = random_pool(60, 6, 7, 1)
    task = Task(augmentation="shift", max_shift=2, pixel_range="byte")
    draws = draws_for(task, len(pool), training=True)
    moved = task(pool, draws, pool, np.arange(len(pool)), training=True).numpy()
    for image, down, right, found in zip(pool, *draws.T[:2], moved, strict=True):
        padded = np.pad(image, ((4, 4), (4, 4), (0, 0)))
        top, left = 6 - int(down) % 5, 6 - int(right) % 5
        np.testing.assert_array_equal(found, padded[top : top + 6, left : left + 7])


def test_flip_crop_shifts_by_up_to_four_pixels():
    pool = random_pool(2000, 12, 10, 1)
    task = Task(augmentation="flip_crop")
    draws = draws_for(task, 2000, training=True)
    images = task.compose(pool, draws, pool, np.arange(2000), training=True).numpy()
    shifts = []
    for row in range(2000):
        flip, top, left = (int(draw) for draw in draws[row])
        image = pool[row, :, ::-1] if flip % 2 else pool[row]
        padded = np.pad(image, ((2 * SHIFT,) * 2, (2 * SHIFT,) * 2, (0, 0)))
        top, left = top % (2 * SHIFT + 1), left % (2 * SHIFT + 1)
        start_y, start_x = 3 * SHIFT - top, 3 * SHIFT - left
        expected = padded[start_y : start_y + 12, start_x : start_x + 10]
        np.testing.assert_array_equal(images[row], expected)
        shifts.append(top * (2 * SHIFT + 1) + left)
    assert_uniform(shifts, (2 * SHIFT + 1) ** 2)


def test_augmentation_is_for_training_only():
    pool = random_pool(40, 4, 4, 1)
    task = Task(augmentation="flip_crop")
    draws = draws_for(task, 40)
    assert draws.shape == (40, 0)
    np.testing.assert_array_equal(task.compose(pool, draws, pool, np.arange(40)), pool)


def test_augmentation_does_not_change_places_and_clutter():
    plain = Task(task="cluttered", canvas_size=20, clutter_size=4)
    flipped = Task(
        task="cluttered", canvas_size=20, clutter_size=4, augmentation="flip"
    )
    pool = np.tile(random_pool(1, 6, 3, 1), (9, 1, 2, 1))
    pool = np.concatenate([pool, pool[:, :, ::-1]], 2)  # Its own mirror image.
    draws = draws_for(flipped, 9, training=True)
    index = np.arange(9)
    np.testing.assert_array_equal(
        flipped.compose(pool, draws, pool, index, training=True),
        plain.compose(pool, draws[:, :-1], pool, index, training=True),
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_eager_equals_function_and_tf_data(channels):
    pool = random_pool(16, 8, 8, channels)
    task = Task(
        task="cluttered", canvas_size=15, clutter_size=3, augmentation="flip_crop"
    )
    draws, index = draws_for(task, 16, training=True), np.arange(16)
    eager = task(pool, draws, pool, index, training=True)

    @tf.function(autograph=False)
    def traced(images, draws, index):
        return task(images, draws, pool, index, training=True)

    np.testing.assert_array_equal(traced(pool, draws, index), eager)
    dataset = tf.data.Dataset.from_tensor_slices((pool, draws, index)).batch(5)
    mapped = [images.numpy() for images in dataset.map(traced)]
    np.testing.assert_array_equal(np.concatenate(mapped), eager)


@pytest.mark.parametrize(
    ("settings", "image_shape", "flag"),
    [
        ({"task": "translated", "canvas_size": 27}, (28, 20, 1), "--canvas_size=27"),
        ({"task": "translated", "canvas_size": 27}, (20, 28, 1), "--canvas_size=27"),
        ({"task": "cluttered", "clutter_size": 9}, (28, 8, 1), "--clutter_size=9"),
        ({}, (28, 28, 2), "2 channels"),
    ],
)
def test_sizes_that_do_not_fit_name_the_flag(settings, image_shape, flag):
    with pytest.raises(RamError, match=flag) as error:
        Task(**settings).output_shape(image_shape)
    assert "\n" not in str(error.value)
    assert "expected" in str(error.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"task": "rotated"},
        {"pixel_range": "float"},
        {"augmentation": "cutout"},
        {"canvas_size": 0},
        {"num_clutter": -1},
        {"clutter_size": 0},
        {"max_shift": 0},
        {"canvas_size": 60.5},
        {"num_clutter": True},
        {"grayscale": 1},
    ],
)
def test_bad_settings_name_the_flag(settings):
    (name,) = settings
    with pytest.raises(RamError, match=f"--{name}=.*expected"):
        Task(**settings)


def test_settings_are_held_to_the_fields_of_a_run():
    for field in dataclasses.fields(Task):
        assert field.default == getattr(Config(), field.name)
    with pytest.raises(RamError) as mine:
        Task(canvas_size=0)
    with pytest.raises(RamError) as of_a_run:
        Config(canvas_size=0)
    assert str(mine.value) == str(of_a_run.value)


def test_clutter_larger_than_the_image_matters_to_cluttered_only():
    assert Task(task="translated", clutter_size=50).output_shape((28, 28, 1))
    task = Task(task="cluttered", clutter_size=50, num_clutter=0)
    assert task.output_shape((28, 28, 1)) == (60, 60, 1)


def test_clutter_needs_another_image():
    pool = random_pool(1, 8, 8, 1)
    task = Task(task="cluttered")
    with pytest.raises(RamError, match="--task=cluttered"):
        task.compose(pool, draws_for(task, 1), pool, [0])
