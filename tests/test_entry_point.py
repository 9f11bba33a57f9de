"""What every command does with its output, its errors and signals."""

import errno
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from ram_tf.entry_point import entry_point
from ram_tf.errors import Interrupted, RamError
from ram_tf.flags import config_settings

CONFIG = config_settings()


@pytest.mark.parametrize("word", ["--help", "-h", "--helpfull"])
def test_entry_point_answers_help_before_all_else(word, capsys):
    status = entry_point(lambda arguments: 5, CONFIG, "Usage.")(["--nonsense", word])
    assert status == 0
    found = capsys.readouterr()
    assert found.out.startswith("Usage.\n")
    assert found.err == ""


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (143, 143)])
def test_entry_point_returns_the_commands_status(returned, status):
    argv = ["--seed=4"]
    seen = []

    def command(arguments):
        seen.append(arguments.seed)
        return returned

    assert entry_point(command, CONFIG, "")(argv) == status
    assert seen == [4]


def test_entry_point_tells_an_error_in_one_line(capsys):
    def command(arguments):
        raise RamError("a file\nwith a line break in its name")

    assert entry_point(command, CONFIG, "")([]) == 1
    found = capsys.readouterr()
    assert found.err == "error: a file with a line break in its name\n"
    assert found.out == ""


def test_entry_point_tells_of_an_interruption_in_one_line(capsys):
    def command(arguments):
        raise KeyboardInterrupt

    assert entry_point(command, CONFIG, "")([]) == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_entry_point_tells_of_work_that_goes_on_in_one_line(capsys):
    def command(arguments):
        raise Interrupted(signal.SIGTERM, "2 of 3 runs to go")

    assert entry_point(command, CONFIG, "")([]) == 143
    line = "stopped by signal 15, 2 of 3 runs to go; the same command continues\n"
    assert capsys.readouterr().err == line


def test_entry_point_hides_no_fault_of_its_own():
    def command(arguments):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        entry_point(command, CONFIG, "")([])


def test_entry_point_reads_the_processs_own_words(monkeypatch):
    monkeypatch.setattr("sys.argv", ["ram-train", "--seed=8"])
    assert entry_point(lambda arguments: arguments.seed, CONFIG, "")(None) == 8


def test_reader_that_has_enough_is_no_fault():
    found = subprocess.run(
        [sys.executable, "-m", "ram_tf.train", "--help"],
        stdout=_closed_pipe(),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stderr) == (0, "")


def _closed_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "a/b"), "a/b: Permission"),
        (MemoryError(), "out of memory: MemoryError; a smaller --batch_size"),
        (np._core._exceptions._ArrayMemoryError((10**15,), np.dtype("u1")), "out of m"),
        (tf.errors.ResourceExhaustedError(None, None, "OOM"), "out of memory: OOM; a "),
    ],
)
def test_faults_of_the_machine_are_one_line(error, line, capsys):
    def command(arguments):
        raise error

    assert entry_point(command, CONFIG, "")([]) == 1
    found = capsys.readouterr().err
    assert found.startswith(f"error: {line}") and found.count("\n") == 1


_WORK = """
import pathlib, sys
from ram_tf.entry_point import entry_point, say

def command(arguments):
    for number in range(5):
        sys.stdin.readline()
        {}
    pathlib.Path(sys.argv[1]).write_text("done")

sys.exit(entry_point(command, [], "")([]))
"""


@pytest.mark.parametrize("line", ["say(f'line {number}')", "print(number, flush=True)"])
def test_a_reader_that_ends_ends_what_prints_and_no_work(line, tmp_path):
    done = tmp_path / "done"
    with subprocess.Popen(
        [sys.executable, "-c", _WORK.format(line), str(done)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        _, said = process.communicate(b"\n" * 5, timeout=60)
    assert process.returncode == 0 and said == b""
    assert done.exists() == line.startswith("say")


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("say(f'{number}')", 0, b"standard output: No space left on device; the work"),
        ("print(number, flush=True)", 1, b"No space left on device"),
    ],
)
def test_a_full_disk_is_told_once_and_ends_no_work(line, status, said, tmp_path):
    done = tmp_path / "done"
    with open("/dev/full", "wb") as full:
        found = subprocess.run(
            [sys.executable, "-c", _WORK.format(line), str(done)],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert found.returncode == status and done.exists() == (status == 0)
    assert found.stderr.startswith(b"error: " + said)
    assert found.stderr.count(b"\n") == 1
