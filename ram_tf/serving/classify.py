"""Many image files through a model, in batches, whatever is wrong with some of them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ram_tf.errors import RamError
from ram_tf.serving.image_files import ReadImages, read_ahead, read_images
from ram_tf.serving.predictions import Prediction
from ram_tf.serving.predictor import Predictor


class ClassifiedFile(NamedTuple):
    """What a model said of a file.

    Attributes:
      images: uint8 [n, H, W, C], as the model saw them.
      predictions: one an image; none of a file that cannot be read.
      stored_size: (h, w) of the images in the file.
      error: what is wrong with it, else None.
    """

    images: np.ndarray
    predictions: list[Prediction]
    stored_size: tuple[int, int]
    error: RamError | None = None


def classify_files(
    predictor: Predictor, paths: Sequence[str], resize: bool = True, rollouts: int = 0
) -> Iterator[ClassifiedFile]:
    """Classifies the images of files, in their order.

    Args:
      predictor: the model.
      paths: of pictures and .npz files, as `read_images` reads them.
      resize: whether images of another size are resized; else they are an error.
      rollouts: as of `Predictor.predict`.
    """

    def read(path: str) -> ReadImages:
        return read_images(
            path,
            predictor.image_shape,
            resize,
            len(predictor.class_names),
            predictor.background,
        )

    names = iter(paths)
    for group in read_ahead(paths, read):
        images = [found.images for found in group if isinstance(found, ReadImages)]
        values, at = {}, 0
        if images:
            values = predictor.predict(np.concatenate(images), rollouts)
        for found in group:
            path = next(names)
            if isinstance(found, RamError):
                nothing = np.zeros([0, *predictor.image_shape], np.uint8)
                yield ClassifiedFile(nothing, [], (0, 0), found)
                continue
            predictions = []
            count = len(found.images)
            for index in range(count):
                name = path if count == 1 else f"{path}[{index}]"
                truth = None if found.labels is None else int(found.labels[index])
                mine = {key: value[at + index] for key, value in values.items()}
                predictions.append(Prediction(name, mine, truth))
            at += count
            yield ClassifiedFile(found.images, predictions, found.stored_size)
