"""An experiment put together: from a Config to data, model and chosen weights."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ram_tf.config import Config
from ram_tf.data.sources.base import Source
from ram_tf.data.sources.open import open_source
from ram_tf.data.tasks import Task
from ram_tf.errors import RamError
from ram_tf.models.factory import build_model
from ram_tf.models.image_classifier import ImageClassifier
from ram_tf.models.variables import named_variables, put_average
from ram_tf.runs.checkpoints import CheckpointFolder, restore
from ram_tf.runs.directory import RunDirectory
from ram_tf.runtime.cluster import Cluster
from ram_tf.runtime.devices import make_strategy, use_cores
from ram_tf.runtime.progress import CallbackBar


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Data and model of a Config.

    Attributes:
      config: the Config.
      source: the data set.
      task: what is made of its images.
      image_shape: (H, W, C) that the model sees.
      model: built and compiled.
    """

    config: Config
    source: Source
    task: Task
    image_shape: tuple[int, int, int]
    model: ImageClassifier


def assemble(config: Config, num_parts: int = 1) -> Experiment:
    """Opens the data of a Config and builds its model with fresh weights.

    Args:
      config: the run.
      num_parts: as `ram_tf.runtime.devices.use_cores` says.

    Raises:
      RamError: when the data are missing, or do not fit the Config.
    """
    with CallbackBar("images", "reading") as on_read:
        source = open_source(
            config.dataset,
            config.data_dir,
            config.validation_size,
            config.image_size,
            config.background,
            on_read,
        )
    if len(source.class_names) < 2:
        raise RamError(
            f"--dataset={config.dataset}: expected at least two classes, found "
            f"{', '.join(source.class_names)} alone"
        )
    source.check()
    task = task_of(config)
    image_shape = task.output_shape(source.image_shape)
    model = build_model(config, len(source.class_names), image_shape, num_parts)
    return Experiment(config, source, task, image_shape, model)


def assemble_for_training(
    config: Config,
    cluster: Cluster | None = None,
    give_up: Callable[[RamError], None] = lambda error: None,
) -> tuple[Experiment, tf.distribute.Strategy]:
    """Puts an experiment together where it is to be trained.

    Must come before TensorFlow first computes: cores and devices are fixed then.

    Args:
      config: the run.
      cluster: as of `make_strategy`.
      give_up: as of `make_strategy`.

    Returns:
      The experiment, and the strategy in whose scope its model was made.

    Raises:
      RamError: as of `make_strategy` and `assemble`.
    """
    num_parts = use_cores(config)
    strategy = make_strategy(config, cluster, give_up)
    with strategy.scope():
        experiment = assemble(config, num_parts)
    return experiment, strategy


def task_of(config: Config) -> Task:
    """Returns the task of a Config."""
    return Task(**{f.name: getattr(config, f.name) for f in dataclasses.fields(Task)})


def load_run(path: str | pathlib.Path, data_dir: str = "") -> Experiment:
    """Opens a finished run with the weights that its Config selects.

    Args:
      path: the run's folder.
      data_dir: where its data are now; "" keeps what the run was given.

    Raises:
      RamError: when there is no finished run, its checkpoint is damaged, or its data
        are not the same any more.
    """
    directory = RunDirectory(path)
    config = directory.read_finished_config()
    if data_dir:
        config = dataclasses.replace(config, data_dir=data_dir)
    folder = config.image_folder
    if folder and not pathlib.Path(folder).is_dir():
        raise RamError(
            f"--run_dir={directory.path}: expected the images of the run in {folder}, "
            "found no such folder; put them, or a link to them, back there"
        )
    experiment = assemble(config)
    check_source(experiment.source, directory)
    select_weights(experiment.model, config, directory)
    return experiment


def checkpoint_folder(config: Config, directory: RunDirectory) -> CheckpointFolder:
    """Returns the checkpoints of a run, which are held to its Config."""
    return CheckpointFolder(
        directory.checkpoints, config.keep_checkpoints, config.digest()
    )


def check_source(source: Source, directory: RunDirectory) -> dict[str, Any]:
    """Checks that a folder holds no run, or one of these very data.

    Returns:
      The records of the data, for `RunDirectory.begin`.

    Raises:
      RamError: when it holds a run of other ones; the message names what changed.
    """
    directory.check_classes(source.class_names)
    records = source.records()
    directory.check_data(records)
    return records


def select_weights(
    model: ImageClassifier, config: Config, directory: RunDirectory
) -> None:
    """Restores the weights that config.select names: the ones for evaluation.

    Args:
      model: built and compiled, of `config`.
      config: the run's.
      directory: the run's.

    Raises:
      RamError: when their checkpoint is missing or damaged.
    """
    checkpoints = checkpoint_folder(config, directory)
    variables = named_variables(model)
    if config.select == "best":
        restore(checkpoints.best, variables, checkpoints.config_digest)
    else:
        path = checkpoints.at(config.train_steps)
        restore(path, variables, checkpoints.config_digest)
    put_average(model)
