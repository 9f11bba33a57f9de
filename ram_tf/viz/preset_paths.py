"""Glimpse paths of a preset: on test images, or on images that people give."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from ram_tf.data.pipeline import first_images
from ram_tf.data.sources.open import open_source
from ram_tf.errors import RamError
from ram_tf.files import shown
from ram_tf.models.presets import Preset
from ram_tf.runs.setup import task_of
from ram_tf.serving.classify import read_for
from ram_tf.serving.image_notes import ImageNotes
from ram_tf.viz.geometry import UNKNOWN, GlimpsePath, PathRecord

NUM_IMAGES = 20  # As many as a run keeps.
_DIGITS = ("mnist", "mnist_sample")  # Some of both come with the package.


def paths_on_test(preset: Preset, data_dir: str = "") -> PathRecord:
    """Returns paths on the first test images of a preset's data, shown by its task.

    Of MNIST they are the digits that come with the package.

    Args:
      preset: the model.
      data_dir: where its data are; "" is TFDS_DATA_DIR or TFDS's own default.

    Raises:
      RamError: when the data are missing.
    """
    config = preset.config
    if config.image_folder and not pathlib.Path(config.image_folder).is_dir():
        raise RamError(
            f"the preset is of own images, {config.dataset}, which are not here: name "
            "image files behind the flags"
        )
    dataset = "mnist_sample" if config.dataset in _DIGITS else config.dataset
    source = open_source(
        dataset,
        data_dir,
        config.validation_size if dataset == config.dataset else -1,
        config.image_size,
        config.background,
    )
    task = task_of(config)
    return _look(preset, *first_images(source.split("test"), task, NUM_IMAGES))


def paths_on_files(
    preset: Preset,
    files: Sequence[str],
    resize: bool = True,
    prepared: bool = False,
) -> tuple[PathRecord, list[str]]:
    """Returns paths on the images of files, and what is to be said of the images.

    Args:
      preset: the model.
      files: pictures, or .npz files with `images` and perhaps `labels`.
      resize: whether images of another size are resized; else they are refused.
      prepared: whether images are made like those of training, as `prepare` does.

    Raises:
      RamError: when a file is no image, or of another size and `resize` is False.
    """
    notes = ImageNotes(preset.metadata)
    images, truths, names = [], [], []
    for path in files:
        read = read_for(preset.metadata, path, resize, prepared)
        notes.add(read)
        images.append(read.images)
        names += [shown(os.path.basename(path))] * len(read.images)
        unknown = np.full([len(read.images)], UNKNOWN)
        truths.append(unknown if read.labels is None else read.labels)
    record = _look(preset, np.concatenate(images), np.concatenate(truths), names)
    return record, notes.lines()


def _look(
    preset: Preset, images: np.ndarray, labels: np.ndarray, names: Sequence[str] = ()
) -> PathRecord:
    """Looks at uint8 images, first at the centre."""
    byte = preset.config.pixel_range == "byte"
    pixels = tf.cast(images, tf.float32) if byte else tf.constant(images)
    probabilities, locations = preset.model.look(pixels)
    rows = zip(
        images,
        map(int, labels),
        locations.numpy(),
        probabilities.numpy(),
        names or [""] * len(images),
        strict=True,
    )
    paths = [GlimpsePath(*row) for row in rows]
    return PathRecord(preset.config, paths, preset.class_names)
