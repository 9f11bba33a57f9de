"""How progress is shown: a bar on a terminal, lines in a log file."""

import contextlib
import io
import os
import sys
from typing import Any

_VARIABLE = "RAM_TF_PROGRESS_BARS"
_SECONDS_PER_LINE = 60.0
_COLUMNS, _ROWS = 80, 24  # Of a terminal that does not know its own.
_LINE = (
    "{desc}{n_fmt} of {total_fmt}{unit}, {rate_noinv_fmt}, {remaining} left{postfix}"
)


def on_terminal() -> bool:
    """Says whether standard error is a terminal; where it is closed it is none."""
    return sys.stderr is not None and sys.stderr.isatty()


def shows_bars() -> bool:
    """Says whether standard error ends at a terminal, perhaps by way of a parent."""
    return _VARIABLE in os.environ or on_terminal()


def _has_no_width() -> bool:
    """Says whether standard error is a terminal that does not know its width.

    Such are those of containers and of `script`; tqdm would write empty lines.
    """
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return os.get_terminal_size(sys.stderr.fileno()).columns == 0
    return False


def environment_of_child() -> dict[str, str]:
    """Returns the environment of a child whose standard error is passed on to ours."""
    return os.environ | ({_VARIABLE: "1"} if shows_bars() else {})


def progress_bar(
    total: int,
    things: str,
    desc: str,
    at_once: bool = True,
    hidden: bool = False,
    initial: int = 0,
) -> Any:
    """Returns a tqdm bar on standard error; in a log file it writes a line per minute.

    Args:
      total: how many things there are.
      things: what is counted, a plural.
      desc: what stands before the number.
      at_once: whether a log gets its first line now; else after the first minute, so
        that short work leaves none.
      hidden: whether nothing is shown at all.
      initial: how many are done.
    """
    import tqdm  # Commands that only ask for a terminal start without it.

    shape: dict[str, Any] = {"mininterval": 1.0, "dynamic_ncols": True, "unit": things}
    if not shows_bars():
        shape = {
            "mininterval": _SECONDS_PER_LINE,
            "maxinterval": _SECONDS_PER_LINE,
            "delay": 0 if at_once else _SECONDS_PER_LINE,
            "unit": f" {things}",
            "bar_format": _LINE,
            "file": _Lines(),
            "leave": False,  # Its last state would be one more line.
        }
    elif _has_no_width():
        shape |= {"dynamic_ncols": False, "ncols": _COLUMNS, "nrows": _ROWS}
    return tqdm.tqdm(
        total=total, initial=initial, desc=f"{desc}: ", disable=hidden, **shape
    )


class CallbackBar:
    """A `progress_bar` as a function of how much is done, and of how much in all.

    Use it in a `with`. There is no bar before the first call.

    Args:
      things: what is counted, a plural.
      desc: what stands before the number.
    """

    def __init__(self, things: str, desc: str) -> None:
        self.things = things
        self.desc = desc
        self.bar: Any = None

    def __enter__(self) -> "CallbackBar":
        return self

    def __call__(self, done: int, total: int) -> None:
        if self.bar is None:
            self.bar = progress_bar(total, self.things, self.desc, at_once=False)
        self.bar.update(done - self.bar.n)

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()


class _Lines(io.StringIO):
    """Takes the states of a bar, and puts each on a line of standard error."""

    def write(self, text: str) -> int:
        if (state := text.strip()) and sys.stderr is not None:
            # A log that is full or closed is no reason to end the work.
            with contextlib.suppress(OSError, ValueError):
                print(state, file=sys.stderr, flush=True)
        return len(text)
