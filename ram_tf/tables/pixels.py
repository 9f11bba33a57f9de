"""How much of an image a row may look at, from its Config alone."""

import dataclasses
import math

from ram_tf.config import Config

# (H, W, C) of the data sets of the experiments: a run says the same of any data set,
# but a table also has rows that were not run.
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
      read: T*K*g*g*C, or H*W*C for a baseline classifier.
      image: H*W*C.
      read_product: `read` written out, "6*1*8*8*1".
      image_product: `image` written out, "28*28*1".
    """

    read: int
    image: int
    read_product: str
    image_product: str

    @property
    def share(self) -> float:
        """Read against image, in percent; over 100 when patches overlap or pass it."""
        return 100 * self.read / self.image


def pixel_budget(
    config: Config, image_shape: tuple[int, int, int] | None = None
) -> PixelBudget | None:
    """Returns the pixel budget of a Config, None when the image's shape is not known.

    Args:
      config: the run.
      image_shape: (H, W, C) that the model sees; None works it out for the data sets
        of the experiments.
    """
    shape = image_shape or _image_shape(config)
    if shape is None:
        return None
    factors: tuple[int, ...] = shape
    if config.model == "ram":
        side = config.patch_size
        factors = (config.num_glimpses, config.num_scales, side, side, shape[2])
    return PixelBudget(
        math.prod(factors),
        math.prod(shape),
        "*".join(map(str, factors)),
        "*".join(map(str, shape)),
    )


def _image_shape(config: Config) -> tuple[int, int, int] | None:
    if config.dataset not in IMAGE_SHAPES:
        return None
    height, width, channels = IMAGE_SHAPES[config.dataset]
    if config.image_size:
        height = width = config.image_size
    if config.task != "plain":
        height = width = config.canvas_size
    return height, width, 1 if config.grayscale else channels
