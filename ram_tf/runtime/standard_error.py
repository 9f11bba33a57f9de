"""Lines on standard error: what a command says that is not its result."""

import sys


def note(text: str) -> None:
    """Prints a line on standard error at once; none where the shell has closed it.

    `print` would send it to standard output then, among the results.
    """
    if sys.stderr is not None:
        print(text, file=sys.stderr, flush=True)
