"""A folder of images, one folder a class."""

import hashlib
import pathlib

import numpy as np
import tensorflow as tf

from ram_tf.data import image_ops as images_lib
from ram_tf.data.sources.base import (
    FOLDER_PREFIX,
    ImageSet,
    Source,
    SplitName,
    validation_count,
)
from ram_tf.errors import RamError, one_line

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")

_BATCH = 256  # Images that are decoded together.
_LEAST_IMAGES = 3

Listing = list[tuple[pathlib.Path, int]]


class FolderSource(Source):
    """`--dataset=folder:PATH`: PATH/<class>/*.png, or PATH/train/<class>/*.png.

    Classes are the sorted names of the class folders. Images are ordered by the MD5 of
    <class>/<file>, so that any cut mixes the classes and is the same everywhere. Test
    is PATH/test, else the last tenth of that order, at least one; validation is
    PATH/validation if it is there and no size is asked for, else the last part of what
    is left. If any image is in colour all are: gray ones get three equal channels.

    Args:
      path: the folder.
      validation_size: as in `open_source`.
      image_size: as in `open_source`; needed when the images vary in size.

    Raises:
      RamError: when there are no class folders in it, or too few images.
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
        if len(train) < _LEAST_IMAGES:
            raise RamError(
                f"--dataset={self.name}: expected at least {_LEAST_IMAGES} images in "
                f"{train_root}, one each for training, validation and test, found "
                f"{len(train)}"
            )
        self._listings: dict[str, Listing] = {}
        self.split_description = {}
        end = len(train)
        if has_splits and (root / "test").is_dir():
            self._set("test", self._list(root / "test"), f"all of {root / 'test'}")
        else:
            end -= max(end // 10, 1)
            self._set("test", train[end:], f"images {end} to {len(train)} by MD5")
        own = root / "validation"
        if has_splits and own.is_dir() and validation_size < 0:
            start = end
            self._set("validation", self._list(own), f"all of {own}")
        else:
            start = end - validation_count(self.name, end, validation_size)
            self._set("validation", train[start:end], f"images {start} to {end} by MD5")
        self._set("train", train[:start], f"images 0 to {start} by MD5")
        self._first = train[0][0]
        height, width, channels = _decode(self._first).shape
        if channels == 1 and self._has_color():
            channels = 3
        self._image_size = image_size
        self.image_shape = (image_size or height, image_size or width, channels)

    def listing(self, name: SplitName) -> Listing:
        """Returns the files of a split, each with its label."""
        return list(self._listings[name])

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

    def _has_color(self) -> bool:
        """Looks at every image until one is in colour; broken ones are told later."""

        def channels(path: tf.Tensor) -> tf.Tensor:
            return images_lib.decode(tf.io.read_file(path))[1]

        listings = self._listings.values()
        paths = [str(path) for listing in listings for path, _ in listing]
        dataset = tf.data.Dataset.from_tensor_slices(paths)
        dataset = dataset.map(
            tf.autograph.experimental.do_not_convert(channels), tf.data.AUTOTUNE
        )
        found = dataset.ignore_errors().as_numpy_iterator()
        return any(number == 3 for number in found)

    def _read(self, name: SplitName) -> ImageSet:
        paths = [str(path) for path, _ in self._listings[name]]
        images = np.empty((len(paths), *self.image_shape), np.uint8)
        done = 0
        try:
            for batch in self._batches(paths).as_numpy_iterator():
                images[done : done + len(batch)] = batch
                done += len(batch)
        except tf.errors.OpError as error:
            # Something is wrong with a file: one by one, to find which and what.
            for path, _ in self._listings[name]:
                self._check(path)
            raise RamError(
                f"--dataset={self.name}: expected images, found: {one_line(error)}"
            ) from None
        labels = [label for _, label in self._listings[name]]
        return ImageSet(images, np.array(labels, np.int32))

    def _batches(self, paths: list[str]) -> tf.data.Dataset:
        def decode(path: tf.Tensor) -> tf.Tensor:
            image, _ = images_lib.decode(tf.io.read_file(path))
            if self.image_shape[2] == 3:
                image = images_lib.to_color(image)
            if self._image_size:
                image = images_lib.resize(image, *self.image_shape[:2])
            return tf.ensure_shape(image, self.image_shape)

        decode = tf.autograph.experimental.do_not_convert(decode)
        dataset = tf.data.Dataset.from_tensor_slices(tf.constant(paths, tf.string))
        dataset = dataset.map(decode, tf.data.AUTOTUNE, deterministic=True)
        return dataset.batch(_BATCH).prefetch(2)

    def _check(self, path: pathlib.Path) -> None:
        """Raises RamError when an image is broken or unlike the first."""
        height, width, _ = _decode(path).shape
        if not self._image_size and (height, width) != self.image_shape[:2]:
            raise RamError(
                f"{path}: an image of {height}x{width} (height x width), expected "
                f"{self.image_shape[0]}x{self.image_shape[1]} as in {self._first}, "
                "or --image_size"
            )


def _decode(path: pathlib.Path) -> tf.Tensor:
    try:
        image, _ = images_lib.decode(path.read_bytes())
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or "not a whole image"
        raise RamError(f"{path}: expected an image, found: {reason}") from None
    return image


def _folders(root: pathlib.Path) -> list[pathlib.Path]:
    if not root.is_dir():
        return []
    return sorted(
        (f for f in root.iterdir() if f.is_dir() and not f.name.startswith(".")),
        key=lambda folder: folder.name,
    )
