"""Examples of a run: some test images and what the model did on them, in one .npz."""

import io
import pathlib
from typing import NamedTuple

import numpy as np

from ram_tf.errors import RamError
from ram_tf.files import read_arrays


class Examples(NamedTuple):
    """Test images and what a model did on them.

    Attributes:
      images: uint8 [n, H, W, C].
      labels: int32 [n].
      locations: float32 [n, T, 2], (y, x) in [-1, 1]; T is 0 for whole-image models.
      probabilities: float32 [n, T, N], the prediction after each glimpse; a
        whole-image classifier has one.
      class_names: the N classes.
    """

    images: np.ndarray
    labels: np.ndarray
    locations: np.ndarray
    probabilities: np.ndarray
    class_names: list[str]


def read_examples(path: pathlib.Path) -> Examples:
    """Reads the examples of a run.

    Raises:
      RamError: when the file is missing or broken, or its arrays do not fit together.
    """
    arrays = read_arrays(path, "the examples of a run", Examples._fields)
    try:
        found = Examples(
            arrays["images"].astype(np.uint8, casting="safe"),
            arrays["labels"].astype(np.int32, casting="same_kind"),
            arrays["locations"].astype(np.float32, casting="same_kind"),
            arrays["probabilities"].astype(np.float32, casting="same_kind"),
            [str(name) for name in arrays["class_names"]],
        )
        count, steps, _ = found.probabilities.shape
    except (TypeError, ValueError) as error:
        raise RamError(
            f"{path}: expected images of uint8, labels, locations and probabilities "
            f"[n, T, N], found: {error}"
        ) from None
    looked = steps if found.locations.size else 0
    expected = [(count,), (count, looked, 2), (count, steps, len(found.class_names))]
    shapes = [array.shape for array in found[1:4]]
    if found.images.ndim != 4 or len(found.images) != count or shapes != expected:
        raise RamError(
            f"{path}: expected labels, locations and probabilities of shapes "
            f"{expected}, found {shapes}"
        )
    return found


def to_npz(examples: Examples) -> bytes:
    """Returns the content of the file that `read_examples` reads."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **examples._asdict())
    return buffer.getvalue()
