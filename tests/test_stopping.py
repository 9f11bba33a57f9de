"""A stop request answers to its own signals and to nothing else."""

import signal
import time
import types

from ram_tf.stopping import SIGNALS, StopRequest, answering


def test_answering_ignores_what_is_no_signal_of_its_own(monkeypatch):
    asked = []

    def garbage(signals, seconds):
        asked.append(seconds)
        time.sleep(0.001)
        return types.SimpleNamespace(si_signo=133689488)

    monkeypatch.setattr(signal, "sigtimedwait", garbage)
    stop = StopRequest()
    with answering(stop):  # Taken for a signal, it would end this process.
        while len(asked) < 3:
            time.sleep(0.001)
    assert stop.number is None


def test_answering_notes_a_deferred_signal(monkeypatch):
    found = [types.SimpleNamespace(si_signo=signal.SIGTERM)]
    monkeypatch.setattr(
        signal, "sigtimedwait", lambda signals, seconds: found.pop() if found else None
    )
    stop = StopRequest()
    stop.deferred = True
    with answering(stop):
        while stop.number is None:
            time.sleep(0.001)
    assert stop.number == signal.SIGTERM
    assert signal.SIGTERM in SIGNALS
