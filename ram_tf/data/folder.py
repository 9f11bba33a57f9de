"""A folder of images, one folder a class."""

import hashlib
import pathlib

import numpy as np
import tensorflow as tf

from ram_tf.data import images as images_lib
from ram_tf.data.sources import (
    FOLDER_PREFIX,
    ImageSet,
    Source,
    SplitName,
    validation_count,
)
from ram_tf.errors import RamError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")

Listing = list[tuple[pathlib.Path, int]]


class FolderSource(Source):
    """`--dataset=folder:PATH`: PATH/<class>/*.png, or PATH/train/<class>/*.png.

    Classes are the sorted names of the class folders. Images are ordered by the MD5 of
    <class>/<file>, so that any cut mixes the classes and is the same everywhere. Test
    is PATH/test, else the last tenth of that order; validation is PATH/validation if
    it is there and no size is asked for, else the last part of what is left.

    Args:
      path: the folder.
      validation_size: as in `open_source`.
      image_size: as in `open_source`; needed when the images vary in size.

    Raises:
      RamError: when there are no class folders or images in it.
    """

    def __init__(
        self, path: str, validation_size: int = -1, image_size: int = 0
    ) -> None:
        super().__init__(FOLDER_PREFIX + path)
        root = pathlib.Path(path)
        has_splits = any(folder.is_dir() for folder in _folders(root / "train"))
        train_root = root / "train" if has_splits else root
        self.class_names = [folder.name for folder in _folders(train_root)]
        train = self._list(train_root)
        if not train:
            raise RamError(
                f"--dataset={self.name}: expected folders of classes with images "
                f"({', '.join(SUFFIXES)}) in {train_root}, found none"
            )
        self._listings: dict[str, Listing] = {}
        self.split_description = {}
        end = len(train)
        if has_splits and (root / "test").is_dir():
            self._set("test", self._list(root / "test"), f"all of {root / 'test'}")
        else:
            end -= end // 10
            self._set("test", train[end:], f"images {end} to {len(train)} by MD5")
        own = root / "validation"
        if has_splits and own.is_dir() and validation_size < 0:
            start = end
            self._set("validation", self._list(own), f"all of {own}")
        else:
            start = end - validation_count(self.name, end, validation_size)
            self._set("validation", train[start:end], f"images {start} to {end} by MD5")
        self._set("train", train[:start], f"images 0 to {start} by MD5")
        first = self._decode(train[0][0], None)
        if image_size:
            first = images_lib.resize(first, image_size)
        self._image_size = image_size
        self._file_shape = None if image_size else tuple(first.shape)
        self.image_shape = tuple(first.shape)
        self._first = train[0][0]

    def _set(self, name: str, listing: Listing, description: str) -> None:
        self._listings[name] = listing
        self.split_description[name] = description

    def _list(self, root: pathlib.Path) -> Listing:
        listing = []
        for folder in _folders(root):
            if folder.name not in self.class_names:
                raise RamError(
                    f"{folder}: expected one of the classes of training, "
                    f"{', '.join(self.class_names)}"
                )
            label = self.class_names.index(folder.name)
            files = (f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES)
            listing += [(file, label) for file in files]

        def rank(entry: tuple[pathlib.Path, int]) -> tuple[bytes, str]:
            key = f"{entry[0].parent.name}/{entry[0].name}"
            return hashlib.md5(key.encode()).digest(), key

        return sorted(listing, key=rank)

    def _decode(self, path: pathlib.Path, channels: int | None) -> tf.Tensor:
        try:
            image, found = images_lib.decode(path.read_bytes())
        except (OSError, tf.errors.OpError) as error:
            reason = getattr(error, "strerror", None) or "not a whole image"
            raise RamError(f"{path}: expected an image, found: {reason}") from None
        if channels not in (None, int(found)):
            raise RamError(
                f"{path}: an image of {int(found)} channel(s), expected {channels} as "
                f"in {self._first}"
            )
        return image

    def _read(self, name: SplitName) -> ImageSet:
        listing = self._listings[name]
        images = np.empty((len(listing), *self.image_shape), np.uint8)
        for row, (path, _) in enumerate(listing):
            image = self._decode(path, self.image_shape[2])
            if self._image_size:
                image = images_lib.resize(image, self._image_size)
            elif tuple(image.shape) != self._file_shape:
                raise RamError(
                    f"{path}: an image of {image.shape[0]}x{image.shape[1]}, expected "
                    f"{self.image_shape[0]}x{self.image_shape[1]} as in {self._first}, "
                    "or --image_size"
                )
            images[row] = image
        labels = np.array([label for _, label in listing], np.int32)
        return ImageSet(images, labels)


def _folders(root: pathlib.Path) -> list[pathlib.Path]:
    if not root.is_dir():
        return []
    return sorted(
        (f for f in root.iterdir() if f.is_dir() and not f.name.startswith(".")),
        key=lambda folder: folder.name,
    )
