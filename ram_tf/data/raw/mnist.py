"""Reads and checks the four IDX files of MNIST and Fashion-MNIST, gzipped or not.

Used by prepare; TFDS's builders read the plain files' bytes that come out.
"""

import pathlib

import numpy as np

from ram_tf.data.raw.checks import check_digest, check_labels, read_file
from ram_tf.errors import RamError

COUNTS = {"train": 60_000, "t10k": 10_000}
# Several sets share these file names and sizes (KMNIST is another).
FIRST_LABELS: dict[str, tuple[int, ...]] = {
    "mnist": (5, 0, 4, 1, 9, 2, 1, 3, 1, 4),
    "fashion_mnist": (9, 0, 0, 3, 0, 2, 7, 2, 5, 5),
}
# SHA-256 of the files, unpacked.
DIGESTS = {
    "mnist": {
        "train-images-idx3-ubyte": (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        "train-labels-idx1-ubyte": (
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
        ),
        "t10k-images-idx3-ubyte": (
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
        ),
        "t10k-labels-idx1-ubyte": (
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
        ),
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte": (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
        ),
        "train-labels-idx1-ubyte": (
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
        ),
        "t10k-images-idx3-ubyte": (
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
        ),
        "t10k-labels-idx1-ubyte": (
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
        ),
    },
}
TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
NAMES = tuple(DIGESTS["mnist"])


def read_mnist(raw_dir: pathlib.Path, dataset: str) -> dict[str, bytes]:
    """Reads the four IDX files of MNIST or Fashion-MNIST, gzipped or not.

    All four come from one folder. Of several folders with four files, such as those of
    MNIST and of Fashion-MNIST side by side, the first that holds the set is taken.

    Their contents are checked by their digests.

    Args:
      raw_dir: holds them, at any depth; `train-images.idx3-ubyte` is found as well.
      dataset: "mnist" or "fashion_mnist".

    Returns:
      Their contents by name, "train-images-idx3-ubyte" and so on.

    Raises:
      RamError: for a missing, truncated, corrupt or wrong file; it names the file.
    """
    faults = []
    for paths in _find_folders(raw_dir):
        try:
            return _read_folder(paths, dataset)
        except RamError as error:
            faults.append(str(error))
    raise RamError("; ".join(faults))


def _find_folders(raw_dir: pathlib.Path) -> list[dict[str, pathlib.Path]]:
    """Returns the four files by name, for each folder that has them, least deep first.

    Raises:
      RamError: when none has all four; it names what each of them lacks.
    """
    folders: dict[pathlib.Path, dict[str, pathlib.Path]] = {}
    for name in NAMES:
        dotted = name.replace("-idx", ".idx")
        # Of several packings in a folder the first of these is read.
        for fitting in (name, f"{name}.gz", dotted, f"{dotted}.gz"):
            for path in raw_dir.rglob(fitting):
                if path.is_file():
                    folders.setdefault(path.parent, {}).setdefault(name, path)
    if not folders:
        raise RamError(
            f"--raw_dir={raw_dir}: expected {', '.join(NAMES)} in it, each "
            "plain or .gz, found none"
        )
    order = sorted(folders, key=lambda folder: (len(folder.parts), folder))
    whole = [folders[at] for at in order if len(folders[at]) == len(NAMES)]
    if not whole:
        lacks = "; ".join(
            f"{folder} lacks {', '.join(n for n in NAMES if n not in found)}"
            for folder, found in ((folder, folders[folder]) for folder in order)
        )
        raise RamError(
            f"--raw_dir={raw_dir}: expected the four IDX files in one folder, found: "
            f"{lacks}"
        )
    return whole


def _read_folder(paths: dict[str, pathlib.Path], dataset: str) -> dict[str, bytes]:
    contents = {}
    for part, count in COUNTS.items():
        for kind, shape in (
            ("images-idx3-ubyte", (count, 28, 28)),
            ("labels-idx1-ubyte", (count,)),
        ):
            name = f"{part}-{kind}"
            content = read_file(paths[name])
            _check_idx(paths[name], content, shape)
            contents[name] = content
    path = paths["train-labels-idx1-ubyte"]
    first = tuple(contents["train-labels-idx1-ubyte"][8:18])
    if first != FIRST_LABELS[dataset]:
        names = {labels: name for name, labels in FIRST_LABELS.items()}
        raise RamError(
            f"{path}: expected the files of {dataset}, found those of "
            f"{names.get(first, 'another set')} (first labels {list(first)})"
        )
    for name, content in contents.items():
        title = f"{TITLES[dataset]}'s {name}"
        check_digest(paths[name], content, title, DIGESTS[dataset][name])
    return contents


def _check_idx(path: pathlib.Path, content: bytes, shape: tuple[int, ...]) -> None:
    header = bytes((0, 0, 8, len(shape))) + np.array(shape, ">u4").tobytes()
    size = len(header) + int(np.prod(shape))
    sizes = "x".join(str(side) for side in shape)
    if content[: len(header)] != header:
        raise RamError(
            f"{path}: expected an IDX file of {sizes} bytes (header {header.hex()}), "
            f"found {content[: len(header)].hex() or 'nothing'}"
        )
    if len(content) != size:
        raise RamError(
            f"{path}: expected {size} bytes ({sizes} and a header), found "
            f"{len(content)}"
        )
    if len(shape) == 1:
        check_labels(path, np.frombuffer(content, np.uint8, offset=len(header)))
