"""Data sets as tests write them: folders of images, TFDS sets, raw archives."""

import gzip
import io
import os
import pathlib
import pickle
import tarfile

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from ram_tf.data.raw import cifar10 as cifar_files
from ram_tf.data.sources import tfds_builder

REPOSITORY = pathlib.Path(__file__).parents[2]


REAL_DATA = pathlib.Path(
    os.environ.get(
        "RAM_TF_TEST_DATA_DIR", REPOSITORY.parent / "shared" / "tensorflow_datasets"
    )
)


needs_real_data = pytest.mark.skipif(
    not (REAL_DATA / "mnist").is_dir() or not (REAL_DATA / "cifar10").is_dir(),
    reason=f"no mnist and cifar10 in {REAL_DATA} (RAM_TF_TEST_DATA_DIR)",
)


def write_images(path, count, shape=(6, 5, 3), seed=0):
    """Writes PNG files 0.png, 1.png, ... and returns them as uint8."""
    path.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (count, *shape), dtype=np.uint8)
    for number, image in enumerate(images):
        (path / f"{number}.png").write_bytes(tf.io.encode_png(image).numpy())
    return images


CLASSES = ["circle", "square", "star"]


def random_images(count, height=6, width=5, channels=1, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (count, height, width, channels), dtype=np.uint8)


def write_set(folder, splits, *, shape=(6, 5, 1), num_shards=None, name="shapes"):
    """Writes images by split as a TFDS set; example i has label i % 3."""
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=shape),
            "label": tfds.features.ClassLabel(names=CLASSES),
            "note": tfds.features.Text(),
        }
    )
    examples = {
        split: [
            (number, {"image": image, "label": number % 3, "note": "x"})
            for number, image in enumerate(images)
        ]
        for split, images in splits.items()
    }
    with tfds_builder.quiet():
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version="1.0.0",
            features=features,
            split_datasets=examples,
            data_dir=folder,
            disable_shuffling=True,
            download_config=tfds.download.DownloadConfig(num_shards=num_shards),
        )


MNIST_FILES = {
    "train-images-idx3-ubyte": ("train", "images"),
    "train-labels-idx1-ubyte": ("train", "labels"),
    "t10k-images-idx3-ubyte": ("test", "images"),
    "t10k-labels-idx1-ubyte": ("test", "labels"),
}


def idx(array):
    """Returns the IDX file of a uint8 array."""
    shape = np.array(array.shape, ">u4").tobytes()
    return bytes((0, 0, 8, array.ndim)) + shape + array.tobytes()


def write_mnist(folder, data, *, packed=False, dotted=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, (split, kind) in MNIST_FILES.items():
        content = idx(data[split][kind])
        name = name.replace("-idx", ".idx") if dotted else name
        if packed:
            content, name = gzip.compress(content, 1), f"{name}.gz"
        (folder / name).write_bytes(content)


def cifar_contents(data, version):
    """Returns the files of a CIFAR-10 version by name."""
    images = np.concatenate([data["train"]["images"], data["test"]["images"]])
    labels = np.concatenate([data["train"]["labels"], data["test"]["labels"]])
    planes = images.transpose(0, 3, 1, 2).reshape(6, -1, 3072)
    files = {}
    for name, pixels, classes in zip(
        cifar_files.BATCHES, planes, labels.reshape(6, -1), strict=True
    ):
        if version == "binary":
            records = np.concatenate([classes[:, None], pixels], axis=1)
            files[f"{name}.bin"] = records.astype(np.uint8).tobytes()
        else:
            batch = {
                b"batch_label": b"some batch",
                b"data": pixels,
                b"labels": classes.tolist(),
                b"filenames": [b"x.png"] * len(classes),
            }
            files[name] = pickle.dumps(batch, protocol=2)
    return files


def write_cifar(folder, data, version, *, packed, kind="gz", **settings):
    inner = "cifar-10-batches-" + ("bin" if version == "binary" else "py")
    folder.mkdir(parents=True, exist_ok=True)
    if not packed:
        (folder / inner).mkdir()
        for name, content in cifar_contents(data, version).items():
            (folder / inner / name).write_bytes(content)
        return
    path = folder / f"cifar-10-{version}.tar.{kind}"
    with tarfile.open(path, f"w:{kind}", **settings) as archive:
        for name, content in cifar_contents(data, version).items():
            member = tarfile.TarInfo(f"{inner}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def random_data(train, test, shape, seed=0):
    generator = np.random.default_rng(seed)
    return {
        split: {
            "images": generator.integers(0, 256, (count, *shape), dtype=np.uint8),
            "labels": generator.integers(0, 10, count, dtype=np.uint8),
        }
        for split, count in (("train", train), ("test", test))
    }
