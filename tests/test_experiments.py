"""Every flagfile against the table of experiments, the papers and its own head."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from ram_tf.config import Config
from ram_tf.evaluation.pixel_budget import (
    IMAGE_SHAPES,
    PixelBudget,
    known_image_shape,
)
from ram_tf.flags import config_settings, parse
from ram_tf.tables.catalogue import find_experiments, read_sources, read_tables
from ram_tf.tables.headers import outdated

ROOT = pathlib.Path(__file__).parents[1]
EXPERIMENTS = ROOT / "experiments"

# The table of experiments, as settings that differ from Config's defaults.
MNIST = {"dataset": "mnist"}
TRANSLATED = {**MNIST, "task": "translated", "canvas_size": 60}
CLUTTERED_60 = {**TRANSLATED, "task": "cluttered", "num_clutter": 4}
CLUTTERED_100 = {**CLUTTERED_60, "canvas_size": 100, "num_clutter": 8}
CIFAR10 = {"dataset": "cifar10"}
GRAY_CIFAR10 = {**CIFAR10, "grayscale": True}

PAPER = {
    "batch_size": 20,
    "train_steps": 100_000,
    "select": "final",
    "eval_every": 5000,
    "checkpoint_every": 2000,
}
BASELINE = {**PAPER, "optimizer": "sgd", "learning_rate": 0.001}
FC = {**BASELINE, "model": "fc", "fc_units": 256}
CONV = {**BASELINE, "model": "conv", "fc_units": 256}
RAM = {
    **PAPER,
    "glimpse_network": "fc",
    "core": "lstm",
    "core_units": 256,
    "num_rollouts": 1,
    "optimizer": "adam",
    "learning_rate": 1e-4,
    "lr_schedule": "exponential",
    "decay_steps": 10_000,
    "decay_rate": 0.96,
}
INCEPTION = {
    **RAM,
    "glimpse_network": "inception",
    "glimpse_units": 24,
    "core": "conv_lstm",
    "core_units": 24,
    "patch_size": 12,
    "num_scales": 3,
}
MNIH = {
    "optimizer": "sgd",
    "momentum": 0.9,
    "learning_rate": 0.01,
    "lr_schedule": "linear",
    "batch_size": 20,
    "train_steps": 300_000,
    "select": "final",
    "eval_every": 10_000,
    "checkpoint_every": 5000,
}


def look(num_glimpses, patch_size, num_scales):
    return {
        "num_glimpses": num_glimpses,
        "patch_size": patch_size,
        "num_scales": num_scales,
    }


def expected_rows():
    rows = {}
    data = {
        "table1": MNIST,
        "table2": TRANSLATED,
        "table3": CLUTTERED_60,
        "table4": GRAY_CIFAR10,
        "table5": CIFAR10,
    }
    for table, images in data.items():
        rows[f"{table}/fc"] = {**FC, **images}
        rows[f"{table}/conv"] = {**CONV, **images}
    rows["table1/fc_tuned"] = {**rows["table1/fc"], "learning_rate": 0.1}
    rows["table1/conv_tuned"] = {**rows["table1/conv"], "learning_rate": 0.1}
    for glimpses in (4, 6, 8):
        rows[f"table1/ram_{glimpses}g_1s"] = {**RAM, **MNIST, **look(glimpses, 8, 1)}
    for table in ("table2", "table3"):
        rows[f"{table}/ram_6g_2s"] = {**RAM, **data[table], **look(6, 12, 2)}
        rows[f"{table}/ram_8g_3s"] = {**RAM, **data[table], **look(8, 12, 3)}
    for glimpses in (4, 8):
        seen = look(glimpses, 12, 3)
        rows[f"table4/ram_{glimpses}g_3s"] = {**RAM, **GRAY_CIFAR10, **seen}
        rows[f"table5/ram_inception_{glimpses}g"] = {**INCEPTION, **CIFAR10, **seen}
    rows["table5/ram_inception_4g_tuned"] = {
        **rows["table5/ram_inception_4g"],
        "location_input_scale": 0.074,
    }
    rows["text/color_pixel_8g"] = {**RAM, **CIFAR10, **look(8, 12, 3)}
    for task in ("translated", "cluttered"):
        rows[f"text/{task}_cifar10_8g"] = {
            **INCEPTION,
            **CIFAR10,
            **look(8, 12, 3),
            "task": task,
            "canvas_size": 60,
            "num_clutter": 4,
        }
    return {
        **rows,
        **expected_mnih_rows(),
        **expected_public_code_rows(rows),
        **expected_ablation_rows(rows),
    }


def expected_public_code_rows(rows):
    momentum, adam = {"momentum": 0.9}, {"optimizer": "adam", "batch_size": 32}
    faster = {**momentum, "learning_rate": 0.01}
    once = {"redraw": False}
    clutter = {**once, "num_clutter": 60, "clutter_overlap": False}
    changes = {
        "mnist_fc": ("table1/fc", {**momentum, "train_steps": 27_500}),
        "mnist_conv": ("table1/conv", {**faster, "train_steps": 27_500}),
        "translated_fc": ("table2/fc", {**once, **momentum, "train_steps": 82_500}),
        "translated_conv": ("table2/conv", {**once, **faster, "train_steps": 55_000}),
        "translated_ram_6g_2s": ("table2/ram_6g_2s", once),
        "cluttered_fc": ("table3/fc", {**clutter, **momentum, "train_steps": 55_000}),
        "cluttered_conv": ("table3/conv", {**clutter, **faster, "train_steps": 68_750}),
        "cluttered_ram_6g_2s": ("table3/ram_6g_2s", clutter),
        "gray_cifar10_fc": ("table4/fc", {**adam, "train_steps": 281_250}),
        "gray_cifar10_conv": (
            "table4/conv",
            {**adam, "conv_stride": 1, "train_steps": 70_300},
        ),
    }
    return {
        f"public_code/{row}": {**rows[base], **change}
        for row, (base, change) in changes.items()
    }


def expected_mnih_rows():
    rows = {}
    rnn = {**MNIH, "core": "rnn", "core_units": 256, "glimpse_network": "fc"}
    for glimpses in range(2, 8):
        rows[f"mnih/mnist_{glimpses}g"] = {**rnn, **MNIST, **look(glimpses, 8, 1)}
    tasks = {
        "translated": (TRANSLATED, 3),
        "cluttered60": (CLUTTERED_60, 3),
        "cluttered100": (CLUTTERED_100, 4),
    }
    for task, (images, scales) in tasks.items():
        for glimpses in (4, 6, 8):
            seen = look(glimpses, 12, scales)
            rows[f"mnih/{task}_{glimpses}g"] = {**rnn, **images, **seen}
        if task != "translated":
            learned = rows[f"mnih/{task}_8g"]
            rows[f"mnih/{task}_8g_random"] = {**learned, "policy": "random"}
        if task == "cluttered60":
            rows[f"mnih/{task}_8g_tuned"] = {**learned, "reinforce_weight": 0.001}
        rows[f"mnih/{task}_conv"] = {**MNIH, **images, "model": "conv"}
        for units in () if task == "cluttered100" else (64, 256):
            row = {**MNIH, **images, "model": "fc", "fc_units": units}
            rows[f"mnih/{task}_fc_{units}"] = row
    for row in ("mnist_6g", "translated_8g", "cluttered60_8g"):
        through = {**rows[f"mnih/{row}"], "policy_gradient_scope": "core"}
        rows[f"mnih/{row}_core"] = through
    rows["mnih/mnist_fc_256"] = {**MNIH, **MNIST, "model": "fc", "fc_units": 256}
    rows["mnih/mnist_conv"] = {**MNIH, **MNIST, "model": "conv"}
    return rows


def expected_ablation_rows(rows):
    faults = {
        "noise_1": {"location_stddev": 1.0},
        "no_policy_gradient": {"reinforce_weight": 0.0},
        "byte_pixels": {"pixel_range": "byte"},
        "no_recurrence": {"core": "none"},
    }
    together = {
        name: value for fault in faults.values() for name, value in fault.items()
    }
    readings = {
        "core_gradient": {"policy_gradient_scope": "core"},
        "center_start": {"initial_location": "center"},
        "reward_to_go": {"decision_return": "to_go"},
    }
    short = {"train_steps": 20_000, "eval_every": 2000}
    bases = {"mnist": "table1/ram_6g_1s", "cifar10": "table5/ram_inception_4g"}
    ablation = {
        f"ablation/{data}_{fault}": {**rows[base], **short, **change}
        for data, base in bases.items()
        for fault, change in {
            "none": {},
            **faults,
            "all": together,
            **readings,
            "random": {"policy": "random"},
            "center": {"policy": "center"},
        }.items()
    }
    alone = {
        "cifar10_input_scale": {"location_input_scale": 0.074},
        "cifar10_maps": {"location_maps": 2},
        "cifar10_1s": {"num_scales": 1},
        "mnist_weight_1": {"reinforce_weight": 1.0},
        "mnist_noise_02": {"location_stddev": 0.2},
        "mnist_rollouts_5": {"num_rollouts": 5},
        "mnist_2s": {"num_scales": 2},
        "mnist_patch_12": {"patch_size": 12},
    }
    for name, change in alone.items():
        base = ablation[f"ablation/{name.split('_')[0]}_none"]
        ablation[f"ablation/{name}"] = {**base, **change}
    return ablation


EXPECTED = expected_rows()
TABLES = {table.table: table for table in read_tables(EXPERIMENTS)}
ROWS = {row.name: row for table in TABLES.values() for row in table.experiments}


@pytest.mark.parametrize("row", ["cifar10_4g", "cifar10_6g", "translated_4g"])
@pytest.mark.parametrize(
    ("ending", "change"),
    [
        ("_random", {"policy": "random"}),
        ("_center", {"policy": "center"}),
        ("_no_policy_gradient", {"reinforce_weight": 0.0}),
    ],
)
def test_rows_of_a_policys_worth_differ_in_the_policy_alone(row, ending, change):
    learned = ROWS[f"policy/{row}"].config().to_dict()
    glimpses = int(row.split("_")[1].removesuffix("g"))
    assert (learned["policy"], learned["num_glimpses"]) == ("learned", glimpses)
    other = ROWS[f"policy/{row}{ending}"]
    expected = {**learned, **change, "experiment": other.name}
    assert other.config().to_dict() == expected


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_flagfile_resolves_to_the_settings_of_the_table(name):
    found = ROWS[name].config()
    wanted = Config(**EXPECTED[name], experiment=name)
    assert found.to_dict() == wanted.to_dict()


def test_flagfiles_are_exactly_the_rows_of_the_table():
    present = {name for name in ROWS if not name.startswith(("best/", "policy/"))}
    assert present == set(EXPECTED)


def test_every_flagfile_resolves():
    for experiment in ROWS.values():
        assert experiment.config(seed=3).seed == 3


def test_base_flagfile_has_the_sections_of_help():
    found, section = {}, ""
    for line in (EXPERIMENTS / "base.cfg").read_text().split("\n\n", 1)[1].splitlines():
        if line.startswith("# "):
            section = line[2:].removesuffix(".")
        elif line:
            found[line[2:].partition("=")[0]] = section
    section, expected = "", {}
    for field in dataclasses.fields(Config):
        section = field.metadata["section"] or section
        expected[field.name] = section
    assert found == {name: expected[name] for name in found}
    assert set(found.values()) == set(expected.values())


def test_base_flagfile_names_every_default():
    given = parse(config_settings(), [f"--flagfile={EXPERIMENTS / 'base.cfg'}"])
    names = {field.name for field in dataclasses.fields(Config)}
    assert given.given == names - {"run_dir", "data_dir", "experiment"}
    defaults = {f.name: f.default for f in dataclasses.fields(Config)}
    assert {name: given.values[name] for name in given.given} == {
        name: defaults[name] for name in given.given
    }


def test_shared_flagfiles_are_all_used():
    text = "".join(path.read_text() for path in EXPERIMENTS.glob("*/*.cfg"))
    for path in (EXPERIMENTS / "shared").glob("*.cfg"):
        assert f"{path.name}\n" in text, path


def test_quick_budget_stays_in_its_own_digest():
    for experiment in ROWS.values():
        quick = experiment.config(quick=True)
        assert quick.digest() != experiment.config().digest()
        assert (quick.train_steps, quick.eval_rollouts) == (200, 1)


def test_printed_figures_have_a_flagfile_each():
    ours = ("best/", "policy/", "ablation/")
    wanted = {name for name in ROWS if not name.startswith(ours)}
    printed = {name for name in wanted if ROWS[name].figures}
    assert printed == wanted
    sources = read_sources(EXPERIMENTS)
    for name in printed:
        for figure in ROWS[name].figures:
            assert figure.source in sources
            assert figure.printed
            assert figure.accuracy is None or 10 <= figure.accuracy <= 100


@pytest.mark.parametrize(
    "name, accuracies",
    [
        ("table1/fc", [97.27]),
        ("table1/conv_tuned", [97.78]),
        ("table1/ram_8g_1s", [94.21]),
        # The paper contradicts itself: its table, then its text.
        ("table2/conv", [81.2, 85.17]),
        ("table2/ram_8g_3s", [88.63]),
        ("table3/ram_6g_2s", [77.5]),
        ("table4/ram_4g_3s", [15.45]),
        ("table5/ram_inception_8g", [25.37]),
        ("text/color_pixel_8g", [None]),
        # Camera-ready, then arXiv v1.
        ("mnih/mnist_6g", [98.88, 98.71]),
        ("mnih/cluttered60_8g_random", [85.6]),
        # The paper, then its notebook.
        ("public_code/cluttered_fc", [42.5, 34.14]),
    ],
)
def test_printed_figures_are_those_of_the_papers(name, accuracies):
    assert [figure.accuracy for figure in ROWS[name].figures] == accuracies


def test_figures_from_memory_are_marked():
    marked = {
        row.name
        for row in ROWS.values()
        for figure in row.figures
        if figure.from_memory
    }
    rows = ("conv", "4g", "6g", "8g", "8g_random")
    names = {f"mnih/cluttered100_{row}" for row in rows}
    assert marked == {*names, "best/cluttered100_8g", "best/cluttered100_8g_long"}


def test_heads_agree_with_printed_figures_and_results():
    paths = [
        str(path.relative_to(ROOT)) for path in outdated(EXPERIMENTS, ROOT / "results")
    ]
    assert not paths, f"make headers fills {', '.join(paths)}"


@pytest.mark.parametrize(
    "name",
    ["table1/fc", "table2/ram_6g_2s", "table4/conv", "text/cluttered_cifar10_8g"],
)
def test_pixel_budget_agrees_with_task_and_model(name):
    from ram_tf.data.tasks import Task
    from ram_tf.models.factory import build_model

    config = ROWS[name].config()
    fields = {field.name for field in dataclasses.fields(Task)}
    task = Task(**{key: getattr(config, key) for key in fields})
    shape = task.output_shape(IMAGE_SHAPES[config.dataset])
    assert known_image_shape(config) == shape
    budget = PixelBudget.of(config, shape)
    assert budget.image == shape[0] * shape[1] * shape[2]
    model = build_model(config, 10, shape)
    read = budget.image
    if config.model == "ram":
        sensor = model.sensor
        patches = model.num_glimpses * sensor.num_scales
        read = patches * sensor.patch_size**2 * shape[2]
    assert budget.read == read


@pytest.mark.slow
def test_every_row_builds_its_model_and_its_results_state_what_it_costs():
    from ram_tf.models.cost import forward_operations
    from ram_tf.models.factory import build_model

    for experiment in ROWS.values():
        config = experiment.config()
        height, width, channels = IMAGE_SHAPES[config.dataset]
        if config.task != "plain":
            height = width = config.canvas_size
        shape = height, width, 1 if config.grayscale else channels
        model = build_model(config, 10, shape)
        assert model.count_params() > 0
        for path in (ROOT / "results" / experiment.name).glob("seed*.json"):
            stated = json.loads(path.read_text())["flops_per_image"]
            assert stated == forward_operations(model), path


def dry_run(*words):
    """Returns what make would run, also where make itself runs the tests."""
    kept = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
    command = ["make", "--dry-run", *words, "INSTALLED="]
    return subprocess.run(
        command, cwd=ROOT, env=kept, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make")
@pytest.mark.parametrize("target", [*sorted(TABLES), "tables"])
def test_make_target_reproduces_its_table(target):
    found = dry_run(target, "SEEDS=0,1", "RESULTS_DIR=again")
    tables = "table1,table2,table3,table4,table5,text" if target == "tables" else target
    assert "ram_tf.reproduce --seeds=0,1 '--results_dir=again' " in found
    assert "'--runs_dir=again/runs' " in found
    assert found.rstrip().endswith(f"--tables={tables}")


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make")
def test_quick_budget_has_folders_of_its_own():
    found = dry_run("tables", "QUICK=1")
    assert "'--results_dir=quick/results' " in found
    assert "'--runs_dir=quick/runs' " in found
    assert " --quick " in found
    found = dry_run("report", "QUICK=1")
    assert "'--results_dir=quick/results' '--out_dir=quick/report'" in found
    assert found.rstrip().endswith("--quick")
    assert "--quick" not in dry_run("report")


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make")
def test_make_gives_folders_with_spaces_as_one_word():
    assert "'--data_dir=/a b/tfds' " in dry_run("table1", "DATA_DIR=/a b/tfds")


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make")
def test_sweeps_have_folders_of_their_own_and_the_seed_of_their_flagfile():
    found = dry_run("sweep", "FLAGFILE=experiments/best/cifar10_4g.cfg", "GRID=a=1")
    assert "'--out_dir=sweeps/best/cifar10_4g'" in found
    assert "--seeds" not in found
    assert "--seeds=0,1 " in dry_run("sweep", "SEEDS=0,1", "GRID=a=1")


def test_find_experiments_keeps_the_order_asked_for():
    names = ["text/color_pixel_8g", "table1/fc"]
    assert [row.name for row in find_experiments(EXPERIMENTS, names)] == names
