"""Encoded pictures to the pixels that a viewer shows: uint8, gray or colour.

The one reader of image files: of folders, of `ram_tf.predict` and of apps. Pillow reads
them; what it leaves to its callers is done here: the orientation of EXIF, transparency
over a background, 12 and 16 bits, CIE Lab, checks of PNG's CRCs. Needs no TensorFlow.

Over 250 lines: one short function for each thing that Pillow leaves to its callers.
"""

import contextlib
import io
import logging
import os
import re
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import (
    BmpImagePlugin,  # noqa: F401 - imported here, as threads would race for it later.
    GifImagePlugin,  # noqa: F401
    Image,
    ImageCms,
    ImageColor,
    JpegImagePlugin,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    PpmImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from ram_tf.config import check_background
from ram_tf.errors import RamError, one_line

KINDS = "PNG, JPEG, GIF, BMP, WebP, TIFF, PNM"
SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".gif", ".bmp"),
    *(".dib", ".webp", ".tif", ".tiff", ".pbm", ".pgm", ".ppm", ".pnm"),
)
# Pillow calls what is larger a decompression bomb.
MAX_PIXELS = 89_478_485
# Of a JPEG, each of which takes as long as a picture. Progressive ones have some ten.
MAX_SCANS = 100

_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "PPM")
_ORIENTATION = 0x0112  # The EXIF tag.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II", b"MM")  # How it begins, in either order of bytes.
_PNG_CHECKED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")  # What pixels rest on.
_TIFF_BITS, _TIFF_PHOTOMETRIC = 258, 262
_JPEG = b"\xff\xd8"
# Within what is encoded, FF stands before 00 or a restart alone.
_JPEG_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")
_STRIP = 2**20  # Pixels converted at once, by way of some 30 bytes each.

Color = tuple[int, int, int]


def background_color(background: str) -> Color:
    """Returns red, green and blue of `--background`, a name or #rrggbb.

    Raises:
      RamError: when it is no colour.
    """
    check_background(background)
    red, green, blue = ImageColor.getrgb(background)[:3]
    return red, green, blue


def decode(content: bytes, background: Color = (255, 255, 255)) -> np.ndarray:
    """Decodes one picture, its first frame, as a viewer shows it.

    It does so inside `quiet`; several threads may decode.

    Args:
      content: the bytes of a file.
      background: what shows through where it is transparent.

    Returns:
      uint8 [h, w, C]: C is 1 for what is stored as gray, else 3.

    Raises:
      RamError: when the bytes are no whole picture; the message begins with "expected".
    """
    try:
        if content.startswith(_PNG):
            _check_png(content)
        if content.startswith(_JPEG):
            _check_jpeg(content)
        silence = _NO_STDERR if content[:2] in _TIFF else contextlib.nullcontext()
        with (
            _QUIET,
            silence,
            Image.open(io.BytesIO(content), formats=_FORMATS) as image,
        ):
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(
                    f"{image.width}x{image.height} pixels, of at most {MAX_PIXELS:,}"
                )
            image.load()
            pixels = _pixels(_upright(image), content, background)
        return np.ascontiguousarray(pixels)
    except UnidentifiedImageError:
        reason = "content of another kind" if content else "an empty file"
    except Exception as error:  # noqa: BLE001 - damage can take Pillow anywhere.
        reason = re.sub(r" ?<_io\.\w+ object at \w+>", "", one_line(error))
    raise RamError(f"expected an image ({KINDS}), found: {reason}")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences Pillow while pictures are decoded.

    `decode` enters it itself and reports what is wrong; around many calls it saves a
    third of the time of small pictures. Several threads may be inside.
    """
    with _QUIET:
        yield


class _Shared:
    """A context that is global: made by the first thread inside, left by the last."""

    def __init__(self, make: Callable[[], contextlib.AbstractContextManager]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._inside = 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._stack.enter_context(self._make())

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._stack.close()


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    logger = logging.getLogger("PIL")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            logger.setLevel(level)


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Closes the process's standard error, where libtiff writes, to all its threads."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # Closed altogether.
            kept = os.dup(2)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, 2)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            stack.callback(os.close, nowhere)
            os.dup2(nowhere, 2)
        yield


_QUIET = _Shared(_without_warnings)
_NO_STDERR = _Shared(_without_stderr)


def over(images: np.ndarray, background: Color) -> np.ndarray:
    """Composites uint8 [..., 2 or 4], alpha last, on a background, rounded.

    Gray stays gray if the background is.
    """
    behind = np.array(background, np.uint32)
    if images.shape[-1] == 2 and len(set(background)) == 1:
        behind = behind[:1]

    def mix(pixels: np.ndarray) -> np.ndarray:
        colors, opacity = np.split(pixels.astype(np.uint32), [-1], -1)
        mixed = colors * opacity + behind * (255 - opacity)
        return ((mixed + 127) // 255).astype(np.uint8)

    return in_strips(mix, images, len(behind))


def in_strips(
    convert: Callable[[np.ndarray], np.ndarray], images: np.ndarray, channels: int
) -> np.ndarray:
    """Converts [..., C] to uint8 [..., channels], a part of the pixels at a time."""
    pixels = images.reshape(-1, images.shape[-1])
    converted = np.empty([len(pixels), channels], np.uint8)
    for at in range(0, len(pixels), _STRIP):
        converted[at : at + _STRIP] = convert(pixels[at : at + _STRIP])
    return converted.reshape(*images.shape[:-1], channels)


def over_if_transparent(image: np.ndarray, background: Color) -> np.ndarray:
    """Composites uint8 [h, w, C] of 2 or 4 channels; others stay as they are."""
    return image if image.shape[-1] % 2 else over(image, background)


def _check_png(content: bytes) -> None:
    """Raises ValueError for a damaged chunk: Pillow does not look at IDAT's CRC."""
    at = len(_PNG)
    while at + 8 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        kind = content[at + 4 : at + 8]
        end = at + 8 + length
        if kind in _PNG_CHECKED:
            stated = content[end : end + 4]
            if len(stated) < 4:
                raise ValueError("a truncated PNG")
            if zlib.crc32(content[at + 4 : end]) != int.from_bytes(stated, "big"):
                raise ValueError(f"a damaged PNG (CRC of {kind.decode()})")
        if kind == b"IEND":
            return
        at = end + 4


def _check_jpeg(content: bytes) -> None:
    """Raises ValueError for more scans than a picture has use for."""
    at, scans = len(_JPEG), 0
    while (marker := _JPEG_MARKER.search(content, at)) and marker[1] != b"\xd9":
        at = marker.end()
        scans += marker[1] == b"\xda"
        if scans > MAX_SCANS:
            raise ValueError(f"a JPEG of more than {MAX_SCANS} scans")
        if marker[1] not in (b"\x01", b"\xd8"):  # The others state their length.
            at += int.from_bytes(content[at : at + 2], "big")


def _upright(image: Image.Image) -> Image.Image:
    if image.format == "TIFF":
        return image  # Pillow turns these itself.
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # noqa: BLE001 - EXIF that nobody can read turns nothing.
        return image
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    if turn is None:
        return image
    turned = image.transpose(turn)
    turned.format = image.format
    return turned


def _pixels(image: Image.Image, content: bytes, background: Color) -> np.ndarray:
    """Returns gray or colour of a loaded image of any mode."""
    mode, transparent = image.mode, image.info.get("transparency")
    if mode in ("L", "RGB") and transparent is None:
        pixels = np.asarray(image)
        return pixels[..., None] if mode == "L" else pixels
    if mode.startswith("I") and not (mode == "I" and image.format not in _WIDE):
        return _wide(image, transparent, background)
    if mode in ("1", "L"):
        gray = np.asarray(image.convert("L"))[..., None]
        if not isinstance(transparent, int):
            return gray
        if mode == "L" and image.format == "PNG" and content[24] < 8:
            # Pillow widens the pixels of 2 and 4 bits, and not the one that is clear.
            transparent = transparent * 255 // (2 ** content[24] - 1)
        return _keyed(gray, gray == transparent, background)
    if mode == "RGB" and image.format == "PNG" and content[24] == 16:
        image.info["transparency"] = tuple(value >> 8 for value in _three(transparent))
    if mode in ("LA", "La"):
        return over(np.asarray(image.convert("LA")), background)
    if image.has_transparency_data:
        return over(np.asarray(image.convert("RGBA")), background)
    if mode == "LAB":
        return np.asarray(_from_lab(image))
    if mode in ("I", "F"):
        raise ValueError(
            f"pixels of 32 bits (Pillow's mode {mode}), which state no range; "
            "8 or 16 bits do"
        )
    return np.asarray(image.convert("RGB"))


_WIDE = ("PNG", "PPM")  # Whose mode I is 16 bits.


def _wide(image: Image.Image, transparent: Any, background: Color) -> np.ndarray:
    """Scales gray of 12 or 16 bits to 8, rounded."""
    values = np.asarray(image)[..., None]
    highest, inverted = 65535, False
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        bits = tags.get(_TIFF_BITS, (16,))[0]
        highest = 2**bits - 1
        inverted = tags.get(_TIFF_PHOTOMETRIC) == 0

    def scale(strip: np.ndarray) -> np.ndarray:
        wide = np.clip(strip.astype(np.int64), 0, highest)
        scaled = (wide * 255 + highest // 2) // highest
        return (255 - scaled if inverted else scaled).astype(np.uint8)

    gray = in_strips(scale, values, 1)
    if isinstance(transparent, int):
        return _keyed(gray, values == transparent, background)
    return gray


def _keyed(gray: np.ndarray, is_clear: np.ndarray, background: Color) -> np.ndarray:
    alpha = np.where(is_clear, 0, 255).astype(np.uint8)
    return over(np.concatenate([gray, alpha], -1), background)


def _three(value: Any) -> tuple[int, ...]:
    if isinstance(value, tuple) and len(value) == 3:
        return value
    raise ValueError("a broken tRNS chunk")


def _from_lab(image: Image.Image) -> Image.Image:
    lab, srgb = (ImageCms.createProfile(name) for name in ("LAB", "sRGB"))
    transform = ImageCms.buildTransform(lab, srgb, "LAB", "RGB")
    found = ImageCms.applyTransform(image, transform)
    if found is None:
        raise ValueError("CIE Lab that cannot be converted")
    return found
