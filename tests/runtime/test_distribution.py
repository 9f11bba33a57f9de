"""Tests that devices and workers share a run: same numbers, same weights, same end."""

import json
import pathlib
import signal
import subprocess
import time

import numpy as np
import pytest
from helpers.processes import (
    ROOT,
    SMALL_RUN,
    assert_same_run,
    end,
    start,
    train,
    workers,
)

from ram_tf.errors import RamError
from ram_tf.runtime.cluster import Cluster

STEPS = 20
JOB = str(ROOT / "tests" / "helpers" / "distribution_job.py")


def job(out: pathlib.Path, *flags: str, environment=None) -> subprocess.Popen:
    words = [JOB, str(out), *SMALL_RUN, f"--train_steps={STEPS}", *flags]
    path = {"PYTHONPATH": f"{ROOT}:{ROOT}/tests"}
    return start(words, {**path, **(environment or {})})


def outcomes(processes: dict[pathlib.Path, subprocess.Popen]) -> list[dict]:
    """Waits for jobs; returns what each left."""
    found = []
    for path, process in processes.items():
        status, errors = end(process)
        assert status == 0, errors
        with np.load(path) as arrays:
            found.append(dict(arrays))
    return found


def assert_equal_runs(found: dict, expected: dict) -> None:
    """Checks the terms of every step, and the weights at the end."""
    terms = [name for name in expected if name.startswith("step ")]
    assert len(terms) == 7
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
    for name in terms:
        assert len(found[name]) == STEPS


def weights(found: dict, replica: int) -> dict:
    end_of_name = f"[{replica}]"
    return {
        name.removesuffix(end_of_name): value
        for name, value in found.items()
        if name.endswith(end_of_name)
    }


def assert_same_weights(one: dict, other: dict) -> None:
    assert one and one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], name)


# The clipped norm, and the deviation of the advantages, must be those of the whole
# batch, not of a replica's share. A large weight makes the advantages count.
RECIPES = {
    "adam": (),
    "clipped momentum": (
        "--optimizer=sgd",
        "--momentum=0.9",
        "--clip_norm=0.5",
        "--normalize_advantages",
        "--reinforce_weight=0.3",
    ),
}


def test_two_mirrored_devices_give_one_devices_numbers(tmp_path):
    flags = RECIPES["clipped momentum"]
    mirrored = (*flags, "--distribution=mirrored", "--cpu_devices=2")
    one, two = outcomes(
        {
            tmp_path / "one.npz": job(tmp_path / "one.npz", *flags),
            tmp_path / "two.npz": job(tmp_path / "two.npz", *mirrored),
        }
    )
    assert_equal_runs(two, one)
    assert_same_weights(weights(two, 0), weights(two, 1))


@pytest.mark.faults
@pytest.mark.parametrize("recipe", RECIPES)
def test_two_workers_give_one_devices_numbers(recipe, tmp_path):
    flags = (*RECIPES[recipe], "--num_rollouts=2")
    joint = (*flags, "--distribution=multi_worker")
    processes = {tmp_path / "one.npz": job(tmp_path / "one.npz", *flags)}
    for number, environment in enumerate(workers(2)):
        out = tmp_path / f"worker{number}.npz"
        processes[out] = job(out, *joint, environment=environment)
    one, chief, other = outcomes(processes)
    assert_equal_runs(chief, one)
    assert_same_weights(weights(chief, 0), weights(other, 0))


def train_workers(run: pathlib.Path, count: int = 2) -> list[subprocess.Popen]:
    flag = "--distribution=multi_worker"
    return [train(run, flag, environment=of_one) for of_one in workers(count)]


def wait_for_steps(run: pathlib.Path, job: list[subprocess.Popen]) -> None:
    deadline = time.monotonic() + 300
    while not list((run / "checkpoints").glob("step_*")):
        assert all(process.poll() is None for process in job), [map(end, job)]
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def whole_job(tmp_path_factory):
    """The run of an undisturbed job of two workers."""
    run = tmp_path_factory.mktemp("whole") / "run"
    for process in train_workers(run):
        status, errors = end(process)
        assert status == 0, errors
    return run


@pytest.mark.faults
def test_only_the_chief_of_a_job_writes(whole_job):
    # One events file of TensorBoard a process that logs.
    assert len(list((whole_job / "logs").iterdir())) == 1
    results = json.loads((whole_job / "results.json").read_text())
    assert results["config"]["distribution"] == "multi_worker"


def test_local_workers_need_a_number():
    """Fast, so that a name that the script alone imports is missed at once."""
    status, errors = end(start(["experiments/local_workers.py"], {}))
    assert status == 1
    assert errors.strip() == (
        "error: expected a number of workers and the flags of ram_tf.train"
    )


@pytest.mark.faults
def test_local_workers_make_the_same_job(whole_job, tmp_path):
    # Its own flag stands above one that a flagfile may give.
    flags = [*SMALL_RUN, "--distribution=one", f"--run_dir={tmp_path / 'run'}"]
    words = ["experiments/local_workers.py", "2", *flags]
    status, errors = end(start(words, {"PYTHONPATH": f"{ROOT}:{ROOT}/tests"}))
    assert status == 0, errors
    assert_same_run(tmp_path / "run", whole_job)


@pytest.mark.faults
@pytest.mark.parametrize("victim", [0, 1])
def test_lost_worker_ends_the_job_which_then_resumes(victim, whole_job, tmp_path):
    run = tmp_path / "run"
    processes = train_workers(run)
    wait_for_steps(run, processes)
    lost = processes.pop(victim)
    killed = time.monotonic()
    lost.kill()
    for process in processes:
        status, errors = end(process, seconds=120)
        assert status == 1, errors
        assert f"error: lost worker {victim} (127.0.0.1:" in errors.splitlines()[-1]
        assert "Traceback" not in errors
    assert time.monotonic() - killed < 120
    assert end(lost)[0] == -signal.SIGKILL
    for process in train_workers(run):
        status, errors = end(process)
        assert status == 0, errors
    assert_same_run(run, whole_job)


@pytest.mark.faults
def test_signal_to_one_worker_stops_and_saves_all(whole_job, tmp_path):
    run = tmp_path / "run"
    processes = train_workers(run)
    wait_for_steps(run, processes)
    processes[1].send_signal(signal.SIGTERM)
    for process in processes:
        status, errors = end(process)
        assert status == 128 + signal.SIGTERM, errors
        assert "checkpoint saved" in errors.splitlines()[-1]
    for process in train_workers(run):
        assert end(process)[0] == 0
    assert_same_run(run, whole_job)


def configure(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text if isinstance(text, str) else json.dumps(text))


def test_cluster_puts_the_chief_first(monkeypatch):
    jobs = {"worker": ["b:1", "c:2"], "chief": ["a:3"]}
    me = {"type": "worker", "index": 1}
    configure(monkeypatch, {"cluster": jobs, "task": me})
    cluster = Cluster.from_environment()
    assert cluster.names == ("chief 0", "worker 0", "worker 1")
    assert cluster.addresses == ("a:3", "b:1", "c:2")
    assert cluster.index == 2 and not cluster.is_chief
    assert cluster.describe([0, 2]) == "chief 0 (a:3), worker 1 (c:2)"


ALONE = {"type": "worker", "index": 0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the environment variable TF_CONFIG is required"),
        ("{", "TF_CONFIG: expected {"),
        ("[]", "TF_CONFIG: expected {"),
        ({"cluster": {"worker": ["a:1"]}}, "TF_CONFIG: expected {"),
        (
            {"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}},
            "with this process in the cluster",
        ),
        ({"cluster": {"worker": ["a"]}, "task": ALONE}, "expected HOST:PORT"),
        (
            {"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": ALONE},
            "expected the jobs chief and worker",
        ),
    ],
)
def test_broken_tf_config_is_told_in_one_line(text, message, monkeypatch):
    configure(monkeypatch, text)
    with pytest.raises(RamError, match=message) as caught:
        Cluster.from_environment()
    assert "\n" not in str(caught.value)


def cluster_of(count, index=0):
    environment = json.loads(workers(count)[index]["TF_CONFIG"])
    addresses = tuple(environment["cluster"]["worker"])
    return Cluster(tuple(f"worker {i}" for i in range(count)), addresses, index)


def test_lost_worker_is_the_one_that_takes_no_connection(monkeypatch):
    monkeypatch.setattr("ram_tf.runtime.cluster._CONNECT_SECONDS", 0.1)
    cluster = cluster_of(2)
    error = RuntimeError("Graph\nCollective ops is aborted by: Connection reset\nMore")
    message = str(cluster.loss(error))
    assert message.startswith(f"lost worker 1 ({cluster.addresses[1]}): Connection")


@pytest.mark.parametrize(
    ("index", "text", "expected"),
    [
        (0, "unhealthy: /job:worker/replica:0/task:2 stopped", "lost worker 2 ("),
        (
            1,
            "Deadline Exceeded RPC: /tensorflow.CoordinationService/H",
            "lost worker 0 (",
        ),
        (0, "no idea", "lost a worker: "),
    ],
)
def test_silent_worker_is_the_one_that_tensorflow_names(
    index, text, expected, monkeypatch
):
    monkeypatch.setattr("ram_tf.runtime.cluster._CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(Cluster, "silent", lambda self: [])
    message = str(cluster_of(3, index).loss(RuntimeError(text)))
    assert message.startswith(expected) and "\n" not in message


def test_joining_gives_up_on_workers_that_never_come():
    said = []
    cluster = cluster_of(2)
    with cluster.joining(0.5, said.append):
        time.sleep(2.5)
    assert str(said[0]) == (
        "expected 2 workers within 0 s, found none at worker 1 "
        f"({cluster.addresses[1]})"
    )
