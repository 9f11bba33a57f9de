"""Archives to TFDS sets: every packing, TFDS's own order, broken files."""

import fcntl
import hashlib
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from helpers.data_files import (
    MNIST_FILES,
    REAL_DATA,
    cifar_contents,
    idx,
    needs_real_data,
    random_data,
    write_cifar,
    write_mnist,
)
from helpers.processes import ROOT
from tensorflow_datasets.core.hashing import Hasher
from tensorflow_datasets.image_classification import mnist as tfds_mnist

from ram_tf.data import prepare
from ram_tf.data.prepare import main
from ram_tf.data.raw import cifar10 as cifar_files
from ram_tf.data.raw import mnist as mnist_files
from ram_tf.data.raw.work_folder import work_folder
from ram_tf.errors import RamError


def hash_order(split, count):
    """Returns the keys 0, 1, ... in the order in which TFDS writes a split."""
    hasher = Hasher(split)
    return np.array(sorted(range(count), key=hasher.hash_key))


def load(name, folder, split):
    """Returns images and labels as plain tfds.load gives them."""
    dataset = tfds.load(
        name,
        split=split,
        data_dir=str(folder),
        download=False,
        as_supervised=True,
        batch_size=1000,
    )
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def check_written(name, folder, data):
    for split, part in data.items():
        order = hash_order(split, len(part["labels"]))
        images, labels = load(name, folder, split)
        expected = part["images"][order]
        np.testing.assert_array_equal(images.reshape(expected.shape), expected)
        np.testing.assert_array_equal(labels, part["labels"][order])


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def small_set(name, seed=0):
    """Returns 50 and 20 random images with the first labels of a set."""
    data = random_data(50, 20, (28, 28), seed)
    data["train"]["labels"][:10] = mnist_files.FIRST_LABELS[name]
    return data


@pytest.fixture
def digits(monkeypatch):
    """MNIST of 50 and 20 images, and readers and builders that expect no more.

    The Fashion-MNIST that they expect is small_set("fashion_mnist", seed=1).
    """
    for name, seed in (("fashion_mnist", 1), ("mnist", 0)):
        data = small_set(name, seed)
        digests = {
            file: sha256(idx(data[split][kind]))
            for file, (split, kind) in MNIST_FILES.items()
        }
        monkeypatch.setitem(mnist_files.DIGESTS, name, digests)
    monkeypatch.setattr(mnist_files, "COUNTS", {"train": 50, "t10k": 20})
    monkeypatch.setattr(tfds_mnist, "_TRAIN_EXAMPLES", 50)
    monkeypatch.setattr(tfds_mnist, "_TEST_EXAMPLES", 20)
    return data


@pytest.fixture
def pictures(monkeypatch):
    """CIFAR-10 of 6 files of 8 images."""
    monkeypatch.setattr(cifar_files, "COUNT", 8)
    data = random_data(40, 8, (32, 32, 3))
    files = cifar_contents(data, "binary")
    digests = {name.removesuffix(".bin"): sha256(files[name]) for name in files}
    monkeypatch.setattr(cifar_files, "DIGESTS", digests)
    return data


def fails(dataset, raw, out):
    """Returns the one line of the RamError, after which nothing is left in `out`."""
    with pytest.raises(RamError) as caught:
        prepare.prepare(dataset, str(raw), str(out))
    message = str(caught.value)
    assert "\n" not in message
    assert "expected" in message
    assert not out.exists() or not list(out.rglob("*"))
    return message


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("mnist", {}),
        ("mnist", {"packed": True}),
        ("mnist", {"dotted": True}),
        ("fashion_mnist", {"packed": True}),
    ],
)
def test_prepare_mnist_is_what_tfds_loads(digits, tmp_path, name, settings):
    data = digits if name == "mnist" else small_set(name, seed=1)
    write_mnist(tmp_path / "raw" / "deep", data, **settings)
    out = tmp_path / "out"
    folder = prepare.prepare(name, str(tmp_path / "raw"), str(out))
    assert folder == out / name / "3.0.1"
    assert list(out.iterdir()) == [out / name]
    check_written(name, out, data)


@pytest.mark.parametrize("version", ["python", "binary"])
@pytest.mark.parametrize("packed", [False, True])
def test_prepare_cifar10_is_what_tfds_loads(pictures, tmp_path, version, packed):
    write_cifar(tmp_path / "raw", pictures, version, packed=packed)
    out = tmp_path / "out"
    folder = prepare.prepare("cifar10", str(tmp_path / "raw"), str(out))
    assert folder == out / "cifar10" / "3.0.2"
    check_written("cifar10", out, pictures)
    names = tfds.builder("cifar10", data_dir=str(out)).info.features["label"].names
    assert names == list(prepare.CIFAR10_CLASSES)


def test_prepare_command_prints_the_folder(digits, tmp_path, capsys):
    write_mnist(tmp_path / "raw", digits)
    out = tmp_path / "out"
    argv = ["--dataset=mnist", f"--raw_dir={tmp_path / 'raw'}", f"--data_dir={out}"]
    assert main(argv) == 0
    assert capsys.readouterr().out == f"{out / 'mnist' / '3.0.1'}\n"
    # A second time it is there already, and stays as it is.
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert main(argv) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and str(out / "mnist" / "3.0.1") in error
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_prepare_adds_to_other_sets(digits, tmp_path):
    write_mnist(tmp_path / "raw", digits)
    out = tmp_path / "out"
    (out / "cifar10").mkdir(parents=True)
    prepare.prepare("mnist", str(tmp_path / "raw"), str(out))
    assert {path.name for path in out.iterdir()} == {"cifar10", "mnist"}


def test_prepare_help_and_flags(capsys, tmp_path, monkeypatch):
    # An empty --data_dir falls back to it.
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    assert main(["--help"]) == 0
    assert "--raw_dir" in capsys.readouterr().out
    assert main(["--dataset=svhn"]) == 1
    assert "--dataset=svhn: expected one of mnist" in capsys.readouterr().err
    assert main([f"--raw_dir={tmp_path / 'nowhere'}", "--data_dir=x"]) == 1
    assert "nowhere: expected a folder" in capsys.readouterr().err
    assert main(["--raw_dir=", "--data_dir=x"]) == 1
    assert "--raw_dir is required" in capsys.readouterr().err
    assert main([f"--raw_dir={tmp_path}", "--data_dir="]) == 1
    assert "--data_dir or TFDS_DATA_DIR is required" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(MNIST_FILES))
@pytest.mark.parametrize("packed", [False, True])
def test_prepare_truncated_mnist_file_is_named(digits, tmp_path, name, packed):
    write_mnist(tmp_path / "raw", digits, packed=packed)
    file = tmp_path / "raw" / (f"{name}.gz" if packed else name)
    file.write_bytes(file.read_bytes()[:-9])
    assert str(file) in fails("mnist", tmp_path / "raw", tmp_path / "out")


def test_prepare_missing_mnist_file_is_named(digits, tmp_path):
    write_mnist(tmp_path / "raw", digits)
    (tmp_path / "raw" / "t10k-labels-idx1-ubyte").unlink()
    message = fails("mnist", tmp_path / "raw", tmp_path / "out")
    assert "t10k-labels-idx1-ubyte" in message


def test_prepare_corrupt_gzip_is_named(digits, tmp_path):
    write_mnist(tmp_path / "raw", digits, packed=True)
    file = tmp_path / "raw" / "train-images-idx3-ubyte.gz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)
    assert str(file) in fails("mnist", tmp_path / "raw", tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_prepare_wrong_mnist_file_is_named(digits, tmp_path, content, suffix):
    write_mnist(tmp_path / "raw", digits, packed=bool(suffix))
    file = tmp_path / "raw" / f"train-labels-idx1-ubyte{suffix}"
    file.write_bytes(content)
    assert str(file) in fails("mnist", tmp_path / "raw", tmp_path / "out")


def test_prepare_images_in_place_of_labels_are_named(digits, tmp_path):
    write_mnist(tmp_path / "raw", digits)
    file = tmp_path / "raw" / "train-labels-idx1-ubyte"
    file.write_bytes((tmp_path / "raw" / "train-images-idx3-ubyte").read_bytes())
    assert str(file) in fails("mnist", tmp_path / "raw", tmp_path / "out")


def test_prepare_mnist_label_out_of_range_is_named(digits, tmp_path):
    digits["test"]["labels"][7] = 10
    write_mnist(tmp_path / "raw", digits)
    message = fails("mnist", tmp_path / "raw", tmp_path / "out")
    assert "t10k-labels-idx1-ubyte: label 10 of image 7" in message


@pytest.mark.parametrize(
    ("asked", "given"), [("mnist", "fashion_mnist"), ("fashion_mnist", "mnist")]
)
def test_prepare_files_of_the_other_set_are_refused(digits, tmp_path, asked, given):
    digits["train"]["labels"][:10] = mnist_files.FIRST_LABELS[given]
    write_mnist(tmp_path / "raw", digits)
    message = fails(asked, tmp_path / "raw", tmp_path / "out")
    assert f"files of {asked}, found those of {given}" in message


def test_prepare_of_an_unknown_set_is_refused(digits, tmp_path):
    # KMNIST's files have these names and sizes too.
    digits["train"]["labels"][:10] = (8, 7, 0, 1, 4, 2, 4, 8, 1, 1)
    write_mnist(tmp_path / "raw", digits)
    for name in ("mnist", "fashion_mnist"):
        message = fails(name, tmp_path / "raw", tmp_path / "out")
        assert f"expected the files of {name}, found those of another set" in message


@pytest.mark.parametrize("name", sorted(MNIST_FILES))
@pytest.mark.parametrize(
    ("dataset", "title"), [("mnist", "MNIST"), ("fashion_mnist", "Fashion-MNIST")]
)
def test_prepare_changed_file_is_named(digits, tmp_path, name, dataset, title):
    data = digits if dataset == "mnist" else small_set(dataset, seed=1)
    split, kind = MNIST_FILES[name]
    data[split][kind][-1] ^= 1
    write_mnist(tmp_path / "raw", data)
    message = fails(dataset, tmp_path / "raw", tmp_path / "out")
    assert f"{tmp_path / 'raw' / name}: expected {title}'s {name}" in message


def test_prepare_mnist_images_with_fashion_labels_are_refused(digits, tmp_path):
    digits["train"]["labels"] = small_set("fashion_mnist", seed=1)["train"]["labels"]
    write_mnist(tmp_path / "raw", digits)
    message = fails("fashion_mnist", tmp_path / "raw", tmp_path / "out")
    name = "train-images-idx3-ubyte"
    assert f"{name}: expected Fashion-MNIST's {name}" in message


def test_prepare_takes_all_mnist_files_from_one_folder(digits, tmp_path):
    raw = tmp_path / "raw"
    write_mnist(raw / "deep" / "mnist", digits, packed=True)
    fashion = small_set("fashion_mnist", seed=1)
    write_mnist(raw / "fashion", fashion)
    for name, data in (("mnist", digits), ("fashion_mnist", fashion)):
        contents = mnist_files.read_mnist(raw, name)
        for file, (split, kind) in MNIST_FILES.items():
            assert contents[file] == idx(data[split][kind])
    (raw / "fashion" / "t10k-images-idx3-ubyte").unlink()
    (raw / "deep" / "mnist" / "train-images-idx3-ubyte.gz").unlink()
    message = fails("mnist", raw, tmp_path / "out")
    assert f"{raw / 'fashion'} lacks t10k-images-idx3-ubyte;" in message
    assert message.endswith(f"{raw / 'deep' / 'mnist'} lacks train-images-idx3-ubyte")


@pytest.mark.parametrize("version", ["python", "binary"])
def test_prepare_changed_cifar10_pixel_is_named(pictures, tmp_path, version):
    pictures["train"]["images"][20, 5, 5, 1] ^= 1
    write_cifar(tmp_path / "raw", pictures, version, packed=False)
    message = fails("cifar10", tmp_path / "raw", tmp_path / "out")
    assert "data_batch_3" in message and "expected CIFAR-10's data_batch_3" in message


@pytest.mark.parametrize("version", ["python", "binary"])
def test_prepare_six_times_one_cifar10_batch_is_refused(pictures, tmp_path, version):
    for kind in ("images", "labels"):
        first = pictures["train"][kind][:8]
        pictures["train"][kind] = np.concatenate([first] * 5)
        pictures["test"][kind] = first
    write_cifar(tmp_path / "raw", pictures, version, packed=True)
    message = fails("cifar10", tmp_path / "raw", tmp_path / "out")
    assert "expected CIFAR-10's data_batch_2" in message


def test_prepare_takes_cifar10_pickled_by_another_writer(pictures, tmp_path):
    for name, content in cifar_contents(pictures, "python").items():
        batch = pickle.loads(content)
        batch = {"labels": np.array(batch[b"labels"]), "data": batch[b"data"]}
        (tmp_path / name).write_bytes(pickle.dumps(batch, protocol=5))
    assert cifar_files.read_cifar10(tmp_path) == cifar_contents(pictures, "binary")


@pytest.mark.parametrize("version", ["python", "binary"])
@pytest.mark.parametrize("packed", [False, True])
def test_prepare_truncated_cifar10_is_named(pictures, tmp_path, version, packed):
    write_cifar(tmp_path / "raw", pictures, version, packed=packed)
    file = max(
        (path for path in (tmp_path / "raw").rglob("*") if path.is_file()),
        key=lambda path: path.name,
    )
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert str(file) in fails("cifar10", tmp_path / "raw", tmp_path / "out")


@pytest.mark.parametrize(
    ("kind", "settings"),
    # Level 0 stores: what is cut or changed there still looks like a tar archive.
    [("gz", {"compresslevel": 0}), ("gz", {}), ("bz2", {}), ("xz", {})],
)
@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_prepare_damaged_archive_is_named(pictures, tmp_path, kind, settings, damage):
    raw = tmp_path / "raw"
    write_cifar(raw, pictures, "binary", packed=True, kind=kind, **settings)
    file = raw / f"cifar-10-binary.tar.{kind}"
    content = bytearray(file.read_bytes())
    if damage == "cut":
        content = content[:-9]  # Ends behind the last member: the checksum is cut.
    else:
        content[len(content) // 2] ^= 1
    file.write_bytes(content)
    message = fails("cifar10", raw, tmp_path / "out")
    assert f"{file}: expected a whole archive" in message


def test_prepare_incomplete_cifar10_is_named(pictures, tmp_path):
    write_cifar(tmp_path / "raw", pictures, "binary", packed=False)
    file = tmp_path / "raw" / "cifar-10-batches-bin" / "data_batch_4.bin"
    file.unlink()
    assert str(file) in fails("cifar10", tmp_path / "raw", tmp_path / "out")
    with tarfile.open(tmp_path / "raw" / "cifar-10-python.tar.gz", "w:gz"):
        pass
    for path in file.parent.iterdir():
        path.unlink()
    message = fails("cifar10", tmp_path / "raw", tmp_path / "out")
    assert "cifar-10-python.tar.gz: expected data_batch_1" in message


def test_prepare_cifar10_label_out_of_range_is_named(pictures, tmp_path):
    pictures["train"]["labels"][9] = 10
    for version in ("python", "binary"):
        raw = tmp_path / version
        write_cifar(raw, pictures, version, packed=True)
        message = fails("cifar10", raw, tmp_path / "out")
        assert "data_batch_2" in message and "label 10 of image 1" in message


def test_prepare_without_archives_says_what_is_looked_for(tmp_path):
    (tmp_path / "raw").mkdir()
    message = fails("cifar10", tmp_path / "raw", tmp_path / "out")
    assert "cifar-10-python.tar.gz" in message
    message = fails("mnist", tmp_path / "raw", tmp_path / "out")
    assert "train-images-idx3-ubyte" in message


class _Intruder:
    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path("intruded"),)


@pytest.mark.parametrize(
    "batch", [_Intruder(), [], {}, {b"data": 1, b"labels": 2}, None]
)
def test_prepare_pickle_of_something_else_is_named(
    pictures, tmp_path, monkeypatch, batch
):
    monkeypatch.chdir(tmp_path)
    write_cifar(tmp_path / "raw", pictures, "python", packed=False)
    file = tmp_path / "raw" / "cifar-10-batches-py" / "data_batch_1"
    file.write_bytes(pickle.dumps(batch))
    assert str(file) in fails("cifar10", tmp_path / "raw", tmp_path / "out")
    assert not (tmp_path / "intruded").exists()


def test_prepare_full_disk_leaves_nothing(digits, tmp_path, monkeypatch):
    write_mnist(tmp_path / "raw", digits)

    def full(self, **settings):
        pathlib.Path(self.data_dir).mkdir(parents=True)
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", full)
    message = fails("mnist", tmp_path / "raw", tmp_path / "out")
    assert "No space left" in message


def test_prepare_folder_that_cannot_be_written_is_named(digits, tmp_path):
    write_mnist(tmp_path / "raw", digits)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(RamError, match="--data_dir=.*file/out: expected a folder"):
        prepare.prepare("mnist", str(tmp_path / "raw"), str(tmp_path / "file" / "out"))


# TFDS's part of the work takes as long as the test needs.
PROGRAM = """
import os, sys, time

import tensorflow_datasets as tfds

from ram_tf.data import prepare


def work(self, **settings):
    os.write(1, b"ready\\n")
    time.sleep(600)


prepare.read_mnist = lambda raw, dataset: {"train-images-idx3-ubyte": bytes(1000)}
tfds.core.DatasetBuilder.download_and_prepare = work
sys.exit(prepare.main(sys.argv[1:]))
"""


def test_prepare_stopped_by_sigterm_leaves_nothing(tmp_path):
    (tmp_path / "raw").mkdir()
    out = tmp_path / "out"
    argv = [f"--raw_dir={tmp_path / 'raw'}", f"--data_dir={out}"]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *argv],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        assert len(list(out.glob(".prepare-*/raw/train-images-idx3-ubyte"))) == 1
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)  # As `timeout` does.
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert errors.splitlines()[-1] == "stopped by signal 15"
    assert not out.exists()


def test_work_folder_removes_what_killed_runs_left(tmp_path):
    for name in (".prepare-killed", ".prepare-used", "mnist"):
        (tmp_path / name / "raw").mkdir(parents=True)
        (tmp_path / name / "raw" / "file").write_bytes(b"kept?")
    used = os.open(tmp_path / ".prepare-used", os.O_RDONLY)
    try:
        fcntl.flock(used, fcntl.LOCK_EX)
        with work_folder(tmp_path) as mine, work_folder(tmp_path) as other:
            here = {path.name for path in tmp_path.iterdir()}
            assert here == {".prepare-used", "mnist", mine.name, other.name}
    finally:
        os.close(used)
    assert {path.name for path in tmp_path.iterdir()} == {".prepare-used", "mnist"}
    assert (tmp_path / "mnist" / "raw" / "file").exists()


def originals(name, shape):
    """Returns the supplied copy's images and labels in the order of the archives."""
    data = {}
    for split in ("train", "test"):
        images, labels = load(name, REAL_DATA, split)
        order = hash_order(split, len(labels))
        part = {"images": np.empty_like(images), "labels": np.empty(len(labels), "u1")}
        part["images"][order] = images
        part["labels"][order] = labels
        part["images"] = part["images"].reshape(len(labels), *shape)
        data[split] = part
    return data


@needs_real_data
@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_prepare_round_trips_the_real_mnist(tmp_path, packed):
    data = originals("mnist", (28, 28))
    assert tuple(data["train"]["labels"][:10]) == mnist_files.FIRST_LABELS["mnist"]
    write_mnist(tmp_path / "raw", data, packed=packed)
    prepare.prepare("mnist", str(tmp_path / "raw"), str(tmp_path / "out"))
    for split in ("train", "test", "train[:55000]"):
        made, kept = (
            load("mnist", tmp_path / "out", split),
            load("mnist", REAL_DATA, split),
        )
        np.testing.assert_array_equal(made[0], kept[0])
        np.testing.assert_array_equal(made[1], kept[1])


@needs_real_data
@pytest.mark.slow
@pytest.mark.parametrize("version", ["python", "binary"])
def test_prepare_round_trips_the_real_cifar10(tmp_path, version):
    data = originals("cifar10", (32, 32, 3))
    write_cifar(tmp_path / "raw", data, version, packed=True)
    prepare.prepare("cifar10", str(tmp_path / "raw"), str(tmp_path / "out"))
    for split in ("train", "test"):
        made, kept = (
            load("cifar10", tmp_path / "out", split),
            load("cifar10", REAL_DATA, split),
        )
        np.testing.assert_array_equal(made[0], kept[0])
        np.testing.assert_array_equal(made[1], kept[1])
