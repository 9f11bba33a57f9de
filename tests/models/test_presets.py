"""Models by name, folder and Hub address."""

import json
import pathlib
import shutil
import sys
import types

import keras
import numpy as np
import pytest

from ram_tf.errors import RamError
from ram_tf.layers.location import even_locations
from ram_tf.models.preset_files import CARD, CONFIG, METADATA, PRESETS_DIR, WEIGHTS
from ram_tf.models.presets import load_preset
from ram_tf.models.recurrent_attention import RecurrentAttentionModel
from ram_tf.presets.measures import probe_images

FILES = {CARD, CONFIG, METADATA, WEIGHTS}


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    """A copy of a preset that a test may damage."""
    shutil.copytree(PRESETS_DIR / "demo", tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def hub(monkeypatch, folder):
    """Stands in for huggingface_hub, with user/name on it; keeps what it was asked."""
    asked = []

    def snapshot_download(repo_id, allow_patterns=None, **settings):
        asked.append((repo_id, allow_patterns))
        if repo_id != "user/name":
            raise ConnectionError("no route\nto host")
        return str(folder)

    module = types.ModuleType("huggingface_hub")
    module.snapshot_download = snapshot_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return asked


def outputs(model, shape=(28, 28, 1)):
    return model(probe_images(shape)).numpy()


def test_a_preset_has_its_model_and_the_keys_of_an_export():
    preset = load_preset("demo")
    wanted = {"experiment", "config_digest", "image_shape", "class_names"}
    wanted |= {"initial_location", "test_accuracy", "config", "background"}
    assert wanted <= set(preset.metadata)
    assert preset.image_shape == preset.metadata["image_shape"] == (28, 28, 1)
    assert preset.class_names == list("0123456789")
    assert preset.config.digest() == preset.metadata["config_digest"]
    config = preset.metadata["config"]
    assert config["run_dir"] == config["data_dir"] == ""
    assert set(config) == set(preset.config.to_dict())
    assert {weight.dtype for weight in preset.model.weights} == {"float32"}
    assert preset.model.num_glimpses == config["num_glimpses"]


def test_presets_are_listed_by_name_with_their_metadata():
    presets = RecurrentAttentionModel.presets
    assert {"demo", "cluttered60_8g"} <= set(presets)
    for name, metadata in presets.items():
        assert metadata["name"] == name
        assert metadata["description"] and metadata["params"] > 0
    assert RecurrentAttentionModel(num_glimpses=2).presets == presets


def test_name_and_folder_give_the_same_model(folder):
    by_name = RecurrentAttentionModel.from_preset("demo")
    by_folder = RecurrentAttentionModel.from_preset(folder)
    np.testing.assert_array_equal(outputs(by_name), outputs(by_folder))
    assert load_preset(str(folder)).metadata == load_preset("demo").metadata


def test_keras_loads_the_folder_too(folder):
    loaded = keras.saving.load_model(str(folder))
    expected = outputs(RecurrentAttentionModel.from_preset("demo"))
    np.testing.assert_array_equal(outputs(loaded), expected)


def test_a_hub_address_is_downloaded_by_the_hubs_own_function(hub):
    preset = load_preset("hf://user/name")
    assert preset.metadata == load_preset("demo").metadata
    ((repository, files),) = hub
    assert repository == "user/name" and set(files) == FILES
    model = RecurrentAttentionModel.from_preset("hf://user/name")
    np.testing.assert_array_equal(outputs(model), outputs(preset.model))


def test_keras_own_hub_address_loads_the_same_folder(hub, monkeypatch):
    from keras.src.saving import saving_lib

    monkeypatch.setattr(saving_lib, "huggingface_hub", sys.modules["huggingface_hub"])
    loaded = keras.saving.load_model("hf://user/name")
    expected = outputs(RecurrentAttentionModel.from_preset("demo"))
    np.testing.assert_array_equal(outputs(loaded), expected)


def said(preset) -> str:
    with pytest.raises(RamError) as caught:
        load_preset(preset)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_faults_of_a_hub_address_are_one_line(hub, folder, monkeypatch):
    assert "found: no route to host" in said("hf://other/name")
    for address in ("hf://name", "hf://a/b/c", "hf:///", "hf://"):
        assert "expected hf://USER/NAME" in said(address)
    (folder / WEIGHTS).unlink()
    assert f"a repository without {WEIGHTS}" in said("hf://user/name")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert said("hf://user/name") == (
        "huggingface_hub is not installed: pip install 'ram-tf[hub]'"
    )


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    for preset in ("mnist_99g", "", tmp_path / "none", tmp_path):
        line = said(preset)
        assert "cluttered60_8g" in line and "demo" in line
    assert f"a folder without {WEIGHTS}" in said(tmp_path)


def change(path: pathlib.Path, **values) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize("values", [{"image_shape": [28, 28]}, {"class_names": None}])
def test_broken_metadata_name_the_value(folder, values):
    change(folder / METADATA, **values)
    (name,) = values
    assert METADATA in said(folder) and name in said(folder)


def test_a_setting_of_a_newer_version_is_named_with_its_file(folder):
    metadata = json.loads((folder / METADATA).read_text())
    change(folder / METADATA, config={**metadata["config"], "new_setting": 1})
    line = said(folder)
    assert line.startswith(f"{folder / METADATA}: ") and "new_setting" in line


@pytest.mark.parametrize(
    "values, words",
    [
        ({"registered_name": "builtins>eval"}, "expected a ram_tf>Recurrent"),
        ({"config": {}}, "expected a model as Keras saves it"),
        ({"build_config": {"input_shape": [28]}}, "expected a model as Keras saves it"),
        ({"registered_name": None}, "found None"),
    ],
)
def test_a_config_of_another_kind_is_refused(folder, values, words):
    change(folder / CONFIG, **values)
    assert words in said(folder)


def test_nothing_that_a_config_names_is_made(folder):
    saved = json.loads((folder / CONFIG).read_text())
    lambda_ = {"class_name": "Lambda", "config": {"name": "float32"}}
    change(folder / CONFIG, config={**saved["config"], "dtype": lambda_})
    assert load_preset(folder).model.dtype_policy.name == "float32"
    change(folder / CONFIG, config={**saved["config"], "num_glimpses": lambda_})
    assert "num_glimpses" in said(folder)


@pytest.mark.parametrize("size", [0, 1000, 100_000])
def test_cut_weights_are_refused(folder, size):
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:size])
    assert f"{path}: expected the weights of the model, found" in said(folder)


def test_missing_metadata_are_named(folder):
    (folder / METADATA).unlink()
    assert str(folder / METADATA) in said(folder)


def test_arguments_can_be_changed():
    expected = outputs(RecurrentAttentionModel.from_preset("demo"))
    more = RecurrentAttentionModel.from_preset("demo", num_glimpses=9)
    assert more.num_glimpses == 9 and not np.allclose(outputs(more), expected)
    one = RecurrentAttentionModel.from_preset("demo", num_glimpses=1)
    assert not np.allclose(outputs(one), expected)
    fresh = RecurrentAttentionModel.from_preset("demo", load_weights=False)
    assert not np.allclose(outputs(fresh), expected)
    with pytest.raises(RamError, match="model.weights.h5: expected the weights"):
        RecurrentAttentionModel.from_preset("demo", core_units=12)
    with pytest.raises(RamError, match="'demo': .*glimpse_count"):
        RecurrentAttentionModel.from_preset("demo", glimpse_count=12)
    # Arrays of as many pixels would fit.
    with pytest.raises(RamError, match="expected patch_size=8 as its weights, found 4"):
        RecurrentAttentionModel.from_preset("demo", patch_size=4, num_scales=4)


@pytest.mark.parametrize("num_glimpses", [2, 4, 11])
def test_other_numbers_of_glimpses_keep_the_offsets_they_share(num_glimpses):
    trained = RecurrentAttentionModel.from_preset("demo").location_network
    found = RecurrentAttentionModel.from_preset("demo", num_glimpses=num_glimpses)
    offsets = found.location_network.offsets.numpy()
    shared = min(num_glimpses - 1, trained.num_decisions)
    np.testing.assert_array_equal(offsets[:shared], trained.offsets[:shared])
    assert len(offsets) == num_glimpses - 1
    untrained = np.arctanh(trained.spread * even_locations(num_glimpses)[1:])
    np.testing.assert_allclose(offsets[shared:], untrained[shared:], rtol=1e-5)


@pytest.mark.slow
def test_other_classes_are_learned_from_a_fresh_action_network():
    model = RecurrentAttentionModel.from_preset("demo", num_classes=3)
    trained = RecurrentAttentionModel.from_preset("demo")
    assert outputs(model).shape == (2, 3)
    for mine, theirs in zip(
        model.core.weights + model.location_network.weights,
        trained.core.weights + trained.location_network.weights,
        strict=True,
    ):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())
    model.compile()
    images = np.random.default_rng(0).random([30, 28, 28, 1], np.float32)
    before = model.action_network.weights[0].numpy()
    model.fit(images, np.arange(30) % 3, batch_size=10, epochs=1, verbose=0)
    assert not np.array_equal(model.action_network.weights[0].numpy(), before)
