"""A zoo of picture files: our pixels are those of a viewer, which Pillow stands for."""

import io
import struct
import zlib

import numpy as np
import pytest
from helpers.picture_zoo import (
    BACKGROUNDS,
    COLOR,
    GENERATOR,
    GRAY,
    HEIGHT,
    WIDTH,
    ZOO,
    chunk,
    oracle,
    png,
    save,
    suffix,
)
from PIL import Image

from ram_tf.config import Config
from ram_tf.data import picture
from ram_tf.data.picture import decode
from ram_tf.data.picture_files import read_files
from ram_tf.data.sources.open import open_source
from ram_tf.errors import RamError
from ram_tf.serving.image_files import read_images


def test_the_zoo_is_large():
    assert len(ZOO) >= 150


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("name", ZOO)
def test_pixels_are_those_of_pillow(name, background):
    found = picture.decode(ZOO[name], BACKGROUNDS[background])
    expected = oracle(ZOO[name], background)
    assert found.dtype == np.uint8 and found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


def test_folder_and_predict_read_the_whole_zoo_alike(tmp_path):
    for number, content in enumerate(ZOO.values()):
        folder = tmp_path / "ab"[number % 2]
        folder.mkdir(exist_ok=True)
        (folder / f"{number}{suffix(content)}").write_bytes(content)
    source = open_source(f"folder:{tmp_path}", image_size=12)
    assert source.image_shape == (12, 12, 3)
    count = 0
    for split in ("train", "validation", "test"):
        images, _ = source.split(split)
        names = source.record(split)["image_names"]
        for name, image in zip(names, images, strict=True):
            (alone,), *_ = read_images(str(tmp_path / name), (12, 12, 3), True, 2)
            np.testing.assert_array_equal(alone, image)
            count += 1
    assert count == len(ZOO)


@pytest.mark.parametrize("image", [GRAY[..., None], COLOR], ids=["gray", "colour"])
@pytest.mark.parametrize("level", [1, 9])
def test_plain_png_is_as_tensorflow_reads_it(image, level):
    import tensorflow as tf

    content = save(Image.fromarray(np.squeeze(image)), "PNG", compress_level=level)
    np.testing.assert_array_equal(picture.decode(content), image)
    np.testing.assert_array_equal(tf.io.decode_png(content), image)


@pytest.mark.parametrize("depth", [2, 4, 8, 16])
def test_clear_gray_of_any_depth(depth):
    values = GENERATOR.integers(0, 2**depth, (HEIGHT, WIDTH, 1))
    key = int(values[3, 3, 0])
    content = png(depth, 0, values, extra=[(b"tRNS", struct.pack(">H", key))])
    expected = np.rint(values * 255 / (2**depth - 1))
    expected[values == key] = 0
    np.testing.assert_array_equal(picture.decode(content, (0, 0, 0)), expected)


def test_sixteen_bits_of_colour_are_scaled():
    values = GENERATOR.integers(0, 65536, (HEIGHT, WIDTH, 3))
    found = picture.decode(png(16, 2, values)).astype(int)
    assert np.abs(found - values / 257).max() < 1


def test_order_is_that_of_the_paths(tmp_path):
    paths = []
    for number in range(200):
        path = tmp_path / f"{number}.png"
        path.write_bytes(save(Image.new("L", (3, 2), number), "PNG"))
        paths.append(str(path))
    found = read_files(paths, (255, 255, 255))
    assert [int(file.pixels[0, 0, 0]) for file in found] == list(range(200))


def bomb(side):
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0" * 1000))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


BROKEN = {
    "empty": b"",
    "text": b"no image",
    "bomb": bomb(10_000),
    "larger bomb": bomb(50_000),
    "float": save(Image.fromarray(GRAY.astype(np.float32)), "TIFF"),
    "integers": save(Image.fromarray(GRAY.astype(np.int32)), "TIFF"),
    "wrong CRC": ZOO["PNG-L"]
    .replace(b"IDAT", b"IDAU", 1)
    .replace(b"IDAU", b"IDAT")[:60]
    + b"\0"
    + ZOO["PNG-L"][61:],
}
for _kind in ("PNG-RGB", "JPEG-RGB", "GIF-P", "BMP-RGB", "WEBP-RGB", "TIFF-RGB"):
    BROKEN[f"truncated {_kind}"] = ZOO[_kind][: len(ZOO[_kind]) * 2 // 3]


@pytest.mark.parametrize("name", BROKEN)
def test_broken_pictures_are_told_in_one_line(name, tmp_path, recwarn):
    path = tmp_path / "x.png"
    path.write_bytes(BROKEN[name])
    with pytest.raises(RamError) as caught:
        read_images(str(path), (28, 28, 1), True, 2)
    message = str(caught.value)
    assert message.startswith(f"{path}: expected an image (PNG, ")
    assert " or an .npz with `images`, found: " in message
    assert "\n" not in message and "<_io" not in message
    assert not recwarn.list


@pytest.mark.parametrize(
    ("name", "color"),
    [
        ("white", (255, 255, 255)),
        ("black", (0, 0, 0)),
        ("gray", (128, 128, 128)),
        ("#Ff8000", (255, 128, 0)),
    ],
)
def test_background_is_a_colour(name, color):
    assert picture.background_color(name) == color
    assert Config(background=name).background == name


@pytest.mark.parametrize("name", ["red", "GRAY", "#12", "#abc", "", "#ffffff00"])
def test_a_background_that_a_run_refuses_is_no_colour(name):
    message = f"--background={name}: expected white, black, gray or #rrggbb, found '"
    for refused in (picture.background_color, lambda name: Config(background=name)):
        with pytest.raises(RamError, match=message):
            refused(name)


def test_decode_alone_says_nothing(capfd, recwarn):
    torn = next(content for name, content in ZOO.items() if "tif" in name)
    with pytest.raises(RamError, match="expected an image"):
        picture.decode(torn[: len(torn) // 2])
    assert capfd.readouterr() == ("", "") and not recwarn.list


def scans(count):
    """A progressive JPEG with its last scan so many times."""
    file = io.BytesIO()
    Image.new("L", (64, 64), 100).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    last = content.rindex(b"\xff\xda")
    body, end = content[last:-2], content[-2:]
    assert end == b"\xff\xd9"
    return content[:last] + body * count + end


def test_a_jpeg_of_many_scans_is_refused_before_it_is_decoded():
    assert decode(scans(1)).shape == decode(scans(50)).shape == (64, 64, 1)
    with pytest.raises(RamError, match="found: a JPEG of more than 100 scans$"):
        decode(scans(101))


def test_what_stands_behind_a_jpeg_counts_as_no_scan():
    """A moving photograph has its film there."""
    assert decode(scans(1) + 200 * b"\xff\xda").shape == (64, 64, 1)


@pytest.mark.parametrize("background", [(255, 255, 255), (200, 10, 0)])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "I;16"])
def test_pixels_are_the_same_however_many_are_converted_at_once(
    mode, background, monkeypatch
):
    numbers = np.random.default_rng(0)
    shape = {"RGBA": (9, 7, 4), "LA": (9, 7, 2), "I;16": (9, 7)}[mode]
    kind = np.uint16 if mode == "I;16" else np.uint8
    file = io.BytesIO()
    pixels = numbers.integers(0, np.iinfo(kind).max, shape, kind)
    Image.fromarray(pixels).save(file, "PNG")
    expected = decode(file.getvalue(), background)
    monkeypatch.setattr(picture, "_STRIP", 10)
    np.testing.assert_array_equal(decode(file.getvalue(), background), expected)
