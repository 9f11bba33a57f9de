"""Broken flags and files through the commands: a right answer, or one line.

Never a traceback, a hang or a half-written file. In process with Hypothesis, some 2,000
cases at the default of RAM_TF_FAULT_CASES, and 20 end to end.
"""

import contextlib
import dataclasses
import io
import json
import os
import random
import shutil
import string

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from helpers.damage import damages, with_cases
from helpers.data_files import random_images, write_images, write_set
from helpers.processes import TINY_RUN, end, start
from helpers.report_files import write_all
from hypothesis import strategies as st

from ram_tf import evaluate, export, figures, predict, report, train
from ram_tf.config import Config

pytestmark = pytest.mark.faults

NAMES = [field.name for field in dataclasses.fields(Config)]
# Values that flags have, or nearly have.
WORDS = st.one_of(
    st.sampled_from(
        [
            "ram",
            "lstm",
            "inception",
            "mnist_sample",
            "folder:",
            "best",
            "center",
            "auto",
        ]
    ),
    st.sampled_from(
        ["true", "False", "nan", "inf", "-1", "0", "1", "1e400", "1_0", ""]
    ),
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str),
    st.text(max_size=20).map(lambda text: text.replace("\0", "")),
)
SETTINGS = st.tuples(st.sampled_from([*NAMES, "flagfile", "core_unit", ""]), WORDS)
FLAGS = SETTINGS.map("--{0[0]}={0[1]}".format)
LINES = st.one_of(
    FLAGS,
    st.text(alphabet=string.printable, max_size=30),
    st.sampled_from(["--flagfile=flags.cfg", "--nothing", "-", "--", "# comment"]),
)


@pytest.fixture(scope="module")
def good(tiny_run, tmp_path_factory):
    """Whole things of every kind, each in a folder of its own."""
    root = tmp_path_factory.mktemp("whole")
    shutil.copytree(tiny_run, root / "run")
    argv = [f"--run_dir={root / 'run'}", f"--export_dir={root / 'model'}"]
    assert answer(export, argv)[0] == 0
    images = random_images(30)
    write_set(root / "tfds", {"train": images, "test": images[:6]})
    for name in ("cat", "dog"):
        write_images(root / "folder" / name, 20)
    (root / "images").mkdir()
    picture = np.zeros([28, 28, 1], np.uint8)
    (root / "images" / "a.png").write_bytes(tf.io.encode_png(picture).numpy())
    np.savez(root / "images" / "a.npz", images=picture[None], labels=np.array([1]))
    write_all(root / "report")
    return root


def answer(command, argv):
    """Runs a command in this process; returns status and standard error."""
    err = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
        status = command.main([str(word) for word in argv])
    return status, err.getvalue()


def assert_right_or_one_line(status, err, folder):
    said = [line for line in err.splitlines() if line.strip()]
    assert "Traceback" not in err
    if status:
        assert status == 1
        assert said[-1].startswith("error: "), err
        assert sum("error: " in line for line in said) == 1, err
    half_written = [path for path in folder.rglob("*") if path.suffix == ".tmp"]
    assert not half_written


def damaged_copy(good, kind, file, damage):
    """Copies a folder of whole things and damages one file in the copy."""
    copy = good.with_name("damaged") / kind
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(good / kind, copy)
    (copy / file).write_bytes(damage((copy / file).read_bytes()))
    return copy


def check(command, argv, folder):
    assert_right_or_one_line(*answer(command, argv), folder)


@with_cases(15)
@hypothesis.given(lines=st.lists(LINES, max_size=6))
def test_train_of_a_broken_flagfile(good, lines):
    path = good / "flags.cfg"
    path.write_text("\n".join([*TINY_RUN, *lines]), encoding="utf-8", errors="replace")
    # A finished run: another Config is refused, the same one only tells its result.
    check(train, [f"--flagfile={path}", f"--run_dir={good / 'run'}"], good)


@with_cases(5)
@hypothesis.given(damage=damages())
def test_train_of_a_damaged_flagfile(good, damage):
    path = good / "flags.cfg"
    path.write_bytes(damage("\n".join(TINY_RUN).encode()))
    check(train, [f"--flagfile={path}", f"--run_dir={good / 'run'}"], good)


@with_cases(12)
@hypothesis.given(settings=st.lists(SETTINGS, min_size=1, max_size=4))
def test_config_of_any_values(good, settings):
    argv = [f"--{name}={value}" for name, value in settings]
    check(train, [*TINY_RUN, *argv, f"--run_dir={good / 'run'}"], good)


@with_cases(4)
@hypothesis.given(damage=damages(), command=st.sampled_from([evaluate, figures]))
def test_damaged_config_of_a_run(good, damage, command):
    copy = damaged_copy(good, "run", "config.json", damage)
    argv = [f"--run_dir={copy}"]
    if command is figures:
        argv.append(f"--out={copy / 'x.png'}")
    # A changed number can ask for a huge model or set: only the parsing is looked at.
    with contextlib.suppress(ValueError):
        changed = json.loads((copy / "config.json").read_bytes())
        hypothesis.assume(changed == json.loads((good / "run/config.json").read_text()))
    check(command, argv, copy)


@with_cases(3)
@hypothesis.given(damage=damages(), command=st.sampled_from([train, figures]))
def test_damaged_results_of_a_run(good, damage, command):
    copy = damaged_copy(good, "run", "results.json", damage)
    if command is train:  # Which of a finished run tells the result.
        argv = [f"--flagfile={copy / 'flags.cfg'}", f"--run_dir={copy}"]
    else:
        argv = [f"--run_dir={copy}", f"--out={copy / 'x.png'}"]
    check(command, argv, copy)


@pytest.mark.parametrize("name", ["logs", "checkpoints", "curve.csv", "results.json"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_train_with_a_file_or_a_folder_in_the_way(name, kind, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    if kind == "file":
        (run / name).write_bytes(b"in the way")
    else:
        (run / name).mkdir()
    check(train, [*TINY_RUN, *SHORT, f"--run_dir={run}"], run)


@with_cases(2)
@hypothesis.given(damage=damages())
def test_evaluate_of_a_damaged_checkpoint(good, damage):
    copy = damaged_copy(good, "run", "checkpoints/best.npz", damage)
    check(evaluate, [f"--run_dir={copy}", "--eval_rollouts=1"], copy)


@with_cases(0.25)  # Each trains some steps and reads the test split.
@hypothesis.given(damage=damages())
def test_resume_from_a_damaged_checkpoint(good, damage):
    copy = damaged_copy(good, "run", "checkpoints/step_000000000300.npz", damage)
    (copy / "results.json").unlink()
    check(train, [*TINY_RUN, f"--run_dir={copy}"], copy)


@with_cases(3)
@hypothesis.given(damage=damages())
def test_figures_of_damaged_examples(good, damage):
    copy = damaged_copy(good, "run", "examples.npz", damage)
    check(figures, [f"--run_dir={copy}", f"--out={copy / 'x.png'}"], copy)


@pytest.mark.parametrize("name", ["a.png", "a.npz"])
@with_cases(1.5)
@hypothesis.given(damage=damages())
def test_predict_of_a_damaged_image(good, name, damage):
    copy = damaged_copy(good, "images", name, damage)
    check(predict, [f"--model={good / 'model'}", copy / name], copy)


@pytest.mark.parametrize("kind", ["saved_model.pb", "variables", "metadata"])
@with_cases(1)
@hypothesis.given(damage=damages())
def test_predict_with_a_damaged_export(good, kind, damage):
    files = [path for path in (good / "model").rglob("*") if path.is_file()]
    file = next(path for path in files if kind in str(path.relative_to(good)))
    name = file.relative_to(good / "model")
    copy = damaged_copy(good, "model", name, damage)
    check(predict, [f"--model={copy}", good / "images" / "a.png"], copy)


RECORDS = "shapes/1.0.0/shapes-train.tfrecord-00000-of-00001"
SHORT = [
    "--train_steps=2",
    "--eval_every=2",
    "--batch_size=4",
    "--validation_size=4",
    "--select=final",
    "--patch_size=2",
    "--num_scales=1",
]


@with_cases(1)
@hypothesis.given(damage=damages())
def test_train_on_a_damaged_tfrecord(good, damage):
    copy = damaged_copy(good, "tfds", RECORDS, damage)
    data = ["--dataset=shapes", f"--data_dir={copy}"]
    check(train, [*TINY_RUN, *SHORT, *data, f"--run_dir={copy / 'run'}"], copy)


@with_cases(1)
@hypothesis.given(damage=damages())
def test_train_on_a_damaged_image_of_a_folder(good, damage):
    copy = damaged_copy(good, "folder", "dog/3.png", damage)
    data = [f"--dataset=folder:{copy}"]
    run = copy.with_name("folder_run")
    shutil.rmtree(run, ignore_errors=True)
    check(train, [*TINY_RUN, *SHORT, *data, f"--run_dir={run}"], run)


@with_cases(2)
@hypothesis.given(damage=damages(), choice=st.integers(0, 100))
def test_report_of_damaged_results(good, damage, choice):
    files = sorted(path for path in (good / "report").rglob("*") if path.is_file())
    name = files[choice % len(files)].relative_to(good / "report")
    copy = damaged_copy(good, "report", name, damage)
    argv = [f"--{folder}_dir={copy / folder}" for folder in ("results", "experiments")]
    check(report, [*argv, f"--out_dir={copy / 'out'}"], copy)


@pytest.mark.parametrize("number", range(20))
def test_damage_end_to_end(good, number):
    random_ = random.Random(number)

    def damage(content):
        at = random_.randrange(len(content))
        cut = random_.random() < 0.5
        return content[:at] if cut else content[:at] + b"\xff" + content[at + 2 :]

    model, image = good / "model", good / "images/a.png"
    kind, file, command, *argv = [
        ("run", "config.json", "evaluate", "--run_dir={copy}"),
        ("run", "checkpoints/best.npz", "evaluate", "--run_dir={copy}"),
        ("run", "examples.npz", "figures", "--run_dir={copy}", "--out={copy}/x.png"),
        ("images", "a.png", "predict", f"--model={model}", "{copy}/a.png"),
        ("model", "saved_model.pb", "predict", "--model={copy}", str(image)),
        ("run", "results.json", "figures", "--run_dir={copy}", "--out={copy}/x.png"),
    ][number % 6]
    copy = damaged_copy(good, kind, file, damage)
    words = [word.format(copy=copy) for word in argv]
    status, err = end(start(["-m", f"ram_tf.{command}", *words]), seconds=120)
    assert_right_or_one_line(status, err, copy)
    assert os.listdir(copy)
