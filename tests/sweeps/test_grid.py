"""Tests of the combinations of a sweep, and of the errors of a grid."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ram_tf.config import Config, flag_text
from ram_tf.errors import RamError
from ram_tf.flags import config_settings, parse
from ram_tf.sweeps.grid import Combination, read_grid


def test_grid_is_every_combination_the_last_field_fastest():
    found = read_grid("learning_rate=1e-3,3e-3 core=rnn,lstm grayscale=true")
    assert [combination.values for combination in found] == [
        {"learning_rate": rate, "core": core, "grayscale": True}
        for rate in (0.001, 0.003)
        for core in ("rnn", "lstm")
    ]
    assert found[0].name == "learning_rate=0.001 core=rnn grayscale=true"
    assert found[0].folder == "learning_rate=0.001,core=rnn,grayscale=true"


def test_values_are_read_back_from_their_flags():
    (found,) = read_grid(
        "learning_rate=3e-05 train_steps=7 grayscale=0 dataset=folder:a/b"
    )
    flags = [f"--{name}={text}" for name, text in found.texts.items()]
    config = parse(config_settings(), flags).config()
    assert config == Config(**found.values)
    assert "/" not in found.folder


@given(st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=5, unique=True))
def test_folders_of_different_values_differ(texts):
    folders = {Combination({"dataset": text}).folder for text in texts}
    assert len(folders) == len(texts)
    assert not any("/" in folder or folder in (".", "..") for folder in folders)


def test_path_that_is_no_text_is_a_value_too():
    (found,) = read_grid("dataset=folder:/a/\udcff")  # As a command line gives it.
    assert found.values == {"dataset": "folder:/a/\udcff"}
    assert found.name == "dataset=folder:/a/\\xff"
    assert found.folder == "dataset=folder:%2Fa%2F%FF"


def test_folder_of_many_fields_has_a_name_that_disks_take():
    values = {f"field_{number}": "x" * 20 for number in range(20)}
    one, other = (Combination({**values, "field_19": end}).folder for end in ("a", "b"))
    assert one != other and len(one) <= 200
    assert one.startswith("field_0=xxx")


def test_every_field_that_changes_numbers_can_be_swept():
    for field in dataclasses.fields(Config):
        word = f"{field.name}={flag_text(field.default)}"
        if field.metadata["changes_numbers"] and field.name != "seed":
            (found,) = read_grid(word)
            assert found.values == {field.name: field.default}


def test_nothing_is_a_value_where_it_is_the_default():
    without, from_demo = read_grid("initial_weights=,preset:demo")
    assert without.values == {"initial_weights": ""}
    assert from_demo.values == {"initial_weights": "preset:demo"}
    assert without.folder != from_demo.folder


@pytest.mark.parametrize(
    "grid, message",
    [
        ("", "--grid is required"),
        ("learning_rate", "expected name=value,value"),
        ("learning_rate=", "expected name=value,value"),
        ("learning_rate=1e-3,,1", "expected name=value,value"),
        (
            "learning_rat=1",
            "learning_rat: unknown field of Config, did you mean learning_rate?",
        ),
        ("learning_rate=fast", "--learning_rate=fast: expected a number"),
        ("core=rnn,knot", "--core=knot: expected one of"),
        ("core=rnn core=lstm", "core=lstm: expected every field and value once"),
        ("learning_rate=1e-3,0.001", "expected every field and value once"),
        ("seed=0,1", "seed: expected in --seeds"),
        ("run_dir=x", "run_dir: expected a field that changes the numbers"),
    ],
)
def test_bad_grid_is_a_line_that_names_it(grid, message):
    with pytest.raises(RamError) as error:
        read_grid(grid)
    assert str(error.value).startswith("--grid")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_values_that_do_not_go_together_are_named():
    (found,) = read_grid("core=conv_lstm")
    with pytest.raises(RamError, match="--grid, core=conv_lstm: --core=conv_lstm"):
        found.config({"glimpse_network": "fc"})
    assert found.config({"glimpse_network": "inception"}).core_units == 24
