"""The combinations of a sweep by their validation accuracy, as Markdown and CSV."""

import csv
import dataclasses
import io
import statistics
from collections.abc import Mapping, Sequence

from ram_tf.markdown import table_text
from ram_tf.sweeps.grid import Combination
from ram_tf.sweeps.runs import SweepRun


@dataclasses.dataclass(frozen=True)
class Ranked:
    """What a sweep found of one combination.

    Attributes:
      combination: its settings.
      accuracies: the validation accuracy by seed, a fraction, of finished runs.
      errors: by seed, why a run has none.
      warnings: by seed, what stands against a run's accuracy.
    """

    combination: Combination
    accuracies: dict[int, float]
    errors: dict[int, str]
    warnings: dict[int, str] = dataclasses.field(default_factory=dict)

    @property
    def mean(self) -> float | None:
        """The mean over seeds; None without a finished run."""
        values = self.accuracies.values()
        return statistics.fmean(values) if values else None

    @property
    def stddev(self) -> float | None:
        """The sample standard deviation over seeds; None of fewer than two."""
        values = list(self.accuracies.values())
        return statistics.stdev(values) if len(values) > 1 else None


def rank(runs: Sequence[SweepRun], errors: Mapping[str, str]) -> list[Ranked]:
    """Orders the combinations, best first.

    Those with a warning come after all without, though it may be of test alone: their
    accuracy may say nothing of new images. Those that lack a seed come last: their mean
    is of other seeds.

    Args:
      runs: of the sweep.
      errors: by a run's name, why it did not finish.
    """
    found: dict[str, Ranked] = {}
    for run in runs:
        name = run.combination.name
        ranked = found.setdefault(name, Ranked(run.combination, {}, {}))
        results = None if run.name in errors else run.results()
        if results is None:
            ranked.errors[run.seed] = errors.get(run.name, "not trained")
            continue
        ranked.accuracies[run.seed] = results["validation_accuracy"]
        if warnings := results.get("warnings"):
            ranked.warnings[run.seed] = "; ".join(warnings)

    def place(ranked: Ranked) -> tuple[int, bool, float]:
        mean = 0.0 if ranked.mean is None else ranked.mean
        return len(ranked.errors), bool(ranked.warnings), -mean

    return sorted(found.values(), key=place)


def markdown(ranking: Sequence[Ranked]) -> str:
    """Returns the ranking as a Markdown table, percentages."""
    fields = list(ranking[0].combination.values)
    seeds = len(ranking[0].accuracies) + len(ranking[0].errors)
    head = [*fields, "Validation, %", "Std. dev., points", "Seeds"]
    rows = [head]
    for ranked in ranking:
        mean, stddev = ranked.mean, ranked.stddev
        finished = f"{len(ranked.accuracies)} of {seeds}"
        notes = finished, _by_seed(ranked.errors), _by_seed(ranked.warnings)
        rows.append(
            [
                *ranked.combination.texts.values(),
                "-" if mean is None else f"{100 * mean:.2f}",
                "-" if stddev is None else f"{100 * stddev:.2f}",
                "; ".join(part for part in notes if part),
            ]
        )
    return table_text(rows) + "\n"


def table_csv(ranking: Sequence[Ranked]) -> str:
    """Returns the ranking as CSV, fractions: the mean, its deviation and every seed."""
    seeds = sorted({*ranking[0].accuracies, *ranking[0].errors})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    fields = list(ranking[0].combination.values)
    columns = [f"validation_accuracy_seed{seed}" for seed in seeds]
    head = ["validation_accuracy_mean", "validation_accuracy_std", *columns]
    writer.writerow([*fields, *head, "errors", "warnings"])
    for ranked in ranking:
        numbers = [ranked.mean, ranked.stddev, *map(ranked.accuracies.get, seeds)]
        said = ranked.errors, ranked.warnings
        shown = ["" if number is None else number for number in numbers]
        writer.writerow(
            [*ranked.combination.texts.values(), *shown, *map(_by_seed, said)]
        )
    return text.getvalue()


def _by_seed(lines: Mapping[int, str]) -> str:
    return "; ".join(f"seed {seed}: {line}" for seed, line in lines.items())
