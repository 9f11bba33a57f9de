"""Sources: where images and labels come from, and how they are split.

First in the way of the data; feeds tasks and pipeline. `open_source` picks the kind of
source by name: the embedded sample, a folder of images, or a TFDS data set.
"""

import abc
import dataclasses
from typing import Any, Literal, NamedTuple

import numpy as np

from ram_tf.errors import RamError
from ram_tf.files import shown

SPLITS: tuple["SplitName", ...] = ("train", "validation", "test")
LARGE_SET = 50_000  # Training images from which validation is a fixed number.
LARGE_VALIDATION = 5_000

SplitName = Literal["train", "validation", "test"]
# What identifies a split: "images", how many, and what else the source knows.
SplitRecord = dict[str, Any]
_FEW_CLASSES = 20  # Beyond, the summary names the classes with the fewest and the most.
FEW_IMAGES = 100  # Below, an accuracy is rough.


class ImageSet(NamedTuple):
    """The images of one split, held in memory.

    Attributes:
      images: uint8 [n, H, W, C].
      labels: int32 [n], in [0, N).
    """

    images: np.ndarray
    labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class Cut:
    """Examples start to stop of a split of public data."""

    split: str
    start: int
    stop: int

    def __str__(self) -> str:
        return f"{self.split}[{self.start}:{self.stop}]"


class Source(abc.ABC):
    """A data set of one image size and channel count.

    Attributes:
      name: as given to --dataset.
      class_names: the N classes, in the order of their labels.
      image_shape: (H, W, C), C being 1 or 3.
      split_description: how training, validation and test are cut, by split.
    """

    name: str
    class_names: list[str]
    image_shape: tuple[int, int, int]
    split_description: dict[str, str]

    def __init__(self, name: str) -> None:
        self.name = name
        self._read_splits: dict[str, ImageSet] = {}

    def split(self, name: SplitName) -> ImageSet:
        """Reads a split: only this one, and only once.

        Raises:
          RamError: for an unknown or empty split, and for broken data: the message
            names the file, or the split and the number of the example.
        """
        if name not in SPLITS:
            raise RamError(f"split {name!r}: expected one of {', '.join(SPLITS)}")
        if name not in self._read_splits:
            image_set = self._read(name)
            if not len(image_set.labels):
                raise RamError(
                    f"--dataset={self.name}: the {name} split "
                    f"({self.split_description[name]}) is empty, expected images"
                )
            self._read_splits[name] = image_set
        return self._read_splits[name]

    def check(self) -> None:
        """Checks what training needs beyond single images; raises RamError."""
        return

    def record(self, name: SplitName) -> SplitRecord:
        """Returns what identifies a split, ready for JSON."""
        return {"images": len(self.split(name).labels)}

    def records(self) -> dict[str, Any]:
        """Returns what identifies the data: what a run keeps, and is held to later."""
        splits = {name: self.record(name) for name in SPLITS}
        return {"dataset": self.name, **self._version(), "splits": splits}

    def notes(self) -> list[str]:
        """Returns lines on what was passed over or may not be as meant."""
        return []

    def summary_lines(self) -> list[str]:
        """Returns what was found: classes, sizes, images a split and class, notes.

        Reads all splits.
        """
        height, width, channels = self.image_shape
        colour = "gray" if channels == 1 else "colour"
        lines = [
            f"data: {shown(self.name)}, {len(self.class_names)} classes, images "
            f"{height}x{width} (height x width), {colour}"
        ]
        for name in SPLITS:
            labels = self.split(name).labels
            counts = np.bincount(labels, minlength=len(self.class_names))
            parts = [
                f"{label} {count:,}"
                for label, count in zip(self.class_names, counts, strict=True)
            ]
            if len(parts) > _FEW_CLASSES:
                order = np.argsort(counts, kind="stable")
                parts = [f"{parts[order[0]]} to {parts[order[-1]]} a class"]
            lines.append(
                f"  {name}: {counted(len(labels), 'image')} ({', '.join(parts)}), "
                f"{shown(self.split_description[name])}"
            )
        for name in ("validation", "test"):
            count = len(self.split(name).labels)
            if count < FEW_IMAGES:
                lines.append(
                    f"  {name} is small: one image is {100 / count:.1f} points of "
                    "accuracy, so small differences say nothing"
                )
        return lines + [f"  {line}" for line in self.notes()]

    def _version(self) -> dict[str, Any]:
        return {}

    @abc.abstractmethod
    def _read(self, name: SplitName) -> ImageSet: ...


def counted(count: int, thing: str) -> str:
    """Returns "1 image" or "1,200 images"."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def validation_count(dataset: str, available: int, validation_size: int) -> int:
    """Returns how many of the training images are cut off for validation.

    Raises:
      RamError: when that leaves no image for training.
    """
    if validation_size < 0:
        large = available >= LARGE_SET
        return LARGE_VALIDATION if large else max(available // 10, 1)
    if validation_size >= available:
        raise RamError(
            f"--validation_size={validation_size}: expected less than the {available} "
            f"training images of --dataset={dataset}"
        )
    return validation_size
