"""What a policy is worth: the arithmetic, and who is compared with whom."""

import json
import pathlib

import numpy as np
import pytest

from ram_tf.tables.collect import collect
from ram_tf.tables.policy_worth import TRAINED, half_width, policy_worth

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def rows():
    """The cells of each row of the committed section, by the row's name."""
    text = policy_worth(collect(ROOT / "experiments", ROOT / "results"))
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    return {found[0].strip("`"): found[1:] for found in cells}


def accuracy(name, policy="learned"):
    """Returns the mean over the seeds that a row has."""
    seeds = [
        json.loads(path.read_text())["evaluation"]["policies"][policy]["accuracy"]
        for path in (ROOT / "results" / name).glob("seed*.json")
    ]
    return 100 * np.mean(seeds)


def test_interval_covers_95_of_100_differences():
    rng = np.random.default_rng(0)
    draws = [100 * rng.binomial(500, p, 4000) / 500 for p in (0.9, 0.8)]
    gains = draws[0] - draws[1]
    widths = np.array([half_width(*pair, 500) for pair in zip(*draws, strict=True)])
    assert np.mean(np.abs(gains - 10) < widths) == pytest.approx(0.95, abs=0.015)


def test_a_row_is_compared_with_those_that_differ_in_the_policy_alone(rows):
    learned = accuracy("policy/cifar10_4g")
    found = rows["policy/cifar10_4g"]
    assert found[0] == f"{learned:.2f}"
    partners = ("random", "center", "no_policy_gradient")
    for cell, partner in zip(found[1:4], partners, strict=True):
        name = f"policy/cifar10_4g_{partner}"
        other = accuracy(name, "learned" if "no" in partner else partner)
        assert cell.startswith(f"{other:.2f} ({learned - other:+.2f} ± ")
    other = accuracy("policy/cifar10_4g", "center")
    half = half_width(learned, other, 10_000)
    assert found[-1] == f"{other:.2f} ({learned - other:+.2f} ± {half:.2f})"


def test_a_spread_of_means_is_no_difference_to_glimpses_that_are_not_learned(rows):
    learned = accuracy("policy/cifar10_16g_spread")
    found = rows["policy/cifar10_16g_spread"]
    for cell, policy in zip(found[1:3], ("random", "center"), strict=True):
        other = accuracy(f"policy/cifar10_16g_{policy}", policy)
        assert cell.startswith(f"{other:.2f} ({learned - other:+.2f} ± ")


def test_what_only_a_learned_policy_uses_makes_no_other_partner(rows):
    learned = accuracy("ablation/mnist_noise_1")
    other = accuracy("ablation/mnist_random", "random")
    cell = rows["ablation/mnist_noise_1"][1]
    assert cell.startswith(f"{other:.2f} ({learned - other:+.2f} ± ")
    # Without a policy gradient the deviation still matters: that was not trained.
    assert rows["ablation/mnist_noise_1"][3] == ""


def test_what_shapes_reinforce_alone_makes_no_other_partner(rows):
    names = ("cifar10_input_scale", "mnist_reward_to_go")
    # Of the centre alone every glimpse is there, the first too.
    for name in (*names, "cifar10_center_start", "mnist_center_start"):
        index = 2
        learned = accuracy(f"ablation/{name}")
        other = accuracy(f"ablation/{name.split('_')[0]}_center", "center")
        cell = rows[f"ablation/{name}"][index]
        assert cell.startswith(f"{other:.2f} ({learned - other:+.2f} ± ")
    other = accuracy("ablation/mnist_no_policy_gradient")
    assert rows["ablation/mnist_reward_to_go"][3].startswith(f"{other:.2f} ")


def test_no_partner_is_an_empty_cell(rows):
    assert rows["table1/ram_4g_1s"][1 : 1 + len(TRAINED)] == [""] * len(TRAINED)


def test_only_rows_that_learn_where_to_look_are_listed(rows):
    for name in ("table1/fc", "policy/cifar10_4g_random", "ablation/mnist_center"):
        assert name not in rows
    assert "ablation/mnist_no_policy_gradient" not in rows
