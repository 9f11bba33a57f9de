"""Tests of the pictures for TensorBoard: what is drawn, and where."""

import io

import numpy as np
import pytest
from PIL import Image, ImageColor

from ram_tf.evaluation.metrics import GRID
from ram_tf.evaluation.palette import glimpse_colours
from ram_tf.evaluation.path_images import draw_landing, draw_path


def colours_of(picture):
    return {
        tuple(int(v) for v in rgb) for rgb in np.unique(picture.reshape(-1, 3), axis=0)
    }


def path_of(steps=3, scales=2, height=28, width=28, channels=1):
    random = np.random.default_rng(0)
    image = np.zeros([height, width, channels], np.uint8)
    corners = random.integers(-4, 20, [steps, scales, 2]).astype(np.int32)
    patches = np.full([steps, scales, 8, 8, channels], 128, np.uint8)
    return image, corners, patches


@pytest.mark.parametrize("steps, scales", [(1, 1), (3, 2), (9, 3)])
@pytest.mark.parametrize(
    "shape", [(28, 28, 1), (40, 24, 3), (300, 400, 3), (1, 500, 1), (900, 2, 3)]
)
def test_path_shows_every_patch_in_the_colour_of_its_glimpse(steps, scales, shape):
    picture = draw_path(*path_of(steps, scales, *shape), "predicts 3", True)
    assert picture.dtype == np.uint8 and picture.ndim == 3
    for colour in glimpse_colours(steps):
        assert ImageColor.getrgb(colour) in colours_of(picture)
    # The patches stand beside the image, each of 44 x 44 pixels.
    beside = picture[:, 216:]
    assert (beside == 128).all(-1).sum() == steps * scales * 44 * 44


def test_path_outlines_a_patch_where_it_was_cut():
    # 28 and 8: (28 + 8) pixels are 200 of the drawing; the image begins 4 pixels in.
    image, patches = np.full([28, 28, 1], 255, np.uint8), np.zeros([1, 1, 8, 8, 1])
    corners = np.array([[[10, 4]]], np.int32)
    picture = draw_path(image, corners, patches.astype(np.uint8), "", True)
    inside = picture[28 : 28 + 200, 8 : 8 + 200]
    # Light yellow of the first glimpse: its outline, and the disc with its number.
    rows, columns = np.nonzero((inside == (255, 209, 102)).all(-1))
    factor = 200 / 36
    for found, first in ((rows, 10), (columns, 4)):
        assert found.min() == pytest.approx((4 + first) * factor, abs=1.5)
        assert found.max() == pytest.approx((4 + first + 8) * factor, abs=1.5)


def test_path_keeps_its_size_whatever_is_in_it():
    one = draw_path(*path_of(), "predicts 1", True)
    other = draw_path(*path_of(), "predicts a long name (12 %), is another", False)
    assert one.shape == other.shape
    assert (10, 143, 108) in colours_of(one) and (209, 73, 91) in colours_of(other)


def test_path_of_a_digit_is_a_small_file():
    image, corners, patches = path_of(8, 3)
    image[5:20, 10:14] = 255
    file = io.BytesIO()
    Image.fromarray(draw_path(image, corners, patches, "x", True)).save(file, "PNG")
    assert len(file.getvalue()) < 20_000


def test_landing_is_brightest_where_most_glimpses_are():
    # The second glimpse: three quarters at the top right, the rest at the bottom left.
    locations = np.zeros([40, 2, 2], np.float32)
    locations[:30, 1] = (-0.99, 0.99)
    locations[30:, 1] = (0.99, -0.99)
    picture = draw_landing(locations)
    side = 7 * GRID
    left = 8 + side + 8
    heat = picture[4 + 20 : 4 + 20 + side, left : left + side]
    assert (heat[0, -1] == 255).all()
    cells = heat[3::7, 3::7]
    assert (cells != cells[0, 0]).any(-1).sum() == 2
    assert cells[0, -1].sum() > cells[-1, 0].sum() > cells[0, 0].sum()
