"""Tasks: what is done to the images of a source before the model looks at them.

Follows sources, feeds pipeline. A task works on a whole batch of uint8 images with
integer TensorFlow operations, but for affine changes; all of its chance comes in as
`draws`.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from ram_tf.config import check_setting
from ram_tf.data import affine, paste
from ram_tf.data import image_ops as images_lib
from ram_tf.errors import RamError

_PLACE_DRAWS = 2  # Row and column of the image on its canvas.
_PIECE_DRAWS = 5  # Other image; row and column in it; row and column on the canvas.
_AUGMENTATION_DRAWS = {
    "none": 0,
    "flip": 1,
    "shift": 2,
    "flip_crop": 3,
    "affine": affine.NUM_DRAWS,
}

Shape = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Task:
    """Uint8 images of a source to the float images that the model sees.

    In this order: gray, augmentation (training only), place on the canvas, clutter.

    Attributes:
      task: "plain" keeps the image; "translated" puts it whole at a uniformly random
        place of a black canvas (paper 6.2); "cluttered" adds clutter (paper 6.3).
      canvas_size: side of the square canvas in pixels (paper 5: 60).
      num_clutter: pieces of clutter an image (Mnih 2014: 4; 8 on 100 x 100).
      clutter_size: side of a piece in pixels (Mnih 2014: 8). Each is cut at random
        from another image of the same split and lands anywhere, whole, on the canvas.
        One channel: the brighter pixel stays. Colour: the later piece covers.
      clutter_overlap: whether pieces land on the image and on each other; else one that
        would land where the canvas is not all black is left out.
      grayscale: colour to one channel, ITU-R 601 luma rounded to an 8-bit level.
      pixel_range: "unit" for pixels in [0, 1], "byte" for 0..255.
      augmentation: of training images: "none", "flip" (left-right, by a fair coin),
        "shift" (by up to `max_shift` pixels, black coming in), "flip_crop", both, or
        "affine": shifted, turned by up to 15 degrees, 13 % smaller to 18 % larger and
        slanted by up to 0.15.
      max_shift: of augmentation, in pixels.

    Raises:
      RamError: when a value does not fit the Config's field of that name.
    """

    task: str = "plain"
    canvas_size: int = 60
    num_clutter: int = 4
    clutter_size: int = 8
    clutter_overlap: bool = True
    grayscale: bool = False
    pixel_range: str = "unit"
    augmentation: str = "none"
    max_shift: int = 4

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = check_setting(field.name, getattr(self, field.name))
            object.__setattr__(self, field.name, value)

    def output_shape(self, image_shape: Shape) -> Shape:
        """Returns (H, W, C) of the task's images, given (h, w, c) of the source's.

        Raises:
          RamError: when image, canvas and clutter do not fit into each other.
        """
        height, width, channels = image_shape
        if channels not in (1, 3):
            raise RamError(f"images have {channels} channels, expected 1 or 3")
        channels = 1 if self.grayscale else channels
        if self.task == "plain":
            return height, width, channels
        size = self.canvas_size
        if size < max(height, width):
            raise RamError(
                f"--canvas_size={size}: expected at least {max(height, width)}, "
                f"the side of the {height}x{width} images"
            )
        if self.task == "cluttered" and self.num_clutter:
            if self.clutter_size > min(height, width):
                raise RamError(
                    f"--clutter_size={self.clutter_size}: expected at most "
                    f"{min(height, width)}, the side of the {height}x{width} images"
                )
        return size, size, channels

    @property
    def num_pieces(self) -> int:
        """Pieces of clutter an image, 0 unless the task is cluttered."""
        return self.num_clutter if self.task == "cluttered" else 0

    def num_draws(self, training: bool) -> int:
        """Returns how many random integers an image takes."""
        places = 0 if self.task == "plain" else _PLACE_DRAWS
        augmentation = _AUGMENTATION_DRAWS[self.augmentation] if training else 0
        return places + _PIECE_DRAWS * self.num_pieces + augmentation

    def __call__(
        self,
        images: tf.Tensor,
        draws: tf.Tensor,
        pool: tf.Tensor,
        index: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """Makes a batch: `compose`, then `to_float`, with their arguments."""
        return self.to_float(self.compose(images, draws, pool, index, training))

    def to_float(self, images: tf.Tensor) -> tf.Tensor:
        """Makes uint8 0..255 to float32, in [0, 1] or, by pixel_range, 0..255."""
        images = tf.cast(images, tf.float32)
        # Times, not over: TensorFlow turns a division into this in graphs only.
        return images * (1 / 255) if self.pixel_range == "unit" else images

    def to_bytes(self, images: tf.Tensor) -> np.ndarray:
        """Returns images of `to_float` as files hold them, uint8 0..255."""
        white = 1.0 if self.pixel_range == "byte" else 255.0
        return np.rint(images.numpy() * white).astype(np.uint8)

    def to_gray(self, images: tf.Tensor) -> tf.Tensor:
        """Makes uint8 [..., 3] gray, uint8 [..., 1], if the task wants that."""
        if not self.grayscale or images.shape[-1] == 1:
            return images
        return images_lib.to_gray(images)

    def compose(
        self,
        images: tf.Tensor,
        draws: tf.Tensor,
        pool: tf.Tensor,
        index: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """Makes a batch of 8-bit images.

        Args:
          images: uint8 [B, h, w, c].
          draws: uint32 [B, num_draws(training)], uniform over all 2**32 values. A
            choice among k takes the draw modulo k: uneven by k / 2**32 at most.
          pool: uint8 [n, h, w, c], all images of the split, that clutter is cut from.
          index: int [B], where each image is in the pool: clutter is not cut from it.
          training: whether to augment.

        Returns:
          uint8 [B, H, W, C].

        Raises:
          RamError: for sizes that do not fit, or clutter from a split of one image.
        """
        rows, columns, _ = images.shape[1:]
        height, width, _ = self.output_shape(tuple(images.shape[1:]))
        images, read = self.to_gray(images), 0

        def draw(*choices: int) -> tf.Tensor:
            nonlocal read
            first, read = read, read + len(choices)
            drawn = draws[:, first:read] % tf.constant(choices, tf.uint32)
            return tf.cast(drawn, tf.int32)

        if self.task != "plain":
            corners = draw(height - rows + 1, width - columns + 1)
        if self.num_pieces:
            count, size = pool.shape[0], self.clutter_size
            if count < 2:
                raise RamError("--task=cluttered: expected a split of 2 images or more")
            cut_choices = (count - 1, rows - size + 1, columns - size + 1)
            choices = (*cut_choices, height - size + 1, width - size + 1)
            drawn = draw(*choices * self.num_pieces)
            drawn = tf.reshape(drawn, [-1, self.num_pieces, _PIECE_DRAWS])
            # Less than a whole round from itself: always another image.
            other = (tf.cast(index, tf.int32)[:, None] + 1 + drawn[..., 0]) % count
            source = tf.concat([other[..., None], drawn[..., 1:3]], axis=-1)
            pieces = self.to_gray(paste.cut(pool, source, size))
        if training and self.augmentation in ("flip", "flip_crop"):
            images = tf.where(
                draw(2)[:, :, None, None] == 1, images[:, :, ::-1], images
            )
        if training and self.augmentation in ("shift", "flip_crop"):
            most = self.max_shift
            shift = draw(2 * most + 1, 2 * most + 1)
            padded = paste.place(images, shift, rows + 2 * most, columns + 2 * most)
            images = padded[:, most:-most, most:-most]
        if training and self.augmentation == "affine":
            mine = draws[:, read : read + affine.NUM_DRAWS]
            images = affine.change(images, mine, self.max_shift)
        if self.task != "plain":
            images = paste.place(images, corners, height, width)
        if self.num_pieces:
            paste_pieces = paste.cover if self.clutter_overlap else paste.fill
            images = paste_pieces(images, pieces, drawn[..., 3:])
        return images
