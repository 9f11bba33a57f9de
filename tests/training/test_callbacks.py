"""Tests of what a person watches."""

import io
import os
import types

import pytest

from ram_tf.runtime import progress
from ram_tf.runtime.progress import CallbackBar, environment_of_child
from ram_tf.training.callbacks import ProgressBar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def evaluate_four_batches(stream, monkeypatch):
    err = stream()
    monkeypatch.setattr("sys.stderr", err)
    with CallbackBar("batches", "test") as bar:
        for done in range(5):
            bar(done, 4)
    return err.getvalue()


def test_evaluation_shows_a_bar_on_a_terminal_and_nothing_in_a_log(monkeypatch):
    found = evaluate_four_batches(Terminal, monkeypatch)
    assert "test: 100%" in found and "4/4" in found
    assert evaluate_four_batches(io.StringIO, monkeypatch) == ""


def test_a_terminal_of_unknown_width_shows_a_bar(monkeypatch):
    monkeypatch.setattr(Terminal, "fileno", lambda self: 2, raising=False)
    monkeypatch.setattr("os.get_terminal_size", lambda _: os.terminal_size((0, 0)))
    assert "test: 100%" in evaluate_four_batches(Terminal, monkeypatch)


def test_a_long_evaluation_writes_lines_in_a_log(monkeypatch):
    monkeypatch.setattr(progress, "_SECONDS_PER_LINE", 1e-9)
    found = evaluate_four_batches(io.StringIO, monkeypatch).splitlines()
    assert [line.split(" batches")[0] for line in found[-2:]] == [
        "test: 3 of 4",
        "test: 4 of 4",
    ]


@pytest.fixture
def watched(monkeypatch):
    """Returns what a training of 9 steps, resumed at 4, shows: first, and after it."""

    def watch(stream):
        err = stream()
        monkeypatch.setattr("sys.stderr", err)
        config = types.SimpleNamespace(train_steps=9)
        bar = ProgressBar(types.SimpleNamespace(config=config, step=4))
        bar.on_train_begin()
        before = len(err.getvalue())
        for step in range(4, 9):
            bar.on_train_batch_end(step, {"loss": 1.5, "accuracy": 0.25})
        bar.on_epoch_end(0, {"val_accuracy": 0.5})
        bar.on_train_end()
        return err.getvalue()[:before], err.getvalue()[before:]

    return watch


def test_training_bar_says_that_the_first_step_compiles(watched):
    begin, found = watched(Terminal)
    assert "compiling, once:" in begin and "4/9" in begin
    assert "compiling" not in found
    assert "validation 50.00 % at step 9: 100%" in found
    assert "9/9" in found and "loss=1.500" in found


def test_a_log_file_gets_lines_in_place_of_a_bar(watched):
    begin, found = watched(io.StringIO)
    said = "resumed at step 4; compiling, once: 4 of 9 steps"
    assert begin.startswith(said) and begin[-1] == "\n"
    assert found.startswith("validation 50.00 % at step 9: 9 of 9 steps, ")
    assert found.endswith(" left, accuracy=0.250, loss=1.500\n")
    assert found.count("\n") == 1 and "\r" not in begin + found


def test_bar_of_a_run_that_has_all_its_steps_compiles_nothing(monkeypatch):
    err = io.StringIO()
    monkeypatch.setattr("sys.stderr", err)
    config = types.SimpleNamespace(train_steps=9)
    bar = ProgressBar(types.SimpleNamespace(config=config, step=9))
    bar.on_train_begin()
    bar.on_train_end()
    assert err.getvalue().startswith("trained before: 9 of 9 steps")


def test_a_parent_on_a_terminal_asks_its_child_for_a_bar(watched, monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setattr("os.environ", environment_of_child())
    assert "100%" in watched(io.StringIO)[1]
    monkeypatch.delenv(progress._VARIABLE)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert progress._VARIABLE not in environment_of_child()
