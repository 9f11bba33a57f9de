"""What every command has in common: its output, its errors and its exit status.

A command is a function of the parsed flags. `entry_point` calls it, and turns what goes
wrong into one line and an exit status.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ram_tf.errors import Interrupted, RamError, one_line
from ram_tf.flags import Arguments, help_text, parse


def entry_point(
    command: Callable[[Arguments], int | None],
    settings: Sequence[Any],
    usage: str,
    *,
    positional: bool = False,
) -> Callable[..., int]:
    """Returns the `main` of a command.

    Args:
      command: does the work; returns an exit status, None for 0.
      settings: the flags that it takes.
      usage: the first lines of `--help`.
      positional: whether it takes words that are not flags.

    Returns:
      A function of the words after the command's name (None: those of this process)
      that returns the exit status: 0 when all went well and for --help; 1 after an
      error, and 128 and its number after a signal (Ctrl-C: 130), reported in one line
      on standard error; else what the command returned.
    """

    def run(words: Sequence[str]) -> int:
        if any(word in ("--help", "-h", "-help", "--helpfull") for word in words):
            print(help_text(usage, settings))
            return 0
        return command(parse(settings, words, positional=positional)) or 0

    def main(argv: Sequence[str] | None = None) -> int:
        try:
            status = run(sys.argv[1:] if argv is None else argv)
            if sys.stdout is not None:  # None: closed by the shell, as in `>&-`.
                sys.stdout.flush()
            return status
        except BrokenPipeError:  # The reader has read enough, as in `| head`.
            _drop_output()
            return 0
        except RamError as error:
            print_error(error)
            return 1
        except OSError as error:  # A full disk behind standard output, for one.
            where = f"{error.filename}: " if error.filename else ""
            print_error(RamError(f"{where}{one_line(error)}"))
            if not error.filename:
                _drop_output()
            return 1
        except Interrupted as interrupted:
            note(f"{interrupted}; the same command continues")
            return 128 + interrupted.signal
        except KeyboardInterrupt:
            note("error: interrupted")
            return 128 + signal.SIGINT
        except Exception as error:
            if not _is_out_of_memory(error):
                raise
            print_error(
                RamError(
                    f"out of memory: {one_line(error)}; a smaller --batch_size, "
                    "--image_size, --canvas_size or width of the model takes less"
                )
            )
            return 1

    return main


def say(text: str, end: str = "\n") -> None:
    """Prints on standard output at once; the work goes on where that is not possible.

    For commands that do more than print: a reader such as `| head` may end before they
    do, and its end must not end a training. Where the output is lost for another
    reason, a line on standard error says so, once.
    """
    try:
        print(text, end=end, flush=True)
    except BrokenPipeError:
        _drop_output()
    except OSError as error:
        _drop_output()
        print_error(RamError(f"standard output: {one_line(error)}; the work goes on"))


def note(text: str) -> None:
    """Prints a line on standard error at once; none where that is closed or gone.

    `print` would send it to standard output then, among the results.
    """
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # A terminal that was closed, a full disk.
            print(text, file=sys.stderr, flush=True)


def print_error(error: Exception) -> None:
    """Prints an error on standard error, in one line, whatever text it quotes."""
    # The name of a file may be no text.
    said = " ".join(str(error).split()).encode("utf-8", "backslashreplace").decode()
    note(f"error: {said}")


def _drop_output() -> None:
    # What is still in the buffer would fail again when Python ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_out_of_memory(error: Exception) -> bool:
    # TensorFlow's, by name: most commands do without TensorFlow.
    return isinstance(error, MemoryError) or any(
        kind.__name__ == "ResourceExhaustedError" for kind in type(error).__mro__
    )
