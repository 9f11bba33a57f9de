"""How progress is shown: bars on a terminal, lines in a log file."""

import os
import sys

_VARIABLE = "RAM_TF_PROGRESS_BARS"


def on_terminal() -> bool:
    """Says whether standard error is a terminal; where it is closed it is none."""
    return sys.stderr is not None and sys.stderr.isatty()


def shows_bars() -> bool:
    """Says whether standard error ends at a terminal, perhaps by way of a parent."""
    return _VARIABLE in os.environ or on_terminal()


def environment_of_child() -> dict[str, str]:
    """Returns the environment of a child whose standard error is passed on to ours."""
    return os.environ | ({_VARIABLE: "1"} if shows_bars() else {})
