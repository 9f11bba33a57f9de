"""Tests of the SavedModel: without ram_tf, with the Keras model's answers."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from ram_tf.errors import RamError
from ram_tf.export import main
from ram_tf.models.factory import build_model
from ram_tf.runs.setup import load_run
from ram_tf.serving.saved_model import export

# Runs where nothing of this package can be imported, also if it is installed.
ELSEWHERE = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "ram_tf":
            raise ImportError("there is no ram_tf here")

sys.meta_path.insert(0, Blocker())
import numpy as np
import tensorflow as tf

loaded = tf.saved_model.load(sys.argv[1])
images = np.load(sys.argv[2])["images"]
answers = {}
for name, inputs in [
    ("serving_uint8", tf.constant(images)),
    ("serving_default", tf.constant(images / np.float32(255))),
]:
    found = loaded.signatures[name](images=inputs)
    answers.update({f"{name}/{key}": value for key, value in found.items()})
np.savez(sys.argv[3], **answers)
"""


@pytest.fixture(scope="module")
def experiment(tiny_run):
    return load_run(tiny_run)


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "deep" / "model"
    assert main([f"--run_dir={tiny_run}", f"--export_dir={path}"]) == 0
    return path


@pytest.fixture(scope="module")
def digits(experiment):
    return experiment.source.split("test")


@pytest.fixture(scope="module")
def signatures(exported):
    loaded = tf.saved_model.load(str(exported))
    # The signatures do not keep alive what they came from.
    return {"loaded": loaded, **loaded.signatures}


def test_savedmodel_answers_as_the_model_where_ram_tf_is_not(
    exported, experiment, digits, tmp_path
):
    inputs, outputs = tmp_path / "inputs.npz", tmp_path / "outputs.npz"
    np.savez(inputs, images=digits.images)
    subprocess.run(
        [sys.executable, "-I", "-c", ELSEWHERE, exported, inputs, outputs],
        cwd=tmp_path,
        check=True,
    )
    expected = experiment.model.rollout(digits.images, tf.zeros([2000, 2]))
    probabilities = tf.nn.softmax(expected.logits).numpy()
    labels = probabilities.argmax(-1)
    with np.load(outputs) as found:
        for name in ("serving_uint8", "serving_default"):
            np.testing.assert_array_equal(found[f"{name}/label"], labels)
            np.testing.assert_allclose(
                found[f"{name}/probabilities"], probabilities, atol=1e-5
            )
            np.testing.assert_allclose(
                found[f"{name}/locations"], expected.locations, atol=1e-5
            )
    metadata = json.loads((exported / "metadata.json").read_text())
    assert metadata["test_accuracy"] == pytest.approx(np.mean(labels == digits.labels))
    assert metadata["test_accuracy"] > 0.4, "it has learned: the labels are not chance"


def test_savedmodel_signatures_are_as_promised(signatures):
    for name, kind in [("serving_default", tf.float32), ("serving_uint8", tf.uint8)]:
        signature = signatures[name]
        (inputs,) = signature.structured_input_signature[1].values()
        assert (inputs.name, inputs.dtype) == ("images", kind)
        assert inputs.shape.as_list() == [None, 28, 28, 1]
        outputs = signature.structured_outputs
        assert {key: value.dtype for key, value in outputs.items()} == {
            "probabilities": tf.float32,
            "label": tf.int32,
            "locations": tf.float32,
        }


@pytest.mark.parametrize("name", ["serving_uint8", "serving_default"])
def test_savedmodel_answer_does_not_depend_on_the_batch(name, signatures, digits):
    images = digits.images[:40]
    if name == "serving_default":
        images = images.astype(np.float32) / 255
    signature = signatures[name]
    together = signature(images=tf.constant(images))
    for chosen in (slice(7, 8), slice(0, 3), slice(39, None, -1)):
        found = signature(images=tf.constant(images[chosen]))
        for key, value in found.items():
            expected = together[key].numpy()[chosen]
            np.testing.assert_allclose(value, expected, atol=1e-6, err_msg=key)
    again = signature(images=tf.constant(images))
    for key, value in again.items():
        np.testing.assert_array_equal(value, together[key], err_msg=key)
    assert signature(images=tf.constant(images[:0]))["label"].shape == (0,)


@pytest.mark.parametrize("shape", [(2, 33, 28, 1), (2, 28, 14, 1), (2, 28, 28, 3)])
@pytest.mark.parametrize("name", ["serving_uint8", "serving_default"])
def test_savedmodel_refuses_images_of_another_shape(name, shape, signatures):
    dtype = tf.uint8 if name == "serving_uint8" else tf.float32
    with pytest.raises(tf.errors.InvalidArgumentError):
        signatures[name](images=tf.zeros(shape, dtype))


def test_export_records_what_the_model_expects(exported, experiment):
    metadata = json.loads((exported / "metadata.json").read_text())
    assert metadata["image_shape"] == [28, 28, 1]
    assert metadata["class_names"] == [str(digit) for digit in range(10)]
    assert metadata["initial_location"] == "center"
    own = {**experiment.config.to_dict(), "run_dir": "", "data_dir": ""}
    assert metadata["config"] == own
    assert metadata["config_digest"] == experiment.config.digest()


def test_export_starts_every_image_at_the_centre(signatures, digits):
    found = signatures["serving_uint8"](images=tf.constant(digits.images[:5]))
    assert found["locations"].shape == (5, 3, 2)
    assert not np.any(found["locations"][:, 0])


def test_export_can_start_at_one_random_place(experiment, digits, tmp_path):
    metadata = export(experiment, tmp_path / "model", "random")
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    found = loaded.signatures["serving_uint8"](images=tf.constant(digits.images[:9]))
    starts = found["locations"].numpy()[:, 0]
    assert np.any(starts != 0)
    np.testing.assert_array_equal(starts, np.tile(starts[:1], (9, 1)))
    expected = experiment.model.rollout(digits.images[:9], tf.constant(starts))
    np.testing.assert_array_equal(found["label"], expected.logits.numpy().argmax(-1))
    assert metadata["initial_location"] == "random"


def of_model(experiment, **settings):
    """An experiment with the fresh model of another Config."""
    config = dataclasses.replace(experiment.config, **settings)
    model = build_model(config, 10, (28, 28, 1))
    return dataclasses.replace(experiment, config=config, model=model)


def test_export_of_a_baseline_classifier_has_no_locations(experiment, digits, tmp_path):
    other = of_model(experiment, model="fc", fc_units=4)
    export(other, tmp_path / "model")
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    found = loaded.signatures["serving_uint8"](images=tf.constant(digits.images[:9]))
    assert found["locations"].shape == (9, 0, 2)
    probabilities = other.model(digits.images[:9])
    np.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-6)


@pytest.mark.slow
def test_export_of_a_model_of_byte_pixels_takes_fractions_all_the_same(
    experiment, digits, tmp_path
):
    other = of_model(experiment, pixel_range="byte", num_glimpses=1)
    export(other, tmp_path / "model")
    signatures = tf.saved_model.load(str(tmp_path / "model")).signatures
    images = digits.images[:9]
    as_bytes = signatures["serving_uint8"](images=tf.constant(images))
    fractions = tf.constant(images / np.float32(255))
    as_fractions = signatures["serving_default"](images=fractions)
    probabilities = other.model(images.astype(np.float32))
    np.testing.assert_allclose(as_bytes["probabilities"], probabilities, atol=1e-4)
    np.testing.assert_allclose(as_fractions["probabilities"], probabilities, atol=1e-4)


def test_export_refuses_a_random_policy(experiment, tmp_path):
    with pytest.raises(RamError, match="found random, whose predictions are not"):
        export(of_model(experiment, policy="random"), tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_export_states_the_accuracy_of_a_model_of_byte_pixels(
    experiment, digits, tmp_path
):
    other = of_model(experiment, model="fc", fc_units=16, pixel_range="byte")
    task = dataclasses.replace(other.task, pixel_range="byte")
    other = dataclasses.replace(other, task=task)
    metadata = export(other, tmp_path / "model")
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    found = loaded.signatures["serving_uint8"](images=tf.constant(digits.images))
    accuracy = np.mean(found["label"] == digits.labels)
    assert metadata["test_accuracy"] == pytest.approx(accuracy)
