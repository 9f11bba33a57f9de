"""How much of an image a model may look at, from its Config alone; no TensorFlow."""

import dataclasses
import math

from ram_tf.config import Config

# (H, W, C) of the experiments' data sets, for the rows of a table that were not run.
IMAGE_SHAPES = {
    "mnist": (28, 28, 1),
    "mnist_sample": (28, 28, 1),
    "fashion_mnist": (28, 28, 1),
    "cifar10": (32, 32, 3),
    "cifar100": (32, 32, 3),
}


@dataclasses.dataclass(frozen=True)
class PixelBudget:
    """Pixel values that reach a model, against those that the image has.

    Attributes:
      read: T*K*g*g*C, or H*W*C for a whole-image classifier.
      image: H*W*C.
      read_product: `read` written out, "6*1*8*8*1".
      image_product: `image` written out, "28*28*1".
    """

    read: int
    image: int
    read_product: str
    image_product: str

    @classmethod
    def of(cls, config: Config, image_shape: tuple[int, int, int]) -> "PixelBudget":
        """Returns the pixel budget of a Config on images of a shape (H, W, C)."""
        factors: tuple[int, ...] = image_shape
        if config.model == "ram":
            side = config.patch_size
            factors = (config.num_glimpses, config.num_scales, side, side)
            factors += (image_shape[2],)
        return cls(
            math.prod(factors),
            math.prod(image_shape),
            "*".join(map(str, factors)),
            "*".join(map(str, image_shape)),
        )

    @property
    def share(self) -> float:
        """Read against image, in percent; over 100 when patches overlap or pass it."""
        return 100 * self.read / self.image


def known_image_shape(config: Config) -> tuple[int, int, int] | None:
    """Returns (H, W, C) of what the model sees; None for a data set of other people."""
    if config.dataset not in IMAGE_SHAPES:
        return None
    height, width, channels = IMAGE_SHAPES[config.dataset]
    if config.image_size:
        height = width = config.image_size
    if config.task != "plain":
        height = width = config.canvas_size
    return height, width, 1 if config.grayscale else channels
