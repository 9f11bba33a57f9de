"""Finds a TFDS builder with its data, downloading them where the network allows."""

import contextlib
import functools
import io
import logging
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds
from absl import logging as absl_logging
from tensorflow_datasets.core.download import downloader

from ram_tf.errors import RamError, did_you_mean, one_line
from ram_tf.runtime.progress import on_terminal

_RETRIES = 2  # TFDS tries ten times, which takes minutes where there is no network.
_TIMEOUT = (10, 60)  # Seconds to connect, and to wait for more bytes.


def open_builder(dataset: str, data_dir: str = "") -> Any:
    """Returns a builder whose data are on disk.

    Args:
      dataset: TFDS name, or name/config.
      data_dir: where TFDS data are; "" is TFDS_DATA_DIR, else TFDS's default.

    Raises:
      RamError: for an unknown name, and for data that are neither there nor to be
        had; the message names the ways out.
    """
    folder = data_dir or os.environ.get("TFDS_DATA_DIR") or None
    with quiet():
        try:
            builder = tfds.builder(dataset, data_dir=folder)
        except tfds.core.registered.DatasetNotFoundError:
            known = ["mnist_sample", *tfds.list_builders()]
            raise RamError(
                f"--dataset={dataset}: expected a TFDS name, mnist_sample or "
                "folder:PATH; TFDS knows none of this name"
                + (_as_folder(dataset) or did_you_mean(dataset, known))
            ) from None
        except Exception as error:  # A builder may fail in any way.
            if hint := _as_folder(dataset):
                raise RamError(
                    f"--dataset={dataset}: expected a TFDS name, mnist_sample or "
                    f"folder:PATH{hint}"
                ) from None
            raise RamError(
                f"--dataset={dataset}: expected a set that TFDS can open in "
                f"{folder or 'its own folder'}, found: {one_line(error)}"
            ) from None
        if builder.is_prepared():
            return builder
        try:  # Another version than the installed TFDS makes.
            config = builder.builder_config
            settings = {"config": config.name} if config else {}
            return tfds.core.read_only_builder.builder_from_files(
                builder.name, data_dir=builder.data_dir_root, **settings
            )
        except Exception:  # Not there either, or not readable: make it.
            pass
        try:
            download(builder)
        except Exception as error:  # No network, no space, a changed archive, ...
            raise RamError(
                f"--dataset={dataset}: not in {builder.data_dir_root} and not to be "
                f"downloaded ({one_line(error)}); give the folder that holds it by "
                "--data_dir or TFDS_DATA_DIR, make it from archives with python -m "
                "ram_tf.data.prepare, or use mnist_sample, which comes with the "
                "package"
            ) from None
    return builder


def _as_folder(dataset: str) -> str:
    is_folder = bool(dataset) and pathlib.Path(dataset).is_dir()
    return f"; did you mean folder:{dataset}?" if is_folder else ""


def download(builder: Any) -> None:
    """Downloads and prepares, giving up soon; leaves no empty folders behind.

    On a terminal it shows the bars of TFDS: it may take minutes.
    """
    root = pathlib.Path(builder.data_dir_root)
    was_there = root.exists()
    try:
        with _impatient(), _bars():
            builder.download_and_prepare()
    except BaseException:
        made = [root / "downloads", pathlib.Path(builder.data_dir).parent]
        for folder in made:
            for inner, _, _ in os.walk(folder, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(inner)
        if not was_there:
            with contextlib.suppress(OSError):
                os.rmdir(root)
        raise


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    """Limits how often and how long TFDS tries; it has no setting for either."""
    retries, patient = downloader.MAX_RETRIES, downloader._open_url
    downloader.MAX_RETRIES = _RETRIES
    downloader._open_url = functools.partial(patient, timeout=_TIMEOUT)
    try:
        yield
    finally:
        downloader.MAX_RETRIES, downloader._open_url = retries, patient


@contextlib.contextmanager
def _bars() -> Iterator[None]:
    if on_terminal():
        tfds.enable_progress_bar()
    try:
        yield
    finally:
        tfds.disable_progress_bar()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps TFDS from progress bars, prints and warnings of repeated tries."""
    tfds.disable_progress_bar()
    retries = logging.getLogger("urllib3.connectionpool")
    level, verbosity = retries.level, absl_logging.get_verbosity()
    retries.setLevel(logging.ERROR)
    absl_logging.set_verbosity(absl_logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        retries.setLevel(level)
        absl_logging.set_verbosity(verbosity)
