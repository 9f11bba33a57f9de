"""Any TFDS image classification set, read and decoded split by split."""

import collections
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from ram_tf.data import images as images_lib
from ram_tf.data.sources import ImageSet, Source, SplitName, validation_count
from ram_tf.data.tfds_builder import open_builder
from ram_tf.errors import RamError

_BATCH = 512  # Examples that travel together through tf.data while decoding.


class TfdsSource(Source):
    """`--dataset=NAME`: an image feature and a class label of a TFDS set.

    Training is TFDS's `train`; the test split is its `test`, else its `validation`,
    else the last tenth of `train`. Validation is its own split if it has one beside
    test and no size is asked for, else the end of what is left of `train`.

    Args:
      dataset: name, or name/config, of the set.
      data_dir: where TFDS data are; "" is TFDS's own choice.
      validation_size: as in `open_source`.
      image_size: as in `open_source`; needed when the images vary in size.

    Raises:
      RamError: when the set is missing and cannot be downloaded, or has no uint8
        images, no labels or no training split.
    """

    def __init__(
        self,
        dataset: str,
        data_dir: str = "",
        validation_size: int = -1,
        image_size: int = 0,
    ) -> None:
        self.name = dataset
        self._builder = open_builder(dataset, data_dir)
        features = self._builder.info.features
        self._image = _the_feature(dataset, features, tfds.features.Image, "image")
        self._label = _the_feature(dataset, features, tfds.features.ClassLabel, "label")
        self.class_names = list(features[self._label].names)
        self._image_size = image_size
        height, width, channels = features[self._image].shape
        if features[self._image].np_dtype != np.uint8 or channels not in (1, 3, 4):
            raise RamError(
                f"--dataset={dataset}: expected uint8 images of 1 or 3 channels, found "
                f"{features[self._image]}"
            )
        self._file_size = (height, width)
        self._channels = 1 if channels == 1 else 3
        if image_size:
            height = width = image_size
        elif None in (height, width):
            raise RamError(
                f"--dataset={dataset}: its images vary in size, expected --image_size"
            )
        self.image_shape = (height, width, self._channels)
        self._cuts = self._cut(validation_size)
        self.split_description = dict(self._cuts)

    def _cut(self, validation_size: int) -> dict[str, str]:
        splits = self._builder.info.splits
        if "train" not in splits:
            raise RamError(
                f"--dataset={self.name}: expected a train split, found "
                f"{', '.join(splits) or 'none'}"
            )
        end = available = splits["train"].num_examples
        test = next((name for name in ("test", "validation") if name in splits), None)
        if test is None:
            end = available - available // 10
            test = f"train[{end}:]"
        elif test == "test" and "validation" in splits and validation_size < 0:
            return {"train": "train", "validation": "validation", "test": "test"}
        start = end - validation_count(self.name, end, validation_size)
        return {
            "train": f"train[:{start}]",
            "validation": f"train[{start}:{end}]",
            "test": test,
        }

    def _read(self, name: SplitName) -> ImageSet:
        where = f"--dataset={self.name}, split {self._cuts[name]}"
        try:
            images, labels, channels = self._decode(name)
        except tf.errors.OpError as error:
            raise RamError(self._broken_example(name, where, error)) from None
        wrong = np.flatnonzero((labels < 0) | (labels >= len(self.class_names)))
        if len(wrong):
            raise RamError(
                f"{where}, example {wrong[0]}: label {labels[wrong[0]]}, expected "
                f"0 to {len(self.class_names) - 1}"
            )
        self._check_channels(where, channels)
        return ImageSet(images, labels.astype(np.int32))

    def _check_channels(self, where: str, channels: np.ndarray) -> None:
        """Refuses colour images in a gray set, and a stray gray one among colour."""
        if not len(channels):
            return
        expected = 1
        if self._channels == 3:
            # Sets of JPEGs of many sizes do hold gray ones, and TFDS reads them as
            # colour; one that is gray throughout is read as colour too.
            if None in self._file_size:
                return
            expected = collections.Counter(channels.tolist()).most_common(1)[0][0]
        wrong = np.flatnonzero(channels != expected)
        if len(wrong):
            raise RamError(
                f"{where}, example {wrong[0]}: an image of {channels[wrong[0]]} "
                f"channel(s), expected {expected}"
            )

    def _examples(self, name: SplitName) -> tf.data.Dataset:
        """Returns the split's examples, images still encoded, in the files' order."""
        wanted = {self._image: True, self._label: True}
        encoded = {self._image: tfds.decode.SkipDecoding()}
        dataset: Any = self._builder.as_dataset(
            split=self._cuts[name],
            decoders=tfds.decode.PartialDecoding(wanted, decoders=encoded),
            # One file after the other: an example's number is its place in the set.
            read_config=tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1),
        )
        return dataset

    def _decode_one(
        self, example: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        image, channels = images_lib.decode(example[self._image])
        image = tf.ensure_shape(image, [*self._file_size, None])
        if self._image_size:
            image = images_lib.resize(image, self._image_size)
        # A colour image in a gray set is refused later, by its number.
        image = tf.cond(
            channels <= self._channels,
            lambda: images_lib.with_channels(image, self._channels),
            lambda: image[:, :, : self._channels],
        )
        image = tf.ensure_shape(image, self.image_shape)
        return image, tf.cast(example[self._label], tf.int64), channels

    def _decode(self, name: SplitName) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        dataset = self._examples(name)
        count = self._builder.info.splits[self._cuts[name]].num_examples
        images = np.empty((count, *self.image_shape), np.uint8)
        labels, channels = np.empty(count, np.int64), np.empty(count, np.int32)
        dataset = dataset.map(self._decode_one, tf.data.AUTOTUNE, deterministic=True)
        done = 0
        for batch in dataset.batch(_BATCH).prefetch(2).as_numpy_iterator():
            rows = slice(done, done + len(batch[1]))
            images[rows], labels[rows], channels[rows] = batch
            done = rows.stop
        if done != count:
            raise RamError(
                f"--dataset={self.name}, split {self._cuts[name]}: found {done} "
                f"examples, expected {count} by dataset_info.json"
            )
        return images, labels, channels

    def _broken_example(self, name: SplitName, where: str, error: Exception) -> str:
        """Finds the first example that cannot be read, one by one."""
        number = 0
        try:
            for example in self._examples(name):
                self._decode_one(example)
                number += 1
        except (tf.errors.OpError, ValueError) as found:
            error = found
        split = self._cuts[name].split("[")[0]
        folder = self._builder.data_dir
        reason = str(getattr(error, "message", error)).strip().splitlines()[0]
        return (
            f"{where}, example {number} (files {split} in {folder}): broken, expected "
            f"an image of {self._file_size[0]}x{self._file_size[1]}: {reason}"
        )


def _the_feature(dataset: str, features: Any, kind: type, usual: str) -> str:
    """Returns the name of the one feature of a kind; the usual name wins."""
    names = [
        name
        for name, feature in dict(features).items()
        # Subclasses such as LabeledImage hold segmentations, not pictures.
        if type(feature) is kind
    ]
    if usual in names:
        return usual
    if len(names) != 1:
        raise RamError(
            f"--dataset={dataset}: expected one {usual} feature, found "
            f"{', '.join(dict(features))}"
        )
    return names[0]
