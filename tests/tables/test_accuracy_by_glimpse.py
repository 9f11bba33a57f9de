"""The table of accuracies after each glimpse says what the results hold."""

import csv
import json
import pathlib

import pytest
from helpers.result_files import write_experiments, write_result

from ram_tf.tables.accuracy_by_glimpse import SHOWN, accuracy_by_glimpse
from ram_tf.tables.collect import collect

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def rows():
    """The cells of each row of the committed section, by the row's name."""
    text = accuracy_by_glimpse(collect(ROOT / "experiments", ROOT / "results"))
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line[2:-2].split(" | ")] for line in lines]
    return {found[0].strip("`"): found[1:] for found in cells}


def seeds_of(name):
    """The accuracies after each glimpse and the last of training, by seed."""
    found = []
    for path in sorted((ROOT / "results" / name).glob("seed*.json")):
        evaluation = json.loads(path.read_text())["evaluation"]
        measures = evaluation["policies"][evaluation["policy"]]
        with open(path.with_suffix(".curve.csv"), newline="") as file:
            *_, last = csv.DictReader(file)
        found.append((measures["accuracy_by_glimpse"], float(last["accuracy"])))
    return found


@pytest.mark.parametrize("name", ["best/mnist_7g", "best/mnist_7g_random"])
def test_accuracies_are_means_over_the_seeds(rows, name):
    seeds = seeds_of(name)
    learned_after, *accuracies, last, training = rows[name]
    assert learned_after == "last glimpse"
    assert len(accuracies) == SHOWN and accuracies[6] == ""
    for glimpse, cell in enumerate([*accuracies[:6], last]):
        mean = 100 * sum(seed[glimpse] for seed, _ in seeds) / len(seeds)
        assert float(cell) == pytest.approx(mean, abs=0.0051)
    mean = 100 * sum(accuracy for _, accuracy in seeds) / len(seeds)
    assert float(training) == pytest.approx(mean, abs=0.0051)


def test_a_row_of_many_glimpses_shows_the_first_and_the_last(rows):
    ((accuracies, _),) = seeds_of("policy/cifar10_16g")
    _, *shown, last, _ = rows["policy/cifar10_16g"]
    assert shown == [f"{100 * accuracy:.2f}" for accuracy in accuracies[:SHOWN]]
    assert last == f"{100 * accuracies[-1]:.2f}"


def test_classifiers_of_whole_images_and_rows_without_a_result_have_no_line(rows):
    assert "table1/fc" not in rows
    assert not (ROOT / "results" / "mnih" / "translated_8g_core").exists()
    assert "mnih/translated_8g_core" not in rows


def test_results_without_accuracies_after_each_glimpse_leave_cells_empty(tmp_path):
    experiments = write_experiments(tmp_path)
    results = tmp_path / "results"
    write_result(experiments, results, "table1/ram", 0, 0.9)
    *_, last = accuracy_by_glimpse(collect(experiments, results)).splitlines()
    cells = [cell.strip() for cell in last[2:-2].split("|")]
    assert cells == ["`table1/ram`", "last glimpse", *[""] * SHOWN, "90.00", ""]
