"""Tests of the glimpse sensor against an oracle that loops over pixels."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from ram_tf.errors import RamError
from ram_tf.layers import GlimpseSensor

METHODS = ("gather", "tf_image")
# crop_and_resize interpolates at coordinates that are rounded to float32.
TOLERANCE = {"gather": 1e-6, "tf_image": 2e-5}


def oracle(image, location, patch_size, num_scales):
    """Cuts patches pixel by pixel: [g, g, K*C]."""
    height, width, channels = image.shape
    scales = []
    for k in range(num_scales):
        side = patch_size * 2**k
        corner = []
        for coordinate, extent in zip(location, (height, width), strict=True):
            centre_px = (coordinate + 1) / 2 * (extent - 1)
            if side % 2 == 0:
                corner.append(int(np.floor(centre_px)) - side // 2 + 1)
            else:
                corner.append(int(np.floor(centre_px + 0.5)) - (side - 1) // 2)
        patch = np.zeros([patch_size, patch_size, channels])
        pixels_per_cell = 2**k
        for row, column in itertools.product(range(side), repeat=2):
            y, x = corner[0] + row, corner[1] + column
            if 0 <= y < height and 0 <= x < width:
                cell = row // pixels_per_cell, column // pixels_per_cell
                patch[cell] += image[y, x] / pixels_per_cell**2
        scales.append(patch)
    return np.concatenate(scales, axis=-1)


def at_pixel(y, x, height, width):
    """Returns the location whose centre is the pixel (y, x)."""
    location = [2 * y / (height - 1) - 1, 2 * x / (width - 1) - 1]
    return np.array([location], np.float32)


def random_images(*shape):
    return np.random.default_rng(1).uniform(0, 1, shape).astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("num_scales", [1, 2, 3])
@pytest.mark.parametrize("patch_size", [1, 3, 4, 8])
def test_sensor_equals_the_oracle(patch_size, num_scales, method):
    images = random_images(6, 13, 17, 3)
    # Corners, places between, and a random rest.
    corners = [[-1, -1], [1, 1], [-1, 1], [0.97, -0.31]]
    rest = np.random.default_rng(2).uniform(-1, 1, (2, 2))
    locations = np.concatenate([corners, rest]).astype(np.float32)
    found = GlimpseSensor(patch_size, num_scales, method)(images, locations)
    expected = [
        oracle(image, location, patch_size, num_scales)
        for image, location in zip(images, locations, strict=True)
    ]
    np.testing.assert_allclose(found, expected, atol=TOLERANCE[method])


@pytest.mark.parametrize("method", METHODS)
def test_sensor_locations_are_y_then_x(method):
    image = np.zeros([1, 9, 13, 1], np.float32)
    image[0, 2, 10] = 1.0
    sensor = GlimpseSensor(3, method=method)
    expected = np.zeros([3, 3])
    expected[1, 1] = 1.0
    found = sensor(image, at_pixel(2, 10, 9, 13))[0, :, :, 0]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    swapped = sensor(image, at_pixel(2, 10, 9, 13)[:, ::-1])
    np.testing.assert_allclose(swapped, np.zeros([1, 3, 3, 1]), atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("y", "x"), [(0, 0), (0, 12), (8, 0), (8, 12), (4, 6)])
def test_sensor_ends_of_the_range_are_the_outermost_pixels(y, x, method):
    image = random_images(1, 9, 13, 1)
    found = GlimpseSensor(1, method=method)(image, at_pixel(y, x, 9, 13))
    np.testing.assert_allclose(found[0, 0, 0], image[0, y, x], atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("size", "patch_size", "first"),
    [
        (28, 8, 10),  # The middle 8 of 28.
        (9, 8, 1),  # Centre at pixel 4: three before it, four behind it.
        (9, 3, 3),  # The middle 3 of 9.
        (28, 3, 13),  # Centre at 13.5, rounded up to 14.
    ],
)
def test_sensor_at_zero_looks_at_the_middle(size, patch_size, first, method):
    image = random_images(1, size, size, 1)
    found = GlimpseSensor(patch_size, method=method)(image, np.zeros([1, 2], "float32"))
    inside = slice(first, first + patch_size)
    np.testing.assert_allclose(found[0], image[0, inside, inside], atol=2e-5)


@pytest.mark.parametrize("method", METHODS)
def test_sensor_sees_zeros_outside_the_image(method):
    image = np.ones([1, 6, 6, 1], np.float32)
    found = GlimpseSensor(4, method=method)(image, -np.ones([1, 2], "float32"))
    # Centre at pixel 0: one row and column before it, two behind it.
    expected = np.ones([4, 4])
    expected[0, :] = expected[:, 0] = 0.0
    np.testing.assert_allclose(found[0, :, :, 0], expected, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_sensor_scales_are_nested(method):
    image = random_images(1, 40, 40, 2)
    location = np.array([[0.1, -0.2]], np.float32)
    found = GlimpseSensor(8, 3, method)(image, location)[0].numpy()
    for k in (0, 1):
        finer = found[..., 2 * k : 2 * k + 2]
        coarser = found[..., 2 * k + 2 : 2 * k + 4]
        # What the finer patch shows is the middle of the coarser one, half as sharp.
        means = finer.reshape(4, 2, 4, 2, 2).mean(axis=(1, 3))
        np.testing.assert_allclose(coarser[2:6, 2:6], means, atol=2e-5)


@pytest.mark.parametrize("num_scales", [1, 3])
def test_sensor_methods_agree_on_many_places(num_scales):
    images = random_images(200, 20, 30, 1)
    locations = np.random.default_rng(3).uniform(-1, 1, (200, 2)).astype(np.float32)
    gathered = GlimpseSensor(5, num_scales, "gather")(images, locations)
    resized = GlimpseSensor(5, num_scales, "tf_image")(images, locations)
    np.testing.assert_allclose(gathered, resized, atol=2e-5)


@pytest.mark.parametrize("method", METHODS)
def test_sensor_reads_uint8_as_fractions_of_255(method):
    images = np.random.default_rng(4).integers(0, 256, (3, 10, 10, 3), np.uint8)
    locations = np.array([[0, 0], [-1, 1], [0.3, 0.4]], np.float32)
    sensor = GlimpseSensor(4, 2, method)
    found = sensor(images, locations)
    assert found.dtype == tf.float32
    expected = sensor(images.astype(np.float32) / 255, locations)
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("method", METHODS)
def test_sensor_lets_many_rollouts_read_one_image(method):
    images = random_images(3, 12, 12, 1)
    locations = np.random.default_rng(5).uniform(-1, 1, (12, 2)).astype(np.float32)
    sensor = GlimpseSensor(4, 2, method)
    found = sensor(images, locations)
    expected = sensor(np.repeat(images, 4, axis=0), locations)
    np.testing.assert_array_equal(found, expected)


def test_sensor_reads_no_pixel_outside_its_patches():
    image = np.full([1, 20, 20, 1], np.nan, np.float32)
    image[0, 6:14, 6:14] = 1.0
    found = GlimpseSensor(4, 2)(image, np.zeros([1, 2], np.float32))
    np.testing.assert_array_equal(found, np.ones([1, 4, 4, 2]))


def test_sensor_places_patches_in_float32_under_bfloat16():
    # Pixel 1001 of 2048 needs 11 bits; bfloat16 has 8.
    image = np.tile(np.arange(2048, dtype=np.float32), (1, 3, 1))[..., None]
    location = at_pixel(1, 1001, 3, 2048)
    sensor = GlimpseSensor(1, dtype="mixed_bfloat16")
    found = sensor(image, location)
    assert found.dtype == tf.bfloat16
    assert found[0, 0, 0, 0] == tf.cast(1001.0, tf.bfloat16)


def test_sensor_averages_before_it_rounds_to_bfloat16():
    image = 1 + random_images(1, 16, 16, 1) / 256  # Between two bfloat16 numbers.
    location = np.zeros([1, 2], np.float32)
    found = GlimpseSensor(2, 4, dtype="mixed_bfloat16")(image, location)
    expected = tf.cast(GlimpseSensor(2, 4)(image, location), tf.bfloat16)
    np.testing.assert_array_equal(found, expected)


def test_sensor_passes_gradient_to_images_and_none_to_locations():
    image = tf.Variable(random_images(1, 9, 9, 1))
    location = tf.Variable([[0.0, 0.0]])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(GlimpseSensor(3, 2)(image, location))
    to_image, to_location = tape.gradient(total, [image, location])
    assert to_location is None
    # One for each pixel of the 3x3 patch, a quarter for each of the 6x6 one, whose
    # even side has one pixel more behind the centre than before it.
    expected = np.zeros([9, 9])
    expected[3:6, 3:6] += 1.0
    expected[2:8, 2:8] += 0.25
    np.testing.assert_allclose(
        tf.convert_to_tensor(to_image)[0, :, :, 0], expected, atol=1e-6
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patch_size": 0}, "patch_size=0: expected at least 1"),
        ({"num_scales": 0}, "num_scales=0: expected at least 1"),
        ({"method": "slice"}, "method='slice': expected one of gather, tf_image"),
    ],
)
def test_sensor_refuses_bad_arguments(arguments, message):
    with pytest.raises(RamError, match=message):
        GlimpseSensor(**arguments)


def test_sensor_refuses_images_without_channels():
    with pytest.raises(RamError, match=r"shape \(2, 9, 9\): expected \[B, H, W, C\]"):
        GlimpseSensor()(np.zeros([2, 9, 9], "float32"), np.zeros([2, 2], "float32"))


def test_sensor_refuses_locations_that_do_not_share_out():
    images, locations = np.zeros([2, 9, 9, 1]), np.zeros([3, 2])
    with pytest.raises(
        RamError, match="^3 locations: expected a multiple of the 2 images$"
    ):
        GlimpseSensor(2)(images.astype("float32"), locations.astype("float32"))


@pytest.mark.parametrize("count", [2, 3, 6])
@pytest.mark.parametrize("method", METHODS)
def test_sensor_mixes_no_images_where_their_number_is_not_known(method, count):
    """In a graph of any batch size, as an export has, shapes are known only later."""
    sensor = GlimpseSensor(2, method=method)
    looks = tf.function(
        sensor,
        input_signature=[
            tf.TensorSpec([None, 9, 9, 1], tf.float32),
            tf.TensorSpec([None, 2], tf.float32),
        ],
    )
    with pytest.raises(tf.errors.InvalidArgumentError):
        looks(tf.zeros([4, 9, 9, 1]), tf.zeros([count, 2]))
