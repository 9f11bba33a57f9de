"""Tests of the loop over trainings; the commands' tests see the processes."""

import dataclasses

import pytest

from ram_tf.errors import RamError
from ram_tf.training.processes import Trainings, _error, train_each


@dataclasses.dataclass
class Job:
    """A training of nothing, which ends with an error or a result."""

    name: str
    result: str = ""
    error: str = ""
    signal: int | None = None
    trained: bool = False

    def found(self):
        return self.result

    def train(self, trainings):
        self.trained = True
        trainings.stopped_by = self.signal
        if self.error.startswith("raised"):
            raise RamError(self.error)
        self.result = "" if self.error else "95 %"
        return self.error


@pytest.mark.parametrize("at_a_time", [1, 2])
def test_unfinished_jobs_are_trained_and_errors_returned_by_name(at_a_time):
    jobs = [
        Job("old", result="90 %"),
        Job("new"),
        Job("bad", error="no data"),
        Job("worse", error="raised"),
    ]
    said = []
    errors = train_each(jobs, Trainings(at_a_time), said.append)
    assert errors == {"bad": "no data", "worse": "raised"}
    assert [job.trained for job in jobs] == [False, True, True, True]
    assert sorted(said) == [
        "[1/4] old: 90 %, finished before",
        "[2/4] new: 95 %",
        "[2/4] new: training",
        "[3/4] bad: failed, no data",
        "[3/4] bad: training",
        "[4/4] worse: failed, raised",
        "[4/4] worse: training",
    ]


def test_signal_ends_the_loop_without_a_word_of_failure():
    jobs, said = [Job("first", error="terminated", signal=15), Job("second")], []
    errors = train_each(jobs, Trainings(), said.append)
    assert errors == {"first": "terminated", "second": "stopped"}
    assert said == ["[1/2] first: training"] and not jobs[1].trained


def test_bars_of_several_trainings_are_not_shown():
    assert Trainings(1).show_progress and not Trainings(2).show_progress


def test_error_of_a_training_is_the_last_that_it_says():
    assert _error(1, b"error: first\nerror: second\nsaved\n") == "second"
