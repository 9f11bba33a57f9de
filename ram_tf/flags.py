"""Command lines: absl flags made from Config, flagfiles, and one-line errors.

The only module that touches absl.flags. A command is a function of parsed flags;
`run_command` gives it those, and turns what goes wrong into one line and a status.
"""

import dataclasses
import os
import pathlib
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from absl import flags as absl_flags

from ram_tf.config import Config, expectation, parse_value
from ram_tf.errors import RamError

_MAX_DEPTH = 16  # Of flagfiles in flagfiles; deeper is a loop.


@dataclasses.dataclass(frozen=True)
class Setting:
    """A flag of one command that is no field of Config.

    Attributes:
      name: the flag.
      default: its value when not given; the type of the value is the type of this.
      doc: what `--help` says.
      choices: the allowed values, when they are few.
      low: the least allowed number.
    """

    name: str
    default: Any
    doc: str
    choices: tuple[str, ...] = ()
    low: float | None = None

    @property
    def metadata(self) -> dict[str, Any]:
        return {"doc": self.doc, "choices": self.choices, "low": self.low, "high": None}


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What a command line said.

    Attributes:
      values: every flag of the command by name, defaults included.
      given: the names of the flags that were on the line or in a flagfile.
      positional: the words that are not flags.
      flagfile: the last flagfile named on the command line itself, or None.
    """

    values: dict[str, Any]
    given: frozenset[str]
    positional: tuple[str, ...]
    flagfile: pathlib.Path | None

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None

    def config(self, base: Config | None = None) -> Config:
        """Returns a Config of the given flags, on top of `base` or of the defaults."""
        names = {field.name for field in dataclasses.fields(Config)} & self.given
        values = {} if base is None else base.to_dict()
        values.update({name: self.values[name] for name in names})
        return Config(**values)


class _Parser(absl_flags.ArgumentParser):
    """Lets absl read a value by the one description of its field."""

    syntactic_help = ""

    def __init__(self, field: Any) -> None:
        super().__init__()
        self.field = field

    def parse(self, argument: Any) -> Any:
        return parse_value(self.field, argument)

    def flag_type(self) -> str:
        return type(self.field.default).__name__


class _BooleanParser(absl_flags.BooleanParser):
    def __init__(self, field: Any) -> None:
        super().__init__()
        self.field = field

    def parse(self, argument: Any) -> bool:
        if isinstance(argument, bool):
            return argument
        return bool(parse_value(self.field, str(argument)))


def config_settings(names: Iterable[str] | None = None) -> list[Any]:
    """Returns the fields of Config that a command takes as flags (default: all)."""
    wanted = None if names is None else set(names)
    fields = dataclasses.fields(Config)
    return [field for field in fields if wanted is None or field.name in wanted]


def expand_flagfiles(
    arguments: Iterable[str], folder: pathlib.Path | None = None, depth: int = 0
) -> list[tuple[str, str]]:
    """Replaces each `--flagfile=PATH` by the file's lines.

    Args:
      arguments: words of a command line.
      folder: where relative flagfiles are looked up; None is the current folder. A
        flagfile in a flagfile is looked up beside the file that names it.
      depth: how many flagfiles enclose these words.

    Returns:
      The words, each with its origin: "" for the command line, else "file:line: ".

    Raises:
      RamError: when a flagfile cannot be read, or includes itself.
    """
    expanded: list[tuple[str, str]] = []
    queue = list(arguments)
    while queue:
        word = queue.pop(0)
        name, _, value = word.lstrip("-").partition("=")
        if not word.startswith("-") or name != "flagfile":
            expanded.append((word, ""))
            continue
        if not value and "=" not in word and queue:
            value = queue.pop(0)
        path = (folder or pathlib.Path()) / value
        if depth == _MAX_DEPTH:
            raise RamError(f"--flagfile={value}: flagfiles include each other")
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a text file"
            raise RamError(
                f"--flagfile={value}: expected a text file of flags, found: {reason}"
            ) from None
        for number, line in enumerate(lines, start=1):
            text = line.strip()
            if not text or text.startswith(("#", "//")):
                continue
            if not text.startswith("--"):
                raise RamError(
                    f"{path}:{number}: expected --name=value or a # comment, "
                    f"found {text!r}"
                )
            text = _unquoted(text)
            for inner, origin in expand_flagfiles([text], path.parent, depth + 1):
                expanded.append((inner, origin or f"{path}:{number}: "))
    return expanded


def _unquoted(text: str) -> str:
    """Returns `--name="value"` of a flagfile without the quotes, as a shell would."""
    name, equals, value = text.partition("=")
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return f"{name}{equals}{value}"


def parse(
    settings: Sequence[Any], argv: Sequence[str], *, positional: bool = False
) -> Arguments:
    """Reads a command line.

    Args:
      settings: fields of Config and `Setting`s that the command takes.
      argv: the words behind the command's name.
      positional: whether words that are no flags are allowed.

    Raises:
      RamError: for anything that the command does not understand.
    """
    values = absl_flags.FlagValues()
    serializer: Any = absl_flags.ArgumentSerializer()
    for setting in settings:
        name, default, doc = setting.name, setting.default, setting.metadata["doc"]
        if isinstance(default, bool):
            flag: Any = absl_flags.BooleanFlag(name, default, doc)
            flag.parser = _BooleanParser(setting)
        else:
            parser = _Parser(setting)
            flag = absl_flags.Flag(parser, serializer, name, None, doc)
        values[name] = flag
    words = expand_flagfiles(argv)
    # Word by word, so that an error can name the line of the flagfile it came from.
    rest: list[str] = []
    index = 0
    while index < len(words):
        word, origin = words[index]
        group = [word]
        name = word.lstrip("-")
        takes_next = (
            word.startswith("-")
            and "=" not in word
            and name in values
            and not values[name].boolean
        )
        if takes_next and index + 1 < len(words) and words[index + 1][1] == origin:
            group.append(words[index + 1][0])
        index += len(group)
        try:
            # absl's own flag for letting unknown ones pass, known to every FlagValues.
            if word.startswith("-") and name.partition("=")[0] == "undefok":
                raise absl_flags.UnrecognizedFlagError("undefok")
            rest += values(["command", *group])[1:]
        except RamError as error:
            raise RamError(f"{origin}{error}") from None
        except absl_flags.UnrecognizedFlagError as error:
            text = " ".join(str(error).split())
            raise RamError(f"{origin}{text} (--help lists the flags)") from None
        except absl_flags.Error as error:
            text = " ".join(str(error).split()).split(": ", 1)[-1]
            raise RamError(f"{origin}{text}") from None
    if rest and not positional:
        raise RamError(f"{rest[0]!r}: expected --name=value (--help lists the flags)")
    found = {}
    given = set()
    for setting in settings:
        present = values[setting.name].present
        found[setting.name] = values[setting.name].value if present else setting.default
        if present:
            given.add(setting.name)
    return Arguments(found, frozenset(given), tuple(rest), _flagfile(argv))


def _flagfile(argv: Sequence[str]) -> pathlib.Path | None:
    found = None
    for word, following in zip(argv, [*argv, ""][1:], strict=True):
        name, equals, value = word.lstrip("-").partition("=")
        if word.startswith("-") and name == "flagfile":
            found = pathlib.Path(value if equals else following)
    return found


def help_text(usage: str, settings: Sequence[Any]) -> str:
    """Returns what `--help` prints."""
    lines = [
        usage,
        "",
        "  --flagfile=PATH",
        "      Reads flags from a file, one a line.",
    ]
    for setting in settings:
        lines.append(f"  --{setting.name}={setting.default}")
        doc = setting.metadata["doc"]
        lines.append(f"      {doc} ({expectation(setting)})")
    return "\n".join(lines)


def print_error(error: Exception) -> None:
    """Tells a fault on standard error, in one line, whatever text it quotes."""
    # The name of a file may be no text.
    said = " ".join(str(error).split()).encode("utf-8", "backslashreplace").decode()
    print(f"error: {said}", file=sys.stderr)


def run_command(
    command: Callable[[Arguments], int | None],
    settings: Sequence[Any],
    argv: Sequence[str] | None,
    *,
    usage: str,
    positional: bool = False,
) -> int:
    """Runs a command and returns its exit status.

    Args:
      command: does the work; returns a status, None for 0.
      settings: the flags that it takes.
      argv: the words behind its name; None is sys.argv[1:].
      usage: the first lines of `--help`.
      positional: whether it takes words that are no flags.

    Returns:
      0 when all went well and for --help; 1 after an error and 130 after Ctrl-C, told
      in one line on standard error; else what the command returned.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if any(word in ("--help", "-h", "-help", "--helpfull") for word in words):
            print(help_text(usage, settings))
            status = 0
        else:
            status = command(parse(settings, words, positional=positional)) or 0
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # The reader has enough, as in `| head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except RamError as error:
        print_error(error)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT


def experiment_name(flagfile: pathlib.Path) -> str:
    """Returns folder and name of a flagfile: "table1/fc" of .../table1/fc.cfg."""
    path = flagfile.absolute()
    return f"{path.parent.name}/{path.stem}"
