"""Images are resized by area where both sides shrink, and only there."""

import numpy as np
import pytest
import tensorflow as tf

from ram_tf.data.image_ops import resize


@pytest.mark.parametrize(
    ("size", "method"),
    [((2, 10), "area"), ((8, 10), "bilinear"), ((2, 40), "bilinear")],
)
def test_resize_takes_the_mean_of_areas_where_both_sides_shrink(size, method):
    images = np.random.default_rng(0).integers(0, 256, (1, 4, 20, 1), np.uint8)
    expected = np.rint(tf.image.resize(images, size, method=method))
    np.testing.assert_allclose(resize(images, *size), expected, atol=1)
