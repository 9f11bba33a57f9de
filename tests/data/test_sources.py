"""The embedded sample and folders of images: splits, sizes, broken files."""

import importlib
import os
import shutil
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from helpers.data_files import REAL_DATA, needs_real_data, write_images
from PIL import Image

from ram_tf.data.picture_files import read_files
from ram_tf.data.sources import folder
from ram_tf.data.sources import mnist_sample as sample
from ram_tf.data.sources.base import validation_count
from ram_tf.data.sources.mnist_sample import MnistSample
from ram_tf.data.sources.open import open_source
from ram_tf.errors import RamError
from ram_tf.runs.data_changes import data_changes


@pytest.fixture
def pets(tmp_path):
    """A folder with 20 images of each of two classes, without a test split."""
    write_images(tmp_path / "pets" / "dog", 20, seed=1)
    write_images(tmp_path / "pets" / "cat", 20, seed=2)
    return tmp_path / "pets"


def fails(path, split="train", **settings):
    """Returns the one line of the RamError that opening or reading gives."""
    with pytest.raises(RamError) as caught:
        open_source(f"folder:{path}", **settings).split(split)
    message = str(caught.value)
    assert "\n" not in message
    assert "expected" in message
    return message


def test_sample_splits():
    source = open_source("mnist_sample")
    parts = [source.split(name) for name in ("train", "validation", "test")]
    assert [len(part.labels) for part in parts] == [9000, 1000, 2000]
    for part in parts:
        assert part.images.shape == (len(part.labels), 28, 28, 1)
        assert part.images.dtype == np.uint8 and part.labels.dtype == np.int32
        assert set(part.labels) == set(range(10))
    assert source.image_shape == (28, 28, 1)
    assert source.class_names == list("0123456789")
    assert set(source.split_description) == {"train", "validation", "test"}


def test_sample_shows_digits():
    images, labels = open_source("mnist_sample").split("train")
    # A one has less ink than a zero; the border is black but for a few.
    ink = [images[labels == digit].mean() for digit in range(10)]
    assert np.argmin(ink) == 1 and np.argmax(ink) == 0
    assert images[:, 0].mean() < 0.1 and images[:, :, -1].mean() < 0.1


def test_sample_is_small_and_its_licence_lies_beside():
    assert sample.SAMPLE_FILE.stat().st_size < 3_000_000
    licence = sample.SAMPLE_FILE.with_name("mnist_sample.LICENSE.txt").read_text()
    for words in ("LeCun", "Cortes", "Burges", "Share Alike 3.0"):
        assert words in licence


def test_sample_validation_size():
    source = open_source("mnist_sample", validation_size=2500)
    whole = open_source("mnist_sample", validation_size=0).split("train")
    assert len(whole.labels) == 10_000
    np.testing.assert_array_equal(source.split("train").images, whole.images[:7500])
    np.testing.assert_array_equal(
        source.split("validation").labels, whole.labels[7500:]
    )
    with pytest.raises(RamError, match="--validation_size=10000"):
        open_source("mnist_sample", validation_size=10_000)


def test_sample_image_size():
    source = open_source("mnist_sample", image_size=14)
    assert source.image_shape == (14, 14, 1)
    full = open_source("mnist_sample").split("test").images.astype(np.float64)
    means = full.reshape(2000, 14, 2, 14, 2, 1).mean((2, 4))
    np.testing.assert_allclose(source.split("test").images, means, atol=0.51)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 nor this"])
def test_sample_file_broken(tmp_path, content):
    file = tmp_path / "mnist_sample.npz"
    file.write_bytes(content)
    with pytest.raises(RamError, match=f"{file}: expected"):
        MnistSample(path=file).split("train")


def test_sample_file_truncated(tmp_path):
    file = tmp_path / "mnist_sample.npz"
    file.write_bytes(sample.SAMPLE_FILE.read_bytes()[:-1000])
    with pytest.raises(RamError, match=f"{file}: expected"):
        MnistSample(path=file).split("train")


def test_sample_file_with_flipped_bits(tmp_path):
    content = bytearray(sample.SAMPLE_FILE.read_bytes())
    content[5000] ^= 255
    file = tmp_path / "mnist_sample.npz"
    file.write_bytes(content)
    with pytest.raises(RamError, match=f"{file}: expected"):
        MnistSample(path=file).split("train")


def test_sample_and_folder_do_not_need_tfds(pets, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)  # Import fails.
    importlib.reload(sample)
    importlib.reload(folder)
    assert len(open_source("mnist_sample").split("test").labels) == 2000
    assert len(open_source(f"folder:{pets}").split("test").labels) == 4


@needs_real_data
def test_sample_is_the_first_digits_of_mnist():
    mnist = open_source("mnist", str(REAL_DATA), validation_size=0)
    kept = MnistSample(validation_size=0)
    for name, count in (("train", sample.NUM_TRAIN), ("test", sample.NUM_TEST)):
        mine, whole = kept.split(name), mnist.split(name)
        assert len(mine.labels) == count
        np.testing.assert_array_equal(mine.images, whole.images[:count])
        np.testing.assert_array_equal(mine.labels, whole.labels[:count])


@needs_real_data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shape", "counts"),
    [
        ("mnist", (28, 28, 1), [55_000, 5_000, 10_000]),
        ("cifar10", (32, 32, 3), [45_000, 5_000, 10_000]),
    ],
)
def test_real_sets_equal_what_tfds_reads(name, shape, counts):
    import tensorflow_datasets as tfds

    source = open_source(name, str(REAL_DATA))
    assert source.image_shape == shape
    slices = [f"train[:{counts[0]}]", f"train[{counts[0]}:]", "test"]
    for split, part, count in zip(
        ("train", "validation", "test"), slices, counts, strict=True
    ):
        found = source.split(split)
        assert found.images.shape == (count, *shape)
        loaded = tfds.load(
            name,
            split=part,
            data_dir=str(REAL_DATA),
            as_supervised=True,
            download=False,
        )
        for row, (image, label) in enumerate(loaded.take(200)):
            np.testing.assert_array_equal(found.images[row], image)
            assert found.labels[row] == label


def test_validation_count_defaults():
    assert validation_count("x", 60_000, -1) == 5_000
    assert validation_count("x", 50_000, -1) == 5_000
    assert validation_count("x", 49_999, -1) == 4_999
    assert validation_count("x", 100, 30) == 30


def test_unknown_split_is_refused():
    with pytest.raises(RamError, match="split 'dev': expected one of train"):
        open_source("mnist_sample").split("dev")


def test_folder_without_test_is_cut_in_a_fixed_order(pets, tmp_path):
    source = open_source(f"folder:{pets}")
    assert source.class_names == ["cat", "dog"]
    assert source.image_shape == (6, 5, 3)
    parts = [source.split(name) for name in ("train", "validation", "test")]
    assert [len(part.labels) for part in parts] == [33, 3, 4]
    assert {tuple(image.ravel()) for part in parts for image in part.images} == {
        tuple(tf.io.decode_png(file.read_bytes()).numpy().ravel())
        for file in pets.glob("*/*.png")
    }
    assert 10 < parts[0].labels.sum() < 23  # Both classes, mixed.
    # Another place and another order of writing give the same.
    other = tmp_path / "elsewhere"
    for file in sorted(pets.glob("*/*.png"), reverse=True):
        (other / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, other / file.parent.name)
    again = open_source(f"folder:{other}")
    for name, part in zip(("train", "validation", "test"), parts, strict=True):
        np.testing.assert_array_equal(again.split(name).images, part.images)
        np.testing.assert_array_equal(again.split(name).labels, part.labels)


def test_folder_with_splits(tmp_path):
    images = {}
    for split, count in (("train", 10), ("test", 3)):
        for seed, name in enumerate(("a", "b")):
            folder = tmp_path / split / name
            images[split, name] = write_images(folder, count, (4, 4, 1), seed)
    source = open_source(f"folder:{tmp_path}")
    assert source.image_shape == (4, 4, 1)
    counts = [len(source.split(s).labels) for s in ("train", "validation", "test")]
    assert counts == [18, 2, 6]
    test = source.split("test")
    for label, name in enumerate(("a", "b")):
        found = {image.tobytes() for image in test.images[test.labels == label]}
        assert found == {image.tobytes() for image in images["test", name]}


def test_folder_with_its_own_validation(tmp_path):
    for split, count in (("train", 10), ("validation", 4), ("test", 3)):
        write_images(tmp_path / split / "a", count, (4, 4, 1))
    for size, expected in ((-1, [10, 4, 3]), (2, [8, 2, 3])):
        source = open_source(f"folder:{tmp_path}", validation_size=size)
        parts = [source.split(name) for name in ("train", "validation", "test")]
        assert [len(part.labels) for part in parts] == expected


def test_folder_reads_jpeg_and_leaves_other_files(pets):
    image = np.full((6, 5, 3), 128, np.uint8)
    jpeg = tf.io.encode_jpeg(image, quality=100).numpy()
    (pets / "cat" / "x.JPG").write_bytes(jpeg)
    (pets / "cat" / "notes.txt").write_text("no image")
    (pets / ".hidden").mkdir()
    source = open_source(f"folder:{pets}")
    parts = [source.split(name) for name in ("train", "validation", "test")]
    assert sum(len(part.labels) for part in parts) == 41
    grays = np.concatenate([part.images for part in parts])
    assert (np.abs(grays.astype(int) - 128).max((1, 2, 3)) <= 1).sum() == 1


@pytest.mark.parametrize("name, level", [("white", 255), ("#102030", (16, 32, 48))])
def test_folder_transparency_is_composited(name, level, tmp_path):
    images = write_images(tmp_path / "a", 3, (3, 3, 4)).astype(float)
    alpha = images[..., 3:] / 255
    expected = np.rint(images[..., :3] * alpha + np.array(level) * (1 - alpha))
    source = open_source(f"folder:{tmp_path}", background=name)
    assert source.image_shape == (3, 3, 3)
    (found,) = source.split("train").images
    assert found.tobytes() in {each.astype(np.uint8).tobytes() for each in expected}


def test_folder_image_size(tmp_path):
    for number in range(12):
        write_images(tmp_path / f"c{number % 2}" / f"{number}", 1)  # Not looked at.
        write_images(tmp_path / f"d{number}", 1, (4 + number, 9, 3))
    source = open_source(f"folder:{tmp_path}", image_size=4)
    assert source.split("train").images.shape[1:] == (4, 4, 3)


def test_folder_of_varying_sizes_names_file_and_flag(pets):
    (pets / "cat" / "5.png").write_bytes(
        tf.io.encode_png(np.zeros((6, 6, 3), np.uint8)).numpy()
    )
    messages = []
    for split in ("train", "validation", "test"):
        try:
            open_source(f"folder:{pets}").split(split)
        except RamError as error:
            messages.append(str(error))
    (message,) = messages
    assert (
        f"{pets / 'cat' / '5.png'}: an image of 6x6 (height x width), expected 6x5"
        in message
    )
    assert "--image_size" in message


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_folder_broken_image_is_named(pets, content):
    for file in (pets / "dog").iterdir():
        file.write_bytes(file.read_bytes()[:70] if content is None else content)
    assert f"{pets / 'dog'}" in fails(pets)


@pytest.mark.parametrize("num_gray", [1, 20, 40])
def test_folder_with_any_image_in_colour_is_in_colour(tmp_path, num_gray):
    generator = np.random.default_rng(0)
    made = {}
    for number in range(41):
        channels = 1 if number < num_gray else 3
        image = generator.integers(0, 256, (6, 5, channels), np.uint8)
        made[np.broadcast_to(image, (6, 5, 3)).tobytes()] = number
        path = tmp_path / "abc"[number % 3] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(tf.io.encode_png(image).numpy())
    source = open_source(f"folder:{tmp_path}")
    assert source.image_shape == (6, 5, 3)
    parts = [source.split(name) for name in ("train", "validation", "test")]
    found = {made[image.tobytes()] for part in parts for image in part.images}
    assert found == set(range(41))


@pytest.mark.parametrize("count, sizes", [(3, (1, 1, 1)), (11, (9, 1, 1))])
def test_small_folder_has_an_image_in_every_split(tmp_path, count, sizes):
    write_images(tmp_path / "a", 1, (4, 4, 1))
    write_images(tmp_path / "b", count - 1, (4, 4, 1))
    source = open_source(f"folder:{tmp_path}")
    splits = ("train", "validation", "test")
    assert tuple(len(source.split(name).labels) for name in splits) == sizes


def test_folder_of_gray_images_is_gray(tmp_path):
    write_images(tmp_path / "a", 12, (4, 4, 1))
    (tmp_path / "a" / "0.png").write_bytes(b"broken")
    source = open_source(f"folder:{tmp_path}")
    assert source.image_shape == (4, 4, 1)
    assert f"{tmp_path / 'a' / '0.png'}: expected an image" in fails(tmp_path)


def test_all_broken_images_are_named_at_once(tmp_path):
    write_images(tmp_path / "a", 30, (4, 4, 1))
    for number in range(3):
        (tmp_path / "a" / f"{number}.png").write_bytes(b"broken %d" % number)
    said = fails(tmp_path)
    assert all(f"{number}.png" in said for number in range(3))
    assert "found: content of another kind; 2 more are broken: " in said
    for number in range(3, 25):
        (tmp_path / "a" / f"{number}.png").write_bytes(b"broken %d" % number)
    assert fails(tmp_path).endswith(" and 4 more")


def test_folder_test_class_unknown_to_training_is_named(tmp_path):
    write_images(tmp_path / "train" / "a", 3)
    write_images(tmp_path / "test" / "b", 3)
    assert f"{tmp_path / 'test' / 'b'}: expected one of the classes" in fails(tmp_path)


def test_folder_without_images_is_named(tmp_path):
    assert str(tmp_path) in fails(tmp_path)
    (tmp_path / "a").mkdir()
    assert str(tmp_path) in fails(tmp_path)
    assert "nowhere" in fails(tmp_path / "nowhere")


def test_folder_too_small_for_three_splits_says_so(tmp_path):
    write_images(tmp_path / "a", 2)
    assert f"expected at least 3 images in {tmp_path}" in fails(tmp_path, "test")


# --- what people's folders hold ----------------------------------------------------


def summary(path, **settings):
    source = open_source(f"folder:{path}", **settings)
    source.check()
    return "\n".join(source.summary_lines())


def refusal(path):
    with pytest.raises(RamError) as caught:
        summary(path)
    assert "\n" not in str(caught.value) and "expected" in str(caught.value)
    return str(caught.value)


def put(root, counts):
    """Writes images to folders by name."""
    for seed, (name, count) in enumerate(counts.items()):
        # What is there stays: a folder may hold others.
        folder = root / name
        images = write_images(root / f"new{seed}", count, (6, 5, 1), seed)
        folder.mkdir(parents=True, exist_ok=True)
        for file in (root / f"new{seed}").iterdir():
            file.rename(folder / file.name)
        (root / f"new{seed}").rmdir()
        assert len(images) == count


@pytest.mark.parametrize(
    "names",
    [
        ("train", "val", "test"),
        ("Training", "valid", "Testing"),
        ("TRAIN", "dev", "TEST"),
        ("train", "Validation", "testing"),
    ],
)
def test_usual_names_of_split_folders(names, tmp_path):
    counts = {"train": 5, "validation": 2, "test": 3}
    for name, count in zip(names, counts.values(), strict=True):
        put(tmp_path, {f"{name}/cat": count, f"{name}/dog": count})
    source = open_source(f"folder:{tmp_path}")
    assert source.class_names == ["cat", "dog"]
    for split, count in counts.items():
        assert len(source.split(split).labels) == 2 * count


def test_what_archives_leave_is_passed_over_and_said(tmp_path):
    put(tmp_path, {"cat": 5, "dog": 5, "__MACOSX/cat": 5, ".git": 1})
    for name in ("cat/._0.png", "cat/Thumbs.db", "cat/notes.txt", "cat/b.TXT"):
        (tmp_path / name).write_bytes(b"x")
    said = summary(tmp_path)
    assert "2 classes, images 6x5 (height x width), gray" in said
    assert "files that are hidden or left by archives 2" in said
    assert "folders that are hidden or left by archives 2" in said
    assert ".txt files 2" in said


def test_links_that_lead_nowhere_or_back_and_pipes_are_passed_over(tmp_path):
    put(tmp_path, {"cat": 5, "dog": 5})
    (tmp_path / "dog" / "up").symlink_to(tmp_path)
    (tmp_path / "dog" / "self.png").symlink_to("self.png")
    (tmp_path / "dog" / "gone.png").symlink_to("/nowhere.png")
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    said = summary(tmp_path)
    assert "broken links or no files at all 3" in said
    assert "links that lead back up 1" in said


def test_links_that_double_at_every_level_come_to_an_end(tmp_path):
    root = tmp_path / "pets"
    put(root, {"cat": 5, "dog": 5})
    levels = tmp_path / "levels"
    for level in range(30):
        (levels / str(level)).mkdir(parents=True)
    for level in range(29):
        for name in ("a", "b"):
            (levels / str(level) / name).symlink_to(levels / str(level + 1))
    shutil.copy(next((root / "cat").iterdir()), levels / "29" / "x.png")
    (root / "dog" / "deep").symlink_to(levels / "0")
    (root / "cat" / "deep").symlink_to(levels / "0")
    assert "folders linked twice" in summary(root)


def test_images_of_several_sizes_are_not_kept_until_they_are_refused(tmp_path):
    """Photographs without --image_size would fill the memory before."""
    put(tmp_path, {"cat": 5, "dog": 5})
    odd = sorted(tmp_path.rglob("*.png"))[0]  # It is read first.
    Image.new("L", (50, 40)).save(odd)
    paths = sorted(map(str, tmp_path.rglob("*.png")))
    files = read_files(paths, (255, 255, 255))
    assert [file.pixels is None for file in files] == [False] + 9 * [True]
    for split in ("train", "validation", "test"):
        with pytest.raises(RamError, match=f"{odd}: an image of 40x50 .*--image_size"):
            open_source(f"folder:{tmp_path}").split(split)
    assert len(open_source(f"folder:{tmp_path}", image_size=8).split("train").labels)


def test_deeper_folders_of_a_class_belong_to_it_and_are_said(tmp_path):
    put(tmp_path, {"cat": 5, "dog": 5, "dog/more/still": 3})
    source = open_source(f"folder:{tmp_path}")
    labels = [source.split(split).labels for split in ("train", "validation", "test")]
    assert np.bincount(np.concatenate(labels)).tolist() == [5, 8]
    assert "3 images in folders of" in summary(tmp_path)
    assert "(more) are read as dog" in summary(tmp_path)


@pytest.mark.parametrize(("content", "found"), [(None, "nothing"), ("x", "a file")])
def test_a_path_that_is_no_folder_is_named(content, found, tmp_path):
    path = tmp_path / "pets"
    if content:
        path.write_text(content)
    with pytest.raises(RamError) as caught:
        open_source(f"folder:{path}")
    assert str(caught.value).endswith(f"expected a folder, found {found} at {path}")


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"train/a": 3, "val/a": 2, "valid/a": 2}, "found val and valid, both of"),
        ({"a": 3, "b": 3, "test/a": 2}, "beside the split folder(s) test"),
        ({"train": 4, "test": 4}, "found 4 images in no class"),
        ({"train/a": 4, "train/b": 4, "test": 4}, "test, found 4 images in no class"),
        ({".": 4}, "found none but 4 images of no class"),
        ({"pets/a": 4, "pets/b": 4}, "give --dataset=folder:"),
        ({"pets/train/a": 4, "pets/test/a": 4}, "found pets alone, which holds"),
        ({"1/a": 2, "1/b": 2, "2/a": 2, "2/b": 2}, "found the same folders in each"),
        ({"a/train": 2, "a/test": 2, "b/train": 2}, "split folders above class"),
        ({"train/a": 4, "test/a": 4, "test/b": 4}, "expected one of the classes"),
    ],
)
def test_folders_that_are_not_as_meant_are_refused(counts, words, tmp_path):
    put(tmp_path, counts)
    assert words in refusal(tmp_path)


def test_class_folder_without_an_image_is_refused(tmp_path):
    put(tmp_path, {"cat": 5, "dog": 5})
    (tmp_path / "owl").mkdir()
    (tmp_path / "owl" / "a.heic").write_bytes(b"x")
    assert f"{tmp_path / 'owl'}: expected images of class owl" in refusal(tmp_path)


def test_what_may_not_be_meant_is_said(tmp_path):
    counts = {"train/cat": 5, "train/dog": 5, "train/owl": 1, "test/cat": 2}
    put(tmp_path, {**counts, "more": 2, ".": 1, "train": 3, "validation/owl": 2})
    said = summary(tmp_path)
    missing = f"test has no image of dog, owl; add some to {tmp_path / 'test'}"
    assert missing in said
    assert f"{tmp_path / 'more'}, beside the split folders, passed over: 2" in said
    assert f"1 images in {tmp_path} itself, of no class, passed over" in said
    assert f"3 images in {tmp_path / 'train'} itself, of no class" in said
    assert "validation has no image of cat, dog" in said


def test_validation_is_not_looked_into_where_its_size_is_given(tmp_path):
    put(tmp_path, {"train/cat": 9, "train/dog": 9, "test/cat": 2, "test/dog": 2})
    put(tmp_path / "val", {"heron": 3, ".": 1})
    with pytest.raises(RamError, match="val/heron: expected one of the classes"):
        open_source(f"folder:{tmp_path}")
    said = f"{tmp_path / 'val'} passed over, as --validation_size is given"

    def check():
        source = open_source(f"folder:{tmp_path}", validation_size=4)
        assert len(source.split("validation").labels) == 4
        assert [note for note in source.notes() if "val" in note] == [said]

    check()
    shutil.rmtree(tmp_path / "val" / "heron")  # Images of no class are left.
    check()
    (tmp_path / "val" / "0.png").unlink()
    check()


def test_copies_are_named_with_the_one_that_is_elsewhere(tmp_path):
    put(tmp_path, {"train/a": 5, "train/b": 5, "test/a": 2, "test/b": 2})
    first = tmp_path / "train" / "a" / "0.png"
    shutil.copy(first, first.with_name("copy.png"))
    shutil.copy(first, tmp_path / "test" / "b" / "leak.png")
    said = summary(tmp_path)
    pair = "(train/a/0.png and test/b/leak.png)"
    assert f"1 image lies in more than one class {pair}" in said
    assert f"1 image lies in more than one split {pair}" in said


def test_class_with_one_image_is_said_or_refused(tmp_path):
    for name in range(12):
        root = tmp_path / f"{name}"
        put(root, {"cat": 15})
        write_images(root / "dog", 1, (6, 5, 1), seed=100 + name)
        source = open_source(f"folder:{root}")
        if source.split("train").labels.sum():
            assert "one image only of dog" in summary(root)
        else:
            assert "expected images of class dog in training, found 1" in refusal(root)


def test_a_class_may_be_called_train(tmp_path):
    put(tmp_path, {"car": 5, "train": 5, "plane": 5})
    assert open_source(f"folder:{tmp_path}").class_names == ["car", "plane", "train"]


def test_sizes_and_channels_are_said(pets):
    tf.io.write_file(
        str(pets / "cat" / "x.png"), tf.io.encode_png(np.zeros((9, 8, 1), np.uint8))
    )
    said = summary(pets, image_size=4)
    assert "sizes, 5 to 8 pixels wide and 6 to 9 pixels high, resized to 4" in said
    assert "1 gray image among colour, made colour" in said


def test_split_follows_the_content_not_the_name(pets):
    before = open_source(f"folder:{pets}")
    parts = {name: before.split(name) for name in ("train", "validation", "test")}
    for number, file in enumerate(sorted(pets.glob("*/*.png"))):
        file.rename(file.with_name(f"renamed {97 * number % 41}.png"))
    after = open_source(f"folder:{pets}")
    for name, part in parts.items():
        np.testing.assert_array_equal(after.split(name).images, part.images)
    assert data_changes(before.records(), after.records()) == []
    names = after.record("test")["image_names"]
    assert all((pets / name).exists() for name in names)


def test_image_in_another_class_is_other_data(pets):
    before = open_source(f"folder:{pets}").records()
    for name in ("0.png", "1.png", "2.png"):
        (pets / "cat" / name).rename(pets / "dog" / f"moved {name}")
    assert open_source(f"folder:{pets}").records() != before


def test_of_two_cuts_as_near_the_first_is_taken():
    # One image and its copy in the middle, which are not to be parted.
    files = [(types.SimpleNamespace(digest=digest), 0) for digest in "abbc"]
    assert folder._boundary(files, 2, 1) == 1


@pytest.mark.parametrize("copies", [2, 9, 30])
def test_copies_of_an_image_land_in_one_split(pets, copies):
    for name in ("1.png", "2.png", "3.png"):
        for number in range(copies):
            shutil.copy(pets / "cat" / name, pets / "dog" / f"{number} {name}")
    source = open_source(f"folder:{pets}")
    seen = [
        {image.tobytes() for image in source.split(name).images}
        for name in ("train", "validation", "test")
    ]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 40
    assert all(seen)
    said = summary(pets)
    assert f"copies of other images: {3 * copies}" in said
    assert "3 images lie in more than one class (cat/" in said
    assert "cat/1.png and dog/0 1.png" in said


def test_copies_alone_are_refused(tmp_path):
    image = np.zeros((4, 4, 1), np.uint8)
    for number in range(8):
        path = tmp_path / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(tf.io.encode_png(image).numpy())
    assert "expected at least 3 different images" in refusal(tmp_path)


def test_names_that_are_no_text(tmp_path):
    put(tmp_path, {"cat": 6})
    strange = tmp_path / os.fsdecode(b"ch\xe9t")
    write_images(strange, 6, (6, 5, 1), seed=9)
    (strange / "0.png").rename(strange / os.fsdecode(b"\xff.png"))
    source = open_source(f"folder:{tmp_path}")
    assert source.class_names == ["cat", r"ch\xe9t"]
    "\n".join(source.summary_lines()).encode()
    assert (
        sum(source.record(s)["images"] for s in ("train", "validation", "test")) == 12
    )


@pytest.mark.parametrize(("count", "small"), [(49, True), (50, False)])
def test_the_summary_says_when_a_split_is_small(count, small, tmp_path):
    put(
        tmp_path,
        {
            f"{split}/{label}": count if split == "val" else 51
            for split in ("train", "val", "test")
            for label in ("cat", "dog")
        },
    )
    said = summary(tmp_path)
    line = "validation is small: one image is 1.0 points of accuracy, so small"
    assert (line in said) is small
    assert "test is small" not in said


def test_many_classes_are_summed_up_from_the_fewest_to_the_most(tmp_path):
    counts = {f"c{number:02d}": 2 for number in range(21)} | {"c03": 1, "c17": 4}
    for split in ("train", "val", "test"):
        put(tmp_path, {f"{split}/{name}": count for name, count in counts.items()})
    said = open_source(f"folder:{tmp_path}").summary_lines()
    assert "(c03 1 to c17 4 a class)" in said[1]


def test_reading_a_folder_tells_how_far_it_is(tmp_path):
    write_images(tmp_path / "a", 70)
    write_images(tmp_path / "b", 70)
    told = []
    open_source(f"folder:{tmp_path}", on_read=lambda *counts: told.append(counts))
    assert [total for _, total in told] == [140] * len(told)
    done = [count for count, _ in told]
    assert done == sorted(done) and done[-1] == 140 and len(done) > 1


def test_one_image_is_no_images(tmp_path):
    write_images(tmp_path / "a", 6)
    (tmp_path / "b").mkdir()
    for number in range(3):
        (tmp_path / "a" / f"{number}.png").rename(tmp_path / "b" / f"{number}.png")
    said = summary(tmp_path)
    assert "test: 1 image (" in said and ", image 6 by content" in said
    assert "warning: test has no image of" in said
    assert "folders train, validation and test of your own would mend that" in said
