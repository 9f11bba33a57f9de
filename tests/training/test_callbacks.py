"""Tests of what a person watches."""

import io
import types

import pytest

from ram_tf.evaluation.progress_bar import EvaluationBar
from ram_tf.training.callbacks import ProgressBar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_evaluation_bar_shows_on_a_terminal_only(stream, monkeypatch):
    err = stream()
    monkeypatch.setattr("sys.stderr", err)
    with EvaluationBar("test") as bar:
        for done in range(5):
            bar(done, 4)
    if stream is Terminal:
        assert "test: 100%" in err.getvalue() and "4/4" in err.getvalue()
    else:
        assert err.getvalue() == ""


def test_training_bar_says_that_the_first_step_compiles(monkeypatch):
    err = io.StringIO()
    monkeypatch.setattr("sys.stderr", err)
    config = types.SimpleNamespace(train_steps=9)
    bar = ProgressBar(types.SimpleNamespace(config=config, step=4))
    bar.on_train_begin()
    assert "compiling, once:" in err.getvalue() and "4/9" in err.getvalue()
    before = len(err.getvalue())
    for step in range(4, 9):
        bar.on_train_batch_end(step, {"loss": 1.5, "accuracy": 0.25})
    bar.on_epoch_end(0, {"val_accuracy": 0.5})
    bar.on_train_end()
    found = err.getvalue()[before:]
    assert "compiling" not in found and "validation 50.00 %: 100%" in found
    assert "9/9" in found and "loss=1.500" in found
