"""Checkpoints: one file each, whole or not there, checked when read.

A checkpoint is an .npz archive (zip, with a CRC32 of every array) that holds every
variable and the loop's own state as JSON. One file can be replaced atomically;
TensorFlow's own checkpoints are three.
"""

import io
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from absl import logging

from ram_tf.errors import RamError, one_line
from ram_tf.files import read_arrays, write_atomic
from ram_tf.runtime.replicas import local_copies

_STATE = "state.json"


def save(
    path: pathlib.Path, variables: Mapping[str, Any], state: dict[str, Any]
) -> None:
    """Writes a checkpoint.

    Args:
      path: the file; its folder is made.
      variables: variables by a name that is unique and stable from run to run.
      state: anything that JSON can hold.

    Raises:
      RamError: when it cannot be written; an older file of that name is kept.
    """
    arrays: dict[str, Any] = {
        name: np.asarray(local_copies(v)[0]) for name, v in variables.items()
    }
    arrays[_STATE] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomic(path, buffer.getvalue())


class OtherConfig(RamError):
    """A checkpoint is whole, and of a run of another Config."""


def restore(
    path: pathlib.Path, variables: Mapping[str, Any], config_digest: str = ""
) -> dict[str, Any]:
    """Assigns a checkpoint to variables, all or none, and returns its state.

    Args:
      path: the file.
      variables: by the names that they were saved by.
      config_digest: that the checkpoint's must equal, if it has one; "" is any.

    Raises:
      RamError: when the file is missing, damaged, or of another model or Config.
    """
    arrays = read_arrays(path, "a whole checkpoint")
    state = _state(path, arrays.pop(_STATE, None), config_digest)
    for name, variable in variables.items():
        expected = f"{variable.dtype}{list(variable.shape)}"
        array = arrays.get(name)
        found = "nothing" if array is None else f"{array.dtype}{list(array.shape)}"
        if found != expected:
            raise RamError(f"{path}: expected {name} {expected}, found {found}")
    for name, variable in variables.items():
        for copy in local_copies(variable):
            copy.assign(arrays[name])
    return state


def _state(path: pathlib.Path, array: Any, config_digest: str) -> dict[str, Any]:
    """Returns the state of a checkpoint, checked."""
    try:
        state = json.loads(array.tobytes())
        step = state["step"]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RamError(
            f"{path}: expected a whole checkpoint, found: {one_line(error)}"
        ) from None
    if not isinstance(step, int):
        raise RamError(f"{path}: expected the number of a step, found {step!r}")
    found = state.get("config_digest", config_digest)
    if config_digest and found != config_digest:
        raise OtherConfig(
            f"{path}: expected a checkpoint of this Config (config_digest "
            f"{config_digest}), found one of another ({found})"
        )
    return state


class CheckpointFolder:
    """The newest N checkpoints of a run, and the best one apart.

    Args:
      folder: where they are.
      keep: how many of the newest are kept.
      config_digest: of the run; checkpoints of another are refused. "" takes any.
    """

    def __init__(
        self, folder: pathlib.Path, keep: int, config_digest: str = ""
    ) -> None:
        self.folder = folder
        self.keep = keep
        self.config_digest = config_digest
        self.best = folder / "best.npz"

    def at(self, step: int) -> pathlib.Path:
        """Returns where the checkpoint of a step is."""
        return self.folder / f"step_{step:012d}.npz"

    def newest(self) -> list[pathlib.Path]:
        """Returns the checkpoints by step, the newest first."""
        return sorted(self.folder.glob("step_*.npz"), reverse=True)

    def save(
        self, step: int, variables: Mapping[str, Any], state: dict[str, Any]
    ) -> None:
        """Writes the checkpoint of a step, then removes the oldest beyond `keep`."""
        saved = self.at(step)
        save(saved, variables, self._signed(state))
        # One of a later step is a damaged one that `restore` passed over.
        whole = [path for path in self.newest() if path <= saved]
        for path in whole[self.keep :]:
            path.unlink(missing_ok=True)

    def save_best(self, variables: Mapping[str, Any], state: dict[str, Any]) -> None:
        """Replaces the best checkpoint."""
        save(self.best, variables, self._signed(state))

    def read_best(self) -> dict[str, Any] | None:
        """Returns the state of the best checkpoint; None without a whole one."""
        try:
            arrays = read_arrays(self.best, "a whole checkpoint")  # All of it.
            return _state(self.best, arrays.get(_STATE), self.config_digest)
        except RamError:
            return None

    def check(self) -> None:
        """Checks that the newest whole checkpoint, if there is one, is of this Config.

        Raises:
          RamError: when it is of another.
        """
        for path in self.newest():
            try:
                arrays = read_arrays(path, "a whole checkpoint", [_STATE])
                _state(path, arrays[_STATE], self.config_digest)
                return
            except OtherConfig:
                raise
            except RamError:
                continue  # `restore` reports it.

    def _signed(self, state: dict[str, Any]) -> dict[str, Any]:
        digest = {"config_digest": self.config_digest} if self.config_digest else {}
        return {**state, **digest}

    def restore(self, variables: Mapping[str, Any]) -> dict[str, Any] | None:
        """Restores the newest checkpoint that is whole.

        Returns:
          Its state; None when there is no checkpoint at all.

        Raises:
          RamError: when there are checkpoints and none is whole: a run never starts
            again in silence. When one is of another Config.
        """
        paths = self.newest()
        for path in paths:
            try:
                return restore(path, variables, self.config_digest)
            except OtherConfig:
                raise
            except RamError as error:
                logging.warning("%s; trying the one before", error)
        if paths:
            raise RamError(
                f"{self.folder}: expected a whole checkpoint among {len(paths)}, found "
                "none; remove the folder to start again"
            )
        return None
