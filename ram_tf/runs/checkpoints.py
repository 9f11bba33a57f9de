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


def restore(path: pathlib.Path, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Assigns a checkpoint to variables, all or none, and returns its state.

    Raises:
      RamError: when the file is missing, damaged, or of another model.
    """
    arrays = read_arrays(path, "a whole checkpoint")
    try:
        state = json.loads(arrays.pop(_STATE).tobytes())
        step = state["step"]
    except (KeyError, TypeError, ValueError) as error:
        raise RamError(
            f"{path}: expected a whole checkpoint, found: {one_line(error)}"
        ) from None
    if not isinstance(step, int):
        raise RamError(f"{path}: expected the number of a step, found {step!r}")
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


class CheckpointFolder:
    """The newest N checkpoints of a run, and the best one apart.

    Args:
      folder: where they are.
      keep: how many of the newest are kept.
    """

    def __init__(self, folder: pathlib.Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep
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
        save(self.at(step), variables, state)
        for path in self.newest()[self.keep :]:
            path.unlink(missing_ok=True)

    def save_best(self, variables: Mapping[str, Any], state: dict[str, Any]) -> None:
        """Replaces the best checkpoint."""
        save(self.best, variables, state)

    def restore(self, variables: Mapping[str, Any]) -> dict[str, Any] | None:
        """Restores the newest checkpoint that is whole.

        Returns:
          Its state; None when there is no checkpoint at all.

        Raises:
          RamError: when there are checkpoints and none is whole: a run never starts
            again in silence.
        """
        paths = self.newest()
        for path in paths:
            try:
                return restore(path, variables)
            except RamError as error:
                logging.warning("%s; trying the one before", error)
        if paths:
            raise RamError(
                f"{self.folder}: expected a whole checkpoint among {len(paths)}, found "
                "none; remove the folder to start again"
            )
        return None
