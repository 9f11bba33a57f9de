"""From a finished run to the folder of a preset, measured as it will be loaded."""

import io
import pathlib
import tempfile
from typing import Any

import h5py
import keras

from ram_tf.errors import RamError
from ram_tf.files import new_folder, require_absent, to_json
from ram_tf.models.preset_files import CARD, CONFIG, METADATA, WEIGHTS
from ram_tf.presets.card import card
from ram_tf.presets.measures import evaluator_of, measured, stated
from ram_tf.presets.seeds import seed_accuracies
from ram_tf.presets.words import description
from ram_tf.runs.directory import RunDirectory
from ram_tf.runs.results_json import read_results
from ram_tf.runs.setup import Experiment, load_run

STORED = "float16"
# By what share of test images, at least two images, a run's accuracy may differ when it
# is measured again: arithmetic of another machine, or of XLA, moves single images.
_ROUNDING = 0.001


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
    if not replace:
        require_absent(folder)
    experiment = load_run(run, data_dir)
    config = experiment.config
    if config.model != "ram" or config.policy == "random":
        raise RamError(
            f"--run_dir={run}: expected a run of --model=ram with a learned or center "
            f"policy, found --model={config.model} --policy={config.policy}"
        )
    directory = RunDirectory(run)
    results = read_results(directory.results)
    trained_on = directory.read_trained_on()
    with new_folder(folder, replace=replace) as new:
        (new / CONFIG).write_text(to_json(_settings(experiment)))
        weights = _stored_weights(experiment)
        (new / WEIGHTS).write_bytes(weights)
        metadata = {
            "name": folder.name,
            "description": description(config, experiment.image_shape),
            **stated(experiment, results),
            # Digests of own images are nobody else's business, and many.
            "trained_on": trained_on.without_contents(
                f"preset:{folder.name}"
            ).to_json(),
            "accuracy_of_float32": evaluator_of(
                experiment, experiment.model
            ).accuracy(),
            **measured(experiment, new),
            "seeds": seed_accuracies(config, results["test_accuracy"], results_dir),
            "license": license_name,
            "params": experiment.model.count_params(),
            "weights_dtype": STORED,
            "weights_bytes": len(weights),
        }
        _require_results(metadata, run)
        (new / METADATA).write_text(to_json(metadata))
        (new / CARD).write_text(card(metadata))
    return metadata


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


def _require_results(metadata: dict[str, Any], run: str | pathlib.Path) -> None:
    results = metadata["results"]
    if results["eval_locations"] != "mean":
        return  # Sampled locations are not what is measured here.
    require_same(
        f"--run_dir={run}: expected the test accuracy of its results",
        results["test_accuracy"],
        metadata["accuracy_of_float32"],
        results["num_images"],
    )


def require_same(expected: str, stated: float, found: float, count: int) -> None:
    """Raises RamError when an accuracy is not the one stated, but for rounding.

    Args:
      expected: how the message begins: where, and what was expected.
      stated: the accuracy, a fraction.
      found: of the same weights, measured now.
      count: of the images.
    """
    if abs(found - stated) > max(_ROUNDING, 2.5 / count):
        raise RamError(f"{expected}, {100 * stated:.2f} %, found {100 * found:.2f} %")
