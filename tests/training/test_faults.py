"""Real runs, killed, interrupted and starved of disk: all end as one never stopped.

RAM_TF_TEST_KILLS says how many moments to kill at (20). Moments are drawn from a seed,
and scaled by how long the undisturbed run took here.
"""

import contextlib
import functools
import os
import pathlib
import random
import resource
import signal
import statistics
import time

import pytest
from helpers.processes import assert_same_run, end, train

pytestmark = pytest.mark.faults

KILLS = int(os.environ.get("RAM_TF_TEST_KILLS", "20"))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """An undisturbed run: folder, seconds, and seconds to its first checkpoint."""
    run = tmp_path_factory.mktemp("reference") / "run"
    started = time.monotonic()
    process = train(run)
    wait_for(lambda: checkpoints(run), process)
    first = time.monotonic() - started
    status, errors = end(process)
    assert status == 0, errors
    return run, time.monotonic() - started, first


def checkpoints(run: pathlib.Path) -> list[pathlib.Path]:
    return sorted((run / "checkpoints").glob("step_*.npz"))


def wait_for(condition, process, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_first(run, process):
    """Waits for the first checkpoint, or the end: a run can be fast."""
    wait_for(lambda: checkpoints(run) or (run / "results.json").exists(), process)


def newer(run, before):
    return checkpoints(run)[-1:] > before[-1:]


def assert_resumes(run: pathlib.Path, reference: pathlib.Path) -> str:
    """The same command goes on, and leaves what the reference did."""
    status, errors = end(train(run))
    assert status == 0, errors
    assert_same_run(run, reference)
    return errors


@pytest.mark.parametrize("number", range(KILLS))
def test_killed_run_ends_identical(number, reference, tmp_path):
    undisturbed, seconds, first = reference
    moment = random.Random(number).random()
    run = tmp_path / "run"
    while True:
        process = train(run)
        # Every other kill falls into training: starting takes longer than that here.
        if number % 2:
            wait_for_first(run, process)
            time.sleep(moment * (seconds - first))
        else:
            time.sleep(moment * seconds)
        process.kill()
        status, _ = end(process)
        if status == -signal.SIGKILL:
            break
        # It was faster than the reference and has finished: somewhat earlier then.
        moment /= 2
        # Of the same name: a run without a flagfile is named after its folder.
        run = tmp_path / f"{moment}" / "run"
    assert_resumes(run, undisturbed)


def test_run_killed_again_and_again_ends_identical(reference, tmp_path):
    undisturbed, _, _ = reference
    run = tmp_path / "run"
    for _ in range(3):
        before = checkpoints(run)
        process = train(run)
        wait_for(functools.partial(newer, run, before), process)
        process.kill()
        end(process)
    assert_resumes(run, undisturbed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_in_training_is_answered_soon_and_resumed(number, reference, tmp_path):
    undisturbed, _, _ = reference
    run = tmp_path / "run"
    process = train(run)
    wait_for(lambda: len(checkpoints(run)) > 1, process)
    second = train(run)  # Meanwhile nobody else gets in.
    status, errors = end(second)
    assert status == 1
    assert errors.splitlines() == [
        f"error: --run_dir={run}: expected no other run in it, found one that is "
        "running"
    ]
    if process.poll() is None:
        started = time.monotonic()
        process.send_signal(number)
        status, errors = end(process)
        assert status == 128 + number
        # A compiled call takes at most one second, and then it saves; the rest is slack
        # for a busy machine.
        assert time.monotonic() - started < 10
        assert errors.splitlines()[-1].startswith(f"stopped by signal {number}")
        assert "Traceback" not in errors
    assert_resumes(run, undisturbed)


def test_signal_at_the_start_is_answered_at_once(tmp_path):
    process = train(tmp_path / "run")
    wait_for((tmp_path / "run" / ".lock").exists, process)
    time.sleep(0.5)
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    status, errors = end(process)
    assert time.monotonic() - started < 5
    assert status == 128 + signal.SIGTERM
    assert "Traceback" not in errors


def test_damaged_newest_checkpoint_is_told_and_the_one_before_used(reference, tmp_path):
    undisturbed, _, _ = reference
    run = tmp_path / "run"
    process = train(run)
    wait_for(lambda: len(checkpoints(run)) > 2, process)
    process.kill()
    end(process)
    newest = checkpoints(run)[-1]
    newest.write_bytes(newest.read_bytes()[:-200])
    errors = assert_resumes(run, undisturbed)
    assert f"{newest}: expected a whole checkpoint" in errors
    assert "trying the one before" in errors


@pytest.mark.parametrize("size", [200, 5_000, 30_000])
def test_full_disk_is_told_in_one_line_and_resumed(size, reference, tmp_path):
    undisturbed, _, _ = reference
    run = tmp_path / "run"

    def fill():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    status, errors = end(train(run, before=fill))
    assert status == 1, errors
    last = errors.splitlines()[-1]
    assert last.startswith(f"error: {run}") and "File too large" in last, errors
    assert "Traceback" not in errors
    assert not [path for path in run.rglob("*.tmp")]
    assert_resumes(run, undisturbed)


def test_diverging_run_names_step_and_term(tmp_path):
    run = tmp_path / "run"
    flags = ("--optimizer=sgd", "--learning_rate=1e30")
    status, errors = end(train(run, *flags))
    assert status == 1
    last = errors.splitlines()[-1]
    assert last.startswith("error: step ") and "found a bad" in last, errors
    assert "Traceback" not in errors
    assert not (run / "results.json").exists()


def test_memory_of_a_long_run_is_flat(tmp_path):
    run = tmp_path / "run"
    flags = (
        "--train_steps=20000",
        "--eval_every=500",
        "--checkpoint_every=500",
        "--steps_per_call=100",
    )
    process = train(run, *flags)
    status_file = pathlib.Path(f"/proc/{process.pid}/status")
    found = {}  # Step to MB.
    while process.poll() is None:
        steps = [int(path.stem.removeprefix("step_")) for path in checkpoints(run)]
        # What comes behind the last step is no training.
        if steps and steps[-1] < 20_000:
            with contextlib.suppress(OSError, StopIteration):
                lines = status_file.read_text().splitlines()
                line = next(line for line in lines if line.startswith("VmRSS"))
                found.setdefault(steps[-1], int(line.split()[1]) / 1024)
        time.sleep(0.02)
    status, errors = end(process)
    assert status == 0, errors
    # A leak grows with the steps. The allocator alone adds some 5 MB from the second
    # quarter to the last, and single readings differ by up to 8 MB: hence medians.
    second = [size for step, size in found.items() if 5_000 <= step < 10_000]
    last = [size for step, size in found.items() if step >= 15_000]
    assert min(len(second), len(last)) > 4
    assert statistics.median(last) - statistics.median(second) < 15, found
