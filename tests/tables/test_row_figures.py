"""Figures in a page follow the results of the rows that they name."""

import json

import numpy as np
import pytest
from helpers.result_files import write_experiments, write_result

from ram_tf.errors import RamError
from ram_tf.runs.examples import Examples, to_npz
from ram_tf.tables.collect import collect
from ram_tf.tables.headers import outdated
from ram_tf.tables.row_figures import with_row_figures

PAGE = """Text | with <!-- not/run --> a comment of another kind.

| Row | a | b |
| --- | --- | ---: |
| by hand 1.23 | <!--table1/ram-->**0** | <!--table1/ram:seeds-->9 |
| x | <!--table1/ram:0-->0 | <!--table1/ram:7-->1.00 |
| x | <!--table1/extra-->0 |
| x | <!--mean table1/ram-->**0.00** (<!--table1/ram:seeds-->1 seeds) |
"""
FILLED = """Text | with <!-- not/run --> a comment of another kind.

| Row | a | b |
| --- | --- | ---: |
| by hand 1.23 | <!--table1/ram-->**96.00 ± 1.41** | <!--table1/ram:seeds-->2 |
| x | <!--table1/ram:0-->95.00 | <!--table1/ram:7--> |
| x | <!--table1/extra-->not run yet |
| x | <!--mean table1/ram-->**96.00** (<!--table1/ram:seeds-->2 seeds) |
"""


@pytest.fixture
def folders(tmp_path):
    """Returns experiments and results of two seeds of table1/ram."""
    experiments = write_experiments(tmp_path)
    results = tmp_path / "results"
    for seed, accuracy in ((0, 0.95), (1, 0.97)):
        path = write_result(experiments, results, "table1/ram", seed, accuracy)
        result = json.loads(path.read_text())
        result["validation_accuracy"] = accuracy + 0.01
        policies = result["evaluation"]["policies"]
        policies["random"] = policies["learned"] | {"accuracy": accuracy - 0.65}
        policies["learned"] |= {
            "accuracy_mean": accuracy - 0.02,
            "accuracy_ensemble": accuracy + 0.02,
            "accuracy_by_glimpse": [0.5, accuracy - 0.2, accuracy],
            "border_share": 0.125,
        }
        path.write_text(json.dumps(result))
        curve = (
            "step,accuracy,validation_accuracy,glimpse_distance\n"
            "10,0.5,0.6,\n20,0.9,0.95,0.25\n30,0.99,0.9,0.5\n"
        )
        path.with_suffix(".curve.csv").write_text(curve)
        locations = np.zeros([2, 3, 2], np.float32)
        locations[:, 0] = 1.0  # First locations are given, not chosen.
        locations[0, 1] = [0.8, -0.9]  # As float32, 0.9 is just below the border.
        locations[1, 2, 0] = -0.95
        examples = Examples(
            images=np.zeros([2, 8, 8, 1], np.uint8),
            labels=np.zeros(2, np.int32),
            locations=locations,
            probabilities=np.ones([2, 3, 1], np.float32),
            class_names=["0"],
        )
        path.with_suffix(".examples.npz").write_bytes(to_npz(examples))
    return experiments, results


def test_cells_that_name_a_row_are_filled_and_nothing_else(folders):
    tables = collect(*folders)
    assert with_row_figures(PAGE, tables, "x") == FILLED
    assert with_row_figures(FILLED, tables, "x") == FILLED


@pytest.mark.parametrize(
    "mark, before, after",
    [
        ("table1/ram", "0.00 %", "96.00 %"),
        ("table1/ram", "1 %", "96 %"),
        ("table1/ram", "**1.0** %", "**96.0** %"),
        ("table1/ram:1", "1.0", "97.0"),
        ("table1/ram:seeds", "7 seeds", "2 seeds"),
        ("table1/ram:printed", "1.00", "93.79"),
        ("table1/ram:1:validation", "1.00", "98.00"),
        ("table1/ram:validation", "1.00", "97.00"),
        ("table1/ram:rollout", "1.00", "94.00"),
        ("table1/ram:ensemble", "1.00", "98.00"),
        ("table1/ram:border", "1.0", "12.5"),
        # Of two images and two chosen locations each, one coordinate of eight.
        ("table1/ram:example_border", "1.0", "12.5"),
        ("table1/ram:0:example_size", "1.00", "0.33"),
        ("table1/ram:random", "1.00", "31.00"),
        ("table1/ram:glimpse2", "1.00", "76.00"),
        ("table1/ram:training", "1.00", "99.00"),
        ("table1/ram:step10", "1.00", "60.00"),
        ("table1/ram:0:glimpse2", "1.00", "75.00"),
        ("table1/ram:lowest20", "1.00", "90.00"),
        ("table1/ram:highest10", "1.00", "95.00"),
        ("table1/ram:training20", "1.00", "90.00"),
        ("table1/ram:distance20", "1.00", "0.25"),
        ("table1/ram:distance", "1.0", "0.5"),
        ("error table1/ram", "1.00", "4.00"),
        ("error table1/ram:0:ensemble", "1.00", "3.00"),
        ("least table1/ram", "1.0", "95.0"),
        ("most table1/ram", "1.0", "97.0"),
        ("range table1/ram", "1.0", "2.0"),
        ("deviation table1/ram", "1.00", "1.41"),
        # Of the mean, on 10,000 images.
        ("low table1/ram", "1.00", "95.60"),
        ("high table1/ram", "1.00", "96.37"),
        ("half table1/ram", "1.00", "0.38"),
        ("table1/ram:1 - table1/ram:0", "1.0 points", "2.0 points"),
        ("table1/ram:1 - table1/ram:0", "+1.0 points", "+2.0 points"),
        ("table1/ram:0 - table1/ram:1", "-1.0 points", "-2.0 points"),
        ("table1/ram:0 - table1/ram:1", "+1.0 points", "-2.0 points"),
        ("table1/ram - table1/ram:random", "1", "65"),
        ("table1/ram - table1/ram:printed", "1.00", "2.21"),
        # 1.96 sqrt((97 * 3 + 95 * 5) / 10,000).
        ("half table1/ram:1 - table1/ram:0", "1.00", "0.54"),
        ("low table1/ram:1 - table1/ram:0", "1.00", "1.46"),
        ("high table1/ram:1 - table1/ram:0", "1.00", "2.54"),
    ],
)
def test_figures_in_the_text_are_filled(folders, mark, before, after):
    page = "In a sentence <!--{}-->{}, and | more 5.00.".format
    filled = with_row_figures(page(mark, before), collect(*folders), "x")
    assert filled == page(mark, after)


@pytest.mark.parametrize(
    "mark",
    [
        "table1/extra",
        "table1/ram:7",
        "table1/ram:nothing",
        "table1/ram:glimpse9",
        "table1/ram:step15",
        "table1/ram:distance10",
        "table1/extra:printed",
        "low table1/ram:1",
        "low table1/ram:training",
        "most table1/extra",
        "some table1/ram",
        "half table1/extra",
        "table1/ram - table1/extra",
    ],
)
def test_a_figure_that_there_is_not_is_named(folders, mark):
    with pytest.raises(RamError, match=f"x: expected a figure for <!--{mark}-->, fou"):
        with_row_figures(f"<!--{mark}-->1.00 %", collect(*folders), "x")


@pytest.mark.parametrize(
    "mark",
    [
        "<!--table1/ram--> 96.00",
        "<!--table1/ram-->about 96.00",
        "<!--table1/ram -table1/fc-->1.00",
        "<!--the mean table1/ram-->96.00",
        "<!--table1/ram:seed 1-->96.00",
    ],
)
def test_a_mark_that_would_be_passed_over_is_named(folders, mark):
    page = f"Known <!--table1/ram-->96.00, and {mark}"
    expected = f"expected a row and a figure.*found {mark.partition('>')[0]}"
    with pytest.raises(RamError, match=expected):
        with_row_figures(page, collect(*folders), "x")


def test_a_difference_without_a_sign_that_became_negative_is_named(folders):
    page = "ahead by <!--table1/ram:0 - table1/ram:1-->2.0 points"
    with pytest.raises(RamError, match=r"not negative, found -2\.00; mend the senten"):
        with_row_figures(page, collect(*folders), "x")


def test_a_row_that_there_is_not_is_named(folders):
    page = "| <!--table1/rma-->95.00 |"
    with pytest.raises(RamError, match="x.md: expected a row in <!--table1/rma-->"):
        with_row_figures(page, collect(*folders), "x.md")


def test_findings_follow_the_results(folders, tmp_path):
    findings = tmp_path / "docs" / "findings.md"
    findings.parent.mkdir()
    findings.write_text(PAGE)
    assert outdated(*folders)[findings] == FILLED
