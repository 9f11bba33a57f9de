"""The combinations of a sweep, read from "learning_rate=1e-3,3e-3 core=rnn,lstm"."""

import dataclasses
import hashlib
import itertools
import os
import urllib.parse
from typing import Any

from ram_tf.config import Config, flag_text, parse_value
from ram_tf.errors import RamError, did_you_mean
from ram_tf.files import shown

_LONGEST = 200  # Letters of a folder's name; temporary files beside it need some more.


@dataclasses.dataclass(frozen=True)
class Combination:
    """One combination of the swept settings.

    Attributes:
      values: a value for every swept field, in the order of the grid.
    """

    values: dict[str, Any]

    @property
    def name(self) -> str:
        """As people read it: "learning_rate=0.001 core=rnn"."""
        return " ".join(f"{name}={text}" for name, text in self.texts.items())

    @property
    def folder(self) -> str:
        """The name of its folder, a function of the values alone.

        Of many fields the end is a digest: a name has at most 255 bytes.
        """
        words = (f"{name}={flag_text(value)}" for name, value in self.values.items())
        # As bytes: a path in a value may be no text.
        whole = urllib.parse.quote(os.fsencode(",".join(words)), safe="=,:# ")
        if len(whole) <= _LONGEST:
            return whole
        digest = hashlib.sha256(whole.encode()).hexdigest()[:16]
        return f"{whole[: _LONGEST - len(digest) - 1]},{digest}"

    @property
    def texts(self) -> dict[str, str]:
        """The values as flags have them, to print."""
        return {name: shown(flag_text(value)) for name, value in self.values.items()}

    def config(self, given: dict[str, Any]) -> Config:
        """Returns the Config of its runs.

        Args:
          given: the values of the flags that all runs share.

        Raises:
          RamError: when the values do not go together.
        """
        try:
            return Config(**{**given, **self.values})
        except RamError as error:
            raise RamError(f"--grid, {self.name}: {error}") from None


def read_grid(text: str) -> list[Combination]:
    """Reads a grid: words name=value,value,... separated by spaces.

    Returns:
      Every combination; the last field varies fastest.

    Raises:
      RamError: when a field is unknown or does not change the numbers, or a value does
        not fit it.
    """
    fields = {field.name: field for field in dataclasses.fields(Config)}
    axes: dict[str, list[Any]] = {}
    for word in text.split():
        name, equals, values = word.partition("=")
        # Nothing is a value too where it is the default, as of initial_weights.
        may_be_empty = name in fields and fields[name].default == ""
        if not equals or not (may_be_empty or all(values.split(","))):
            raise RamError(
                f"--grid: expected name=value,value, as learning_rate=1e-3,3e-3, "
                f"found {word!r}"
            )
        if name not in fields:
            hint = did_you_mean(name, fields, ", ")
            raise RamError(f"--grid: {name}: unknown field of Config{hint}")
        if name == "seed":
            raise RamError("--grid: seed: expected in --seeds, which makes a mean")
        if not fields[name].metadata["changes_numbers"]:
            raise RamError(f"--grid: {name}: expected a field that changes the numbers")
        try:
            read = [parse_value(fields[name], value) for value in values.split(",")]
        except RamError as error:
            raise RamError(f"--grid: {error}") from None
        if name in axes or len(set(read)) < len(read):
            raise RamError(f"--grid: {word}: expected every field and value once")
        axes[name] = read
    if not axes:
        raise RamError("--grid is required, as --grid='learning_rate=1e-3,3e-3'")
    return [
        Combination(dict(zip(axes, values, strict=True)))
        for values in itertools.product(*axes.values())
    ]
