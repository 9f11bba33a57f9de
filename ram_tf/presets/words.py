"""Words of cards and of the table of presets: data, models, accuracies."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from ram_tf.config import Config


class Data(NamedTuple):
    """What a card says of a data set.

    Attributes:
      name: as its authors call it.
      origin: who made it, and where it is described.
      license_name: its licence, or that its authors state none.
    """

    name: str
    origin: str
    license_name: str


_MNIST_ORIGIN = (
    "Yann LeCun, Corinna Cortes and Christopher J.C. Burges, "
    "http://yann.lecun.com/exdb/mnist/"
)
_CIFAR_ORIGIN = (
    "Alex Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009, "
    "https://www.cs.toronto.edu/~kriz/cifar.html"
)
DATA = {
    "mnist": Data("MNIST", _MNIST_ORIGIN, "CC BY-SA 3.0"),
    "mnist_sample": Data(
        "a sample of 12,000 digits of MNIST", _MNIST_ORIGIN, "CC BY-SA 3.0"
    ),
    "cifar10": Data("CIFAR-10", _CIFAR_ORIGIN, "none stated by its author"),
    "cifar100": Data("CIFAR-100", _CIFAR_ORIGIN, "none stated by its author"),
}
_TASKS = {
    "plain": "",
    "translated": ", at a random place of a black {size}x{size} canvas",
    "cluttered": ", at a random place of a black {size}x{size} canvas with "
    "{pieces} pieces of other images around",
}
_CORES = {
    "rnn": "a ReLU RNN core",
    "lstm": "an LSTM core",
    "conv_lstm": "a ConvLSTM core",
    "none": "no recurrent core",
}
_NETWORKS = {
    "fc": "a fully connected glimpse network",
    "inception": "an Inception glimpse network",
    "conv": "a convolutional glimpse network",
}


def description(config: Config, image_shape: Sequence[int]) -> str:
    """Returns what a model is, in a sentence.

    Args:
      config: of its run.
      image_shape: (H, W, C) that the model sees.
    """
    height, width, channels = image_shape
    glimpses = "glimpse" if config.num_glimpses == 1 else "glimpses"
    scales = f" at {config.num_scales} scales" if config.num_scales > 1 else ""
    colour = "gray" if channels == 1 else "colour"
    return (
        f"Recurrent attention model of {config.num_glimpses} {glimpses} of "
        f"{config.patch_size}x{config.patch_size} pixels{scales}, with "
        f"{_NETWORKS[config.glimpse_network]} "
        f"and {_CORES[config.core]}, for {height}x{width} {colour} images, trained on "
        f"{data_words(config)}."
    )


def data_words(config: Config) -> str:
    """Returns the name of a Config's data and what its task makes of them."""
    size, pieces = config.canvas_size, config.num_clutter
    return data_of(config).name + _TASKS[config.task].format(size=size, pieces=pieces)


def data_of(config: Config) -> Data:
    """Returns what is known of the data set of a Config."""
    if config.dataset in DATA:
        return DATA[config.dataset]
    shown = config.dataset
    if config.image_folder:
        name = pathlib.PurePath(config.image_folder).name
        shown = f"images of a folder, {name}"
    return Data(shown, "not known to ram_tf", "not known to ram_tf")


def percent(fraction: float) -> str:
    """Returns "96.60 %"."""
    return f"{100 * fraction:.2f} %"


def with_interval(accuracy: float, interval: Sequence[float]) -> str:
    """Returns "96.60 % [96.23, 96.94]"."""
    low, high = (100 * bound for bound in interval)
    return f"{percent(accuracy)} [{low:.2f}, {high:.2f}]"
