"""Real runs of `python -m ram_tf.train` in processes of their own, for fault tests."""

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ram_tf.runtime.cluster import local_configs

ROOT = pathlib.Path(__file__).parents[2]

# Small enough for seconds, large enough to learn.
TINY_RUN = [
    "--dataset=mnist_sample",
    "--validation_size=500",
    "--patch_size=12",
    "--num_scales=2",
    "--num_glimpses=3",
    "--core=rnn",
    "--core_units=32",
    "--glimpse_units=32",
    "--batch_size=100",
    "--train_steps=300",
    "--learning_rate=3e-3",
    "--eval_every=150",
    "--checkpoint_every=100",
    "--eval_rollouts=2",
    "--jit_compile=off",
]
# Seconds of training, with a checkpoint or an evaluation every few milliseconds.
SMALL_RUN = (
    "--dataset=mnist_sample",
    "--validation_size=200",
    "--num_glimpses=2",
    "--core=rnn",
    "--core_units=16",
    "--glimpse_units=16",
    "--batch_size=8",
    "--train_steps=600",
    "--weight_average=0.9",
    "--eval_every=50",
    "--checkpoint_every=20",
    "--steps_per_call=20",
    "--eval_rollouts=1",
    "--jit_compile=off",
)
# What may differ between two runs of the same numbers, by design.
FREE_RESULTS = (
    "wall_seconds",
    "evaluation_seconds",
    "images_per_second",
    "commit",
    "versions",
)


def start(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    before: Callable[[], None] | None = None,
) -> subprocess.Popen:
    """Starts `python COMMAND...` in the source tree; output is kept in pipes."""
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,
    )


def train(
    run_dir: pathlib.Path,
    *flags: str,
    environment: Mapping[str, str] | None = None,
    before: Callable[[], None] | None = None,
) -> subprocess.Popen:
    """Starts a small run."""
    words = ["-m", "ram_tf.train", *SMALL_RUN, f"--run_dir={run_dir}", *flags]
    return start(words, environment, before)


def end(process: subprocess.Popen, seconds: float = 300) -> tuple[int, str]:
    """Waits for a process; returns its status and what it said to standard error."""
    try:
        _, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        _, errors = process.communicate()
        raise AssertionError(f"still there after {seconds} s: {errors}") from None
    return process.returncode, errors


def workers(count: int) -> list[dict[str, str]]:
    """Returns the environment of each worker of a job on free ports of this machine."""
    return [{"TF_CONFIG": text} for text in local_configs(count)]


def assert_same_run(run: pathlib.Path, reference: pathlib.Path) -> None:
    """Checks that two finished runs left the same, bit for bit."""
    for path in ("curve.csv", "evaluation.json", "examples.npz", "flags.cfg"):
        assert _text(run / path) == _text(reference / path), path
    mine, theirs = _results(run), _results(reference)
    assert mine == theirs
    last = f"checkpoints/step_{mine['train_steps']:012d}.npz"
    for path in (last, "checkpoints/best.npz"):
        assert_same_arrays(run / path, reference / path)
    leftovers = [path for path in run.rglob("*") if path.name.endswith(".tmp")]
    assert not leftovers


def assert_same_arrays(one: pathlib.Path, other: pathlib.Path) -> None:
    """Checks that two checkpoints hold the same but for the time that they took."""
    with np.load(one) as mine, np.load(other) as theirs:
        assert mine.files == theirs.files
        for name in mine.files:
            if name == "state.json":
                assert _state(mine[name]) == _state(theirs[name])
            else:
                np.testing.assert_array_equal(mine[name], theirs[name], name)


def _state(encoded: np.ndarray) -> dict:
    state = json.loads(encoded.tobytes())
    return {name: state[name] for name in state if name != "wall_seconds"}


def _results(run: pathlib.Path) -> dict:
    results = json.loads((run / "results.json").read_text())
    for name in FREE_RESULTS:
        del results[name]
    del results["config"]["run_dir"]
    return results


def _text(path: pathlib.Path) -> bytes:
    content = path.read_bytes()
    if path.name == "flags.cfg":
        lines = content.splitlines()
        content = b"\n".join(x for x in lines if not x.startswith(b"--run_dir"))
    return content
