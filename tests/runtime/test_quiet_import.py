"""Tests of the quiet import, with a package that stands in for TensorFlow."""

import subprocess
import sys

import pytest

LOUD = (
    "import os, sys\nos.write(2, b'a line of C++\\n')\nprint('and', file=sys.stderr)\n"
)
COMMAND = """
import os, sys
from ram_tf.runtime.quiet_import import import_tensorflow
import_tensorflow()
os.write(2, b"later\\n")
print(sys.modules["tensorflow"].__file__)
"""


@pytest.fixture
def run(tmp_path):
    """Runs COMMAND where `tensorflow` is a module of this text."""

    def run(text):
        (tmp_path / "tensorflow.py").write_text(text)
        script = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{COMMAND}"
        return subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True
        )

    return run


def test_import_drops_what_the_libraries_write_and_nothing_later(run, tmp_path):
    found = run(LOUD)
    assert found.returncode == 0
    assert found.stderr == "later\n"
    assert found.stdout.strip() == str(tmp_path / "tensorflow.py")


def test_import_that_fails_shows_what_was_written(run):
    found = run(f"{LOUD}raise ImportError('a library is missing')\n")
    assert found.returncode != 0
    assert "a line of C++\nand\n" in found.stderr
    assert "ImportError: a library is missing" in found.stderr
