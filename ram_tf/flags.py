"""Command lines: flags made from Config, flagfiles, and one-line errors.

Flags are written as absl writes them: --name=value or --name value, and --name or
--noname for what is true or false. The parser is our own, because an error must name
the line of the flagfile that it came from, and flagfiles nest relative to the including
file.

`ram_tf.entry_point` makes a command of a function of them.

Over 250 lines: command lines, flagfiles and `--help` follow one set of rules.
"""

import dataclasses
import pathlib
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ram_tf.config import Config, expectation, flag_text, parse_value
from ram_tf.errors import RamError, did_you_mean

SHARED = "shared"  # A folder of experiments/ whose flagfiles are not rows.
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

    def refuse(self, names: Iterable[str], why: str) -> None:
        """Checks that none of some flags was given: here they would do nothing.

        Raises:
          RamError: for the first by name that was; `why` follows its name.
        """
        for name in sorted(self.given.intersection(names)):
            raise RamError(f"--{name}: {why}")

    def config(self, base: Config | None = None) -> Config:
        """Returns a Config of the given flags, on top of `base` or of the defaults."""
        names = {field.name for field in dataclasses.fields(Config)} & self.given
        values = {} if base is None else base.to_dict()
        values.update({name: self.values[name] for name in names})
        return Config(**values)


def config_settings(names: Iterable[str] | None = None) -> list[Any]:
    """Returns the fields of Config that a command takes as flags (default: all)."""
    wanted = None if names is None else set(names)
    fields = dataclasses.fields(Config)
    return [field for field in fields if wanted is None or field.name in wanted]


def expand_flagfiles(
    arguments: Iterable[str],
    folder: pathlib.Path = pathlib.Path(),
    origin: str = "",
    depth: int = 0,
) -> Iterator[tuple[str, str]]:
    """Replaces each `--flagfile=PATH` by the file's lines.

    Args:
      arguments: words of a command line, or one line of a flagfile.
      folder: where relative flagfiles are looked up: the current folder, and for a
        flagfile in a flagfile the folder of the file that names it.
      origin: "" for the command line, else "file:line: ".
      depth: how many flagfiles enclose these words.

    Yields:
      The words, each with its origin.

    Raises:
      RamError: when a flagfile cannot be read, or includes itself.
    """
    words = iter(arguments)
    for word in words:
        if word == "--" and not origin:
            # What follows is no flag, whatever it looks like.
            yield word, origin
            yield from ((rest, origin) for rest in words)
            return
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-") or name != "flagfile":
            yield word, origin
            continue
        value = value if equals else next(words, "")
        path = folder / value
        if depth == _MAX_DEPTH:
            raise RamError(f"{origin}--flagfile={value}: flagfiles include each other")
        try:
            # As bytes: the name of a folder may hold what else ends a line.
            lines = path.read_bytes().decode("utf-8-sig").split("\n")
        except (OSError, UnicodeDecodeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a text file"
            # A relative path says little where the reader is in another folder.
            whole = str(path.absolute())
            where = "" if value == whole else f" at {whole}"
            raise RamError(
                f"{origin}--flagfile={value}: expected a text file of flags{where}, "
                f"found: {reason}"
            ) from None
        for number, line in enumerate(lines, start=1):
            text, where = line.strip(), f"{path}:{number}: "
            if not text or text.startswith(("#", "//")):
                continue
            if not text.startswith("--"):
                raise RamError(
                    f"{where}expected --name=value or a # comment, found {text!r}"
                )
            if " #" in text and _unquoted(text) == text:
                raise RamError(
                    f"{where}expected a comment on a line of its own, or the value in "
                    f"quotes, found {text!r}"
                )
            text = _unquoted(text)
            yield from expand_flagfiles([text], path.parent, where, depth + 1)


def flag(name: str, value: Any) -> str:
    """Returns the word of a command line that gives a flag this value."""
    return f"--{name}={flag_text(value)}"


def flagfile_line(name: str, text: str) -> str:
    """Returns the line of a flagfile that `expand_flagfiles` reads as this value.

    Raises:
      RamError: for a text of several lines.
    """
    if "\n" in text:
        raise RamError(f"--{name}={text!r}: expected one line")
    line = f"--{name}={text}"
    # What looks like a comment there, like quotes, or like space around a line.
    plain = " #" not in line and _unquoted(line) == line and line.strip() == line
    return line if plain else f'--{name}="{text}"'


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
      argv: the words after the command's name.
      positional: whether words that are no flags are allowed.

    Raises:
      RamError: for anything that the command does not understand.
    """
    known = {setting.name: setting for setting in settings}
    values = {name: setting.default for name, setting in known.items()}
    given: set[str] = set()
    rest: list[str] = []
    words = list(expand_flagfiles(argv))
    while words:
        word, origin = words.pop(0)
        if word == "--" and not origin:
            rest += [following for following, _ in words]
            break
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        try:
            name, value = _read_flag(known, word)
            if value is None:
                # The value is the next word, of the same line or command line.
                if not words or words[0][1] != origin:
                    raise RamError(f"--{name}: a value is required, as --{name}=...")
                value = words.pop(0)[0]
                if value.startswith("--"):
                    raise RamError(
                        f"--{name}: a value is required, found the flag {value}"
                    )
            elif "=" not in word and words and words[0][0] in ("true", "false"):
                raise RamError(
                    f"--{name} {words[0][0]}: expected --{name}={words[0][0]}"
                )
            values[name] = parse_value(known[name], value)
        except RamError as error:
            raise RamError(f"{origin}{error}") from None
        given.add(name)
    if rest and not positional:
        raise RamError(f"{rest[0]!r}: expected --name=value (--help lists the flags)")
    return Arguments(values, frozenset(given), tuple(rest), _flagfile(argv))


def _read_flag(known: Mapping[str, Any], word: str) -> tuple[str, str | None]:
    """Returns the flag that a word names and its value, None when that comes next."""
    name, equals, value = word.lstrip("-").partition("=")
    if name in known:
        if equals:
            return name, value
        return name, "true" if isinstance(known[name].default, bool) else None
    positive = name.removeprefix("no")
    if not equals and positive in known and isinstance(known[positive].default, bool):
        return positive, "false"
    hint = did_you_mean(name, known, ", ", "--")
    raise RamError(f"--{name}: unknown flag{hint} (--help lists the flags)")


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
        _filled_usage(usage),
        "",
        "  --flagfile=PATH",
        "      Reads flags from a file, one per line.",
    ]
    own = [setting for setting in settings if isinstance(setting, Setting)]
    fields = [setting for setting in settings if not isinstance(setting, Setting)]
    if 2 * len(fields) < len(dataclasses.fields(Config)):
        return "\n".join([*lines, *_flag_lines(settings)])
    # A command that trains: its own few flags would not be seen among train's.
    lines += _flag_lines(own)
    if own:
        lines += ["", "Flags of every run, as of ram_tf.train:"]
    for section, members in _by_section(fields):
        lines += ["", f"{section}:", "", *_flag_lines(members)]
    return "\n".join(lines)


def _by_section(fields: Sequence[Any]) -> list[tuple[str, list[Any]]]:
    """Returns fields of Config in the groups of its `section`s, empty ones left out."""
    wanted = {field.name for field in fields}
    groups: list[tuple[str, list[Any]]] = []
    for field in dataclasses.fields(Config):
        if field.metadata["section"]:
            groups.append((field.metadata["section"], []))
        if field.name in wanted:
            groups[-1][1].append(field)
    return [group for group in groups if group[1]]


def _flag_lines(settings: Sequence[Any]) -> list[str]:
    lines = []
    for setting in settings:
        lines.append(f"  --{setting.name}={setting.default}")
        doc = f"{setting.metadata['doc']} ({expectation(setting)})"
        lines.append(_filled(doc, indent="      "))
    return lines


def _filled(text: str, indent: str = "") -> str:
    """Breaks a paragraph for a terminal of 80 columns, between words only."""
    return textwrap.fill(
        text,
        80,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _filled_usage(usage: str) -> str:
    """Breaks the paragraphs of a text anew; what has an indented line stays."""
    return "\n\n".join(
        part if re.search(r"^ ", part, re.MULTILINE) else _filled(part)
        for part in usage.split("\n\n")
    )


def names_of(text: str) -> list[str]:
    """Returns the words of a list separated by commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def seeds_of(text: str) -> list[int]:
    """Returns the seeds of the list that --seeds gives, separated by commas.

    Raises:
      RamError: when a word is not a seed, or a seed stands there twice.
    """
    words = names_of(text)
    if not all(word.isascii() and word.isdigit() for word in words):
        raise RamError(f"--seeds={text}: expected integers, such as 0,1,2")
    seeds = [int(word) for word in words]
    if len(set(seeds)) != len(seeds):
        raise RamError(f"--seeds={text}: expected every seed once")
    return seeds


def is_shared(flagfile: pathlib.Path) -> bool:
    """Says whether a flagfile is one that rows include, and so names none itself."""
    return flagfile.absolute().parent.name == SHARED


def experiment_name(flagfile: pathlib.Path) -> str:
    """Returns folder and name of a flagfile: "table1/fc" of .../table1/fc.cfg."""
    path = flagfile.absolute()
    return f"{path.parent.name}/{path.stem}"
