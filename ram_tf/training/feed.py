"""Feeds the training loop: blocks of steps, and for every replica its own rows."""

from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from ram_tf.config import Config
from ram_tf.data.pipeline import training_blocks
from ram_tf.data.sources.base import ImageSet
from ram_tf.data.tasks import Task


def plan_blocks(
    start: int, stop: int, size: int, boundaries: Sequence[int]
) -> list[tuple[int, int]]:
    """Cuts the steps start..stop-1 into blocks for compiled calls.

    Args:
      start: the first step.
      stop: the step after the last.
      size: the most steps in a block.
      boundaries: numbers of which no block may cross a multiple.

    Returns:
      (first step, number of steps) of each block.
    """
    blocks = []
    while start < stop:
        nearest = min((start // every + 1) * every for every in boundaries)
        end = min(start + size, nearest, stop)
        blocks.append((start, end - start))
        start = end
    return blocks


def feed(
    config: Config,
    strategy: tf.distribute.Strategy,
    train: ImageSet,
    task: Task,
    step: int,
) -> Iterator[tuple[int, int, Any, Any]]:
    """Yields the blocks of steps `step` to config.train_steps - 1.

    Args:
      config: the run.
      strategy: where it runs; every replica is fed its own rows of the global batch.
      train: the training split.
      task: how images are shown.
      step: the first step.

    Yields:
      First step, number of steps, images [S, B/W, H, W, C], labels [S, B/W]; W is the
      number of replicas, and with several the last two are per replica.
    """
    plan = plan_blocks(
        step,
        config.train_steps,
        config.steps_per_call,
        (config.eval_every, config.checkpoint_every),
    )
    if not plan:
        return
    starts = [start for start, _ in plan]
    replicas = strategy.num_replicas_in_sync

    def blocks(shard: tuple[int, int]) -> tf.data.Dataset:
        return training_blocks(
            train,
            task,
            starts,
            config.steps_per_call,
            config.batch_size,
            config.seed,
            shard,
            config.redraw,
        )

    if replicas == 1:
        for (start, count), (images, labels) in zip(plan, blocks((0, 1)), strict=False):
            yield start, count, images, labels
        return
    # A pipeline per replica. TensorFlow's own distributed data set would be one per
    # worker, but whoever lets go of its iterator waits for a thread that sleeps, for
    # seconds, at times half a minute: every run at its end, and at a signal.
    iterators: dict[int, Iterator[Any]] = {}

    def next_block(context: tf.distribute.experimental.ValueContext) -> Any:
        replica = context.replica_id_in_sync_group
        if replica not in iterators:
            iterators[replica] = iter(blocks((replica, replicas)))
        return next(iterators[replica])

    for start, count in plan:
        values = strategy.experimental_distribute_values_from_function(next_block)
        yield start, count, *values
