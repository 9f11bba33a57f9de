"""What is to be said of images that a model was shown: sizes, changes, polarity."""

import collections
from collections.abc import Mapping
from typing import Any

from ram_tf.serving.image_files import ReadImages
from ram_tf.serving.polarity import polarity

_MOST = 3  # Kinds that are told apart in a line.


class ImageNotes:
    """Counts images, and says what their user should know.

    Args:
      metadata: of the model, as of `prepare`.

    Attributes:
      count: the images.
    """

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self.count = 0
        self._shape = tuple(metadata["image_shape"])
        self._learned = metadata.get("polarity", "")
        self._task = metadata.get("config", {}).get("task", "plain")
        self._sizes: collections.Counter[tuple[int, int]] = collections.Counter()
        self._said: collections.Counter[str] = collections.Counter()
        self._others: collections.Counter[str] = collections.Counter()

    def add(self, read: ReadImages) -> None:
        """Counts the images of a file."""
        self.count += len(read.images)
        self._said.update(read.said)
        if not read.said and read.stored_size != self._shape[:2]:
            self._sizes[read.stored_size] += len(read.images)
        if self._learned:
            found = (polarity(image) for image in read.images)
            self._others.update(one for one in found if one != self._learned)

    def lines(self) -> list[str]:
        """Returns the notes on all images, a line each."""
        told = self._said.most_common(_MOST)
        lines = [f"{self._of(n)}: {said[0].lower()}{said[1:]}" for said, n in told]
        left = self._said.total() - sum(number for _, number in told)
        if left:
            ways = len(self._said) - len(told)
            lines.append(
                f"{self._of(left)}: prepared in {ways} other way{'s' * (ways > 1)}"
            )
        if self._sizes.total():
            lines.append(self._resized())
        for other, number in self._others.items():
            lines.append(
                f"warning: {self._of(number)} {_are(number)} {other}, and this model "
                f"learned {self._learned}, so its predictions are probably wrong; "
                "--prepare makes them like the images of its training"
            )
        return lines

    def _of(self, number: int) -> str:
        return f"{number} of {self.count} image{'s' if self.count > 1 else ''}"

    def _resized(self) -> str:
        height, width, _ = self._shape
        number = self._sizes.total()
        parts = []
        for (h, w), some in self._sizes.most_common(_MOST):
            # As `image_ops.resize` does it.
            way = "mean of areas" if h >= height and w >= width else "bilinear"
            parts.append(f"{some} of {h}x{w} ({way})")
        left = len(self._sizes) - len(parts)
        if left:
            parts.append(f"others of {left} more size{'s' if left > 1 else ''}")
        text = (
            f"{self._of(number)} {'were' if number > 1 else 'was'} resized to "
            f"{height}x{width} pixels (height x width), which this model takes: "
            f"{', '.join(parts)}"
        )
        if self._task != "plain":
            text += (
                f"; it was trained with --task={self._task}: the object is smaller "
                "than the image"
            )
        return text


def _are(number: int) -> str:
    return "are" if number > 1 else "is"
