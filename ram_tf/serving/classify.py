"""Many image files through a model, in batches, whatever is wrong with some of them."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ram_tf.errors import RamError
from ram_tf.serving.image_files import ReadImages, name_of, read_ahead, read_images
from ram_tf.serving.predictions import Prediction
from ram_tf.serving.predictor import Predictor
from ram_tf.serving.prepare import prepare


class ClassifiedFile(NamedTuple):
    """What a model said of a file.

    Attributes:
      read: the images, as the model saw them; None of a file that cannot be read.
      predictions: one an image.
      error: what is wrong with the file, else None.
    """

    read: ReadImages | None
    predictions: list[Prediction]
    error: RamError | None = None


def read_for(
    metadata: Mapping[str, Any], path: str, resize: bool = True, prepared: bool = False
) -> ReadImages:
    """Reads a file for a model, as `read_images` does.

    Args:
      metadata: of the model, as of `prepare`, with `background`.
      path: the file.
      resize: whether images of another size are resized; else they are an error.
      prepared: whether images are made like those of training, as `prepare` does.
    """
    return read_images(
        path,
        metadata["image_shape"],
        resize,
        len(metadata["class_names"]),
        metadata["background"],
        functools.partial(prepare, metadata=metadata) if prepared else None,
    )


def classify_files(
    predictor: Predictor,
    paths: Sequence[str],
    resize: bool = True,
    prepared: bool = False,
    rollouts: int = 0,
) -> Iterator[ClassifiedFile]:
    """Classifies the images of files, in their order.

    Args:
      predictor: the model.
      paths: of pictures and .npz files, as `read_images` reads them.
      resize: as of `read_for`.
      prepared: as of `read_for`.
      rollouts: as of `Predictor.predict`.
    """

    def read(path: str) -> ReadImages:
        return read_for(predictor.metadata, path, resize, prepared)

    names = iter(paths)
    for group in read_ahead(paths, read):
        images = [found.images for found in group if isinstance(found, ReadImages)]
        values, at = {}, 0
        if images:
            values = predictor.predict(np.concatenate(images), rollouts)
        for found in group:
            path = next(names)
            if isinstance(found, RamError):
                yield ClassifiedFile(None, [], found)
                continue
            predictions = []
            count = len(found.images)
            for index in range(count):
                truth = None if found.labels is None else int(found.labels[index])
                mine = {key: value[at + index] for key, value in values.items()}
                name = name_of(path, index, count)
                predictions.append(Prediction(name, mine, truth))
            at += count
            yield ClassifiedFile(found, predictions)
