"""TFDS sets written for the test: splits, shapes, broken files, missing data."""

import pathlib
import re
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from helpers.data_files import CLASSES, random_images, write_set
from tensorflow_datasets.core.utils import tqdm_utils

from ram_tf.data.sources import tfds_builder
from ram_tf.data.sources.open import open_source
from ram_tf.errors import RamError


def record_files(folder, split="train"):
    return sorted(folder.glob(f"shapes/1.0.0/shapes-{split}.tfrecord*"))


def rewrite(file, changes):
    """Replaces fields of records by number: {number: {key: feature}}."""
    records = list(tf.data.TFRecordDataset(str(file)).as_numpy_iterator())
    with tf.io.TFRecordWriter(str(file)) as writer:
        for number, record in enumerate(records):
            example = tf.train.Example.FromString(record)
            for key, feature in changes.get(number, {}).items():
                example.features.feature[key].CopyFrom(feature)
            writer.write(example.SerializeToString())


def bytes_feature(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def png(height, width, channels):
    return tf.io.encode_png(np.zeros((height, width, channels), np.uint8)).numpy()


@pytest.fixture
def shapes(tmp_path):
    """A set of 30 training and 8 test images, and its folder."""
    train, test = random_images(30), random_images(8, seed=1)
    write_set(tmp_path, {"train": train, "test": test})
    return tmp_path, train, test


def fails(folder, split="train", **settings):
    """Returns the one line of the RamError that opening or reading gives."""
    with pytest.raises(RamError) as caught:
        open_source("shapes", str(folder), **settings).split(split)
    message = str(caught.value)
    assert "\n" not in message
    assert "expected" in message
    return message


def test_tfds_images_and_labels_are_those_of_the_set(shapes):
    folder, train, test = shapes
    source = open_source("shapes", str(folder))
    assert source.name == "shapes"
    assert source.class_names == CLASSES
    assert source.image_shape == (6, 5, 1)
    parts = {name: source.split(name) for name in ("train", "validation", "test")}
    assert [len(part.labels) for part in parts.values()] == [27, 3, 8]
    np.testing.assert_array_equal(parts["train"].images, train[:27])
    np.testing.assert_array_equal(parts["validation"].images, train[27:])
    np.testing.assert_array_equal(parts["test"].images, test)
    np.testing.assert_array_equal(parts["validation"].labels, np.arange(27, 30) % 3)
    assert parts["train"].images.dtype == np.uint8
    assert parts["train"].labels.dtype == np.int32
    assert source.split_description == {
        "train": "train[0:27]",
        "validation": "train[27:30]",
        "test": "test[0:8]",
    }


def test_tfds_data_dir_may_come_from_the_environment(shapes, monkeypatch):
    folder, _, test = shapes
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder))
    np.testing.assert_array_equal(open_source("shapes").split("test").images, test)


def test_tfds_reads_each_split_once_and_no_other(shapes):
    folder, _, test = shapes
    for file in record_files(folder):
        file.unlink()
    source = open_source("shapes", str(folder))
    first = source.split("test")
    assert source.split("test") is first
    np.testing.assert_array_equal(first.images, test)


def test_tfds_order_runs_through_the_files(tmp_path):
    train = random_images(40)
    write_set(tmp_path, {"train": train, "test": train}, num_shards=3)
    assert len(record_files(tmp_path)) == 3
    source = open_source("shapes", str(tmp_path), validation_size=22)
    np.testing.assert_array_equal(source.split("train").images, train[:18])
    np.testing.assert_array_equal(source.split("validation").images, train[18:])


@pytest.mark.parametrize(
    ("splits", "size", "expected"),
    [
        (("train",), -1, ("train[0:81]", "train[81:90]", "train[90:100]")),
        (("train",), 5, ("train[0:85]", "train[85:90]", "train[90:100]")),
        (("train", "validation"), -1, ("train[0:90]", "train[90:100]", "validation")),
        (("train", "validation", "test"), -1, ("train[0:100]", "validation", "test")),
        (("train", "validation", "test"), 7, ("train[0:93]", "train[93:100]", "test")),
    ],
)
def test_tfds_splits_are_cut_as_described(tmp_path, splits, size, expected):
    images = random_images(100, 2, 2)
    write_set(tmp_path, {name: images for name in splits}, shape=(2, 2, 1))
    source = open_source("shapes", str(tmp_path), validation_size=size)
    described = source.split_description
    found = [described[name] for name in ("train", "validation", "test")]
    assert [text.removesuffix("[0:100]") for text in found] == [
        text.removesuffix("[0:100]") for text in expected
    ]


def test_tfds_set_without_training_is_refused(tmp_path):
    write_set(tmp_path, {"test": random_images(4)})
    assert "train split, found test" in fails(tmp_path)


def test_tfds_validation_must_leave_training_images(shapes):
    assert "--validation_size=30" in fails(shapes[0], validation_size=30)


def test_tfds_validation_of_no_images_is_refused_when_read(shapes):
    message = fails(shapes[0], "validation", validation_size=0)
    assert "validation split (train[30:30]) is empty" in message


def test_tfds_colour_images_and_transparency(tmp_path):
    train = random_images(9, channels=4)
    write_set(tmp_path, {"train": train, "test": train}, shape=(6, 5, 4))
    source = open_source("shapes", str(tmp_path))
    assert source.image_shape == (6, 5, 3)
    colors, alpha = train[..., :3].astype(float), train[..., 3:] / 255
    for background, level in (("white", 255), ("black", 0)):
        source = open_source("shapes", str(tmp_path), background=background)
        shown = np.rint(colors * alpha + level * (1 - alpha))
        np.testing.assert_array_equal(source.split("test").images, shown)


def test_tfds_gray_pictures_of_a_colour_set_become_colour(tmp_path):
    train = random_images(9, channels=1)
    write_set(tmp_path, {"train": train[:9], "test": train}, shape=(6, 5, 1))
    info = tmp_path / "shapes/1.0.0/features.json"
    text = info.read_text()
    assert text.count('"1"\n') == 1
    info.write_text(text.replace('"1"\n', '"3"\n'))
    source = open_source("shapes", str(tmp_path))
    assert source.image_shape == (6, 5, 3)
    images = source.split("test").images
    np.testing.assert_array_equal(images, np.repeat(train, 3, -1))


def test_tfds_varying_sizes_need_image_size(tmp_path):
    images = [random_images(1, 4 + n, 9 - n, 3)[0] for n in range(6)]
    write_set(tmp_path, {"train": images, "test": images}, shape=(None, None, 3))
    assert "--image_size" in fails(tmp_path)
    source = open_source("shapes", str(tmp_path), image_size=4)
    assert source.image_shape == (4, 4, 3)
    found = source.split("test").images
    assert found.shape == (6, 4, 4, 3)
    area = tf.image.resize(images[0][None], [4, 4], method="area").numpy()
    np.testing.assert_array_equal(found[0], np.round(area[0]).astype(np.uint8))


def test_tfds_varying_sets_may_hold_gray_images(tmp_path):
    images = random_images(6, channels=3)
    write_set(tmp_path, {"train": images, "test": images}, shape=(None, None, 3))
    (file,) = record_files(tmp_path, "test")
    rewrite(file, {2: {"image": bytes_feature(png(9, 9, 1))}})
    found = open_source("shapes", str(tmp_path), image_size=5).split("test").images
    np.testing.assert_array_equal(found[2], np.zeros((5, 5, 3)))
    assert found[3].any()


def test_tfds_image_size_enlarges_too(shapes):
    folder, train, _ = shapes
    source = open_source("shapes", str(folder), image_size=12)
    assert source.image_shape == (12, 12, 1)
    found = source.split("train").images
    bilinear = tf.image.resize(train[:27], [12, 12], method="bilinear").numpy()
    np.testing.assert_allclose(found, bilinear, atol=0.51)


def test_tfds_images_of_16_bits_are_refused(tmp_path):
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(2, 2, 1), dtype=np.uint16),
            "label": tfds.features.ClassLabel(num_classes=2),
        }
    )
    images = [(0, {"image": np.zeros((2, 2, 1), np.uint16), "label": 0})]
    with tfds_builder.quiet():
        tfds.dataset_builders.store_as_tfds_dataset(
            "shapes", "1.0.0", features, {"train": images}, data_dir=tmp_path
        )
    assert "expected uint8 images" in fails(tmp_path)


def test_tfds_set_without_labels_is_refused(tmp_path):
    features = tfds.features.FeaturesDict({"image": tfds.features.Image()})
    images = [(0, {"image": np.zeros((2, 2, 3), np.uint8)})]
    with tfds_builder.quiet():
        tfds.dataset_builders.store_as_tfds_dataset(
            "shapes", "1.0.0", features, {"train": images}, data_dir=tmp_path
        )
    assert "expected one label feature, found image" in fails(tmp_path)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_download_shows_bars_on_a_terminal_only(tmp_path, monkeypatch, is_terminal):
    shown = []

    class Builder:
        data_dir, data_dir_root = tmp_path / "set" / "1.0.0", tmp_path

        def download_and_prepare(self):
            shown.append(isinstance(tqdm_utils.tqdm([]), tqdm_utils.EmptyTqdm))

    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    with tfds_builder.quiet():
        tfds_builder.download(Builder())
    assert shown == [not is_terminal]
    assert isinstance(tqdm_utils.tqdm([]), tqdm_utils.EmptyTqdm)


def test_truncated_records_name_file_and_record(shapes):
    (file,) = record_files(shapes[0])
    file.write_bytes(file.read_bytes()[:-40])
    message = fails(shapes[0], "validation")
    assert f"{file}, record 29" in message


def test_missing_records_name_the_file(shapes):
    (file,) = record_files(shapes[0])
    ends = [0]
    content = file.read_bytes()
    while ends[-1] < len(content):
        length = int.from_bytes(content[ends[-1] : ends[-1] + 8], "little")
        ends.append(ends[-1] + length + 16)
    file.write_bytes(content[: ends[-3]])  # 28 whole records of 30.
    message = fails(shapes[0], "validation")
    assert str(file) in message and "expected 3 examples" in message


def test_flipped_bits_name_file_and_record(shapes):
    (file,) = record_files(shapes[0])
    content = bytearray(file.read_bytes())
    length = int.from_bytes(content[:8], "little")
    content[length + 16 + 40] ^= 255  # In the second record.
    file.write_bytes(content)
    assert f"{file}, record 1" in fails(shapes[0])


def test_removed_file_is_named(shapes):
    (file,) = record_files(shapes[0])
    file.unlink()
    assert str(file) in fails(shapes[0])


def test_file_of_something_else_is_named(shapes):
    (file,) = record_files(shapes[0])
    file.write_bytes(b"not records at all" * 100)
    assert f"{file}, record 0" in fails(shapes[0])


def test_record_of_something_else_is_named(shapes):
    (file,) = record_files(shapes[0])
    records = list(tf.data.TFRecordDataset(str(file)).as_numpy_iterator())
    with tf.io.TFRecordWriter(str(file)) as writer:
        for number, record in enumerate(records):
            writer.write(b"\xff\xff no example" if number == 4 else record)
    assert f"{file}, record 4" in fails(shapes[0])


def test_truncated_image_names_file_and_record(shapes):
    (file,) = record_files(shapes[0])
    whole = tf.io.encode_png(random_images(1)[0]).numpy()
    rewrite(file, {7: {"image": bytes_feature(whole[: len(whole) // 2])}})
    message = fails(shapes[0])
    assert f"{file}, record 7" in message
    assert "6x5x1" in message


def test_image_of_another_size_names_file_and_record(shapes):
    (file,) = record_files(shapes[0])
    rewrite(file, {11: {"image": bytes_feature(png(5, 5, 1))}})
    message = fails(shapes[0])
    assert f"{file}, record 11" in message
    assert "6x5x1" in message


@pytest.mark.parametrize(("usual", "stray"), [(1, 3), (3, 1)])
def test_wrong_channel_count_names_file_and_record(tmp_path, usual, stray):
    train = random_images(30, channels=usual)
    write_set(tmp_path, {"train": train, "test": train[:1]}, shape=(6, 5, usual))
    (file,) = record_files(tmp_path)
    rewrite(file, {5: {"image": bytes_feature(png(6, 5, stray))}})
    message = fails(tmp_path)
    assert f"{file}, record 5: an image of {stray} channel(s)" in message
    assert f"expected {usual}" in message


def test_stray_image_in_a_batch_of_its_own_is_found(tmp_path):
    train = random_images(257, channels=3)
    write_set(tmp_path, {"train": train, "test": train[:1]}, shape=(6, 5, 3))
    (file,) = record_files(tmp_path)
    rewrite(file, {256: {"image": bytes_feature(png(6, 5, 1))}})
    assert f"{file}, record 256" in fails(tmp_path, validation_size=0)


def test_gray_set_of_colour_images_is_refused(shapes):
    (file,) = record_files(shapes[0])
    rewrite(file, {n: {"image": bytes_feature(png(6, 5, 3))} for n in range(30)})
    assert f"{file}, record 0: an image of 3 channel(s)" in fails(shapes[0])


@pytest.mark.parametrize("label", [3, -1])
def test_label_out_of_range_names_file_and_record(tmp_path, label):
    train = random_images(30)
    write_set(tmp_path, {"train": train, "test": train}, num_shards=2)
    feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
    first, second = record_files(tmp_path)
    rewrite(second, {2: {"label": feature}})
    message = fails(tmp_path)
    assert f"{second}, record 2: label {label}, expected 0 to 2" in message
    assert str(first) not in message


def test_broken_description_of_the_set_is_told_in_one_line(shapes):
    info = shapes[0] / "shapes/1.0.0/dataset_info.json"
    info.write_text(info.read_text()[:100])
    assert "--dataset=shapes" in fails(shapes[0])


def test_broken_names_of_files_are_told_in_one_line(shapes):
    info = shapes[0] / "shapes/1.0.0/dataset_info.json"
    info.write_text(info.read_text().replace("SHARD_X_OF_Y", "SHARE_X_OF_Y"))
    assert str(info) in fails(shapes[0])


def test_unknown_name_is_told_in_one_line(tmp_path):
    with pytest.raises(RamError) as caught:
        open_source("no_such_digits", str(tmp_path))
    message = str(caught.value)
    assert message.startswith("--dataset=no_such_digits: expected a TFDS name")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "near"), [("mnst", "mnist"), ("mnist_sampel", "mnist_sample")]
)
def test_a_mistyped_name_gets_the_one_that_is_near(name, near, tmp_path):
    with pytest.raises(RamError, match=f"did you mean {near}[?]$"):
        open_source(name, str(tmp_path))


def test_a_folder_of_images_is_recognized(tmp_path):
    with pytest.raises(RamError, match=f"did you mean folder:{tmp_path}[?]$"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("name", ["", "a b", "mnist/none", "mnist:9.9.9", "x:y", "/"])
def test_names_that_are_none_are_told_in_one_line(tmp_path, name):
    with pytest.raises(RamError) as caught:
        open_source(name, str(tmp_path))
    assert "\n" not in str(caught.value)
    assert f"--dataset={name}:" in str(caught.value)


def no_network(self, **settings):
    (pathlib.Path(self.data_dir_root) / "downloads/mnist/x.tmp.1").mkdir(parents=True)
    raise ConnectionError("no route\nto host")


def test_missing_data_name_the_ways_out(tmp_path, monkeypatch, capfd):
    builder = tfds.core.DatasetBuilder
    monkeypatch.setattr(builder, "download_and_prepare", no_network)
    folder = tmp_path / "data"
    with pytest.raises(RamError) as caught:
        open_source("mnist", str(folder))
    message = str(caught.value)
    assert "\n" not in message
    for words in (
        f"not in {folder}",
        "no route to host",
        "--data_dir",
        "TFDS_DATA_DIR",
        "python -m ram_tf.data.prepare",
        "mnist_sample",
    ):
        assert words in message
    assert not folder.exists()  # No empty folders stay behind.
    assert capfd.readouterr() == ("", "")
    folder.mkdir()
    with pytest.raises(RamError):
        open_source("mnist", str(folder))
    assert list(folder.iterdir()) == []  # The user's own stays.


def test_missing_data_are_downloaded_where_the_network_allows(tmp_path, monkeypatch):
    urls = []

    def serve(url, **settings):
        urls.append((url, settings.get("timeout")))
        raise ConnectionError("nothing is served here")

    monkeypatch.setattr(tfds_builder.downloader, "_open_url", serve)
    with pytest.raises(RamError, match="nothing is served here"):
        open_source("mnist", str(tmp_path / "data"))
    assert urls and all("idx" in url and timeout for url, timeout in urls)


def test_data_of_another_version_than_the_installed_code_are_read(tmp_path):
    train = random_images(12, 28, 28)
    write_set(
        tmp_path, {"train": train, "test": train}, shape=(28, 28, 1), name="mnist"
    )
    source = open_source("mnist", str(tmp_path))
    np.testing.assert_array_equal(source.split("test").images, train)


def test_reading_prints_nothing(shapes, capfd):
    open_source("shapes", str(shapes[0])).split("train")
    assert re.sub(r"[IW]0000 .*\n", "", "".join(capfd.readouterr())) == ""
