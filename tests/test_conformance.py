"""Every layer of ram_tf.layers, by the same checks."""

import importlib
import pkgutil

import keras
import pytest
from helpers import layer_checks
from helpers.layer_checks import LayerCase

import ram_tf.layers
from ram_tf.layers import (
    ActionNetwork,
    BaselineNetwork,
    ConvGlimpseNetwork,
    ConvLSTMCore,
    FCGlimpseNetwork,
    GlimpseSensor,
    IdentityCore,
    InceptionGlimpseNetwork,
    LocationNetwork,
    LSTMCore,
    RNNCore,
)

IMAGES, PATCHES, MAPS = (9, 11, 2), (4, 4, 2), (4, 4, 3)
LOCATION = (2,)

# Parameters are written as products: kernels first, then biases.
CASES = {
    "sensor_gather": LayerCase(
        lambda **k: GlimpseSensor(4, 2, **k),
        inputs=(IMAGES, LOCATION),
        output=(4, 4, 4),
        parameters=0,
    ),
    "sensor_tf_image": LayerCase(
        lambda **k: GlimpseSensor(4, 2, "tf_image", **k),
        inputs=(IMAGES, LOCATION),
        output=(4, 4, 4),
        parameters=0,
        compiles=False,  # XLA has no kernel for CropAndResize.
    ),
    "fc_glimpse": LayerCase(
        lambda **k: FCGlimpseNetwork(6, 5, **k),
        inputs=(PATCHES, LOCATION),
        output=(6,),
        parameters=(32 * 5 + 5) + (2 * 5 + 5) + 2 * (5 * 6 + 6),
    ),
    "inception_glimpse": LayerCase(
        lambda **k: InceptionGlimpseNetwork(8, **k),
        inputs=(PATCHES, LOCATION),
        output=(4, 4, 8),
        # Four branches of 2 maps: four 1x1 from 2 channels, three 3x3 from 2 maps;
        # location to 1x1x8, and two 3x3 transposed convolutions of 8 maps.
        parameters=4 * (2 * 2 + 2)
        + 3 * (9 * 2 * 2 + 2)
        + (2 * 8 + 8)
        + 2 * (9 * 8 * 8 + 8),
    ),
    "conv_glimpse": LayerCase(
        lambda **k: ConvGlimpseNetwork(6, 4, **k),
        inputs=(PATCHES, LOCATION),
        output=(6,),
        # 2 -> 4 -> 4 maps of 4x4, 8 maps of 2x2, 6 units; location to 6 units.
        parameters=(9 * 2 * 4 + 4)
        + (9 * 4 * 4 + 4)
        + (9 * 4 * 8 + 8)
        + (2 * 2 * 8 * 6 + 6)
        + (2 * 6 + 6),
    ),
    "rnn_core": LayerCase(
        lambda **k: RNNCore(5, **k),
        inputs=((7,), ((5,),)),
        output=(5,),
        parameters=7 * 5 + 5 * 5 + 5,
    ),
    "lstm_core": LayerCase(
        lambda **k: LSTMCore(5, **k),
        inputs=((7,), ((5,), (5,))),
        output=(5,),
        parameters=4 * (7 * 5 + 5 * 5 + 5),
    ),
    "conv_lstm_core": LayerCase(
        lambda **k: ConvLSTMCore(5, **k),
        inputs=(MAPS, ((4, 4, 5), (4, 4, 5))),
        output=(4, 4, 5),
        parameters=4 * (9 * 3 * 5 + 9 * 5 * 5 + 5),
    ),
    "identity_core": LayerCase(
        lambda **k: IdentityCore(**k),
        inputs=((7,), ()),
        output=(7,),
        parameters=0,
    ),
    "location": LayerCase(
        lambda **k: LocationNetwork(0.2, 5, **k),
        inputs=(MAPS,),
        output=(2,),
        parameters=(48 * 5 + 5) + (5 * 2 + 2),
        dtype="float32",
    ),
    "baseline": LayerCase(
        lambda **k: BaselineNetwork(**k),
        inputs=(MAPS,),
        output=(),
        parameters=48 + 1,
        dtype="float32",
    ),
    "action": LayerCase(
        lambda **k: ActionNetwork(6, **k),
        inputs=(MAPS,),
        output=(6,),
        parameters=48 * 6 + 6,
        dtype="float32",
    ),
}


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> LayerCase:
    return CASES[request.param]


def test_layers_all_have_a_case():
    covered = {type(case.make()) for case in CASES.values()}
    found = set()
    for module in pkgutil.iter_modules(ram_tf.layers.__path__, "ram_tf.layers."):
        members = vars(importlib.import_module(module.name)).values()
        found |= {
            member
            for member in members
            if isinstance(member, type)
            and issubclass(member, keras.layers.Layer)
            and member.__module__ == module.name
        }
    assert found == covered
    assert {layer.__name__ for layer in found} == set(ram_tf.layers.__all__)


def test_layer_comes_back_from_its_config(case):
    layer_checks.check_config_round_trip(case)


def test_layer_goes_through_json(case):
    layer_checks.check_serialisation(case)


def test_layer_builds_the_weights_that_its_arithmetic_needs(case):
    layer_checks.check_weights(case)


def test_layer_refuses_another_shape_than_it_was_built_for(case):
    if not case.parameters:
        pytest.skip("a layer without weights takes any shape")
    layer_checks.check_other_shape(case)


def test_layer_answers_the_same_in_every_way_of_calling(case):
    layer_checks.check_ways_of_calling(case)


def test_layer_learns_in_a_functional_model(case):
    layer_checks.check_fit(case)


def test_layer_keeps_its_types_under_mixed_bfloat16(case):
    layer_checks.check_bfloat16(case)


def test_layer_survives_a_keras_file(case, tmp_path):
    layer_checks.check_save_and_load(case, tmp_path)


def test_core_loads_by_the_name_that_older_files_give_it():
    older = {
        "module": "ram_tf.layers.no_core",
        "class_name": "NoCore",
        "config": {"name": "core"},
        "registered_name": "ram_tf>NoCore",
    }
    core = keras.saving.deserialize_keras_object(older)
    assert type(core) is ram_tf.layers.IdentityCore
