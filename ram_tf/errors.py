"""The errors and warnings of what a user does or can put right."""

import difflib
import re
import sys
import warnings
from collections.abc import Iterable, Mapping
from typing import Any


class RamError(ValueError):
    """A fault in what was given: a flag, a file, a shape or a value.

    The message is one line that says what was wrong, where, and what was
    expected and found. Commands print it and exit with status 1.
    """


def one_line(error: BaseException, limit: int = 200) -> str:
    """Returns what another library's error says, on one line of bounded length."""
    said = getattr(error, "strerror", None) or getattr(error, "message", None) or error
    # TensorFlow puts nodes and operations around what it says.
    said = re.sub(r"\{\{.*?\}\}|\[Op:\w+\]( name:)?", " ", str(said))
    text = " ".join(said.split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."


def did_you_mean(
    given: str, known: Iterable[str], lead: str = "; ", prefix: str = ""
) -> str:
    """Returns the end of a message that names what is near, or nothing where none is.

    Args:
      given: what was mistyped.
      known: what it could be.
      lead: what stands before the hint.
      prefix: what a name has before it in the message, as a flag has two dashes.
    """
    near = difflib.get_close_matches(given, list(known), 1)
    return f"{lead}did you mean {prefix}{near[0]}?" if near else ""


def few_of(names: Iterable[str], count: int = 5, separator: str = ", ") -> str:
    """Returns the first few names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - count} more" if len(listed) > count else ""
    return separator.join(listed[:count]) + more


def warn(text: str) -> None:
    """Warns, at the line outside this package and Keras that the work came from."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_library(frame.f_globals):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, stacklevel=level)


def _is_library(variables: Mapping[str, Any]) -> bool:
    name = str(variables.get("__name__", ""))
    return name.split(".")[0] in ("ram_tf", "keras", "tensorflow")


class WorkerLost(RamError):
    """Another worker of the job is gone, and with it what TensorFlow had under way.

    After it TensorFlow cannot be shut down cleanly: a command reports it and exits at
    once.
    """


class Interrupted(Exception):
    """Work stopped on a signal, and can be taken up again; a command says so.

    Args:
      signal: the signal's number, also an attribute.
      state: where the work stands.
    """

    def __init__(self, signal: int, state: str = "checkpoint saved") -> None:
        super().__init__(f"stopped by signal {signal}, {state}")
        self.signal = signal
