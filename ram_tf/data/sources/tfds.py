"""Any TFDS image classification set: its splits, classes and shapes."""

from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from ram_tf.data.picture import background_color
from ram_tf.data.sources.base import (
    Cut,
    ImageSet,
    Source,
    SplitName,
    SplitRecord,
    validation_count,
)
from ram_tf.data.sources.tfds_builder import open_builder
from ram_tf.data.sources.tfrecords import Records, read_records
from ram_tf.errors import RamError, one_line


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
      background: as in `open_source`.

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
        background: str = "white",
    ) -> None:
        super().__init__(dataset)
        self._background = background_color(background)
        self._builder = open_builder(dataset, data_dir)
        features = self._builder.info.features
        self._image = _find(dataset, features, tfds.features.Image, "image")
        self._label = _find(dataset, features, tfds.features.ClassLabel, "label")
        self.class_names = list(features[self._label].names)
        image = features[self._image]
        self._stored_shape = tuple(image.shape)
        if image.np_dtype != np.uint8 or self._stored_shape[2] not in (1, 3, 4):
            raise RamError(
                f"--dataset={dataset}: expected uint8 images of 1 or 3 channels, found "
                f"{image}"
            )
        if not image_size and None in self._stored_shape:
            raise RamError(
                f"--dataset={dataset}: its images vary in size, expected --image_size"
            )
        height, width, channels = self._stored_shape
        channels = min(channels, 3)  # Transparency is composited.
        self.image_shape = (image_size or height, image_size or width, channels)
        self._cuts = self._cut(validation_size)
        self.split_description = {name: str(cut) for name, cut in self._cuts.items()}

    def _cut(self, validation_size: int) -> dict[str, Cut]:
        counts = {
            name: split.num_examples
            for name, split in self._builder.info.splits.items()
        }
        if "train" not in counts:
            raise RamError(
                f"--dataset={self.name}: expected a train split, found "
                f"{', '.join(counts) or 'none'}"
            )
        end = total = counts["train"]
        test = next((name for name in ("test", "validation") if name in counts), None)
        if test is None:
            end = total - total // 10
            test_cut = Cut("train", end, total)
        else:
            test_cut = Cut(test, 0, counts[test])
        if test == "test" and "validation" in counts and validation_size < 0:
            validation = Cut("validation", 0, counts["validation"])
        else:
            size = validation_count(self.name, end, validation_size)
            validation = Cut("train", end - size, end)
            end -= size
        train = Cut("train", 0, end)
        return {"train": train, "validation": validation, "test": test_cut}

    def _read(self, name: SplitName) -> ImageSet:
        cut = self._cuts[name]
        info = self._builder.info
        if info.file_format != tfds.core.FileFormat.TFRECORD:
            raise RamError(
                f"--dataset={self.name}: expected TFRecord files, found "
                f"{info.file_format.value}"
            )
        split = info.splits[cut.split]
        try:
            files = tuple(str(path) for path in split.filepaths)
        except Exception as error:  # TFDS raises all kinds for a broken description.
            raise RamError(
                f"{self._builder.data_dir}/dataset_info.json: expected names of "
                f"the files of {cut.split}, found: {one_line(error)}"
            ) from None
        records = Records(
            files=files,
            lengths=tuple(split.shard_lengths),
            start=cut.start,
            stop=cut.stop,
            image=self._image,
            label=self._label,
        )
        return read_records(
            records,
            self._stored_shape,
            self.image_shape,
            len(self.class_names),
            self._background,
        )

    def record(self, name: SplitName) -> SplitRecord:
        """Returns what identifies a split: TFDS's own name for it, and its size."""
        cut = self._cuts[name]
        return {"images": cut.stop - cut.start, "cut": str(cut)}

    def _version(self) -> dict[str, Any]:
        info = self._builder.info
        counts = {name: split.num_examples for name, split in info.splits.items()}
        return {"version": str(info.version), "examples": counts}


def _find(dataset: str, features: Any, kind: type, usual: str) -> str:
    """Returns the name of the one feature of a kind; the usual name wins."""
    # Not isinstance: subclasses such as LabeledImage hold segmentations.
    names = [name for name, feature in features.items() if type(feature) is kind]
    if usual in names:
        return usual
    if len(names) != 1:
        raise RamError(
            f"--dataset={dataset}: expected one {usual} feature, found "
            f"{', '.join(features)}"
        )
    return names[0]
