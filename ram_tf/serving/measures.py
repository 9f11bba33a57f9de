"""How well an export predicts: accuracy, calibration, glimpses and time."""

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ram_tf.data.pipeline import evaluation_batches, first_images
from ram_tf.data.sources.base import SplitName
from ram_tf.evaluation.anytime import anytime_curve, last_glimpse, suggest_threshold
from ram_tf.evaluation.calibration import expected_calibration_error, squared_errors
from ram_tf.runs.setup import Experiment
from ram_tf.serving.polarity import common_polarity
from ram_tf.serving.signatures import ServedModel, first_locations

SPLITS: tuple[SplitName, ...] = ("validation", "test")
ROLLOUTS = (1, 4, 10)  # Of the table that stands beside every export.
_LOOKED_AT = 1000  # Images of validation whose polarity is that of the model.
_CALLS = 50  # Single images that are timed.
_ROWS = 1000  # Rollouts computed at once, in batches of whole images.


class SplitPredictions:
    """What the images of a split are taken for, by several numbers of rollouts.

    Args:
      experiment: with the weights.
      split: validation or test.
      initial_location: as of `first_locations`.
      rollouts: the numbers of rollouts.
      on_batch: called before every batch.
    """

    def __init__(
        self,
        experiment: Experiment,
        split: SplitName,
        initial_location: str,
        rollouts: Sequence[int],
        on_batch: Callable[[], None] = lambda: None,
    ) -> None:
        most = max(rollouts)
        starts = first_locations(initial_location, most)
        look = ServedModel(experiment, starts).look
        columns: dict[int, list[tuple[np.ndarray, ...]]] = {r: [] for r in rollouts}
        for images, labels, _ in evaluation_batches(
            experiment.source.split(split), experiment.task, _batch_size(rollouts)
        ):
            on_batch()
            count, labels = len(labels), labels.numpy()
            found = look(images, tf.tile(starts, [count, 1]))[0].numpy()
            found = found.reshape(count, -1, *found.shape[1:])
            for number, parts in columns.items():
                mean = found[:, :number].mean(1)
                right = mean.argmax(-1) == labels[:, None]
                parts.append((mean.max(-1), right, squared_errors(mean, labels)))
        # Three numbers an image and glimpse: probabilities of a thousand classes would
        # not fit into memory.
        self._columns = {
            number: tuple(np.concatenate(column) for column in zip(*parts, strict=True))
            for number, parts in columns.items()
        }

    def measures(self, rollouts: int, threshold: float = 0.0) -> dict[str, float]:
        """Returns accuracy, calibration_error, brier_score and mean_glimpses.

        Args:
          rollouts: one of the numbers.
          threshold: as of `ServedModel`.
        """
        confidence, right, errors = self._columns[rollouts]
        images = np.arange(len(right))
        last = np.full_like(images, right.shape[1] - 1)
        if threshold:
            last = last_glimpse(confidence, threshold)
        right = right[images, last]
        return {
            "accuracy": float(np.mean(right)),
            "calibration_error": expected_calibration_error(
                confidence[images, last], right
            ),
            "brier_score": float(np.mean(errors[images, last])),
            "mean_glimpses": float(np.mean(last + 1)),
        }

    def curve(self, rollouts: int) -> list[dict[str, float]]:
        """Returns `anytime_curve` of one of the numbers of rollouts."""
        confidence, right, _ = self._columns[rollouts]
        return anytime_curve(confidence, right)


def measure(
    experiment: Experiment,
    served: ServedModel,
    initial_location: str,
    on_batch: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Measures an export, and what it would be with other settings.

    Args:
      experiment: with the weights.
      served: of the export, R rollouts.
      initial_location: where its rollouts start, as of `first_locations`.
      on_batch: called with the batches done and in all.

    Returns:
      What metadata.json holds of it: `validation` and `test`, the measures of the
      export, and `latency_ms`, of a call with one image. Of a recurrent attention model
      also `by_rollouts`, a row for each number of rollouts, all T glimpses taken, and
      `by_threshold`, for each split a row for each threshold, with R rollouts. Nothing
      is chosen on test: `suggested_threshold` is that of the fewest glimpses that cost
      no accuracy on validation, and 0 where that has too few images to choose on.
      `num_images` is of each split.
    """
    rollouts = len(served.starts)
    many = served.is_ram and experiment.config.policy != "center"
    numbers = sorted({*ROLLOUTS, rollouts}) if many else [rollouts]
    sizes = {name: len(experiment.source.split(name).labels) for name in SPLITS}
    total = sum(-(-size // _batch_size(numbers)) for size in sizes.values())
    done = itertools.count()
    validation, test = (
        SplitPredictions(
            experiment,
            split,
            initial_location,
            numbers,
            lambda: on_batch(next(done), total),
        )
        for split in SPLITS
    )
    on_batch(total, total)
    images, _ = first_images(experiment.source.split("test"), experiment.task, _CALLS)
    # The export itself is not timed again: it would only differ by noise.
    others = {
        number: ServedModel(experiment, first_locations(initial_location, number))
        for number in numbers
        if number != rollouts or served.threshold
    }
    latency, *latencies = latencies_ms([served, *others.values()], images)
    by_number = {rollouts: latency, **dict(zip(others, latencies, strict=True))}
    found: dict[str, Any] = {
        "num_images": sizes,
        "validation": validation.measures(rollouts, served.threshold),
        "test": test.measures(rollouts, served.threshold),
        "latency_ms": latency,
    }
    if not served.is_ram:
        return found
    by_rollouts = [
        {
            "rollouts": number,
            "validation": validation.measures(number),
            "test": test.measures(number),
            "latency_ms": by_number[number],
        }
        for number in numbers
    ]
    by_threshold = {
        "validation": validation.curve(rollouts),
        "test": test.curve(rollouts),
    }
    return {
        **found,
        "by_rollouts": by_rollouts,
        "by_threshold": by_threshold,
        "suggested_threshold": suggest_threshold(
            by_threshold["validation"],
            validation.measures(rollouts)["accuracy"],
            sizes["validation"],
        ),
    }


def latencies_ms(models: Sequence[ServedModel], images: np.ndarray) -> list[float]:
    """Returns the median milliseconds of serving_uint8 with one image, of each model.

    The times are those of this machine, with what else it does. The models take turns,
    so that it does the same meanwhile, and the times can be compared.

    Args:
      models: what is asked, twice for each image; the first calls do not count.
      images: uint8 [n, H, W, C].
    """
    asked = [model.signatures["serving_uint8"] for model in models]
    seconds = np.zeros([2 * len(images), len(models)])
    for row, image in enumerate([*images, *images]):
        for column, ask in enumerate(asked):
            begun = time.perf_counter()
            ask(tf.constant(image[None]))["label"].numpy()
            seconds[row, column] = time.perf_counter() - begun
    return (1e3 * np.median(seconds[len(images) :], axis=0)).tolist()


def learned_polarity(experiment: Experiment) -> str:
    """Returns `common_polarity` of images like those of training."""
    validation = experiment.source.split("validation")
    return common_polarity(first_images(validation, experiment.task, _LOOKED_AT)[0])


def _batch_size(rollouts: Sequence[int]) -> int:
    return max(1, _ROWS // max(rollouts))
