"""Trains every combination of some settings: python -m ram_tf.sweep --grid=...

A failed run does not stop the others. Exit status: 0 when all are trained; 1 when runs
failed, which are named; 130 or 143 after Ctrl-C or SIGTERM: the running trainings have
saved their state, and the same command continues.
"""

import dataclasses
import pathlib
import sys

from ram_tf.config import Config
from ram_tf.entry_point import entry_point, note, say
from ram_tf.errors import RamError
from ram_tf.files import write_atomic
from ram_tf.flags import Arguments, Setting, config_settings, seeds_of
from ram_tf.sweeps.grid import read_grid
from ram_tf.sweeps.ranking import Ranked, markdown, rank, table_csv
from ram_tf.sweeps.runs import runs_of
from ram_tf.training.processes import Trainings, train_each

USAGE = """Trains every combination of some settings and ranks them on validation.

  python -m ram_tf.sweep --flagfile=experiments/demo.cfg --out_dir=sweeps/demo \\
      --grid='learning_rate=1e-3,3e-3 reinforce_weight=0.01,0.03' [--seeds=0,1]

Leaves in out_dir: runs/<combination>/seed<k>, sweep.md and sweep.csv (one line
per combination, the best first) and sweep.png. Finished runs are not trained again, and
an unfinished one goes on. Test images decide nothing: the order is validation's."""

_NAMES = [f.name for f in dataclasses.fields(Config) if f.name != "run_dir"]

SETTINGS = [
    Setting("grid", "", "Fields and values: name=value,value name=value,value."),
    Setting("out_dir", "", "Folder of the sweep."),
    Setting("seeds", "", "Seeds, separated by commas; empty is --seed alone."),
    Setting("jobs", 1, "Trainings at a time, each on its share of the cores.", low=1),
    *config_settings(),
]


def _write(out_dir: pathlib.Path, ranking: list[Ranked], title: str) -> None:
    from ram_tf.sweeps.figure import draw_sweep  # --help needs no NumPy.
    from ram_tf.viz.path_figure import to_png

    write_atomic(out_dir / "sweep.md", markdown(ranking))
    write_atomic(out_dir / "sweep.csv", table_csv(ranking))
    say(markdown(ranking), end="")
    written = [str(out_dir / name) for name in ("sweep.md", "sweep.csv")]
    if any(ranked.accuracies for ranked in ranking):
        try:
            figure = draw_sweep(ranking, title)
        except RamError as error:  # The table is there without it.
            note(f"no sweep.png: {error}")
        else:
            write_atomic(out_dir / "sweep.png", to_png(figure))
            written.append(str(out_dir / "sweep.png"))
    say("written: " + ", ".join(written))


def _command(arguments: Arguments) -> None:
    combinations = read_grid(arguments.grid)
    if not arguments.out_dir:
        raise RamError("--out_dir is required")
    seeds = seeds_of(arguments.seeds) or [arguments.seed]
    if "run_dir" in arguments.given:  # As flags.cfg of a run has it.
        note(
            f"--run_dir={arguments.run_dir}: not used, a sweep names the folders of "
            "its runs itself, in --out_dir"
        )
    given = {name: arguments.values[name] for name in _NAMES if name in arguments.given}
    for combination in combinations:  # Before anything trains.
        combination.config(given)
    out_dir = pathlib.Path(arguments.out_dir)
    runs = runs_of(combinations, seeds, out_dir, given)
    say(
        f"{len(combinations)} combinations x {len(seeds)} seeds in {out_dir}, "
        f"{arguments.jobs} at a time"
    )
    with Trainings(arguments.jobs) as trainings:
        errors = train_each(runs, trainings, say)
    trainings.check(f"{len(errors)} of {len(runs)} runs to go")
    ranking = rank(runs, errors)
    name = arguments.experiment or (
        arguments.flagfile.stem if arguments.flagfile else out_dir.name
    )
    _write(out_dir, ranking, f"Sweep of {name}")
    best = ranking[0]
    if best.mean is not None and not best.errors:
        say(f"best: {best.combination.name}: validation {100 * best.mean:.2f} %")
    for ranked in ranking:
        for seed, warning in ranked.warnings.items():
            say(f"{ranked.combination.name} seed {seed}: {warning}")
    if errors:
        named = "; ".join(f"{run}: {error}" for run, error in errors.items())
        raise RamError(f"{len(errors)} of {len(runs)} runs failed: {named}")


main = entry_point(_command, SETTINGS, USAGE)


if __name__ == "__main__":
    sys.exit(main())
