"""The embedded sample: 12,000 real MNIST digits that need no download.

`mnist_sample.npz` holds the first 10,000 training and the first 2,000 test digits of
MNIST in the order of TFDS; `mnist_sample.LICENSE.txt` says whose they are.
"""

import pathlib
from typing import Any

import numpy as np

from ram_tf.data.sources.base import (
    Cut,
    ImageSet,
    Source,
    SplitName,
    SplitRecord,
    validation_count,
)
from ram_tf.files import read_arrays

SAMPLE_FILE = pathlib.Path(__file__).with_name("mnist_sample.npz")
NUM_TRAIN, NUM_VALIDATION, NUM_TEST = 10_000, 1_000, 2_000


class MnistSample(Source):
    """`--dataset=mnist_sample`: 9,000 training, 1,000 validation, 2,000 test digits.

    Args:
      validation_size: digits cut from the end of the 10,000; -1 is 1,000.
      image_size: side that digits are resized to; 0 keeps 28.
      path: the file to read.
    """

    def __init__(
        self,
        validation_size: int = -1,
        image_size: int = 0,
        path: pathlib.Path = SAMPLE_FILE,
    ) -> None:
        super().__init__("mnist_sample")
        self.class_names = [str(digit) for digit in range(10)]
        side = image_size or 28
        self.image_shape = (side, side, 1)
        size = NUM_VALIDATION if validation_size < 0 else validation_size
        self._num_train = NUM_TRAIN - validation_count(self.name, NUM_TRAIN, size)
        self._cuts = {
            "train": Cut("train", 0, self._num_train),
            "validation": Cut("train", self._num_train, NUM_TRAIN),
            "test": Cut("test", 0, NUM_TEST),
        }
        self.split_description = {
            "train": f"train[:{self._num_train}] of the first 10,000 of MNIST train",
            "validation": f"train[{self._num_train}:] of the same",
            "test": "the first 2,000 of MNIST test",
        }
        self._path = path

    def summary_lines(self) -> list[str]:
        """Returns none: everybody has the same digits."""
        return []

    def record(self, name: SplitName) -> SplitRecord:
        """Returns what identifies a split: its size, and its cut of MNIST."""
        return {**super().record(name), "cut": str(self._cuts[name])}

    def _version(self) -> dict[str, Any]:
        return {"part_of": "mnist"}

    def _read(self, name: SplitName) -> ImageSet:
        part = "test" if name == "test" else "train"
        names = f"{part}_images", f"{part}_labels"
        arrays = read_arrays(self._path, "the digits of mnist_sample", names)
        images, labels = (arrays[name] for name in names)
        cut = self._cuts[name]
        images = images[cut.start : cut.stop][..., None]
        labels = labels[cut.start : cut.stop].astype(np.int32)
        if self.image_shape[0] != 28 and len(images):
            from ram_tf.data.image_ops import resize

            images = resize(images, *self.image_shape[:2]).numpy()
        return ImageSet(images, labels)
