"""What lies in a folder of images: splits, classes, images, and what is passed over.

Only names are looked at here; `ram_tf.data.sources.folder` reads the files.

Over 250 lines: every way in which people lay out a folder is read, or named, here.
"""

import collections
import dataclasses
import os
import pathlib
from collections.abc import Sequence

from ram_tf.data.picture import SUFFIXES
from ram_tf.data.sources.base import SPLITS
from ram_tf.errors import RamError, few_of
from ram_tf.files import shown

_SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# Left by archives, cameras, file managers and shells.
_DROPPINGS = frozenset(
    ("__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "lost+found")
    + ("system volume information", "__pycache__")
)

_CLASS_LEVEL = 3  # Root, split and class: as deep as folders of classes can lie.

_Inode = tuple[int, int]
_Inodes = tuple[_Inode, ...]
Listing = list[tuple[pathlib.Path, int]]


@dataclasses.dataclass
class Folder:
    """One folder, with all that is in it and below.

    Attributes:
      path: the folder.
      folders: those in it, by name.
      images: the image files in it itself.
    """

    path: pathlib.Path
    folders: list["Folder"] = dataclasses.field(default_factory=list)
    images: list[pathlib.Path] = dataclasses.field(default_factory=list)

    @property
    def name(self) -> str:
        return shown(self.path.name)

    def all_images(self) -> list[pathlib.Path]:
        """Returns its images and those of the folders below."""
        found = list(self.images)
        for folder in self.folders:
            found += folder.all_images()
        return found

    def with_images(self) -> list["Folder"]:
        """Returns the folders in it that have images, at any depth."""
        return [folder for folder in self.folders if folder.all_images()]


class Layout:
    """Finds the classes and the images of a folder.

    Args:
      dataset: its name, for errors.
      root: the folder.
      passed_over: splits whose folders are not looked into.

    Attributes:
      class_names: the sorted names of the class folders of training.
      listings: by split, the images with their labels; "train" alone when there are no
        split folders.
      roots: by split, the folder that it is read from.
      passed: how many files and folders were passed over, by kind.
      notes: what else is worth a line.

    Raises:
      RamError: when it can be read in more ways than one, or in none.
    """

    def __init__(
        self, dataset: str, root: pathlib.Path, passed_over: Sequence[str] = ()
    ) -> None:
        self._dataset = dataset
        self.passed: collections.Counter[str] = collections.Counter()
        self.notes: list[str] = []
        self.listings: dict[str, Listing] = {}
        self.roots = {"train": root}
        if not root.is_dir():
            found_at = "a file" if root.exists() else "nothing"
            raise self._error(f"expected a folder, found {found_at} at {root}")
        self._visited: set[tuple[_Inodes, _Inode]] = set()
        found = self._look(root, ())
        roots = self._split_roots(found, passed_over)
        self.roots = {split: folder.path for split, folder in roots.items()}
        train = roots["train"]
        self._check_levels(train)
        self.class_names = [folder.name for folder in train.folders]
        if not train.with_images():
            loose = f" but {len(train.images):,} images of no class" * bool(
                train.images
            )
            raise self._error(
                f"expected folders of classes with images ({', '.join(SUFFIXES)}) in "
                f"{train.path}, found none{loose}"
            )
        for split in SPLITS:
            if split in roots and split not in passed_over:
                self.listings[split] = self._list(split, roots[split])

    def passed_line(self) -> str:
        """Returns what was passed over, or nothing."""
        kinds = [f"{kind} {count:,}" for kind, count in sorted(self.passed.items())]
        return f"passed over: {', '.join(kinds)}" if kinds else ""

    def _error(self, said: str) -> RamError:
        return RamError(f"--dataset={self._dataset}: {said}")

    def _look(self, path: pathlib.Path, above: _Inodes) -> Folder:
        """Reads a folder and those below; links that lead back are passed over."""
        found = Folder(path)
        try:
            status = path.stat()
            here = (*above, (status.st_dev, status.st_ino))
            if here[-1] in above:
                self.passed["links that lead back up"] += 1
                return found
            # Within a folder of a class each is read once: links could double their
            # number at every level.
            visit = above[:_CLASS_LEVEL], here[-1]
            if len(above) >= _CLASS_LEVEL and visit in self._visited:
                self.passed["folders linked twice"] += 1
                return found
            self._visited.add(visit)
            entries = sorted(os.scandir(path), key=lambda entry: os.fsencode(entry))
        except OSError as error:
            raise RamError(
                f"{path}: expected a folder to read, found: {error.strerror}"
            ) from None
        for entry in entries:
            hidden = entry.name.startswith(".") or entry.name.lower() in _DROPPINGS
            try:
                is_folder, is_file = entry.is_dir(), entry.is_file()
            except OSError:  # A link to itself.
                is_folder = is_file = False
            suffix = pathlib.PurePath(entry.name).suffix.lower()
            if hidden:
                shape = "folders" if is_folder else "files"
                self.passed[f"{shape} that are hidden or left by archives"] += 1
            elif is_folder:
                found.folders.append(self._look(path / entry.name, here))
            elif not is_file:
                self.passed["broken links or no files at all"] += 1
            elif suffix in SUFFIXES:
                found.images.append(path / entry.name)
            else:
                kind = f"{shown(suffix)} files" if suffix else "files of no suffix"
                self.passed[kind] += 1
        return found

    def _split_roots(
        self, root: Folder, passed_over: Sequence[str]
    ) -> dict[str, Folder]:
        """Returns the folder of each split; without split folders, all is train."""
        splits: dict[str, Folder] = {}
        others, twice = [], ""
        for folder in root.folders:
            split = _SPLIT_NAMES.get(folder.name.lower())
            if split is None:
                others.append(folder)
            elif split in splits and split not in passed_over:
                twice = f"{splits[split].name} and {folder.name}, both of {split}"
            else:
                splits[split] = folder
        classes_beside = any(folder.images for folder in others)
        # With images in it and classes beside it, a train (or a test) is a class too.
        as_classes = classes_beside and not any(f.folders for f in splits.values())
        if not splits or as_classes:
            if root.with_images():
                self._pass_loose(root)
            return {"train": root}
        if twice:
            raise self._error(f"expected one folder a split, found {twice}")
        if "train" not in splits:
            names = ", ".join(folder.name for folder in splits.values())
            raise self._error(
                f"expected {root.path}/train/<class> beside the split folder(s) "
                f"{names}, found no train"
            )
        for split, folder in splits.items():
            if split in passed_over:
                continue
            if not folder.folders:
                raise self._error(
                    f"expected folders of classes in {folder.path}, found "
                    f"{len(folder.images) or 'no'} images in no class"
                )
            self._pass_loose(folder)
        self._pass_loose(root)
        for folder in others:
            count = len(folder.all_images())
            self.notes.append(
                f"{folder.path}, beside the split folders, passed over: {count:,} "
                "images"
            )
        return splits

    def _pass_loose(self, folder: Folder) -> None:
        if folder.images:
            self.notes.append(
                f"{len(folder.images):,} images in {folder.path} itself, of no class, "
                f"passed over, as {shown(folder.images[0].name)}"
            )

    def _check_levels(self, train: Folder) -> None:
        """Refuses folders whose classes seem to lie a level deeper."""
        inner = {
            folder.name: [each.name for each in folder.with_images()]
            for folder in train.with_images()
            if not folder.images
        }
        if len(train.folders) == 1 and inner:
            ((name, names),) = inner.items()
            if len(names) > 1 or names[0].lower() in _SPLIT_NAMES:
                raise self._error(
                    f"expected folders of classes in {train.path}, found {name} alone, "
                    f"which holds folders itself ({few_of(names)}); "
                    f"give --dataset=folder:{train.folders[0].path}"
                )
        for name, names in inner.items():
            if all(each.lower() in _SPLIT_NAMES for each in names):
                raise self._error(
                    f"expected split folders above class folders ("
                    f"{train.path}/train/{name}), found them in {name}: {few_of(names)}"
                )
        shared = [set(names) for names in inner.values() if len(names) > 1]
        if len(shared) > 1 and all(names == shared[0] for names in shared):
            raise self._error(
                f"expected images in the folders of {train.path}, found the same "
                f"folders in each ({few_of(sorted(shared[0]))}): which are the classes?"
            )

    def _list(self, split: str, root: Folder) -> Listing:
        listing: Listing = []
        counts: collections.Counter[str] = collections.Counter()
        for folder in root.folders:
            images = folder.all_images()
            counts[folder.name] = len(images)
            if folder.name not in self.class_names:
                if not images:
                    continue
                raise RamError(
                    f"{folder.path}: expected one of the classes of training, "
                    f"{few_of(self.class_names, 20)}"
                )
            if not images and split == "train":
                raise RamError(
                    f"{folder.path}: expected images of class {folder.name} "
                    f"({', '.join(SUFFIXES)}), found none"
                )
            deeper = [each.name for each in folder.with_images()]
            if deeper:
                self.notes.append(
                    f"{len(images) - len(folder.images):,} images in folders of "
                    f"{folder.path} ({few_of(deeper)}) are read as {folder.name}"
                )
            label = self.class_names.index(folder.name)
            listing += [(path, label) for path in images]
        return listing
