"""Trains what a flagfile describes: python -m ram_tf.train --flagfile=... --run_dir=...

Exit status: 0 when the run is finished, now or before; 1 after an error, reported in
one line; 130 after Ctrl-C and 143 after SIGTERM: the same command then continues the
run, of which no more than the running compiled call is lost.
"""

import dataclasses
import os
import pathlib
import sys
from typing import Any

from ram_tf.config import Config
from ram_tf.entry_point import entry_point, note, say
from ram_tf.errors import RamError, WorkerLost
from ram_tf.flags import (
    Arguments,
    config_settings,
    experiment_name,
    is_shared,
    parse,
)
from ram_tf.runtime.stop_signals import StopRequest, answering
from ram_tf.training.run import train

USAGE = """Trains a recurrent attention model or a whole-image classifier.

  python -m ram_tf.train --flagfile=experiments/table1/ram_6g_1s.cfg --run_dir=runs/x

Leaves in run_dir: flags.cfg, config.json, class_names.json, data.json, checkpoints,
logs, curve.csv, examples.npz, evaluation.json and, last, results.json; and with
--initial_weights initial_weights.json. The same command resumes an unfinished run. In
the flags, "paper 5" is section 5 of Jatakia, Rane and Rao, and "Mnih" is Mnih et al.
2014."""


def summary(results: dict[str, Any]) -> str:
    """Returns the lines that a finished run prints."""
    from ram_tf.evaluation.metrics import summary_lines

    first = (
        f"{results['experiment'] or 'run'}, seed {results['seed']}: test accuracy "
        f"{100 * results['test_accuracy']:.2f} %, validation "
        f"{100 * results['validation_accuracy']:.2f} %, "
        f"{results['wall_seconds']:.0f} s of training"
    )
    lines = [first, *summary_lines(results["evaluation"])]
    return "\n".join([*lines, *results.get("warnings", [])])


def run_name(flagfile: pathlib.Path | None, config: Config) -> str:
    """Returns what a run is called: as it asks, or after its row, or its folder.

    With other settings than its flagfile's it is no run of that row.
    """
    folder = pathlib.Path(config.run_dir).name
    if flagfile is None or is_shared(flagfile):
        return config.experiment or folder
    words = [f"--flagfile={flagfile}", f"--seed={config.seed}"]
    row = parse(config_settings(), words).config()
    if config.experiment not in ("", row.experiment):
        return config.experiment
    if row.digest() != config.digest():
        return folder
    return row.experiment or experiment_name(flagfile)


def give_up(error: RamError) -> None:
    """Ends the process at once: TensorFlow cannot go on without its workers."""
    note(f"error: {error}")
    os._exit(1)


def _command(arguments: Arguments) -> None:
    config = arguments.config()
    name = run_name(arguments.flagfile, config)
    config = dataclasses.replace(config, experiment=name)
    stop = StopRequest()
    try:
        with answering(stop):
            results = train(config, stop, say, give_up)
            say(summary(results) if results else "done; the chief has the results")
    except WorkerLost as error:
        give_up(error)


main = entry_point(_command, config_settings(), USAGE)


if __name__ == "__main__":
    sys.exit(main())
