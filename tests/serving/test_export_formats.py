"""Tests of LiteRT, ONNX and the requests that warm TensorFlow Serving up."""

import dataclasses
import importlib.util
import json
import pathlib
import re
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from ram_tf.config import Config
from ram_tf.data.sources.open import open_source
from ram_tf.errors import RamError
from ram_tf.evaluation.anytime import THRESHOLDS
from ram_tf.models.factory import build_model
from ram_tf.models.preset_files import PRESETS_DIR, read_metadata, shipped_names
from ram_tf.serving import formats, page, reload, saved_model
from ram_tf.serving.preset_run import load_preset_run
from ram_tf.serving.saved_model import default_rollouts
from ram_tf.serving.signatures import ServedModel, first_locations
from ram_tf.serving.warmup import RECORDS, write_warmup

NEEDS = {"litert": "ai_edge_litert", "onnx": "tf2onnx"}
FORMATS = list(NEEDS)
ALL_FORMATS = ["saved_model", *FORMATS]
DIGITS, COLOUR = (28, 28, 1), (16, 16, 3)
# Core, glimpse network, shape of an image, what else differs from the defaults.
MODELS = [
    pytest.param("rnn", "fc", DIGITS, {}, id="rnn-fc"),
    *(
        pytest.param(core, network, shape, more, id=f"{core}-{network}", marks=slow)
        for slow in [pytest.mark.slow]
        for core, network, shape, more in [
            ("rnn", "fc", COLOUR, {"pixel_range": "byte", "num_scales": 3}),
            ("lstm", "fc", DIGITS, {"location_hidden_units": 8, "num_scales": 2}),
            ("lstm", "conv", COLOUR, {"location_bound": 0.0, "location_spread": 0.5}),
            ("conv_lstm", "inception", COLOUR, {"num_scales": 2, "location_maps": 2}),
            ("rnn", "inception", COLOUR, {"policy": "center"}),
            ("none", "conv", DIGITS, {"location_input_scale": 0.1}),
        ]
    ),
]


def need(model_format):
    """Skips where a format's packages are not installed."""
    if model_format in NEEDS:
        pytest.importorskip(NEEDS[model_format], reason=f"no extra {model_format}")


def served_of(shape, rollouts=2, threshold=0.0, **settings):
    """A small fresh model that looks about, as it is exported."""
    small = {"num_glimpses": 3, "patch_size": 4, "core_units": 8, "glimpse_units": 8}
    if settings.get("model", "ram") != "ram":
        small = {"fc_units": 8}
    if settings.get("core") == "none":
        small["core_units"] = 0
    config = Config(dataset="mnist_sample", **{**small, **settings})
    keras.utils.set_random_seed(1)
    model = build_model(config, 5, shape)
    for variable in model.trainable_variables:  # Fresh biases would all be 0.
        noise = tf.random.stateless_normal(variable.shape, (1, variable.shape.rank))
        variable.assign_add(0.3 * noise)
    experiment = types.SimpleNamespace(model=model, config=config, image_shape=shape)
    starts = first_locations("center", rollouts)
    return ServedModel(experiment, starts, threshold)


def images_of(shape):
    if shape == DIGITS:
        return open_source("mnist_sample").split("test").images[:1000]
    return np.random.default_rng(0).integers(0, 256, (1000, *shape), np.uint8)


@pytest.mark.parametrize("model_format", ALL_FORMATS)
@pytest.mark.parametrize("core, network, shape, more", MODELS)
def test_converted_model_predicts_as_the_model(
    model_format, core, network, shape, more, tmp_path, record_property
):
    need(model_format)
    served = served_of(shape, core=core, glimpse_network=network, **more)
    formats.write_model(served, tmp_path, model_format)
    images = images_of(shape)
    found = formats.reloaded_difference(served, tmp_path, model_format, images)
    for name, value in found._asdict().items():  # Kept by --junitxml.
        record_property(name, value)
    assert found.images == 1000
    # One image in hundreds has a mean so near to the edge of a pixel that the last bit
    # of a sum moves the patch. Of bytes, sums of fresh weights are in thousands, and
    # round by more: then the bound is what `reloaded_difference` lets pass.
    assert found.beyond <= (10 if more.get("pixel_range") == "byte" else 2)
    if not found.beyond:
        assert found.largest <= formats.TOLERANCE
    outputs = served.signatures["serving_uint8"](tf.constant(images))
    assert np.ptp(outputs["probabilities"].numpy(), axis=0).max() > 0.02, "images count"


@pytest.mark.parametrize("spread", [0.0, 0.5])
@pytest.mark.parametrize("model_format", FORMATS)
def test_converted_model_stops_when_it_is_sure(model_format, spread, tmp_path):
    need(model_format)
    images = images_of(DIGITS)
    more = {"core": "rnn", "location_spread": spread}
    look = served_of(DIGITS, **more).signatures["serving_path"]
    path = look(tf.constant(images), tf.zeros([1000, 2]))["probabilities_by_glimpse"]
    # After its first glimpse about every other image is sure, and none by a hair: all
    # that are black there have the same probability, and rounding would decide.
    sure = np.sort(path.numpy()[:, 0].max(-1))[250:750]
    widest = np.diff(sure).argmax()
    threshold = float(sure[widest : widest + 2].mean())
    served = served_of(DIGITS, 1, threshold, **more)
    formats.write_model(served, tmp_path, model_format)
    glimpses = served.signatures["serving_uint8"](tf.constant(images))["glimpses"]
    assert len(set(glimpses.numpy())) > 1, "it stops at several places"
    found = formats.reloaded_difference(served, tmp_path, model_format, images)
    assert found.beyond <= 2


@pytest.mark.slow
@pytest.mark.parametrize("model_format", ALL_FORMATS)
@pytest.mark.parametrize("model", ["fc", "conv"])
def test_converted_whole_image_classifier_predicts_as_the_model(
    model_format, model, tmp_path, record_property
):
    need(model_format)
    served = served_of(DIGITS, 1, model=model)
    formats.write_model(served, tmp_path, model_format)
    images = images_of(DIGITS)
    found = formats.reloaded_difference(served, tmp_path, model_format, images)
    for name, value in found._asdict().items():
        record_property(name, value)
    assert found.beyond == 0


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A small model in every format that is installed, and what was written."""
    served = served_of(DIGITS, core="rnn")
    folders = {}
    for model_format, package in NEEDS.items():
        if importlib.util.find_spec(package):
            folders[model_format] = tmp_path_factory.mktemp(model_format)
            formats.write_model(served, folders[model_format], model_format)
    return served, folders


@pytest.mark.parametrize("model_format", FORMATS)
def test_converted_model_needs_its_runtime_alone(model_format, written, tmp_path):
    """Neither TensorFlow nor ram_tf, and batches of any size."""
    need(model_format)
    served, folders = written
    code = (
        "import runpy, sys\n"
        "sys.modules.update(dict.fromkeys(['tensorflow', 'keras', 'ram_tf']))\n"
        "runpy.run_path(sys.argv[1], run_name='reload')['main'](*sys.argv[2:])\n"
    )
    images = images_of(DIGITS)
    for count in (1, 7):
        asked, outputs = tmp_path / "asked.npz", tmp_path / "outputs.npz"
        np.savez(asked, images=images[:count])
        words = [reload.__file__, model_format, folders[model_format], asked, outputs]
        command = [sys.executable, "-I", "-c", code, *map(str, words)]
        subprocess.run(command, check=True)
        expected = served.signatures["serving_uint8"](tf.constant(images[:count]))
        with np.load(outputs) as found:
            assert set(found) == set(expected)
            for key, value in expected.items():
                np.testing.assert_allclose(found[key], value, atol=1e-5)


@pytest.mark.parametrize("model_format", FORMATS)
def test_model_with_other_outputs_is_refused(model_format, written):
    need(model_format)
    served, folders = written
    served = ServedModel(
        types.SimpleNamespace(
            model=served.model,
            config=Config(),
            image_shape=DIGITS,
        ),
        first_locations("random", 2),
    )
    with pytest.raises(RamError, match="found [0-9]+ of 50 images with others"):
        formats.reloaded_difference(
            served, folders[model_format], model_format, images_of(DIGITS)[:50]
        )


def test_model_that_is_wrong_about_a_few_images_in_a_hundred_is_refused(
    monkeypatch, tmp_path
):
    images, wrong = np.zeros([200, 2, 2, 1], np.uint8), 0
    ask = {"serving_uint8": lambda images: {"label": tf.zeros(len(images))}}
    served = types.SimpleNamespace(signatures=ask)
    ended = types.SimpleNamespace(returncode=0)
    monkeypatch.setattr(formats.subprocess, "run", lambda *words, **more: ended)
    monkeypatch.setattr(
        formats, "read_arrays", lambda *given: {"label": np.arange(200) < wrong}
    )
    wrong = 2
    found = formats.reloaded_difference(served, tmp_path, "onnx", images)
    assert found.beyond == 2
    wrong = 3
    with pytest.raises(RamError, match="found 3 of 200 images with others"):
        formats.reloaded_difference(served, tmp_path, "onnx", images)


@pytest.mark.parametrize("model_format", FORMATS)
def test_model_that_cannot_be_read_is_refused(model_format, written, tmp_path):
    need(model_format)
    (tmp_path / reload.FILES[model_format]).write_bytes(b"no model")
    with pytest.raises(RamError, match="a model that a fresh process can read, found"):
        formats.reloaded_difference(
            written[0], tmp_path, model_format, images_of(DIGITS)[:1]
        )


@pytest.mark.parametrize("model_format", FORMATS)
def test_converter_s_refusal_names_the_operation(model_format, tmp_path):
    need(model_format)

    @dataclasses.dataclass
    class Strange:
        signatures: dict

        def module(self):
            return tf.Module()

    spec = tf.TensorSpec([None, 2], tf.float32, "images")
    serve = tf.function(
        lambda images: {"label": tf.math.betainc(images, images, images)},
        input_signature=[spec],
        autograph=False,
    )
    with pytest.raises(
        RamError, match=rf"--format={model_format}: .* (tf\.)?Betainc, an operation"
    ):
        formats.write_model(Strange({"serving_uint8": serve}), tmp_path, model_format)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("model_format", FORMATS)
def test_precision_that_a_format_has_not_is_refused(model_format, tmp_path):
    need(model_format)
    config = Config(precision="mixed_bfloat16")
    experiment = types.SimpleNamespace(config=config)
    with pytest.raises(RamError, match="float32, found --precision=mixed_bfloat16"):
        saved_model.export(experiment, tmp_path / "x", model_format=model_format)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("model_format", FORMATS)
def test_extra_that_is_not_installed_is_named(model_format, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RamError, match=rf"pip install 'ram-tf\[{model_format}\]'"):
        formats.require_converter(model_format)
    formats.require_converter("saved_model")


# --- TensorFlow Serving ---------------------------------------------------------------


def test_warm_up_requests_are_what_the_signatures_take(tmp_path):
    pytest.importorskip("tensorflow_serving", reason="no extra serving")
    from tensorflow_serving.apis import prediction_log_pb2

    signatures = served_of(DIGITS, core="rnn").signatures
    assert write_warmup(signatures, tmp_path)
    records = tf.data.TFRecordDataset(str(tmp_path / RECORDS)).as_numpy_iterator()
    names = []
    for record in records:
        request = prediction_log_pb2.PredictionLog.FromString(
            record
        ).predict_log.request
        names.append(request.model_spec.signature_name)
        inputs = {
            name: tf.constant(tf.make_ndarray(value))
            for name, value in request.inputs.items()
        }
        answer = signatures[names[-1]](**inputs)
        assert answer["locations"].shape == (1, 3, 2)
    assert names == ["serving_default", "serving_uint8", "serving_path"]


def test_warm_up_requests_are_left_out_without_their_package(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not write_warmup({}, tmp_path)
    assert not list(tmp_path.iterdir())


def rest_answer(body, signatures):
    """What TensorFlow Serving's REST API outputs to a predict request."""
    request = json.loads(body)
    signature = signatures[request.get("signature_name", "serving_default")]
    specs = signature.structured_input_signature[1]
    in_rows = "instances" in request
    if in_rows:
        rows = request["instances"]
        if not isinstance(rows[0], dict):  # Only where there is one input.
            (name,) = specs
            rows = [{name: row} for row in rows]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
    else:
        columns = request["inputs"]
    inputs = {name: tf.constant(columns[name], specs[name].dtype) for name in specs}
    outputs = {
        key: value.numpy().tolist() for key, value in signature(**inputs).items()
    }
    if not in_rows:
        return json.dumps({"outputs": outputs})
    rows = zip(*outputs.values(), strict=True)
    return json.dumps(
        {"predictions": [dict(zip(outputs, row, strict=True)) for row in rows]}
    )


@pytest.fixture(scope="module")
def rest_signatures(written, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved_model")
    formats.write_model(written[0], path, "saved_model")
    loaded = tf.saved_model.load(str(path))
    return {"loaded": loaded, **loaded.signatures}


def test_rest_requests_of_the_page_are_answered(rest_signatures, written):
    images = images_of(DIGITS)[:3]
    expected = written[0].signatures["serving_uint8"](tf.constant(images))
    bodies = [{"instances": images.tolist()}, {"inputs": {"images": images.tolist()}}]
    rows, columns = (
        json.loads(
            rest_answer(
                json.dumps({"signature_name": "serving_uint8", **body}), rest_signatures
            )
        )
        for body in bodies
    )
    rows, columns = rows["predictions"], columns["outputs"]
    assert len(rows) == 3 and set(rows[0]) == {"probabilities", "label", "locations"}
    for key, value in expected.items():
        np.testing.assert_allclose([row[key] for row in rows], value, atol=1e-6)
        np.testing.assert_allclose(columns[key], value, atol=1e-6)
    fractions = (images / np.float32(255)).tolist()
    body = json.dumps({"instances": fractions})
    rows = json.loads(rest_answer(body, rest_signatures))["predictions"]
    assert [row["label"] for row in rows] == expected["label"].numpy().tolist()


def test_rest_request_for_a_path_is_answered(rest_signatures):
    image = images_of(DIGITS)[0].tolist()
    instance = {"images": image, "initial_locations": [0, 0]}
    body = json.dumps({"signature_name": "serving_path", "instances": [instance]})
    (row,) = json.loads(rest_answer(body, rest_signatures))["predictions"]
    assert np.shape(row["probabilities_by_glimpse"]) == (3, 5)
    assert row["locations"][0] == [0.0, 0.0]


# --- the page -------------------------------------------------------------------------

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "serving.md"


@pytest.fixture(scope="module")
def demo():
    """The model that the page follows from export to use."""
    experiment, _ = load_preset_run("demo")
    starts = first_locations("center", default_rollouts(experiment.config))
    return ServedModel(experiment, starts)


@pytest.mark.parametrize("model_format", FORMATS)
def test_example_of_the_page_runs(model_format, demo, tmp_path):
    need(model_format)
    folder = tmp_path / "exported" / model_format
    folder.mkdir(parents=True)
    formats.write_model(demo, folder, model_format)
    text = PAGE.read_text(encoding="utf-8")
    codes = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    (code,) = [each for each in codes if f"exported/{model_format}/" in each]
    (expected,) = re.findall(r"^print\(.*\)  # (.+)$", code, re.M)
    command = [sys.executable, "-I", "-c", code]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected


def test_examples_of_the_page_print_the_same_shapes():
    """Those of one model, whose T and N the text below the first names."""
    text = PAGE.read_text(encoding="utf-8")
    printed = re.findall(r"^print\(.*\)  # (.+)$", text, re.M)
    assert len(printed) == 3 and len(set(printed)) == 1
    export_flags = re.findall(r"ram_tf.export (.+?) --export_dir", text)
    assert set(export_flags) == {"--run_dir=runs/demo", "--model=preset:demo"}


def test_page_names_the_presets_that_are_not_measured():
    exports = json.loads(PAGE.with_suffix(".json").read_text(encoding="utf-8"))
    named = page.tables(exports[:1]).splitlines()[-1]
    assert named.startswith("Not measured yet: ") and "`mnist_6g`" in named
    assert "`demo`" not in named
    everything = [
        {**exports[0], "experiment": read_metadata(PRESETS_DIR / name)["experiment"]}
        for name in shipped_names()
    ]
    assert "Not measured" not in page.tables(everything)


def test_figures_of_the_page_are_those_of_the_exports(tmp_path):
    exports = json.loads(PAGE.with_suffix(".json").read_text(encoding="utf-8"))
    text = PAGE.read_text(encoding="utf-8")
    assert text.split(page.BEGIN)[1].split(page.END)[0].strip() == page.tables(exports)
    for number, export in enumerate(exports):
        folder = tmp_path / str(number)
        folder.mkdir()
        config = {"num_glimpses": export.pop("num_glimpses")}
        metadata = json.dumps({**export, "config": config, "more": 1})
        (folder / "metadata.json").write_text(metadata)
    copy, figures = tmp_path / "page.md", tmp_path / "figures.json"
    copy.write_text(f"{page.BEGIN}{page.END}")
    words = [f"--page={copy}", f"--figures={figures}"]
    words += [str(tmp_path / str(number)) for number in range(len(exports))]
    assert page.main(words) == 0
    assert figures.read_bytes() == PAGE.with_suffix(".json").read_bytes()
    assert copy.read_text().count("| demo |") == 3 + len(THRESHOLDS)
