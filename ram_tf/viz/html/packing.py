"""Packs arrays for the page into one small JSON text, each image once."""

import base64
import hashlib
import json
import zlib
from typing import Any

import numpy as np

from ram_tf.config import Config
from ram_tf.runs.examples import Examples
from ram_tf.viz.geometry import moved_apart_px, top_left_px

_MARK = 0.06  # Width of the disc with a number, in sides of the image.


def pack(array: np.ndarray) -> dict[str, Any]:
    """Returns an array as the page's script unpacks it.

    Returns:
      type, shape, and the little-endian bytes, deflated (zlib) and in base 64.
    """
    array = np.ascontiguousarray(array)
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    packed = zlib.compress(little.tobytes(), 9)
    return {
        "type": array.dtype.name,
        "shape": list(array.shape),
        "data": base64.b64encode(packed).decode(),
    }


def corners_px(examples: Examples, config: Config) -> np.ndarray:
    """Returns the first row and column of every patch, int32 [n, T, K, 2]."""
    size_px = examples.images.shape[1:3]
    sides = [config.patch_size * 2**k for k in range(config.num_scales)]
    corners = [top_left_px(examples.locations, size_px, side) for side in sides]
    return np.stack(corners, axis=2)


def marks_px(examples: Examples, config: Config) -> np.ndarray:
    """Returns where the numbers of glimpses stand, int32 [n, T, 2], in 1/64 pixels.

    That is the middle of what was cut, or beside it where they would hide each other.
    """
    height, width = examples.images.shape[1:3]
    corners = top_left_px(examples.locations, (height, width), config.patch_size)
    middles = corners + config.patch_size / 2
    least = _MARK * max(height, width)
    # Edges of pixels, not their middles: one more than there are pixels.
    size_px = height + 1, width + 1
    marks = [moved_apart_px(path, least, size_px) for path in middles]
    return np.rint(64 * np.stack(marks)).astype(np.int32)


class PathStore:
    """Collects the glimpse paths of many rows.

    Rows on the same data show the same test images, which are kept once.
    """

    def __init__(self) -> None:
        self.pictures: dict[str, Any] = {}
        self.paths: dict[str, Any] = {}

    def add(self, key: str, config: Config, examples: Examples) -> None:
        """Adds the paths of a row.

        Args:
          key: how the page names the row.
          config: its run, for the size of patches.
          examples: its images and paths.
        """
        images = np.ascontiguousarray(examples.images)
        content = repr(images.shape).encode() + images.tobytes()
        name = hashlib.sha256(content).hexdigest()[:12]
        if name not in self.pictures:
            self.pictures[name] = pack(images)
        # 16 bits a probability: no bar is a pixel longer for more.
        levels = np.rint(np.clip(examples.probabilities, 0, 1) * 65535)
        self.paths[key] = {
            "pictures": name,
            "patch_size": config.patch_size,
            "num_scales": config.num_scales,
            "class_names": examples.class_names,
            "labels": examples.labels.tolist(),
            "corners": pack(corners_px(examples, config)),
            "marks": pack(marks_px(examples, config)),
            "probabilities": pack(levels.astype(np.uint16)),
        }

    def to_json(self) -> str:
        """Returns JSON that can stand inside a script element."""
        content = {"pictures": self.pictures, "paths": self.paths}
        text = json.dumps(content, separators=(",", ":"), sort_keys=True)
        return text.replace("<", "\\u003c")
