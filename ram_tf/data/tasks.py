"""Tasks: what is done to the images of a source before the model looks at them.

Follows sources, feeds pipeline. A task works on a whole batch of uint8 images with
integer TensorFlow operations; all of its chance comes in as `draws`.
"""

import dataclasses

import tensorflow as tf

from ram_tf.errors import RamError

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, weights of red, green and blue.
SHIFT = 4  # Pixels of padding before the random crop of augmentation=flip_crop.
_PLACE_DRAWS = 2  # Row and column of the image on its canvas.
_PIECE_DRAWS = 5  # Other image; row and column in it; row and column on the canvas.
_AUGMENTATION_DRAWS = {"none": 0, "flip": 1, "flip_crop": 3}

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
      grayscale: colour to one channel, ITU-R 601 luma rounded to an 8-bit level.
      pixel_range: "unit" for pixels in [0, 1], "byte" for 0..255.
      augmentation: of training images: "none", "flip" (left-right, by a fair coin), or
        "flip_crop" (also shifted by up to `SHIFT` pixels, black coming in).

    Raises:
      RamError: when a name is not one of the above, or a size is not positive.
    """

    task: str = "plain"
    canvas_size: int = 60
    num_clutter: int = 4
    clutter_size: int = 8
    grayscale: bool = False
    pixel_range: str = "unit"
    augmentation: str = "none"

    def __post_init__(self) -> None:
        choices = {
            "task": ("plain", "translated", "cluttered"),
            "pixel_range": ("unit", "byte"),
            "augmentation": tuple(_AUGMENTATION_DRAWS),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise RamError(
                    f"--{name}={getattr(self, name)}: expected one of "
                    f"{', '.join(allowed)}"
                )
        for name, low in {
            "canvas_size": 1,
            "num_clutter": 0,
            "clutter_size": 1,
        }.items():
            if getattr(self, name) < low:
                raise RamError(
                    f"--{name}={getattr(self, name)}: expected at least {low}"
                )

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
        """Makes a batch.

        Args:
          images: uint8 [B, h, w, c].
          draws: uint32 [B, num_draws(training)], uniform over all 2**32 values. A
            range of k takes the draw modulo k: uneven by k / 2**32 at most.
          pool: uint8 [n, h, w, c], all images of the split, that clutter is cut from.
          index: int [B], where each image is in the pool: clutter is not cut from it.
          training: whether to augment.

        Returns:
          float32 [B, H, W, C], in [0, 1] or, by pixel_range, 0..255.

        Raises:
          RamError: for sizes that do not fit, or clutter from a split of one image.
        """
        shape: Shape = tuple(images.shape[1:])
        height, width, channels = self.output_shape(shape)
        columns = iter(tf.unstack(draws, self.num_draws(training), axis=1))

        def draw(count: int) -> tf.Tensor:
            return tf.cast(next(columns) % tf.constant(count, tf.uint32), tf.int32)

        place = (
            [draw(height - shape[0] + 1), draw(width - shape[1] + 1)]
            if (self.task != "plain")
            else []
        )
        pieces = []
        for _ in range(self.num_pieces):
            size = self.clutter_size
            if pool.shape[0] < 2:
                raise RamError(
                    "--task=cluttered: expected a split of at least 2 images"
                )
            other = (tf.cast(index, tf.int32) + 1 + draw(pool.shape[0] - 1)) % (
                pool.shape[0]
            )
            cut = _cut(
                pool, other, draw(shape[0] - size + 1), draw(shape[1] - size + 1), size
            )
            pieces.append(
                (self.to_gray(cut), draw(height - size + 1), draw(width - size + 1))
            )
        images = self.to_gray(images)
        if training and self.augmentation != "none":
            images = tf.where(
                (draw(2) == 1)[:, None, None, None], images[:, :, ::-1], images
            )
        if training and self.augmentation == "flip_crop":
            padded = _paste(
                [(images, draw(2 * SHIFT + 1), draw(2 * SHIFT + 1))],
                (shape[0] + 2 * SHIFT, shape[1] + 2 * SHIFT, channels),
            )
            images = padded[:, SHIFT:-SHIFT, SHIFT:-SHIFT]
        if place:
            images = _paste([(images, *place), *pieces], (height, width, channels))
        images = tf.cast(images, tf.float32)
        return images / 255.0 if self.pixel_range == "unit" else images

    def to_gray(self, images: tf.Tensor) -> tf.Tensor:
        """Makes uint8 [..., 3] gray, uint8 [..., 1], if the task wants that."""
        if not self.grayscale or images.shape[-1] == 1:
            return images
        luma = tf.tensordot(tf.cast(images, tf.float32), tf.constant(LUMA), 1)
        return tf.cast(tf.round(luma), tf.uint8)[..., None]


def _cut(
    pool: tf.Tensor, image: tf.Tensor, top: tf.Tensor, left: tf.Tensor, size: int
) -> tf.Tensor:
    """Cuts [B, size, size, C] at (top, left) from images of [n, h, w, C]."""
    _, height, width, channels = pool.shape
    start = tf.cast(image, tf.int64) * (height * width)
    start += tf.cast(top * width + left, tf.int64)
    square = tf.range(size)[:, None] * width + tf.range(size)
    where = start[:, None, None] + tf.cast(square, tf.int64)
    return tf.gather(tf.reshape(pool, [-1, channels]), where)


def _paste(
    pieces: list[tuple[tf.Tensor, tf.Tensor, tf.Tensor]], shape: Shape
) -> tf.Tensor:
    """Pastes ([B, h, w, C], top, left) one after the other on black canvases."""
    height, width, channels = shape
    colour = channels > 1
    pixels, places = [], []
    for order, (images, top, left) in enumerate(pieces):
        _, rows, columns, _ = images.shape
        # A later piece of colour covers: its order stands above its 8 bits of level.
        level = tf.cast(images, tf.int32) + (order + 1) * 256 if colour else images
        pixels.append(tf.reshape(level, [-1, channels] if colour else [-1]))
        start = tf.range(tf.shape(images)[0]) * (height * width) + top * width + left
        square = tf.range(rows)[:, None] * width + tf.range(columns)
        places.append(tf.reshape(start[:, None, None] + square, [-1]))
    batch = tf.shape(pieces[0][0])[0]
    canvas = tf.math.unsorted_segment_max(
        tf.concat(pixels, 0), tf.concat(places, 0), batch * height * width
    )
    if colour:
        canvas = tf.cast(tf.maximum(canvas, 0) % 256, tf.uint8)
    return tf.reshape(canvas, [-1, height, width, channels])
