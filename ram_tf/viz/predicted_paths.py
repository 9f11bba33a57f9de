"""Pictures of the paths that a model takes through images that it has classified."""

import functools
import itertools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ram_tf.config import Config
from ram_tf.files import shown
from ram_tf.serving.classify import ClassifiedFile
from ram_tf.serving.predictions import Prediction
from ram_tf.serving.predictor import Predictor
from ram_tf.viz.geometry import UNKNOWN, GlimpsePath, PathRecord
from ram_tf.viz.path_animation import animate_paths
from ram_tf.viz.path_figure import draw_paths, title_of, to_png

MOST = 6  # Images of a picture.


def distinct_names(paths: Sequence[str]) -> list[str]:
    """Returns the names of files, with their folder where two have the same name."""
    names = [os.path.basename(path) for path in paths]
    if len(set(names)) == len(names):
        return names
    return [
        os.path.join(os.path.basename(os.path.dirname(path)), name)
        for path, name in zip(paths, names, strict=True)
    ]


class PredictedPaths:
    """Keeps the first images, and draws the model's paths through them.

    Args:
      predictor: the model.
      rollouts: of how many its predictions are the mean; 0 is its own number.

    Raises:
      RamError: when the model takes no glimpses, or cannot tell where.
    """

    def __init__(self, predictor: Predictor, rollouts: int = 0) -> None:
        predictor.check_path()
        self._predictor = predictor
        self._rollouts = rollouts or predictor.num_rollouts
        self._kept: list[tuple[Any, Prediction]] = []

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, file: ClassifiedFile) -> None:
        """Keeps the images of a file while there is room."""
        if file.read is None:
            return
        rows = zip(file.read.images, file.predictions, strict=True)
        self._kept += itertools.islice(rows, MOST - len(self))

    @functools.cached_property
    def _record(self) -> PathRecord:
        """One rollout of every image, when all are there."""
        predictor = self._predictor
        images = np.stack([image for image, _ in self._kept])
        starts = np.tile(predictor.first_location, [len(images), 1])
        found = predictor.path(images, starts)
        titles = distinct_names([prediction.name for _, prediction in self._kept])
        rows = zip(
            self._kept, titles, found.locations, found.probabilities, strict=True
        )
        paths = []
        for (image, prediction), title, locations, probabilities in rows:
            # An export with a threshold stops by itself.
            taken = int(prediction.values.get("glimpses", len(locations)))
            path = GlimpsePath(
                image,
                UNKNOWN if prediction.truth is None else prediction.truth,
                locations[:taken],
                probabilities[:taken],
                shown(title),
            )
            paths.append(path)
        settings = ("num_glimpses", "patch_size", "num_scales")
        config = Config(**{name: getattr(predictor, name) for name in settings})
        return PathRecord(config, paths, predictor.class_names)

    @property
    def _captions(self) -> tuple[str, str]:
        """The two lines above them."""
        subtitle = self._predictor.name
        if self._rollouts > 1:
            subtitle += (
                f".  Shown is the first of {self._rollouts} rollouts; the prediction "
                "is the mean of all, and may differ."
            )
        if any("glimpses" in prediction.values for _, prediction in self._kept):
            sure = self._predictor.metadata["threshold"]
            subtitle += f".  It stops when a class is {100 * sure:g} % likely."
        return title_of(self._record.config), subtitle

    def png(self) -> bytes:
        """Returns the picture of at least one image as PNG."""
        record = self._record
        return to_png(draw_paths(record.paths, record, *self._captions))

    def gif(self) -> bytes:
        """Returns the same as GIF, glimpse after glimpse."""
        record = self._record
        return animate_paths(record.paths, record, *self._captions)
