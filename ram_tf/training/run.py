"""One training run from its Config to its results; the command train calls it."""

from collections.abc import Callable
from typing import Any

from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.runs.directory import RunDirectory
from ram_tf.runs.initial_weights import check_initial_weights, load_initial_weights
from ram_tf.runs.results_json import read_results
from ram_tf.runtime.cluster import Cluster
from ram_tf.runtime.quiet_import import import_tensorflow
from ram_tf.runtime.stop_signals import StopRequest
from ram_tf.training.cautions import cautions


def train(
    config: Config,
    stop: StopRequest | None = None,
    report: Callable[[str], None] = lambda lines: None,
    give_up: Callable[[RamError], None] = lambda error: None,
) -> dict[str, Any]:
    """Runs, resumes or merely reads a run, and returns its results.

    Args:
      config: the run.
      stop: a request to stop, as `answering` sets it; None handles signals itself
        while it trains.
      report: called with lines on the data and on settings that may not be as meant,
        when nothing is left to refuse and the training begins; not for data that
        everybody has alike.
      give_up: as of `make_strategy`: called in another thread when workers do not
        come, and should end the process.

    Returns:
      What results.json holds. Of several workers, only the chief's call returns it, and
      the others' are empty, unless the run was finished before.

    Raises:
      RamError: when a flag or a file is wrong, or a worker is lost.
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
        directory.read_warnings()  # A damaged file is better told before the training.
        if directory.results.exists():
            try:
                return read_results(directory.results)
            except RamError as error:
                raise RamError(
                    f"{error}; delete it, and the same command measures the finished "
                    "run again, without training"
                ) from None
        if config.validation_size == 0:
            raise RamError(
                "--validation_size=0: expected at least 1 image, or -1 for the usual "
                "number: training measures itself on validation"
            )
        if config.initial_weights and not directory.holds_run():
            check_initial_weights(config.initial_weights)
        return _train(
            config, directory, cluster, stop or StopRequest(), report, give_up
        )
    finally:
        directory.release()


def _train(
    config: Config,
    directory: RunDirectory,
    cluster: Cluster | None,
    stop: StopRequest,
    report: Callable[[str], None],
    give_up: Callable[[RamError], None],
) -> dict[str, Any]:
    # TensorFlow takes seconds to import: only once there is work for it.
    import_tensorflow()
    import keras
    import tensorflow as tf

    from ram_tf.data.pipeline import check_batch_size
    from ram_tf.evaluation.evaluator import Evaluator
    from ram_tf.evaluation.final_results import write_results
    from ram_tf.evaluation.policy_monitor import PolicyMonitor
    from ram_tf.runs.setup import (
        assemble_for_training,
        check_source,
        checkpoint_folder,
        select_weights,
    )
    from ram_tf.runtime.devices import use_jit
    from ram_tf.runtime.progress import CallbackBar
    from ram_tf.training.callbacks import ProgressBar, RunLogger
    from ram_tf.training.trainer import Trainer

    is_chief = cluster is None or cluster.is_chief
    experiment, strategy = assemble_for_training(config, cluster, give_up)
    jit_compile = use_jit(config)
    source, task, model = experiment.source, experiment.task, experiment.model
    checkpoints = checkpoint_folder(config, directory)
    if is_chief:
        checkpoints.check()
        records = check_source(source, directory)
        # Reads all splits: a broken image is better reported before the training.
        lines = [*source.summary_lines(), *cautions(config)]
        initial_weights = None
        # A run that is taken up again has its own by now.
        if config.initial_weights and not checkpoints.newest():
            names = source.class_names
            loaded = load_initial_weights(model, config, names, records)
            lines += [*loaded.lines, *loaded.warnings]
            initial_weights = loaded.to_json()
        check_batch_size(config.batch_size, len(source.split("train").labels))
        # Only now: a Config whose data or model fails must not take the folder.
        directory.begin(config, source.class_names, records, initial_weights)
    validation = Evaluator(
        model,
        source.split("validation"),
        task,
        jit_compile,
        # Several workers stop together, between calls.
        on_batch=stop.check if cluster is None else lambda: None,
    )
    observe: Callable[[], dict[str, float]] = dict
    monitor = None
    watched = config.model == "ram" and config.policy == "learned"
    if watched and config.distribution == "one":
        split, names = source.split("validation"), source.class_names
        observe = monitor = PolicyMonitor(model, split, task, jit_compile, names)
    trainer = Trainer(
        config,
        model,
        source.split("train"),
        task,
        lambda: validation.accuracy(config.eval_locations == "sample"),
        jit_compile=jit_compile,
        strategy=strategy,
        checkpoints=checkpoints,
        is_chief=is_chief,
        stop=stop,
        observe=observe,
    )
    callbacks: list[Any] = []
    if is_chief:
        logger = RunLogger(trainer, directory.curve, directory.logs, monitor)
        callbacks = [logger, ProgressBar(trainer)]
        if lines:
            # Above the bar.
            found = keras.callbacks.LambdaCallback(
                on_train_begin=lambda logs: report("\n".join(lines))
            )
            callbacks.insert(1, found)
    results: dict[str, Any] = {}
    try:
        trainer.run(callbacks)
        if is_chief:
            select_weights(model, config, directory)
            chosen = trainer.best if config.select == "best" else trainer.curve[-1]
            with CallbackBar("batches", "test") as bar:
                results = write_results(
                    experiment,
                    directory,
                    jit_compile,
                    trainer.wall_seconds,
                    chosen["validation_accuracy"],
                    on_batch=bar,
                )
        trainer.workers.barrier()
    except tf.errors.OpError as error:
        if cluster is None:
            raise
        raise cluster.loss(error) from None
    return results
