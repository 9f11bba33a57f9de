"""The folder of a run: who owns it, what it runs, what it found.

Over 250 lines: each file of the folder is written, checked and read back here.
"""

import contextlib
import fcntl
import itertools
import os
import pathlib
from typing import Any

from ram_tf.config import Config, flag_text
from ram_tf.errors import RamError
from ram_tf.files import read_json, to_json, write_atomic
from ram_tf.flags import flagfile_line
from ram_tf.runs.data_changes import data_changes
from ram_tf.runs.trained_on import TrainedOn


class RunDirectory:
    """Names the files of one run.

    Args:
      path: the folder.

    Raises:
      RamError: when the path is empty.
    """

    def __init__(self, path: str | pathlib.Path) -> None:
        if not str(path):
            raise RamError("--run_dir: expected a folder, found none")
        self.path = pathlib.Path(path)
        self.flags = self.path / "flags.cfg"
        self.config = self.path / "config.json"
        self.class_names = self.path / "class_names.json"
        self.data = self.path / "data.json"
        self.initial_weights = self.path / "initial_weights.json"
        self.checkpoints = self.path / "checkpoints"
        self.logs = self.path / "logs"
        self.curve = self.path / "curve.csv"
        self.examples = self.path / "examples.npz"
        self.evaluation = self.path / "evaluation.json"
        self.results = self.path / "results.json"
        self._lock: Any = None
        self._made = False  # Whether `claim` made the folder.

    def claim(self) -> None:
        """Makes the folder and takes its lock, which the kernel frees with the process.

        Raises:
          RamError: when another process has it, or the folder cannot be made.
        """
        try:
            self._made = not self.path.exists()
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.path / ".lock", "w")  # noqa: SIM115
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name.
            reason = getattr(error, "strerror", None) or error
            raise RamError(
                f"--run_dir={self.path}: expected a folder to write to, found: {reason}"
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(self._lock.fileno()).st_nlink == 0:
                raise BlockingIOError  # Its owner was just removing it.
        except OSError as error:
            self._lock.close()
            raise RamError(
                f"--run_dir={self.path}: expected no other run in it, found one that "
                "is running"
                if isinstance(error, BlockingIOError)
                else f"--run_dir={self.path}: expected a file system that locks files, "
                f"found: {error.strerror}"
            ) from None
        # What a killed run was writing. Folders are those of another command.
        for folder in (self.path, self.checkpoints, self.logs):
            for path in folder.glob(".*.tmp"):
                if not path.is_dir():
                    path.unlink(missing_ok=True)

    def release(self) -> None:
        """Gives the lock back; a folder that it made and left empty is removed."""
        if self._lock is not None:
            with contextlib.suppress(OSError):  # Another run has just come.
                if self._made and os.listdir(self.path) == [".lock"]:
                    os.unlink(self.path / ".lock")
                    self.path.rmdir()
            self._lock.close()
            self._lock = None

    def check(self, config: Config) -> None:
        """Checks that the folder holds no run, or one of the same Config.

        A run that ended before its first checkpoint has nothing to lose: any Config
        may take its place.

        Raises:
          RamError: when it holds a run of another Config, whose fields the message
            names, or results without a Config.
        """
        if self.results.exists() and not self.config.exists():
            raise RamError(
                f"--run_dir={self.path}: expected config.json beside its results.json, "
                "found none; restore it, move this folder away, or give another"
            )
        if not self.holds_run():
            return
        before = self.read_config()
        names = config.differences(before)
        if names:
            changes = ", ".join(
                f"{name}={getattr(before, name)} (now {getattr(config, name)})"
                for name in names
            )
            raise RamError(
                f"--run_dir={self.path}: expected the Config of the run that it "
                f"holds, found other values: {changes}; move this folder away, or give "
                "another"
            )

    def check_classes(self, class_names: list[str]) -> None:
        """Checks that a run's data still have the classes that it was trained on.

        A folder of images could have one more or less, or another name: then labels
        would mean other classes.

        Raises:
          RamError: when they differ; the message names the first that does.
        """
        if not self.holds_run() or not self.class_names.exists():
            return
        before = self.read_class_names()
        if before != class_names:
            raise other_classes(f"--run_dir={self.path}", before, class_names)

    def check_data(self, records: dict[str, Any]) -> None:
        """Checks that a run's data are the ones that it began with.

        A run of an earlier version has no record of them, and passes.

        Args:
          records: what the source says of its data now.

        Raises:
          RamError: when they differ; the message names what did.
        """
        before = self._read_data() if self.holds_run() else None
        changes = data_changes(before, records) if before else []
        if changes:
            raise RamError(
                f"--run_dir={self.path}: expected the data that the run began with, "
                f"found other: {'; '.join(changes)}; restore them, or train anew in "
                "another folder"
            )

    def begin(
        self,
        config: Config,
        class_names: list[str],
        records: dict[str, Any] | None = None,
        initial_weights: dict[str, Any] | None = None,
    ) -> None:
        """Writes the run's Config and classes, unless the folder holds its run already.

        Args:
          config: the run's.
          class_names: of its data, in the order of their labels.
          records: what its source says of its data.
          initial_weights: what is known of the weights that it begins with.

        Raises:
          RamError: when a value has several lines, which no flagfile can hold: nothing
            is written then; or when a file cannot be written.
        """
        if self.holds_run():
            return
        lines = [
            flagfile_line(name, flag_text(value))
            for name, value in config.as_given().items()
        ]
        write_atomic(self.class_names, to_json(class_names))
        if records is not None:
            write_atomic(self.data, to_json(records))
        # Of an earlier run that never saved anything.
        self.initial_weights.unlink(missing_ok=True)
        if initial_weights is not None:
            write_atomic(self.initial_weights, to_json(initial_weights))
        # Names of files may be bytes that are no text.
        write_atomic(self.flags, os.fsencode("\n".join(lines) + "\n"))
        write_atomic(self.config, to_json(config.to_dict()))

    def read_warnings(self) -> list[str]:
        """Reads what stands against the run's accuracy, in lines; mostly nothing.

        Raises:
          RamError: when the file that says so is broken.
        """
        warnings = self._read_initial_weights().get("warnings", [])
        if not isinstance(warnings, list):
            raise RamError(f"{self.initial_weights}: expected a list as warnings")
        return warnings

    def read_trained_on(self) -> TrainedOn:
        """Reads which images the run's weights were trained on, in it and before it.

        Raises:
          RamError: when a file that says so is broken.
        """
        own = TrainedOn.of(self._read_data(), self.path.resolve().name)
        saved = self._read_initial_weights().get("trained_on")
        if saved is None:
            return own
        return own | TrainedOn.from_json(saved, self.initial_weights)

    def read_class_names(self) -> list[str]:
        """Reads the classes of the run, in the order of their labels.

        Raises:
          RamError: when they are missing, or their file is broken.
        """
        names = read_json(self.class_names)
        if not isinstance(names, list):
            raise RamError(f"{self.class_names}: expected a list of names")
        return names

    def holds_run(self) -> bool:
        """Returns whether a run is in it that has something to lose."""
        saved = self.results.exists() or any(self.checkpoints.glob("*.npz"))
        return saved and self.config.exists()

    def read_finished_config(self) -> Config:
        """Reads the Config of a run that ended.

        Raises:
          RamError: when there is no run, or one that did not end.
        """
        config = self.read_config()
        if not self.results.exists():
            raise RamError(
                f"--run_dir={self.path}: expected a finished run, found no "
                "results.json; the train command that began it resumes it"
            )
        return config

    def read_config(self) -> Config:
        """Reads the run's Config.

        Raises:
          RamError: when there is none, or it is broken.
        """
        if not self.config.exists():
            raise RamError(
                f"--run_dir={self.path}: expected a run of ram_tf.train, found none"
                f"{'' if self.path.exists() else '; there is no such folder'}"
            )
        values = read_json(self.config)
        if not isinstance(values, dict):
            raise RamError(f"{self.config}: expected an object of flags")
        if "registered_name" in values:  # As Keras saves a model.
            raise RamError(
                f"--run_dir={self.path}: expected a run of ram_tf.train, found a "
                f"preset, which is given as preset:{self.path}"
            )
        try:
            return Config.from_dict(values)
        except RamError as error:
            raise RamError(f"{self.config}: {error}") from None

    def _read_data(self) -> dict[str, Any] | None:
        """Returns the record of the data; None of a run of an earlier version."""
        if not self.data.exists():
            return None
        record = read_json(self.data)
        if (
            not isinstance(record, dict)
            or not isinstance(record.get("dataset"), str)
            or not isinstance(record.get("splits"), dict)
        ):
            raise RamError(f"{self.data}: expected an object of the run's data")
        return record

    def _read_initial_weights(self) -> dict[str, Any]:
        """Returns what is known of the weights that it began with."""
        if not self.initial_weights.exists():
            return {}
        saved = read_json(self.initial_weights)
        if not isinstance(saved, dict):
            raise RamError(f"{self.initial_weights}: expected an object")
        if isinstance(saved.get("trained_on"), list):  # As of an earlier version.
            contents, names = saved["trained_on"], saved.get("unrecorded", [])
            lists = {"contents": contents, "cuts": [], "unrecorded": names}
            saved = {**saved, "trained_on": lists}
        return saved


def first_other_class(before: list[str], now: list[str]) -> tuple[str, str]:
    """Returns the first class that is not as before: what it was, and what it is."""
    pairs = itertools.zip_longest(before, now, fillvalue="none")
    return next(pair for pair in pairs if pair[0] != pair[1])


def other_classes(where: str, before: list[str], now: list[str]) -> RamError:
    """Returns the error of data whose classes are not those of a model's training."""
    old, new = first_other_class(before, now)
    return RamError(
        f"{where}: expected data of the {len(before)} classes of its training, found "
        f"{len(now)}, with {new} where {old} was"
    )
