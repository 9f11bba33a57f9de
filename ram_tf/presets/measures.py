"""What a preset says of its model: what its run left, and what is measured of it."""

import dataclasses
import pathlib
import re
import shlex
from typing import Any

import numpy as np

from ram_tf.config import Config
from ram_tf.data.sources.base import SplitName
from ram_tf.data.sources.open import open_source
from ram_tf.evaluation.anytime import curve_of_probabilities, suggest_threshold
from ram_tf.evaluation.calibration import (
    expected_calibration_error,
    squared_errors,
)
from ram_tf.evaluation.evaluator import Evaluator
from ram_tf.evaluation.metrics import is_right, wilson_interval
from ram_tf.flags import config_settings, flag, parse
from ram_tf.models.image_classifier import ImageClassifier
from ram_tf.models.recurrent_attention import RecurrentAttentionModel
from ram_tf.runs.setup import Experiment
from ram_tf.serving.measures import learned_polarity
from ram_tf.serving.preset_run import split_digests

_DIGITS = ("mnist", "mnist_sample")
# Of a policy's measures in results.json; its confusion matrix is long.
_KEPT = (
    "accuracy",
    "interval",
    "accuracy_by_glimpse",
    "num_rollouts",
    "accuracy_mean",
    "accuracy_ensemble",
)


def stated(experiment: Experiment, results: dict[str, Any]) -> dict[str, Any]:
    """Returns what an export says of a run, and what the run's results say.

    Args:
      experiment: the run.
      results: its results.json.
    """
    config = experiment.config
    evaluation = results["evaluation"]
    measures = evaluation["policies"][evaluation["policy"]]
    confusion = np.array(measures["confusion_matrix"])
    digest, splits = config.digest(), experiment.source.split_description
    given, config = config, config.for_sharing()
    if given.image_folder:  # Whose machine it was is private.
        place = re.escape(str(pathlib.Path(given.image_folder)))
        path = re.compile(rf"(?<!\S){place}(?=[/,: ]|$)")
        splits = {
            split: path.sub(lambda _: config.image_folder, text)
            for split, text in splits.items()
        }
    return {
        "experiment": config.experiment,
        "seed": config.seed,
        "config_digest": digest,
        "image_shape": list(experiment.image_shape),
        "class_names": experiment.source.class_names,
        "pixel_range": config.pixel_range,
        "background": config.background,
        "polarity": learned_polarity(experiment),
        "results": {
            "test_accuracy": results["test_accuracy"],
            "validation_accuracy": results["validation_accuracy"],
            "policy": evaluation["policy"],
            "eval_locations": evaluation["eval_locations"],
            "num_images": int(confusion.sum()),
            "policies": {
                name: {key: found[key] for key in _KEPT}
                for name, found in evaluation["policies"].items()
            },
            "accuracy_by_class": [
                # None of a class without test images.
                round(float(row[label] / row.sum()), 4) if row.sum() else None
                for label, row in enumerate(confusion)
            ],
            "splits": splits,
            **({"digests": digests} if (digests := split_digests(experiment)) else {}),
            "train_steps": results["train_steps"],
            "wall_seconds": results["wall_seconds"],
            "versions": results.get("versions", {}),
            "commit": results.get("commit"),
        },
        "command": train_command(config),
        "config": config.to_dict(),
        **({"warnings": results["warnings"]} if results.get("warnings") else {}),
    }


def measured(experiment: Experiment, folder: pathlib.Path) -> dict[str, Any]:
    """Measures the weights of a preset: as they are loaded, and as they were trained.

    Nothing is chosen on test: `suggested_threshold` is of validation, as an export's,
    and 0 where that has too few images to choose on.

    Args:
      experiment: of the data that it was trained on; its own weights are not read.
      folder: the preset.
    """
    stored = RecurrentAttentionModel.from_preset
    as_run, from_centre = stored(folder), stored(folder, initial_location="center")
    config = experiment.config
    test, validation = (
        evaluator_of(experiment, from_centre, split).predict(config.policy)
        for split in ("test", "validation")
    )
    test_accuracy, to_keep = (
        float(np.mean(is_right(found.step_probabilities[:, -1], found.labels)))
        for found in (test, validation)
    )
    by_threshold = {
        "validation": curve_of_probabilities(
            validation.step_probabilities, validation.labels
        ),
        "test": curve_of_probabilities(test.step_probabilities, test.labels),
    }
    probe = probe_images(experiment.image_shape)
    if config.pixel_range == "byte":
        probe = probe.astype(np.float32)  # uint8 would become fractions.
    probabilities = from_centre(probe).numpy()
    measures = {
        "initial_location": "center",
        "test_accuracy": test_accuracy,
        "test_interval": wilson_interval(test_accuracy, len(test.labels)),
        **calibration(test.step_probabilities[:, -1], test.labels),
        "accuracy_of_float16": evaluator_of(experiment, as_run).accuracy(),
        "by_threshold": by_threshold,
        "suggested_threshold": suggest_threshold(
            by_threshold["validation"], to_keep, len(validation.labels)
        ),
        "num_validation_images": len(validation.labels),
        "probe_probabilities": probabilities.astype(float).round(4).tolist(),
    }
    if config.dataset in _DIGITS:  # Everybody has these, and a test reads them.
        sample = open_source("mnist_sample", image_size=config.image_size)
        digits = dataclasses.replace(experiment, source=sample)
        accuracy = evaluator_of(digits, from_centre).accuracy()
        measures["accuracy_on_mnist_sample"] = accuracy
    return measures


def evaluator_of(
    experiment: Experiment, model: ImageClassifier, split: SplitName = "test"
) -> Evaluator:
    """Returns what measures a model on the data of an experiment."""
    return Evaluator(model, experiment.source.split(split), experiment.task)


def calibration(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Returns calibration_error and brier_score, as an export of one rollout has them.

    Args:
      probabilities: floats [n, N], after the last glimpse.
      labels: integers [n].
    """
    right = is_right(probabilities, labels)
    error = expected_calibration_error(probabilities.max(-1), right)
    brier = float(np.mean(squared_errors(probabilities, labels)))
    return {"calibration_error": error, "brier_score": brier}


def train_command(config: Config, experiments_dir: str = "experiments") -> str:
    """Returns the command that trains a run of a Config again.

    Args:
      config: of the run.
      experiments_dir: where its flagfile is looked for; without one that says the same,
        the command has every flag that is not at its default.
    """
    run = f"--run_dir=runs/{config.experiment or 'again'}"
    flagfile = pathlib.PurePath(experiments_dir) / f"{config.experiment}.cfg"
    words = [f"--flagfile={flagfile}", f"--seed={config.seed}"]
    if config.experiment and pathlib.Path(flagfile).exists():
        if parse(config_settings(), words).config().digest() == config.digest():
            return f"python -m ram_tf.train {' '.join(words)} {run}"
    flags = [
        shlex.quote(flag(name, value)) for name, value in config.identity().items()
    ]
    return f"python -m ram_tf.train {' '.join(flags)} {run}"


def probe_images(image_shape: tuple[int, int, int]) -> np.ndarray:
    """Returns two generated images, uint8 [2, H, W, C]: a ramp and a disc.

    What a preset says of them is in its metadata, to check it where there are no data.
    """
    height, width, channels = image_shape
    y, x, c = np.meshgrid(
        np.linspace(-1, 1, height),
        np.linspace(-1, 1, width),
        np.arange(1, channels + 1),
        indexing="ij",
    )
    ramp = (y + x + 2) / 4
    disc = (y**2 + x**2 < 0.4) / c
    return np.round(255 * np.stack([ramp, disc])).astype(np.uint8)
