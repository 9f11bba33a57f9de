"""From a finished run to the folder of a preset, measured as it will be loaded."""

import io
import pathlib
import shutil
import tempfile
from typing import Any

import h5py
import keras
import numpy as np

from ram_tf.data.sources.base import FOLDER_PREFIX
from ram_tf.data.sources.open import open_source
from ram_tf.errors import RamError, one_line
from ram_tf.evaluation.evaluator import Evaluator
from ram_tf.evaluation.metrics import wilson_interval
from ram_tf.files import to_json
from ram_tf.models.preset_files import CARD, CONFIG, METADATA, WEIGHTS
from ram_tf.models.recurrent_attention import RecurrentAttentionModel
from ram_tf.presets.card import card, description
from ram_tf.presets.seeds import seed_accuracies
from ram_tf.runs.directory import RunDirectory
from ram_tf.runs.results_json import read_results
from ram_tf.runs.setup import Experiment, load_run

STORED = "float16"
# Of a policy's measures in results.json; its confusion matrix is long.
_KEPT = (
    "accuracy",
    "interval",
    "accuracy_by_glimpse",
    "num_rollouts",
    "accuracy_mean",
    "accuracy_ensemble",
)
# By how much a run's accuracy may differ when it is measured again: arithmetic of
# another machine, or of XLA, moves single images.
_ROUNDING = 0.001
_DIGITS = ("mnist", "mnist_sample")


def save_preset(
    run: str | pathlib.Path,
    folder: str | pathlib.Path,
    data_dir: str = "",
    results_dir: str | pathlib.Path = "",
    license_name: str = "",
    replace: bool = False,
) -> dict[str, Any]:
    """Writes the chosen weights of a finished run as a preset, whole or not at all.

    The same run gives the same bytes. Reads the run's data, to measure the stored
    weights on its test split.

    Args:
      run: the run's folder.
      folder: to write; its name is the preset's name.
      data_dir: where the run's data are now; "" keeps what the run was given.
      results_dir: where results of other seeds of the experiment are; "" is nowhere.
      license_name: of the weights, as "Apache-2.0"; "" says that none is stated.
      replace: whether a folder that exists is replaced.

    Returns:
      The metadata.

    Raises:
      RamError: when there is no finished run of a recurrent attention model whose
        predictions are deterministic; its data are missing; it has not the accuracy
        that its results say; or the folder exists or cannot be written.
    """
    folder = pathlib.Path(folder)
    if folder.exists() and not replace:
        raise RamError(f"{folder}: expected a folder that does not exist yet")
    experiment = load_run(run, data_dir)
    config = experiment.config
    if config.model != "ram" or config.policy == "random":
        raise RamError(
            f"--run_dir={run}: expected a run of --model=ram with a learned or center "
            f"policy, found --model={config.model} --policy={config.policy}"
        )
    results = read_results(RunDirectory(run).results)
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        (temporary / CONFIG).write_text(to_json(_settings(experiment)))
        weights = _stored_weights(experiment)
        (temporary / WEIGHTS).write_bytes(weights)
        metadata = {
            "name": folder.name,
            "description": description(config, experiment.image_shape),
            **_stated(experiment, results),
            **_measured(experiment, temporary),
            "seeds": seed_accuracies(results, results_dir),
            "license": license_name,
            "params": experiment.model.count_params(),
            "weights_dtype": STORED,
            "weights_bytes": len(weights),
        }
        _require_same(experiment, metadata["accuracy_of_float32"], results, run)
        (temporary / METADATA).write_text(to_json(metadata))
        (temporary / CARD).write_text(card(metadata))
        if replace:
            shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    except OSError as error:
        raise RamError(
            f"{folder}: expected a folder to write to, found: {one_line(error)}"
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return metadata


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


def _settings(experiment: Experiment) -> dict[str, Any]:
    saved = dict(keras.saving.serialize_keras_object(experiment.model))
    del saved["compile_config"]  # Of its training; loaded, it is for predictions.
    return saved


def _stored_weights(experiment: Experiment) -> bytes:
    """Returns what Keras writes of the weights, every array as float16."""
    model = experiment.model
    plain = type(model).from_config(model.get_config())  # Without an optimizer.
    plain.build((None, *experiment.image_shape))
    for variable, trained in zip(plain.weights, model.weights, strict=True):
        variable.assign(trained)
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch) / WEIGHTS
        plain.save_weights(path)
        buffer = io.BytesIO()
        # track_times: the same weights are the same bytes.
        with h5py.File(path) as whole, h5py.File(buffer, "w") as half:

            def copy(name: str, found: Any) -> None:
                if isinstance(found, h5py.Dataset):
                    values = found[()].astype(STORED)
                    half.create_dataset(name, data=values, track_times=False)
                else:
                    half.require_group(name).attrs.update(found.attrs)

            whole.visititems(copy)
    return buffer.getvalue()


def _stated(experiment: Experiment, results: dict[str, Any]) -> dict[str, Any]:
    """What an export says, and what the run's results say."""
    config = experiment.config
    evaluation = results["evaluation"]
    measures = evaluation["policies"][evaluation["policy"]]
    confusion = np.array(measures["confusion_matrix"])
    values = {**config.to_dict(), "run_dir": "", "data_dir": ""}
    if config.dataset.startswith(FOLDER_PREFIX):  # Whose machine it was is private.
        path = pathlib.PurePath(config.dataset.removeprefix(FOLDER_PREFIX))
        values["dataset"] = f"{FOLDER_PREFIX}{path.name}"
    return {
        "experiment": config.experiment,
        "seed": config.seed,
        "config_digest": config.digest(),
        "image_shape": list(experiment.image_shape),
        "class_names": experiment.source.class_names,
        "pixel_range": config.pixel_range,
        "background": config.background,
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
                round(float(row[label] / max(row.sum(), 1)), 4)
                for label, row in enumerate(confusion)
            ],
            "splits": experiment.source.split_description,
            "train_steps": results["train_steps"],
            "wall_seconds": results["wall_seconds"],
            "versions": results.get("versions", {}),
            "commit": results.get("commit"),
        },
        "config": values,
    }


def _measured(experiment: Experiment, folder: pathlib.Path) -> dict[str, Any]:
    """Measures the weights as they are loaded, and as they were trained."""
    stored = RecurrentAttentionModel.from_preset
    as_run, from_centre = stored(folder), stored(folder, initial_location="center")

    def accuracy(model: Any, source: Any) -> float:
        return Evaluator(model, source.split("test"), experiment.task).accuracy()

    source, config = experiment.source, experiment.config
    count = len(source.split("test").labels)
    test_accuracy = accuracy(from_centre, source)
    found = {
        "initial_location": "center",
        "test_accuracy": test_accuracy,
        "test_interval": wilson_interval(test_accuracy, count),
        "accuracy_of_float32": accuracy(experiment.model, source),
        "accuracy_of_float16": accuracy(as_run, source),
        "probe_probabilities": from_centre(
            probe_images(experiment.image_shape)
        ).numpy().round(4).astype(float).tolist(),
    }  # fmt: skip
    if config.dataset in _DIGITS:  # Everybody has these, and a test reads them.
        sample = open_source("mnist_sample", image_size=config.image_size)
        found["accuracy_on_mnist_sample"] = accuracy(from_centre, sample)
    return found


def _require_same(
    experiment: Experiment,
    measured: float,
    results: dict[str, Any],
    run: str | pathlib.Path,
) -> None:
    expected = results["test_accuracy"]
    if experiment.config.eval_locations != "mean":
        return  # Sampled locations are not what is measured here.
    if abs(measured - expected) > _ROUNDING:
        raise RamError(
            f"--run_dir={run}: expected the test accuracy of its results, "
            f"{100 * expected:.2f} %, found {100 * measured:.2f} %"
        )
