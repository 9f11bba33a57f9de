"""Figures of rows in a page that is otherwise written by hand.

A comment that says what it is stands before each, as in
`<!--best/mnist_7g-->99.25 %`, and `make headers` fills it from the results: no figure
of a row is typed by hand. A figure keeps its number of decimals. No line begins with
such a comment: in Markdown that ends the paragraph. In a comment stands

- the name of a row: its test accuracy in percent, the mean of its seeds. As the whole
  cell of a table it comes with the deviation, or says that the row was not run yet;
- a row and what of it: `<!--table1/fc:2-->` is that of seed 2 (an empty cell where the
  row has none), `<!--table1/fc:printed-->` what was printed for it. `KINDS` and
  `NUMBERED` list what else there is, `<!--table1/fc:2:training-->` is it of seed 2;
- the difference of two of these, in points: `<!--table1/ram - table1/fc:2-->`. Written
  without a sign it must not be negative, as the sentence around it would be wrong;
- before any of these, a word of `WORDS`.
"""

import re
import statistics
from collections.abc import Callable, Mapping, Sequence

from ram_tf.errors import RamError
from ram_tf.runs.curves import Curve, read_curve
from ram_tf.tables.collect import Table, TableRow
from ram_tf.tables.markdown import ours_text
from ram_tf.tables.policy_worth import half_width
from ram_tf.tables.seeds import SeedResult

_TERM = r"\w+/\w+(?::\d+)?(?::\w+)?"
_CELL = re.compile(
    r"(?P<mark>\| *<!--(?P<row>\w+/\w+)(?::(?P<what>\d+|seeds))?-->)"
    r"(?P<stars>\**)[^|*\n]*?(?P=stars)(?= *\|)"
)
_NUMBER = re.compile(
    rf"(?P<mark><!--(?:(?P<word>\w+) )?(?P<term>{_TERM})(?: - (?P<less>{_TERM}))?-->)"
    r"(?P<stars>\**)(?P<sign>[+-]?)\d+(?:\.(?P<decimals>\d+))?"
)

# What else a result says of a row, in percent.
KINDS: dict[str, Callable[[SeedResult], float]] = {
    "": lambda seed: 100 * seed.results["test_accuracy"],
    "validation": lambda seed: 100 * seed.results["validation_accuracy"],
    # Of the last steps that were logged.
    "training": lambda seed: 100 * _curve(seed).training_accuracies[-1],
    # Of ten sets of first locations: a rollout on average; their mean probabilities.
    "rollout": lambda seed: 100 * seed.measures["accuracy_mean"],
    "ensemble": lambda seed: 100 * seed.measures["accuracy_ensemble"],
    # The same weights at other locations.
    "random": lambda seed: _policy(seed, "random"),
    "center": lambda seed: _policy(seed, "center"),
    # Of the coordinates of test images.
    "border": lambda seed: 100 * seed.measures["border_share"],
    # Between two glimpses of a validation image, at the end; in halves of the image.
    "distance": lambda seed: _distance(seed, _curve(seed).steps[-1]),
}
# With a number behind it: after this glimpse, or in the learning curve at this step.
NUMBERED: dict[str, Callable[[SeedResult, int], float]] = {
    "glimpse": lambda seed, number: (
        100 * seed.measures["accuracy_by_glimpse"][number - 1]
    ),
    # On validation: at this step, and the lowest and the highest from it on.
    "step": lambda seed, number: 100 * _from(seed, number).accuracies[0],
    "lowest": lambda seed, number: 100 * min(_from(seed, number).accuracies),
    "highest": lambda seed, number: 100 * max(_from(seed, number).accuracies),
    "training": lambda seed, number: 100 * _from(seed, number).training_accuracies[0],
    "distance": lambda seed, number: _distance(seed, number),
}
# Of the seeds of a term. `low`, `high` and `half` are of the 95 % interval of a row,
# or of a difference.
WORDS: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,  # Alone, in a cell too.
    "least": min,
    "most": max,
    "range": lambda values: max(values) - min(values),
    "deviation": statistics.stdev,
    "error": lambda values: 100 - statistics.fmean(values),
}
_OF_INTERVAL = ("low", "high", "half")


def with_row_figures(page: str, tables: Sequence[Table], name: object) -> str:
    """Returns the text of a page with the figures of its rows filled.

    Args:
      page: its text.
      tables: what was measured.
      name: of the page, for the error.

    Raises:
      RamError: when a comment names no row, or nothing that it has, or the sign of a
        difference has changed.
    """
    rows = {row.experiment.name: row for table in tables for row in table.rows}

    def fill_cell(cell: re.Match[str]) -> str:
        row = _row(rows, cell["row"], cell["mark"].lstrip("| "), name)
        text = _cell_text(row, cell["what"])
        stars = cell["stars"] if text else ""
        return f"{cell['mark']}{stars}{text}{stars}"

    def fill_number(found: re.Match[str]) -> str:
        try:
            value = _value(rows, found, name)
        except RamError:
            raise
        except (KeyError, IndexError, ValueError):  # Also of no values at all.
            raise RamError(
                f"{name}: expected a figure for {found['mark']}, found none"
            ) from None
        sign = found["sign"]
        if found["less"] and not sign and value < 0:
            raise RamError(
                f"{name}: {found['mark']}: expected a difference that is not negative, "
                f"found {value:.2f}; mend the sentence"
            )
        decimals = len(found["decimals"] or "")
        text = f"{value:{'+' if sign else ''}.{decimals}f}"
        return f"{found['mark']}{found['stars']}{text}"

    return _NUMBER.sub(fill_number, _CELL.sub(fill_cell, page))


def _row(rows: Mapping[str, TableRow], key: str, mark: str, name: object) -> TableRow:
    if key not in rows:
        raise RamError(f"{name}: expected a row in {mark}, found none")
    return rows[key]


def _cell_text(row: TableRow, what: str | None) -> str:
    if what is None:
        return ours_text(row)
    if row.status != "complete":
        return ""
    if what == "seeds":
        return str(len(row.seeds))
    found = _of_seeds(row, what)
    return f"{found[0]:.2f}" if found else ""


def _value(rows: Mapping[str, TableRow], found: re.Match[str], name: object) -> float:
    word = found["word"]
    terms = []
    for term in (found["term"], found["less"]):
        if term:
            key, _, what = term.partition(":")
            row = _row(rows, key, found["mark"], name)
            terms.append((row, _of_seeds(row, what)))
    row, values = terms[0]
    if len(terms) == 1:
        if word in _OF_INTERVAL:
            if row.interval is None or ":" in found["term"]:
                raise ValueError("no interval")
            low, high = row.interval
            return {"low": low, "high": high, "half": (high - low) / 2}[word]
        return WORDS[word](values) if word else statistics.fmean(values)
    first, second = (statistics.fmean(values) for _, values in terms)
    half = half_width(first, second, row.seeds[0].measures["num_images"])
    difference = first - second
    return {
        None: difference,
        "low": difference - half,
        "high": difference + half,
        "half": half,
    }[word]


def _of_seeds(row: TableRow, what: str) -> list[float]:
    """Returns a value for each seed; none where the row has no result."""
    if row.status != "complete":
        return []
    if what == "seeds":
        return [len(row.seeds)]
    if what == "printed":
        figure = row.figure
        return [] if figure is None or figure.accuracy is None else [figure.accuracy]
    seeds: Sequence[SeedResult] = row.seeds
    number, _, rest = what.partition(":")
    if number.isdigit():
        seeds = [seed for seed in seeds if seed.seed == int(number)]
        what = rest
    if numbered := re.fullmatch(r"([a-z]+)(\d+)", what):
        measure = NUMBERED[numbered[1]]
        return [measure(seed, int(numbered[2])) for seed in seeds]
    return [KINDS[what](seed) for seed in seeds]


def _curve(seed: SeedResult) -> Curve:
    curve = read_curve(seed.curve)
    if curve is None:
        raise ValueError("no curve")
    return curve


def _from(seed: SeedResult, step: int) -> Curve:
    """Returns the learning curve from this step on."""
    curve = _curve(seed)
    start = curve.steps.index(step)
    return Curve(
        curve.steps[start:],
        curve.accuracies[start:],
        curve.training_accuracies[start:],
        curve.distances[start:],
    )


def _distance(seed: SeedResult, step: int) -> float:
    distance = _from(seed, step).distances[0]
    if distance is None:
        raise ValueError("not logged")
    return distance


def _policy(seed: SeedResult, policy: str) -> float:
    return float(100 * seed.results["evaluation"]["policies"][policy]["accuracy"])
