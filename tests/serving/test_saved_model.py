"""Tests of the SavedModel: without ram_tf, with the predictions of the Keras model."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from ram_tf.errors import RamError
from ram_tf.evaluation.anytime import anytime_curve, choose_threshold
from ram_tf.evaluation.calibration import expected_calibration_error
from ram_tf.export import main
from ram_tf.models.factory import build_model
from ram_tf.runs.setup import load_run
from ram_tf.serving.measures import measure
from ram_tf.serving.saved_model import default_rollouts, export
from ram_tf.serving.signatures import ServedModel, first_locations

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
outputs = {}
for name, inputs in [
    ("serving_uint8", tf.constant(images)),
    ("serving_default", tf.constant(images / np.float32(255))),
]:
    found = loaded.signatures[name](images=inputs)
    outputs.update({f"{name}/{key}": value for key, value in found.items()})
np.savez(sys.argv[3], **outputs)
"""


@pytest.fixture(scope="module")
def experiment(tiny_run):
    return load_run(tiny_run)


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    """With the defaults: the mean of four rollouts, all glimpses."""
    path = tmp_path_factory.mktemp("exported") / "deep" / "model"
    assert main([f"--run_dir={tiny_run}", f"--export_dir={path}"]) == 0
    return path


def by_rollout(experiment, images, starts):
    """Probabilities [R, n, T, N] and locations [R, n, T, 2], one rollout at a time."""
    rollouts = [
        experiment.model.rollout(images, tf.tile(start[None], [len(images), 1]))
        for start in starts
    ]
    probabilities = [tf.nn.softmax(rollout.step_logits) for rollout in rollouts]
    locations = [rollout.locations for rollout in rollouts]
    return np.stack(probabilities), np.stack(locations)


@pytest.fixture(scope="module")
def digits(experiment):
    return experiment.source.split("test")


@pytest.fixture(scope="module")
def signatures(exported):
    loaded = tf.saved_model.load(str(exported))
    # The signatures do not keep alive what they came from.
    return {"loaded": loaded, **loaded.signatures}


def test_savedmodel_predicts_as_the_model_where_ram_tf_is_not(
    exported, experiment, digits, tmp_path
):
    inputs, outputs = tmp_path / "inputs.npz", tmp_path / "outputs.npz"
    np.savez(inputs, images=digits.images)
    subprocess.run(
        [sys.executable, "-I", "-c", ELSEWHERE, exported, inputs, outputs],
        cwd=tmp_path,
        check=True,
    )
    starts = first_locations("center", 4)
    probabilities, locations = by_rollout(experiment, digits.images, starts)
    probabilities = probabilities[:, :, -1].mean(0)
    labels = probabilities.argmax(-1)
    with np.load(outputs) as found:
        for name in ("serving_uint8", "serving_default"):
            np.testing.assert_array_equal(found[f"{name}/label"], labels)
            np.testing.assert_allclose(
                found[f"{name}/probabilities"], probabilities, atol=1e-5
            )
            np.testing.assert_allclose(
                found[f"{name}/locations"], locations[0], atol=1e-5
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
def test_savedmodel_prediction_does_not_depend_on_the_batch(name, signatures, digits):
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


def test_first_locations_fill_the_image_evenly():
    for start in ("center", "random"):
        found = first_locations(start, 64)
        assert found.shape == (64, 2) and found.dtype == np.float32
        assert np.abs(found).max() <= 1
        np.testing.assert_array_equal(found[:10], first_locations(start, 10))
        # As many in every quarter of the image, or one more or less.
        quarters = np.unique(found > 0, axis=0, return_counts=True)[1]
        assert quarters.min() >= 14 and quarters.max() <= 18
        apart = np.linalg.norm(found[:, None] - found, axis=-1) + 9 * np.eye(64)
        assert apart.min() > 0.1
    assert not first_locations("center", 1).any()
    assert first_locations("random", 1).any()


@pytest.mark.parametrize("rollouts", [1, 3])
@pytest.mark.parametrize("threshold", [0.4, 0.8])
def test_an_image_is_looked_at_until_it_is_sure(
    rollouts, threshold, experiment, digits
):
    images = digits.images[:200]
    starts = first_locations("center", rollouts)
    signatures = ServedModel(experiment, starts, threshold).signatures
    found = signatures["serving_uint8"](tf.constant(images))
    probabilities, locations = by_rollout(experiment, images, starts)
    probabilities, locations = probabilities.mean(0), locations[0]
    glimpses = found["glimpses"].numpy()
    assert set(glimpses) > {1} or set(glimpses) > {3}, "it stops at several places"
    for image in range(200):
        expected = next(
            (t for t in (1, 2) if max(probabilities[image, t - 1]) >= threshold), 3
        )
        assert glimpses[image] == expected
        at = slice(0, expected)
        np.testing.assert_allclose(
            found["locations"][image, at], locations[image, at], atol=1e-5
        )
        rest = found["locations"][image, expected:]
        np.testing.assert_array_equal(
            rest, np.tile(found["locations"][image, expected - 1], (len(rest), 1))
        )
    expected = probabilities[np.arange(200), glimpses - 1]
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
    np.testing.assert_array_equal(found["label"], expected.argmax(-1))
    # An image alone, whose batch ends with it, has the same prediction.
    for chosen in (slice(0, 1), slice(5, 6), slice(199, 150, -7), slice(0, 0)):
        alone = signatures["serving_uint8"](tf.constant(images[chosen]))
        for key, value in alone.items():
            np.testing.assert_allclose(value, found[key][chosen], atol=1e-6)


def test_a_model_of_the_centre_stays_there_until_it_is_sure(experiment, digits):
    other, images = of_model(experiment, policy="center"), digits.images[:5]
    served = ServedModel(other, first_locations("center", 1), 0.999)
    found = served.signatures["serving_uint8"](tf.constant(images))
    assert found["glimpses"].numpy().tolist() == [3] * 5
    assert not np.any(found["locations"])
    expected = tf.nn.softmax(other.model.rollout(images).logits)
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)


def test_glimpses_that_are_not_needed_are_not_computed(experiment, digits):
    """A batch that is sure at once takes one round of the loop."""
    sure = ServedModel(experiment, first_locations("center", 2), 1e-3)
    graph = sure.signatures["serving_uint8"].get_concrete_function()
    names = {node.op for node in graph.graph.as_graph_def().node}
    assert names & {"While", "StatelessWhile"}
    found = sure.signatures["serving_uint8"](tf.constant(digits.images[:5]))
    assert found["glimpses"].numpy().tolist() == [1] * 5


def test_path_is_one_rollout_from_the_given_place(signatures, experiment, digits):
    signature = signatures["serving_path"]
    images = digits.images[:7]
    starts = np.random.default_rng(0).uniform(-1, 1, (7, 2)).astype(np.float32)
    found = signature(images=tf.constant(images), initial_locations=tf.constant(starts))
    rollout = experiment.model.rollout(images, starts)
    probabilities = tf.nn.softmax(rollout.step_logits)
    assert set(found) == {"probabilities_by_glimpse", "locations"}
    np.testing.assert_allclose(
        found["probabilities_by_glimpse"], probabilities, atol=1e-5
    )
    np.testing.assert_allclose(found["locations"], rollout.locations, atol=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError):
        signature(
            images=tf.zeros([1, 9, 9, 1], tf.uint8), initial_locations=tf.zeros([1, 2])
        )
    with pytest.raises(tf.errors.InvalidArgumentError):  # It would mix two images.
        signature(images=tf.constant(images), initial_locations=tf.zeros([8, 2]))


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


def test_export_states_what_other_settings_would_give(exported, experiment, digits):
    metadata = json.loads((exported / "metadata.json").read_text())
    assert (metadata["rollouts"], metadata["threshold"]) == (4, 0.0)
    starts = first_locations("center", 10)
    np.testing.assert_allclose(metadata["first_locations"], starts[:4])
    found, _ = by_rollout(experiment, digits.images, starts)
    for row in metadata["by_rollouts"]:
        mean = found[: row["rollouts"], :, -1].mean(0)
        right = mean.argmax(-1) == digits.labels
        test = row["test"]
        # Two images may tie, which rounding decides.
        assert test["accuracy"] == pytest.approx(np.mean(right), abs=1e-3)
        error = expected_calibration_error(mean.max(-1), right)
        assert test["calibration_error"] == pytest.approx(error, abs=1e-3)
        brier = np.mean(np.sum((mean - np.eye(10)[digits.labels]) ** 2, -1))
        assert test["brier_score"] == pytest.approx(brier, abs=1e-4)
        own = row["rollouts"] == metadata["rollouts"]
        assert row["latency_ms"] > 0
        assert (row["latency_ms"] == metadata["latency_ms"]) == own
        assert row["validation"] != test
    assert [row["rollouts"] for row in metadata["by_rollouts"]] == [1, 4, 10]
    mean = found[:4].mean(0)
    right = mean.argmax(-1) == digits.labels[:, None]
    curve = anytime_curve(mean.max(-1), right)
    for row, expected in zip(metadata["by_threshold"]["test"], curve, strict=True):
        assert row == pytest.approx(expected, abs=1e-3)
    rows = metadata["by_threshold"]["validation"]
    four = metadata["by_rollouts"][1]["validation"]["accuracy"]
    assert metadata["suggested_threshold"] == choose_threshold(rows, four)
    assert metadata["test"] == metadata["by_rollouts"][1]["test"]


def test_export_that_stops_when_sure_states_its_own_measures(
    experiment, digits, tmp_path
):
    metadata = export(experiment, tmp_path / "model", rollouts=2, threshold=0.6)
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    found = loaded.signatures["serving_uint8"](images=tf.constant(digits.images))
    test = metadata["test"]
    accuracy = np.mean(found["label"].numpy() == digits.labels)
    assert test["accuracy"] == pytest.approx(accuracy, abs=1e-3)
    glimpses = np.mean(found["glimpses"])
    assert test["mean_glimpses"] == pytest.approx(glimpses, abs=0.01)
    assert 1 < glimpses < 3
    assert [row["rollouts"] for row in metadata["by_rollouts"]] == [1, 2, 4, 10]
    # These have taken all glimpses.
    assert metadata["by_rollouts"][1]["test"]["mean_glimpses"] == 3


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


@pytest.mark.parametrize(
    "asked, found",
    [({"rollouts": 2}, "--rollouts=2"), ({"threshold": 0.5}, "--threshold=0.5")],
)
def test_export_of_a_baseline_classifier_has_no_glimpses_to_set(
    asked, found, experiment, tmp_path
):
    other = of_model(experiment, model="fc", fc_units=4)
    with pytest.raises(RamError, match=f"{found}: expected a run of --model=ram"):
        export(other, tmp_path / "model", **asked)
    assert not list(tmp_path.iterdir())


def test_rollouts_are_the_default_of_models_that_begin_anywhere(experiment):
    config = experiment.config
    assert default_rollouts(config) == 4
    for settings in ({"initial_location": "center"}, {"policy": "center"}):
        assert default_rollouts(dataclasses.replace(config, **settings)) == 1
    assert default_rollouts(dataclasses.replace(config, model="fc")) == 1


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


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [(("center", 4), "--rollouts=4"), (("random", 1), "--initial_location=random")],
)
def test_a_model_of_the_centre_is_exported_as_it_looks(
    experiment, tmp_path, arguments, flag
):
    other = of_model(experiment, policy="center")
    assert default_rollouts(other.config) == 1
    with pytest.raises(RamError, match=f"^{flag}: expected one rollout from the cent"):
        export(other, tmp_path / "model", *arguments)
    served = ServedModel(other, first_locations("center", 1))
    found = measure(other, served, "center")
    assert [row["rollouts"] for row in found["by_rollouts"]] == [1]
