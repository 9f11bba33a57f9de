"""A zoo of picture files, and what a viewer shows of each: Pillow stands for it."""

import io
import itertools
import struct
import zlib

import numpy as np
import PIL
from PIL import Image, ImageCms, ImageOps

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
    # Pillow before 13 cannot read the TIFF of this mode that it writes.
    new = int(PIL.__version__.split(".")[0]) >= 13
    tiff = [mode for mode in images if mode != "YCbCr" or new]
    kinds = {
        "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
        "TIFF": tiff,
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
