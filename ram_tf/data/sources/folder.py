"""A folder of images, one folder per class.

Over 250 lines: what it reads, how it is split and what it says belong to one listing.
"""

import collections
import hashlib
import os
import pathlib
from collections.abc import Callable

import numpy as np

from ram_tf.config import FOLDER_PREFIX
from ram_tf.data.picture import background_color
from ram_tf.data.picture_files import PictureFile, read_files
from ram_tf.data.sources.base import (
    SPLITS,
    ImageSet,
    Source,
    SplitName,
    SplitRecord,
    validation_count,
)
from ram_tf.data.sources.folder_layout import Layout
from ram_tf.errors import RamError, few_of
from ram_tf.files import shown
from ram_tf.runtime.cpu_affinity import usable_cores

_LEAST_IMAGES = 3
_MOST_BROKEN = 20  # Broken files that a message names.

# Files with their labels, in the order of a split.
_Files = list[tuple[PictureFile, int]]


class FolderSource(Source):
    """`--dataset=folder:PATH`: PATH/<class>/*.png, or PATH/train/<class>/*.png.

    Classes are the sorted names of the class folders; images in folders below belong to
    the class. Images are ordered by the SHA-256 of the file's content, so that any cut
    mixes the classes, is the same everywhere whatever the files are called, and keeps
    copies of one image in one split. Test is PATH/test, else the last tenth of that
    order, at least one; validation is PATH/validation if it is there and no size is
    asked for, else the last part of what is left. Other usual names of the splits do
    too. If any image is in colour all are: gray ones get three equal channels.

    All files are read at once, each once, when the source is made.

    Args:
      path: the folder.
      validation_size: as in `open_source`.
      image_size: as in `open_source`; needed when the images vary in size.
      background: as in `open_source`.
      on_read: as in `open_source`.

    Raises:
      RamError: when there are no class folders in it, too few images, or what is in it
        can be read in more ways than one.
    """

    def __init__(
        self,
        path: str,
        validation_size: int = -1,
        image_size: int = 0,
        background: str = "white",
        on_read: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        super().__init__(FOLDER_PREFIX + path)
        color = background_color(background)
        self._path = path
        passed_over = ["validation"] if validation_size >= 0 else []
        self._layout = layout = Layout(self.name, pathlib.Path(path), passed_over)
        self.class_names = layout.class_names
        listings = layout.listings
        if len(listings["train"]) < _LEAST_IMAGES:
            raise RamError(
                f"--dataset={self.name}: expected at least {_LEAST_IMAGES} images in "
                f"{layout.roots['train']}, one each for training, validation and test, "
                f"found {len(listings['train'])}"
            )
        if validation_size >= 0 and "validation" in layout.roots:
            layout.notes.append(
                f"{layout.roots['validation']} passed over, as --validation_size is "
                "given"
            )
        entries = [entry for listing in listings.values() for entry in listing]
        paths = [str(file) for file, _ in entries]
        read = read_files(paths, color, image_size, len(usable_cores()), on_read)
        self._files: dict[str, _Files] = {}
        self.split_description = {}
        done = 0
        for split, listing in listings.items():
            files = read[done : done + len(listing)]
            done += len(listing)
            labels = (label for _, label in listing)
            ordered = sorted(
                zip(files, labels, strict=True),
                # What is broken comes first, and so into training, which needs it most.
                key=lambda entry: (
                    not entry[0].error,
                    entry[0].digest,
                    entry[1],
                    entry[0].path,
                ),
            )
            self._set(split, ordered, f"all of {layout.roots[split]}")
        self._is_cut = False
        if "test" not in listings:
            self._cut("test", max(len(self._files["train"]) // 10, 1), before=2)
        if "validation" not in listings:
            count = len(self._files["train"])
            size = validation_count(self.name, count, validation_size)
            self._cut("validation", size, before=1)
        self._image_size = image_size
        self._find_shape(image_size)

    def check(self) -> None:
        """Checks what training needs beyond single images.

        Raises:
          RamError: when training has no image of a class, or the images are too alike
            to be cut into splits.
        """
        distinct = {file.digest for file, _ in self._all()}
        if self._is_cut and len(distinct) < _LEAST_IMAGES:
            raise RamError(
                f"--dataset={self.name}: expected at least {_LEAST_IMAGES} different "
                f"images, one each for training, validation and test, found "
                f"{len(distinct)} among {len(self._all())} files"
            )
        counts = self._counts("train")
        for label, name in enumerate(self.class_names):
            if not counts[label]:
                total = sum(self._counts(split)[label] for split in SPLITS)
                where = [split for split in SPLITS if self._counts(split)[label]]
                raise RamError(
                    f"--dataset={self.name}: expected images of class {name} in "
                    f"training, found {total} in all, which the cut by content puts "
                    f"into {' and '.join(where)}; add some, or give PATH/train, "
                    "PATH/validation and PATH/test"
                )

    def record(self, name: SplitName) -> SplitRecord:
        """Returns what identifies a split: a digest of every image and label.

        The names, relative to the folder, are for messages alone.
        """
        files = self._files[name]
        digests = [f"{file.digest.hex()[:16]} {label}" for file, label in files]
        whole = hashlib.sha256("\n".join(digests).encode()).hexdigest()
        names = [shown(os.path.relpath(file.path, self._path)) for file, _ in files]
        return {
            "images": len(files),
            "digest": whole,
            "image_digests": digests,
            "image_names": names,
        }

    def notes(self) -> list[str]:
        """Returns a line for each thing that may not be as meant."""
        lines = [self._layout.passed_line(), *self._layout.notes]
        shapes = collections.Counter(file.stored_shape for file, _ in self._all())
        broken = shapes.pop(None, 0)
        sizes = sorted({(shape[1], shape[0]) for shape in shapes if shape})
        if len(sizes) > 1:
            widths, heights = zip(*sizes, strict=True)
            lines.append(
                f"stored in {len(sizes):,} sizes, {_span(widths)} wide and "
                f"{_span(heights)} high"
                + (f", resized to {self._image_size}" if self._image_size else "")
            )
        gray = sum(n for shape, n in shapes.items() if shape and shape[2] == 1)
        if gray and self.image_shape[2] == 3:
            images = "image" if gray == 1 else "images"
            lines.append(f"{gray:,} gray {images} among colour, made colour")
        if broken:
            lines.append(f"{broken:,} broken images")
        for split in SPLITS:
            counts = self._counts(split)
            missing = [
                n for label, n in enumerate(self.class_names) if not counts[label]
            ]
            if missing and self._files[split]:
                mend = "folders train, validation and test of your own would mend that"
                if split in self._layout.listings:
                    mend = f"add some to {self._layout.roots[split]}"
                lines.append(
                    f"warning: {split} has no image of {few_of(missing)}; {mend}"
                )
        single = [
            name
            for label, name in enumerate(self.class_names)
            if sum(self._counts(split)[label] for split in SPLITS) == 1
        ]
        if single:
            lines.append(f"one image only of {few_of(single)}")
        return [line for line in [*lines, *self._copies()] if line]

    def _copies(self) -> list[str]:
        """Returns lines on files of equal content."""
        places = collections.defaultdict(list)
        for split in SPLITS:
            for file, label in self._files[split]:
                name = shown(os.path.relpath(file.path, self._path))
                places[file.digest].append((split, label, name))
        again = [found for found in places.values() if len(found) > 1]

        def in_several(what: str, key: int) -> list[str]:
            """Names of each image in several of a key one place, and one of another."""
            pairs = []
            for first, *others in again:
                elsewhere = [place for place in others if place[key] != first[key]]
                if elsewhere:
                    pairs.append(f"{first[-1]} and {elsewhere[0][-1]}")
            images = "image lies" if len(pairs) == 1 else "images lie"
            said = f"{len(pairs):,} {images} in more than one {what}"
            return [f"{said} ({few_of(pairs, 3)})"] if pairs else []

        lines = []
        if again:
            copies = sum(len(found) - 1 for found in again)
            lines.append(f"copies of other images: {copies:,}")
        return lines + in_several("class", key=1) + in_several("split", key=0)

    def _all(self) -> _Files:
        return [entry for split in SPLITS for entry in self._files[split]]

    def _counts(self, split: str) -> collections.Counter[int]:
        return collections.Counter(label for _, label in self._files[split])

    def _set(self, name: str, files: _Files, description: str) -> None:
        self._files[name] = files
        self.split_description[name] = description

    def _cut(self, split: str, size: int, before: int) -> None:
        """Makes a split of the last images of training; `before` as of `_boundary`."""
        files = self._files["train"]
        end = len(files)
        start = _boundary(files, end - size, before)
        self._set(split, files[start:], _range(start + 1, end))
        self._set("train", files[:start], _range(1, start))
        self._is_cut = self._is_cut or size > 0

    def _find_shape(self, image_size: int) -> None:
        """Sets the shape of most images, and the first that has it."""
        shapes = [
            (file, file.stored_shape) for file, _ in self._all() if file.stored_shape
        ]
        if not shapes:
            raise self._broken(self._files["train"])
        channels = max(shape[2] for _, shape in shapes)
        sizes = collections.Counter(shape[:2] for _, shape in shapes)
        height, width = sizes.most_common(1)[0][0]
        self._usual = next(
            f.path for f, shape in shapes if shape[:2] == (height, width)
        )
        self.image_shape = (image_size or height, image_size or width, channels)

    def _read(self, name: SplitName) -> ImageSet:
        files = self._files[name]
        images = np.empty((len(files), *self.image_shape), np.uint8)
        height, width, _ = self.image_shape
        if any(file.error for file, _ in files):
            raise self._broken(files)
        # Of files of several sizes, those of the first one's alone have pixels.
        lacking = any(file.pixels is None for file, _ in files)
        for file, _ in [*files, *(self._all() if lacking else ())]:
            found = file.stored_shape[:2] if file.stored_shape else (height, width)
            if not self._image_size and found != (height, width):
                raise RamError(
                    f"{file.path}: an image of {found[0]}x{found[1]} (height x width), "
                    f"expected {height}x{width} as in {self._usual}, or --image_size"
                )
        for image, (file, _) in zip(images, files, strict=True):
            assert file.pixels is not None
            image[:] = file.pixels  # Gray is repeated where colour is wanted.
            file.pixels = None  # The split is kept from here on.
        return ImageSet(images, np.array([label for _, label in files], np.int32))

    def _broken(self, first: _Files) -> RamError:
        """Returns the error of broken files: of these first, then of all splits."""
        broken = {
            file.path: file.error for file, _ in [*first, *self._all()] if file.error
        }
        (path, error), *others = broken.items()
        more = few_of([shown(other) for other, _ in others], _MOST_BROKEN)
        is_are = "is" if len(others) == 1 else "are"
        also = f"; {len(others)} more {is_are} broken: {more}" if others else ""
        return RamError(f"{path}: {error}{also}")


def _range(first: int, last: int) -> str:
    if first > last:
        return "none"
    if first == last:
        return f"image {first} by content"
    return f"images {first} to {last} by content"


def _span(sides: tuple[int, ...]) -> str:
    low, high = min(sides), max(sides)
    return f"{low} to {high} pixels" if low < high else f"{low} pixels"


def _boundary(files: _Files, wanted: int, before: int) -> int:
    """Returns the place nearest to `wanted` that parts no copies of one image.

    Args:
      files: in the order of their digests.
      wanted: where the cut would be.
      before: how many different images must lie before it.
    """
    if wanted == len(files):
        return wanted
    places = [
        at
        for at in range(1, len(files))
        if files[at - 1][0].digest != files[at][0].digest
    ][before - 1 :]
    return min(places, key=lambda at: (abs(at - wanted), at), default=wanted)
