"""Fuzzed picture files through the readers of train and predict.

Right pixels or one line, never another exception, a warning or a hang: 40 files for
each unit of RAM_TF_FAULT_CASES / 40; 5,000 files are RAM_TF_FAULT_CASES=2500.
"""

import time

import hypothesis
import numpy as np
import pytest
from helpers.damage import damages, with_cases
from helpers.picture_zoo import BACKGROUNDS, ZOO, oracle
from hypothesis import strategies as st

from ram_tf.data import picture
from ram_tf.data.picture_files import read_files
from ram_tf.errors import RamError
from ram_tf.serving.image_files import read_images

pytestmark = pytest.mark.faults

SECONDS = 20  # The longest took 0.2 s on two busy cores.


def told(message, path):
    assert "\n" not in message and "expected an image" in message, message
    assert "<_io" not in message and str(path) not in message.removeprefix(str(path))


@with_cases(2)
@hypothesis.given(
    damage=st.lists(damages(), min_size=1, max_size=3),
    name=st.sampled_from(sorted(ZOO)),
    background=st.sampled_from(sorted(BACKGROUNDS)),
)
def test_fuzzed_picture(damage, name, background, tmp_path_factory, capfd):
    content = ZOO[name]
    for each in damage:
        content = each(content)
    path = tmp_path_factory.getbasetemp() / "fuzzed.png"
    path.write_bytes(content)
    color = BACKGROUNDS[background]
    started = time.monotonic()
    (of_train,) = read_files([str(path)], color)
    channels = of_train.stored_shape[2] if of_train.stored_shape else 1
    try:
        (of_predict,), *_ = read_images(
            str(path), (8, 8, channels), True, 2, background
        )
    except RamError as error:
        told(str(error), path)
        told(of_train.error, path)
        assert of_train.pixels is None
    else:
        (resized,) = read_files([str(path)], color, 8)
        np.testing.assert_array_equal(of_predict, resized.pixels)
        assert not of_train.error
        with picture.quiet(), picture._NO_STDERR:
            try:
                expected = oracle(content, background)
            except Exception:  # Odd EXIF stops it, and not a viewer.
                expected = None
        if expected is not None:
            np.testing.assert_array_equal(of_train.pixels, expected)
    assert time.monotonic() - started < SECONDS
    found = capfd.readouterr()
    assert not found.out and not found.err
