"""What the replicas of this process hold of a variable."""

from typing import Any


def local_copies(variable: Any) -> tuple[Any, ...]:
    """Returns what the replicas of this process hold of a variable, the first's first.

    Training keeps them equal, the running means too. Reading one, not their sum, keeps
    the exact bits, and no other worker has to take part.
    """
    value = getattr(variable, "value", variable)
    return tuple(getattr(value, "values", (value,)))
