"""What is said of many images: nothing is left out of the counts."""

import numpy as np

from ram_tf.serving.image_files import ReadImages
from ram_tf.serving.image_notes import ImageNotes


def read(said, size=(28, 28)):
    return ReadImages(np.zeros([1, 28, 28, 1], np.uint8), None, size, (said,))


def test_ways_beyond_the_three_most_common_are_counted():
    notes = ImageNotes({"image_shape": [28, 28, 1]})
    for way, count in (("One.", 4), ("Two.", 3), ("Three.", 2), ("Four.", 1)):
        for _ in range(count):
            notes.add(read(way))
    assert notes.lines() == [
        "4 of 10 images: one.",
        "3 of 10 images: two.",
        "2 of 10 images: three.",
        "1 of 10 images: prepared in 1 other way",
    ]
    notes.add(read("Five."))
    assert notes.lines()[-1] == "2 of 11 images: prepared in 2 other ways"
