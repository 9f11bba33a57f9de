"""A zoo of picture files: our pixels are those of a viewer, which Pillow stands for."""

import io
import itertools
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from ram_tf.data import picture
from ram_tf.data.picture_files import read_files
from ram_tf.data.sources.open import open_source
from ram_tf.errors import RamError
from ram_tf.serving.image_files import read_images

GENERATOR = np.random.default_rng(0)
# Neither square nor symmetric, so that no turn goes unseen; smooth, for lossy kinds.
HEIGHT, WIDTH = 14, 22
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
GRAY = (ROWS * 9 + COLUMNS * 5).astype(np.uint8)
COLOR = np.stack([GRAY, 255 - GRAY, COLUMNS.astype(np.uint8) * 11], -1)
ALPHA = GENERATOR.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
ALPHA[:4] = 0
ALPHA[4:8] = 255
BACKGROUNDS = {"white": (255, 255, 255), "black": (0, 0, 0), "#102030": (16, 32, 48)}


def oracle(content, background):
    """Returns what a viewer shows, by Pillow's own ways."""
    image = Image.open(io.BytesIO(content))
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        return np.rint(np.asarray(image) / 257).astype(np.uint8)[..., None]
    if image.mode == "LAB":
        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.profileToProfile(image, *profiles, outputMode="RGB")
    gray = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        behind = Image.new("RGBA", image.size, BACKGROUNDS[background])
        image = Image.alpha_composite(behind, image.convert("RGBA"))
        gray = gray and len(set(BACKGROUNDS[background])) == 1
    image = image.convert("RGB")
    found = np.asarray(image)
    return found[..., :1] if gray else found


def save(image, kind, **settings):
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def modes():
    """Returns an image of every mode that some kind of file holds."""
    color = Image.fromarray(COLOR)
    rgba = color.copy()
    rgba.putalpha(Image.fromarray(ALPHA))
    gray = Image.fromarray(GRAY)
    la = gray.copy()
    la.putalpha(Image.fromarray(ALPHA))
    lab = ImageCms.profileToProfile(
        color,
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    return {
        "1": gray.convert("1"),
        "L": gray,
        "LA": la,
        "P": color.quantize(60),
        "RGB": color,
        "RGBA": rgba,
        "CMYK": color.convert("CMYK"),
        "YCbCr": color.convert("YCbCr"),
        "LAB": lab,
        "I;16": Image.fromarray(GENERATOR.integers(0, 65536, GRAY.shape, np.uint16)),
    }


def chunk(kind, data):
    crc = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + crc


PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2)]
PASSES += [(0, 1, 2, 2), (1, 0, 2, 1)]


def png(depth, kind, samples, *, interlaced=False, extra=()):
    """Writes a PNG of any depth and colour type: samples are [h, w, channels]."""
    height, width = samples.shape[:2]
    lines = b""
    for top, left, down, right in PASSES if interlaced else [(0, 0, 1, 1)]:
        for row in samples[top::down, left::right]:
            if row.size:
                shifts = np.arange(depth)[::-1]
                bits = (row.reshape(-1, 1).astype(int) >> shifts) & 1
                lines += b"\0" + np.packbits(bits.ravel().astype(np.uint8)).tobytes()
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    parts = [chunk(b"IHDR", header), *(chunk(*each) for each in extra)]
    parts += [chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def every_png():
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    for kind, interlaced in itertools.product(channels, (False, True)):
        for depth in depths[kind]:
            shape = (HEIGHT, WIDTH, channels[kind])
            samples = GENERATOR.integers(0, 2**depth, shape)
            name = f"png-type{kind}-{depth}bit-interlaced{int(interlaced)}"
            extra = []
            if kind == 3:
                colors = GENERATOR.integers(0, 256, (2**depth, 3), np.uint8)
                extra = [(b"PLTE", colors.tobytes())]
            yield name, png(depth, kind, samples, interlaced=interlaced, extra=extra)
            if kind == 3:
                clear = GENERATOR.integers(0, 256, 2**depth, np.uint8).tobytes()
                extra.append((b"tRNS", clear))
                yield f"{name}-tRNS", png(depth, kind, samples, extra=extra)


def bmp(bits, pixels, palette=b"", *, compression=0, masks=b"", height=HEIGHT):
    """Writes a BMP around lines that are packed already."""
    start = 14 + 40 + len(masks) + len(palette)
    header = struct.pack("<2sIHHI", b"BM", start + len(pixels), 0, 0, start)
    colors = len(palette) // 4
    header += struct.pack(
        "<IiiHHIIiiII",
        *(40, WIDTH, height, 1, bits, compression, len(pixels), 0, 0, colors, 0),
    )
    return header + masks + palette + pixels


def every_bmp():
    def lines(rows):
        return b"".join(row + b"\0" * (-len(row) % 4) for row in rows)

    for bits in (1, 4, 8):
        values = GENERATOR.integers(0, 2**bits, (HEIGHT, WIDTH))
        shifts = np.arange(bits)[::-1]
        flat = ((values[..., None] >> shifts) & 1).reshape(HEIGHT, -1)
        rows = [np.packbits(row.astype(np.uint8)).tobytes() for row in flat]
        palette = GENERATOR.integers(0, 256, (2**bits, 4), np.uint8)
        palette[:, 3] = 0
        yield f"bmp-{bits}bit", bmp(bits, lines(rows), palette.tobytes())
        yield (
            f"bmp-{bits}bit-topdown",
            bmp(bits, lines(rows), palette.tobytes(), height=-HEIGHT),
        )
        if bits == 8:
            runs = b"".join(
                b"".join(bytes((1, value)) for value in row) + b"\0\0" for row in values
            )
            runs += b"\0\1"
            yield "bmp-rle8", bmp(8, runs, palette.tobytes(), compression=1)
    sixteen = GENERATOR.integers(0, 2**15, (HEIGHT, WIDTH)).astype("<u2")
    rows = [row.tobytes() for row in sixteen]
    yield "bmp-16bit", bmp(16, lines(rows))
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    yield "bmp-565", bmp(16, lines(rows), compression=3, masks=masks)
    for bits in (24, 32):
        flat = GENERATOR.integers(0, 256, (HEIGHT, WIDTH * bits // 8), np.uint8)
        yield f"bmp-{bits}bit", bmp(bits, lines([row.tobytes() for row in flat]))


def every_saved():
    images = modes()
    kinds = {
        "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
        "TIFF": tuple(images),
        "BMP": ("1", "L", "P", "RGB", "RGBA"),
        "GIF": ("1", "L", "P", "RGB", "RGBA"),
        "WEBP": ("L", "RGB", "RGBA", "P"),
        "JPEG": ("L", "RGB", "CMYK", "YCbCr"),
        "PPM": ("1", "L", "RGB", "I;16"),
    }
    for kind, names in kinds.items():
        for mode in names:
            yield f"{kind}-{mode}", save(images[mode], kind)
    for compression in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        for mode in ("L", "RGB"):
            content = save(images[mode], "TIFF", compression=compression)
            yield f"TIFF-{compression}-{mode}", content
    for mode in ("L", "RGB", "RGBA"):
        content = save(images[mode], "WEBP", lossless=True)
        yield f"WEBP-lossless-{mode}", content
    yield "JPEG-progressive", save(images["RGB"], "JPEG", progressive=True)
    yield "JPEG-444", save(images["RGB"], "JPEG", subsampling=0, quality=100)
    yield "TIFF-bigendian", save(images["I;16"].convert("I").convert("I;16B"), "TIFF")
    clear = images["P"].copy()
    clear.info["transparency"] = 7
    yield "GIF-clear", save(clear, "GIF", transparency=7)
    yield "PNG-clear-index", save(clear, "PNG", transparency=7)
    yield "PNG-clear-gray", save(images["L"], "PNG", transparency=int(GRAY[3, 3]))
    key = tuple(int(value) for value in COLOR[2, 5])
    yield "PNG-clear-color", save(images["RGB"], "PNG", transparency=key)
    frames = [images["P"], images["P"].transpose(Image.Transpose.ROTATE_180)]
    for kind in ("GIF", "WEBP", "TIFF", "PNG"):
        content = save(frames[0], kind, save_all=True, append_images=frames[1:])
        yield f"{kind}-frames", content
    frames = [images["RGB"], images["RGB"].transpose(Image.Transpose.ROTATE_180)]
    yield "MPO", save(frames[0], "MPO", save_all=True, append_images=frames[1:])


def every_orientation():
    images = modes()
    for orientation, kind in itertools.product(
        range(10), ("JPEG", "PNG", "WEBP", "TIFF")
    ):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for mode in ("L", "RGB"):
            yield (
                f"{kind}-{mode}-orientation{orientation}",
                save(images[mode], kind, exif=exif),
            )


def small_first_frame():
    """A GIF whose first frame, 4 by 6, does not fill its canvas of 22 by 14."""
    frame = Image.fromarray(GRAY[:6, :4]).convert("RGB").quantize(16)
    content = bytearray(save(frame, "GIF"))
    content[6:10] = struct.pack("<HH", WIDTH, HEIGHT)
    at = content.index(b",\0\0\0\0")
    content[at + 1 : at + 5] = struct.pack("<HH", 5, 3)
    return bytes(content)


ZOO = {
    **dict(every_saved()),
    **dict(every_png()),
    **dict(every_bmp()),
    **dict(every_orientation()),
    "GIF-small-first-frame": small_first_frame(),
}
SUFFIX = {
    b"\x89": ".png",
    b"GI": ".gif",
    b"BM": ".bmp",
    b"RI": ".webp",
    b"\xff": ".jpg",
}
SUFFIX |= {b"II": ".tif", b"MM": ".tif"}


def suffix(content):
    return SUFFIX.get(content[:1]) or SUFFIX.get(content[:2], ".ppm")


def test_the_zoo_is_large():
    assert len(ZOO) >= 150


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("name", ZOO)
def test_pixels_are_those_of_pillow(name, background):
    with picture.quiet():
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
        for (path, _), image in zip(source.listing(split), images, strict=True):
            (alone,), _ = read_images(str(path), (12, 12, 3), True, 2)
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


@pytest.mark.parametrize("name", ["red", "#12", "", "#ffffff00"])
def test_background_is_a_colour(name):
    if name == "red":
        assert picture.background_color(name) == (255, 0, 0)
        return
    with pytest.raises(RamError, match=f"--background={name}: expected white"):
        picture.background_color(name)
