"""Damaged files of every kind: the data as they are, or one line of what is wrong."""

import shutil

import hypothesis
import numpy as np
import pytest
from helpers.damage import damages, with_cases
from helpers.data_files import (
    random_data,
    random_images,
    write_cifar,
    write_images,
    write_mnist,
    write_set,
)
from hypothesis import strategies as st

from ram_tf.data.raw import cifar10 as cifar_files
from ram_tf.data.raw import mnist as mnist_files
from ram_tf.data.sources import mnist_sample as sample
from ram_tf.data.sources.mnist_sample import MnistSample
from ram_tf.data.sources.open import open_source
from ram_tf.errors import RamError

pytestmark = pytest.mark.faults

INFO = "shapes/1.0.0/dataset_info.json"
FEATURES = "shapes/1.0.0/features.json"
RECORDS = "shapes/1.0.0/shapes-train.tfrecord-00000-of-00001"


def read_all(source):
    for name in ("train", "validation", "test"):
        images, labels = source.split(name)
        assert images.shape == (len(labels), *source.image_shape)
        assert images.dtype == np.uint8
        assert ((labels >= 0) & (labels < len(source.class_names))).all()


def right_or_one_line(action):
    try:
        action()
    except RamError as error:
        assert "\n" not in str(error)
        assert "expected" in str(error)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Whole data of every kind, each in a folder of its own."""
    root = tmp_path_factory.mktemp("good")
    train = random_images(12)
    write_set(root / "tfds", {"train": train, "test": train[:3]})
    for name in ("cat", "dog"):
        write_images(root / "folder" / name, 12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist_files, "COUNTS", {"train": 20, "t10k": 10})
        patch.setattr(cifar_files, "COUNT", 2)
        digits, pictures = (
            random_data(20, 10, (28, 28)),
            random_data(10, 2, (32, 32, 3)),
        )
        write_mnist(root / "idx", digits)
        write_mnist(root / "gzip", digits, packed=True)
        for version in ("python", "binary"):
            for packed in (False, True):
                write_cifar(
                    root / f"{version}-{packed}", pictures, version, packed=packed
                )
        yield root


def damaged(good, kind, file, damage):
    """Copies a folder of whole data, damages one file in it and returns the copy."""
    copy = good.with_name("damaged") / kind
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(good / kind, copy)
    path = copy / file
    path.write_bytes(damage(path.read_bytes()))
    return copy


@pytest.mark.parametrize("file", [RECORDS, INFO, FEATURES])
@with_cases()
@hypothesis.given(damage=damages())
def test_damaged_tfds_set(good, file, damage):
    copy = damaged(good, "tfds", file, damage)
    right_or_one_line(lambda: read_all(open_source("shapes", str(copy))))


@with_cases()
@hypothesis.given(damage=damages())
def test_damaged_image_of_a_folder(good, damage):
    copy = damaged(good, "folder", "dog/3.png", damage)
    right_or_one_line(lambda: read_all(open_source(f"folder:{copy}")))


@with_cases()
@hypothesis.given(damage=damages(), image_size=st.sampled_from([0, 4]))
def test_damaged_first_image_of_a_folder(good, damage, image_size):
    copy = damaged(good, "folder", "dog/3.png", damage)
    shutil.rmtree(copy / "cat")
    for number in (*range(3), *range(4, 12)):
        (copy / "dog" / f"{number}.png").unlink()
    source = f"folder:{copy}"
    right_or_one_line(lambda: open_source(source, image_size=image_size).split("train"))


@with_cases()
@hypothesis.given(damage=damages())
def test_damaged_sample(tmp_path_factory, damage):
    path = tmp_path_factory.getbasetemp() / "damaged_sample.npz"
    path.write_bytes(damage(sample.SAMPLE_FILE.read_bytes()))
    right_or_one_line(lambda: read_all(MnistSample(path=path)))


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("idx", "train-images-idx3-ubyte"),
        ("idx", "t10k-labels-idx1-ubyte"),
        ("gzip", "train-labels-idx1-ubyte.gz"),
        ("binary-False", "cifar-10-batches-bin/data_batch_3.bin"),
        ("binary-True", "cifar-10-binary.tar.gz"),
        ("python-False", "cifar-10-batches-py/data_batch_3"),
        ("python-True", "cifar-10-python.tar.gz"),
    ],
)
@with_cases()
@hypothesis.given(damage=damages())
def test_damaged_archive(good, kind, file, damage):
    copy = damaged(good, kind, file, damage)
    if kind in ("idx", "gzip"):
        right_or_one_line(lambda: mnist_files.read_mnist(copy, "mnist"))
    else:
        right_or_one_line(lambda: cifar_files.read_cifar10(copy))
