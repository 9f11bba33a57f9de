"""Tests of the quiet import, with a package that stands in for TensorFlow."""

import subprocess
import sys

import pytest

LOUD = (
    "import os, sys\nos.write(2, b'a line of C++\\n')\nprint('and', file=sys.stderr)\n"
)
COMMAND = """
import contextlib, os, sys
from ram_tf.runtime.quiet_import import import_tensorflow
import_tensorflow()
with contextlib.suppress(OSError):
    os.write(2, b"later\\n")
print(sys.modules["tensorflow"].__file__)
"""


@pytest.fixture
def run(tmp_path):
    """Runs COMMAND where `tensorflow` is a module of this text."""

    def run(text, before="", shell="exec"):
        (tmp_path / "tensorflow.py").write_text(text)
        script = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{before}{COMMAND}"
        words = [sys.executable, "-c", script]
        return subprocess.run(
            ["sh", "-c", f'{shell} "$@"', "sh", *words], capture_output=True, text=True
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


def test_import_needs_no_place_for_what_it_holds_back(run):
    none = "def none():\n    raise FileNotFoundError(2, 'No usable temporary folder')\n"
    found = run(LOUD, f"import tempfile\n{none}tempfile.TemporaryFile = none\n")
    assert found.returncode == 0 and "a line of C++" in found.stderr


def test_import_needs_no_standard_error(run, tmp_path):
    found = run("", shell="exec 2>&-;")
    assert found.stdout.strip() == str(tmp_path / "tensorflow.py")
