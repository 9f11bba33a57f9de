"""Reads and checks CIFAR-10's python and binary versions, packed or unpacked.

Used by prepare. The result is always the bytes of the binary version's files, which
TFDS's builder reads.
"""

import io
import pathlib
import pickle
import tarfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from ram_tf.data.raw.checks import check_digest, check_labels, find_file, read_file
from ram_tf.errors import RamError, one_line

COUNT = 10_000  # Images in each of the six files.
# SHA-256 of each file of the binary version, which the python version is brought to:
# what is compared are labels and pixels, and not how somebody pickled them.
DIGESTS = {
    "data_batch_1": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
BATCHES = tuple(DIGESTS)
_PIXELS = 3 * 32 * 32
_CHUNK = 2**20  # Bytes.


def read_cifar10(raw_dir: pathlib.Path) -> dict[str, bytes]:
    """Reads CIFAR-10's python or binary version, packed (.tar, .tar.gz) or not.

    Args:
      raw_dir: holds the archive, or at any depth its six files of images.

    Returns:
      The files of the binary version by name, "data_batch_1.bin" and so on: records of
      a label and 3072 pixels, whole planes of red, green and blue.

    Raises:
      RamError: for a missing, truncated, corrupt or wrong file; it names the file.
    """
    for suffix in (".bin", ""):
        names = [batch + suffix for batch in BATCHES]
        folder = find_file(raw_dir, names[0])
        if folder is not None:
            files = ((name, folder.with_name(name)) for name in names)
            contents = ((name, path, read_file(path)) for name, path in files)
            return _cifar_records(contents, suffix == "")
        version = "binary" if suffix else "python"
        archive = find_file(
            raw_dir, f"cifar-10-{version}.tar*", f"cifar-10-{version}.tgz"
        )
        if archive is not None:
            return _cifar_records(_members(archive, names), suffix == "")
    raise RamError(
        f"--raw_dir={raw_dir}: expected cifar-10-python.tar.gz, cifar-10-binary.tar.gz "
        "or what is in them, found neither"
    )


def _cifar_records(
    contents: Iterator[tuple[str, object, bytes]], pickled: bool
) -> dict[str, bytes]:
    records = {}
    for name, where, content in contents:
        if pickled:
            content = _unpickle(where, content)
        size = COUNT * (1 + _PIXELS)
        if len(content) != size:
            raise RamError(f"{where}: expected {size} bytes, found {len(content)}")
        check_labels(where, np.frombuffer(content, np.uint8)[:: 1 + _PIXELS])
        batch = name.removesuffix(".bin")
        check_digest(where, content, f"CIFAR-10's {batch}", DIGESTS[batch])
        records[f"{batch}.bin"] = content
    return records


def _members(
    archive: pathlib.Path, names: list[str]
) -> Iterator[tuple[str, object, bytes]]:
    """Yields name, place and content of files in an archive, none of them written."""
    found = {}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = pathlib.PurePosixPath(member.name).name
                if name in names and (file := tar.extractfile(member)):
                    found[name] = file.read()
            # A tar ends before its packing does, which has its checksum at the end.
            while tar.fileobj is not None and tar.fileobj.read(_CHUNK):
                pass
    except Exception as error:  # Each packing raises errors of its own.
        raise RamError(
            f"{archive}: expected a whole archive, found: {one_line(error)}"
        ) from None
    for name in names:
        if name not in found:
            raise RamError(f"{archive}: expected {name} in it, found none")
        yield name, f"{archive}:{name}", found[name]


class _ArrayUnpickler(pickle.Unpickler):
    """Reads dictionaries of arrays, and runs no other code that a pickle names."""

    _MODULES = (
        "numpy",
        *("numpy.core.multiarray", "numpy._core.multiarray"),
        *("numpy.core.numeric", "numpy._core.numeric"),
    )
    # The last is what arrays of pickle protocol 5 are made by.
    _NAMES = ("ndarray", "dtype", "_reconstruct", "_frombuffer")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        if module in self._MODULES and name in self._NAMES:
            # numpy.core is the old name, that the archive of 2009 has.
            module = module.replace("numpy.core", "numpy._core")
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not of a CIFAR-10 file")


def _unpickle(where: object, content: bytes) -> bytes:
    try:
        batch = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
        fields = {
            key.decode() if isinstance(key, bytes) else key: batch[key] for key in batch
        }
        data, labels = np.asarray(fields["data"]), np.asarray(fields["labels"])
    except Exception as error:  # A broken pickle raises anything.
        raise RamError(
            f"{where}: expected a pickle of data and labels, found: {one_line(error)}"
        ) from None
    if data.dtype != np.uint8 or data.shape != (COUNT, _PIXELS):
        raise RamError(
            f"{where}: expected data uint8 [{COUNT}, {_PIXELS}], found "
            f"{data.dtype} {list(data.shape)}"
        )
    if labels.dtype.kind not in "iu" or labels.shape != (COUNT,):
        raise RamError(
            f"{where}: expected {COUNT} integer labels, found {labels.dtype} "
            f"{list(labels.shape)}"
        )
    # Below 0 wraps to far above 9, where the check of labels finds it.
    return np.insert(data, 0, np.minimum(labels % 2**32, 255), axis=1).tobytes()
