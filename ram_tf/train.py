"""Trains what a flagfile describes: python -m ram_tf.train --flagfile=... --run_dir=...

Exit status: 0 finished, now or before; 1 an error, told in one line; 130 after Ctrl-C
and 143 after SIGTERM, when nothing but the running compiled call may be lost and the
same command goes on.
"""

import dataclasses
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from ram_tf.cluster import Cluster
from ram_tf.config import Config
from ram_tf.errors import Interrupted, RamError, WorkerLost
from ram_tf.flags import Arguments, config_settings, run_command
from ram_tf.quiet import import_tensorflow
from ram_tf.result_file import read_results
from ram_tf.run_directory import RunDirectory
from ram_tf.stopping import StopRequest, answering

USAGE = """Trains a recurrent attention model or a baseline classifier.

  python -m ram_tf.train --flagfile=experiments/table1/ram_6g_1s.cfg --run_dir=runs/x

Leaves in run_dir: flags.cfg, config.json, class_names.json, checkpoints, logs,
curve.csv, examples.npz, evaluation.json and, last, results.json. The same command
resumes an unfinished run."""


def train(config: Config, stop: StopRequest | None = None) -> dict[str, Any]:
    """Runs, resumes or merely reads a run, and returns its results.

    Args:
      config: the run.
      stop: who asks to stop; None listens to signals while it trains.

    Returns:
      What results.json holds; of several workers, only the chief's call returns it, and
      the others' are empty.

    Raises:
      RamError: when anything that was given is at fault, or a worker is lost.
      Interrupted: on SIGTERM or SIGINT, after saving.
    """
    cluster = None
    if config.distribution == "multi_worker":
        cluster = Cluster.from_environment()
    directory = RunDirectory(config.run_dir)
    if cluster is None or cluster.is_chief:
        directory.claim()
    try:
        directory.check(config)
        if directory.results.exists():
            return read_results(directory.results)
        return _train(config, directory, cluster, stop or StopRequest())
    finally:
        directory.release()


def _train(
    config: Config, directory: RunDirectory, cluster: Cluster | None, stop: StopRequest
) -> dict[str, Any]:
    # TensorFlow takes seconds to import: only once there is work for it.
    import_tensorflow()
    import tensorflow as tf

    from ram_tf.checkpoints import CheckpointFolder
    from ram_tf.devices import make_strategy, use_cores, use_jit
    from ram_tf.evaluation import Evaluator
    from ram_tf.experiment import assemble, select_weights
    from ram_tf.progress import EvaluationBar, ProgressBar, RunLogger
    from ram_tf.results import write_results
    from ram_tf.training import Trainer

    is_chief = cluster is None or cluster.is_chief
    num_parts = use_cores(config)
    strategy = make_strategy(config, cluster, _give_up)
    with strategy.scope():
        experiment = assemble(config, num_parts)
    jit_compile = use_jit(config)
    source, task, model = experiment.source, experiment.task, experiment.model
    if is_chief:
        directory.check_classes(source.class_names)
        source.split("test")  # A broken image is better told before the training.
        # Only now: what is wrong with data or model must not bind the folder to it.
        directory.begin(config, source.class_names)
    validation = Evaluator(
        model,
        source.split("validation"),
        task,
        jit_compile,
        # Several workers stop together, between calls.
        on_batch=stop.check if cluster is None else lambda: None,
    )
    trainer = Trainer(
        config,
        model,
        source.split("train"),
        task,
        validation.accuracy,
        jit_compile=jit_compile,
        strategy=strategy,
        checkpoints=CheckpointFolder(directory.checkpoints, config.keep_checkpoints),
        is_chief=is_chief,
        stop=stop,
    )
    callbacks: list[Any] = []
    if is_chief:
        logger = RunLogger(trainer, directory.curve, directory.logs)
        callbacks = [logger, ProgressBar(trainer)]
    results: dict[str, Any] = {}
    try:
        trainer.run(callbacks)
        if is_chief:
            select_weights(experiment, directory)
            chosen = trainer.best if config.select == "best" else trainer.curve[-1]
            with EvaluationBar("test") as bar:
                results = write_results(
                    experiment,
                    directory,
                    jit_compile,
                    trainer.wall_seconds,
                    chosen["validation_accuracy"],
                    on_batch=bar,
                )
        trainer.workers.meet()
    except tf.errors.OpError as error:
        if cluster is None:
            raise
        raise cluster.loss(error) from None
    return results


def _give_up(error: RamError) -> None:
    print(f"error: {error}", file=sys.stderr, flush=True)
    os._exit(1)


def experiment_name(flagfile: pathlib.Path) -> str:
    """Returns folder and name of a flagfile: "table1/fc" of .../table1/fc.cfg."""
    path = flagfile.absolute()
    return f"{path.parent.name}/{path.stem}"


def summary(results: dict[str, Any]) -> str:
    """Returns the lines that a finished run prints."""
    # Not at the top: results imports TensorFlow, and --help should not.
    import_tensorflow()
    from ram_tf.results import summary_lines

    first = (
        f"{results['experiment'] or 'run'}, seed {results['seed']}: test accuracy "
        f"{100 * results['test_accuracy']:.2f} %, validation "
        f"{100 * results['validation_accuracy']:.2f} %, "
        f"{results['wall_seconds']:.0f} s of training"
    )
    return "\n".join([first, *summary_lines(results["evaluation"])])


def _command(arguments: Arguments) -> int:
    config = arguments.config()
    if not config.experiment:
        flagfile = arguments.flagfile
        name = pathlib.Path(config.run_dir).name
        if flagfile is not None:
            name = experiment_name(flagfile)
        config = dataclasses.replace(config, experiment=name)
    stop = StopRequest()
    try:
        with answering(stop):
            results = train(config, stop)
            print(summary(results) if results else "done; the chief has the results")
    except Interrupted as interrupted:
        print(f"{interrupted}; the same command goes on", file=sys.stderr)
        return 128 + interrupted.signal
    except WorkerLost as error:
        _give_up(error)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return run_command(_command, config_settings(), argv, usage=USAGE)


if __name__ == "__main__":
    sys.exit(main())
