"""The presets that come with the package: they have what their cards state."""

import os
import pathlib

import h5py
import numpy as np
import pytest

from ram_tf.config import Config
from ram_tf.data.sources.open import open_source
from ram_tf.errors import RamError
from ram_tf.evaluation.evaluator import Evaluator
from ram_tf.files import read_json
from ram_tf.models.preset_files import CARD, METADATA, PRESETS_DIR, WEIGHTS
from ram_tf.models.preset_files import shipped_names as names
from ram_tf.models.presets import load_preset
from ram_tf.models.recurrent_attention import RecurrentAttentionModel
from ram_tf.presets.card import card
from ram_tf.presets.catalogue import CATALOGUE, LICENSE
from ram_tf.presets.measures import probe_images
from ram_tf.presets.page import PAGE, fill_page, with_table
from ram_tf.presets.seeds import seed_accuracies
from ram_tf.presets.words import DATA
from ram_tf.runs.setup import task_of
from ram_tf.serving.polarity import LIGHT_ON_DARK

ROOT = PRESETS_DIR.parents[1]
TWO_IMAGES = 2.5  # Of 2,000 or 10,000: what rounding of another machine may move.
DATA_DIR = os.environ.get("TFDS_DATA_DIR") or str(
    ROOT.parent / "shared" / "tensorflow_datasets"
)


def metadata_of(name):
    return read_json(PRESETS_DIR / name / METADATA)


def accuracy(preset, source, **settings):
    model = RecurrentAttentionModel.from_preset(preset.folder, **settings)
    return Evaluator(model, source.split("test"), task_of(preset.config)).accuracy()


def test_every_preset_is_of_the_catalogue():
    assert names() and set(names()) <= set(CATALOGUE)


@pytest.mark.parametrize("name", names())
def test_the_card_is_written_from_the_metadata(name):
    path = PRESETS_DIR / name / CARD
    metadata = metadata_of(name)
    assert path.read_text(encoding="utf-8") == card(metadata)
    assert metadata["license"] == LICENSE
    assert metadata["config"]["dataset"] in DATA  # Its licence is known.


@pytest.mark.parametrize("name", names())
def test_the_seeds_are_those_of_the_committed_results(name):
    metadata = metadata_of(name)
    config = Config.from_dict(metadata["config"])
    own = metadata["results"]["test_accuracy"]
    assert metadata["seeds"] == seed_accuracies(config, own, ROOT / "results")


def test_the_page_has_the_table_of_the_presets():
    text = PAGE.read_text(encoding="utf-8")
    assert text == with_table(text)
    assert all(f"[`{name}`]" in text for name in names())


def test_a_page_without_a_place_for_the_table_is_named(tmp_path):
    page = tmp_path / "presets.md"
    page.write_text("No place for it.")
    with pytest.raises(RamError, match=r"presets.md: expected the marks <!-- presets"):
        fill_page(page)


@pytest.mark.parametrize("name", names())
def test_what_a_card_states_of_its_run_is_the_committed_result(name):
    metadata = metadata_of(name)
    found = metadata["results"]
    policies = found["policies"]
    for policy, measures in policies.items():
        steps = measures["accuracy_by_glimpse"]
        assert steps[-1] == measures["accuracy"], policy
    assert policies[found["policy"]]["accuracy"] == found["test_accuracy"]
    assert metadata["seeds"][str(metadata["seed"])] == found["test_accuracy"]
    folder = ROOT / "results" / metadata["experiment"]
    committed = folder / f"seed{metadata['seed']}.json"
    if not committed.exists():
        assert metadata["experiment"] == "demo"  # It has no row in a table.
        return
    results = read_json(committed)
    assert results["config_digest"] == metadata["config_digest"]
    for policy, measures in policies.items():
        theirs = results["evaluation"]["policies"][policy]
        assert measures == {key: theirs[key] for key in measures}
    for key in ("test_accuracy", "validation_accuracy", "train_steps", "wall_seconds"):
        assert results[key] == found[key], key


@pytest.mark.parametrize("name", names())
def test_calibration_of_a_card_is_that_of_the_page_on_serving(name):
    metadata = metadata_of(name)
    exports = {
        export["experiment"]: export
        for export in read_json(ROOT / "docs" / "serving.json")
    }
    card_text = (PRESETS_DIR / name / CARD).read_text(encoding="utf-8")
    assert f"{100 * metadata['calibration_error']:.2f} %\n  on average" in card_text
    if metadata["experiment"] not in exports:
        page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
        (line,) = [line for line in page.splitlines() if "Not measured yet:" in line]
        assert f"`{name}`" in line
        return
    (row,) = [
        row
        for row in exports[metadata["experiment"]]["by_rollouts"]
        if row["rollouts"] == 1
    ]
    for key in ("calibration_error", "brier_score"):
        assert row["test"][key] == pytest.approx(metadata[key], abs=5e-5), key


@pytest.mark.parametrize("name", names())
def test_presets_of_digits_know_that_they_are_light_on_dark(name):
    metadata = metadata_of(name)
    digits = metadata["image_shape"][-1] == 1
    assert metadata["polarity"] == (LIGHT_ON_DARK if digits else "")
    card_text = (PRESETS_DIR / name / CARD).read_text(encoding="utf-8")
    assert ("pixels, light on dark, of " in card_text) == digits


@pytest.mark.parametrize("name", names())
def test_weights_are_small_and_stored_as_float16(name):
    path = PRESETS_DIR / name / WEIGHTS
    metadata = metadata_of(name)
    assert path.stat().st_size == metadata["weights_bytes"]
    sizes = [file.stat().st_size for file in path.parent.iterdir()]
    assert sum(sizes) < 3_000_000
    dtypes, count = set(), 0
    with h5py.File(path) as file:

        def visit(_, found):
            nonlocal count
            if isinstance(found, h5py.Dataset):
                dtypes.add(str(found.dtype))
                count += found.size

        file.visititems(visit)
    assert dtypes == {"float16"} and count == metadata["params"]


@pytest.mark.parametrize("name", names())
def test_predictions_on_generated_images_are_the_stored_ones(name):
    preset = load_preset(name)
    images = probe_images(preset.image_shape)
    if preset.config.pixel_range == "byte":
        images = images.astype(np.float32)
    found = preset.model(images).numpy()
    stored = preset.metadata["probe_probabilities"]
    np.testing.assert_allclose(found, stored, atol=2e-3)


@pytest.mark.parametrize(
    "name",
    [name for name in names() if "accuracy_on_mnist_sample" in metadata_of(name)],
)
def test_accuracy_on_the_embedded_digits_is_as_stated(name):
    preset = load_preset(name)
    sample = open_source("mnist_sample", image_size=preset.config.image_size)
    stated = preset.metadata["accuracy_on_mnist_sample"]
    found = accuracy(preset, sample, initial_location="center")
    assert found == pytest.approx(stated, abs=TWO_IMAGES / 2000)


@pytest.mark.parametrize("name", names())
def test_the_suggested_threshold_is_chosen_on_validation(name):
    metadata = metadata_of(name)
    curves = metadata["by_threshold"]
    count = metadata["config"]["num_glimpses"]
    for curve in curves.values():
        means = [row["mean_glimpses"] for row in curve]
        assert 1 <= means[0] and means == sorted(means) and means[-1] <= count
    rows = {row["threshold"]: row for row in curves["validation"]}
    chosen = metadata["suggested_threshold"]
    if chosen:  # It is the first of those at least as accurate as itself.
        kept = [t for t in rows if rows[t]["accuracy"] >= rows[chosen]["accuracy"]]
        assert chosen == min(kept, key=lambda t: rows[t]["mean_glimpses"])


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_accuracy_on_the_whole_test_split_is_as_stated(name):
    preset = load_preset(name)
    config: Config = preset.config
    if config.dataset != "mnist_sample":
        if not (pathlib.Path(DATA_DIR) / config.dataset).exists():
            pytest.skip(f"{config.dataset} is not in {DATA_DIR}")
    source = open_source(
        config.dataset, DATA_DIR, config.validation_size, config.image_size
    )
    allowed = TWO_IMAGES / preset.metadata["results"]["num_images"]
    found = accuracy(preset, source, initial_location="center")
    assert found == pytest.approx(preset.metadata["test_accuracy"], abs=allowed)
    found = accuracy(preset, source)
    assert found == pytest.approx(preset.metadata["accuracy_of_float16"], abs=allowed)
