"""Makes a TFDS data set from archives on disk, without a download.

python -m ram_tf.data.prepare --dataset=mnist --raw_dir=DIR --data_dir=OUT

TFDS's own builder does the work from local files, so that the result is the same as
after a download, in the same order.
"""

import contextlib
import os
import pathlib
import sys
from typing import Any

from ram_tf.data.raw.cifar10 import read_cifar10
from ram_tf.data.raw.mnist import read_mnist
from ram_tf.data.raw.work_folder import work_folder
from ram_tf.entry_point import entry_point
from ram_tf.errors import RamError, one_line
from ram_tf.flags import Arguments, Setting
from ram_tf.runtime.quiet_import import import_tensorflow
from ram_tf.runtime.stop_signals import ended_by_signal

DATASETS = ("mnist", "fashion_mnist", "cifar10")
CIFAR10_CLASSES = (
    "airplane automobile bird cat deer dog frog horse ship truck"  # In the set's order.
).split()

USAGE = """Makes a TFDS data set from archives that are on disk already.

  python -m ram_tf.data.prepare --dataset=mnist --raw_dir=DIR --data_dir=OUT

mnist and fashion_mnist: the four IDX files in one folder, gzipped or not. cifar10:
cifar-10-python.tar.gz or cifar-10-binary.tar.gz, packed or unpacked."""

SETTINGS = [
    Setting("dataset", "mnist", "The set to make.", choices=DATASETS),
    Setting("raw_dir", "", "Folder that holds the archives, at any depth."),
    Setting("data_dir", "", "Folder of TFDS data; empty is TFDS_DATA_DIR."),
]


class _LocalFiles:
    """Stands in for TFDS's download manager: every URL is a local file or folder."""

    downloaded_size = 0

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder

    def download_and_extract(self, urls: Any) -> Any:
        """Returns the path of each file, or of the folder that an archive makes."""
        if isinstance(urls, dict):
            return {key: self.download_and_extract(url) for key, url in urls.items()}
        name = urls.rsplit("/", 1)[-1]
        if name.endswith(".tar.gz"):
            return str(self._folder)
        return str(self._folder / name.removesuffix(".gz"))


def prepare(dataset: str, raw_dir: str, data_dir: str) -> pathlib.Path:
    """Makes a TFDS set that `tfds.load(dataset, data_dir=data_dir)` reads.

    Args:
      dataset: one of `DATASETS`.
      raw_dir: folder of the archives.
      data_dir: where to write; made if it is not there.

    Returns:
      The folder of the set, data_dir/<dataset>/<version>.

    Raises:
      RamError: for missing, truncated, corrupt or wrong files, when the set is there
        already, and when it cannot be written. Nothing half-made is left.
    """
    if dataset not in DATASETS:
        raise RamError(f"--dataset={dataset}: expected one of {', '.join(DATASETS)}")
    raw = pathlib.Path(raw_dir)
    if not raw_dir:
        raise RamError("--raw_dir is required: the folder with the archives")
    if not raw.is_dir():
        raise RamError(
            f"--raw_dir={raw_dir}: expected a folder with archives, found none"
        )
    if not data_dir:
        raise RamError("--data_dir or TFDS_DATA_DIR is required: a folder to write to")
    out = pathlib.Path(data_dir)
    made = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        # On the same file system as the result: renaming it is all or nothing.
        with work_folder(out) as work:
            return _prepare(dataset, raw, out, work)
    except OSError as error:
        raise RamError(
            f"--data_dir={data_dir}: expected a folder to write {dataset} to, found: "
            f"{one_line(error)}"
        ) from None
    finally:
        if made:
            with contextlib.suppress(OSError):
                out.rmdir()  # Goes only when it is empty.


def _prepare(
    dataset: str, raw: pathlib.Path, out: pathlib.Path, work: pathlib.Path
) -> pathlib.Path:
    if dataset == "cifar10":
        files = {f"cifar-10-batches-bin/{n}": c for n, c in read_cifar10(raw).items()}
        names = "\n".join(CIFAR10_CLASSES) + "\n"
        files["cifar-10-batches-bin/batches.meta.txt"] = names.encode()
    else:
        files = read_mnist(raw, dataset)

    # Only now, so that a broken archive is reported without waiting for TensorFlow.
    import_tensorflow()
    import tensorflow_datasets as tfds

    from ram_tf.data.sources.tfds_builder import quiet

    with quiet():
        builder = tfds.builder(dataset, data_dir=str(work / "data"))
        folder = pathlib.Path(builder.data_dir)
        target = out / folder.relative_to(work / "data")
        if target.exists():
            raise RamError(
                f"{target}: expected no such folder, found one; remove it first or "
                "give another --data_dir"
            )
        for name, content in files.items():
            path = work / "raw" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        manager = _LocalFiles(work / "raw")
        builder._make_download_manager = lambda **settings: manager
        try:
            builder.download_and_prepare()
        except Exception as error:  # A full disk is a tf.errors, and no OSError.
            raise RamError(
                f"--data_dir={out}: TFDS was expected to write {dataset}, found: "
                f"{one_line(error)}"
            ) from None
    target.parent.mkdir(exist_ok=True)
    try:
        os.rename(folder, target)
    except OSError:
        with contextlib.suppress(OSError):
            target.parent.rmdir()
        raise
    return target


def _command(arguments: Arguments) -> None:
    data_dir = arguments.data_dir or os.environ.get("TFDS_DATA_DIR", "")
    with ended_by_signal():
        print(prepare(arguments.dataset, arguments.raw_dir, data_dir))


main = entry_point(_command, SETTINGS, USAGE)


if __name__ == "__main__":
    sys.exit(main())
