"""Tests of how signals are answered, in small processes without TensorFlow."""

import signal
import subprocess
import sys

import pytest
from helpers.processes import ROOT

from ram_tf.errors import Interrupted
from ram_tf.runtime.stop_signals import (
    StopRequest,
    answering,
    ended_by_signal,
    handling,
)

# Blocks in C, where Python's own handlers never get a turn.
PROGRAM = """
import ctypes, sys, time
from ram_tf.runtime.stop_signals import StopRequest, answering, handling

stop = StopRequest()
stop.deferred = sys.argv[1] == "deferred"
with answering(stop):
    if sys.argv[1] == "reads images":  # Standard error is closed meanwhile.
        from ram_tf.data import picture

        silence = picture.quiet()
        silence.__enter__()
    print("ready", flush=True)
    while stop.deferred and stop.number is None:
        time.sleep(0.01)
    print("noted", stop.number, flush=True)
    ctypes.CDLL(None).sleep(600)
"""


def begin(mode, **options):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, mode],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("mode", ["free", "reads images"])
def test_signal_with_nothing_to_save_ends_the_process_at_once(mode, number):
    with begin(mode) as process:
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert errors.strip() == (
        f"stopped by signal {number}; the same command continues from the last "
        "checkpoint, if there is one"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_deferred_signal_is_noted_and_the_second_ends_the_process(number):
    with begin("deferred") as process:
        process.send_signal(number)
        assert process.stdout.readline() == f"noted {int(number)}\n"
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM


def test_ignored_interrupt_stays_ignored():
    def ignore():
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    with begin("deferred", preexec_fn=ignore) as process:
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.6)
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == f"noted {int(signal.SIGTERM)}\n"
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_command_ends_in_order_on_a_signal_of_its_terminal_too(number, capsys):
    # Not ignored, as under nohup.
    both = (signal.SIGTERM, signal.SIGHUP)
    before = {each: signal.signal(each, signal.SIG_DFL) for each in both}
    cleaned = []
    with pytest.raises(SystemExit) as caught, ended_by_signal():
        try:
            signal.raise_signal(number)
        finally:
            cleaned.append(True)
    assert caught.value.code == 128 + number and cleaned
    assert capsys.readouterr().err == f"stopped by signal {int(number)}\n"
    # A second signal would be one too many: they stay ignored to the end.
    for each, handler in before.items():
        assert signal.signal(each, handler) is signal.SIG_IGN


def test_answering_gives_the_signals_back():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with answering(StopRequest()):
        assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_listening_notes_a_signal_and_gives_it_back():
    stop, before = StopRequest(), signal.getsignal(signal.SIGTERM)
    stop.check()
    with stop.listening():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(Interrupted) as caught:
        stop.check()
    assert caught.value.signal == signal.SIGTERM


def test_handling_leaves_ignored_signals_ignored_and_gives_the_others_back():
    seen = []
    interrupt = signal.getsignal(signal.SIGINT)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with handling([signal.SIGHUP, signal.SIGINT], seen.append):
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert seen == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is interrupt
