"""Tests of what a person watches."""

import io

import pytest

from ram_tf.evaluation.progress_bar import EvaluationBar


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
