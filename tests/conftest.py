"""What every test shares: fixed seeds, small models, and one small trained run."""

import contextlib
import fcntl
import os
import pathlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
from helpers.chromium import started
from helpers.processes import TINY_RUN

# A busy machine is no fault of the code, and a failure must come back when looked for.
hypothesis.settings.register_profile("tests", deadline=None, derandomize=True)
hypothesis.settings.load_profile("tests")

# Before anything imports TensorFlow.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Shells start background jobs with an ignored SIGINT, which every child inherits; the
# tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture
def make_model() -> Callable:
    """Makes small recurrent attention models: 12x12 images, 5 classes, 3 glimpses."""
    from ram_tf.models.recurrent_attention import RecurrentAttentionModel

    def make(image_shape=(12, 12, 1), **settings):
        small = {
            "num_classes": 5,
            "patch_size": 4,
            "num_glimpses": 3,
            "core": "rnn",
            "core_units": 8,
            "glimpse_units": 8,
        }
        model = RecurrentAttentionModel(**{**small, **settings})
        model.build((None, *image_shape))
        return model

    return make


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium for the tests of a module."""
    with started(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="session")
def tiny_run(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Iterator[pathlib.Path]:
    """The folder of a finished run on the embedded digits, for all workers one."""
    from ram_tf.train import main

    root = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        root = root.parent
    flagfile = root / "flagfiles" / "tiny.cfg"
    with _locked(root / "tiny_run.lock"):
        flagfile.parent.mkdir(exist_ok=True)
        flagfile.write_text("\n".join(TINY_RUN))
        # A second worker finds the run finished and only prints its result.
        run = root / "tiny_run"
        assert main([f"--flagfile={flagfile}", f"--run_dir={run}"]) == 0
    yield run


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[None]:
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
