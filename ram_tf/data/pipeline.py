"""Pipeline: batches of a task's images as tf.data, a pure function of seed and step.

Follows tasks, feeds training and evaluation. Nothing is shuffled through a buffer: the
order of an epoch is a random permutation that can be read at any place, and the draws
of a step come from its number, so a resumed run needs no state of the iterator and a
worker makes its own share only.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from ram_tf.data.sources import ImageSet
from ram_tf.data.tasks import Task
from ram_tf.errors import RamError

EVALUATION_SEED = 20160926  # Of the draws of validation and test images, for every run.
_BLOCKS_AHEAD = 2


def training_blocks(
    image_set: ImageSet,
    task: Task,
    starts: Sequence[int] | np.ndarray,
    steps_per_call: int,
    batch_size: int,
    seed: int,
    shard: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Returns blocks of training batches.

    Args:
      image_set: the training split, n images.
      task: what is made of the images.
      starts: the first step of each block.
      steps_per_call: S, steps a block.
      batch_size: B, images of one step over all shards.
      seed: of order and draws.
      shard: (w, W): yield rows w * B/W to (w+1) * B/W of each global batch.

    Returns:
      A dataset of (images float32 [S, B/W, H, W, C], labels int32 [S, B/W]), one
      element for each start. An epoch is n // B steps; it sees each image at most once.

    Raises:
      RamError: when the split is smaller than a batch, or W does not divide B.
    """
    count = len(image_set.labels)
    worker, workers = shard
    if batch_size > count:
        raise RamError(
            f"--batch_size={batch_size}: expected at most {count}, the training images"
        )
    if batch_size % workers or not 0 <= worker < workers:
        raise RamError(
            f"--batch_size={batch_size}: expected a multiple of the {workers} shards"
        )
    share = batch_size // workers
    rows = tf.range(worker * share, (worker + 1) * share, dtype=tf.int64)
    pool, labels, shape = _as_tensors(image_set, task)
    num_draws = task.num_draws(training=True)
    key = tf.constant(_seed_words(seed), tf.int32)

    @tf.autograph.experimental.do_not_convert
    def draws_of(step: tf.Tensor) -> tf.Tensor:
        low = tf.cast(step % 2**31, tf.int32)
        step_key = tf.random.fold_in(key, low)
        drawn = tf.random.stateless_uniform(
            [batch_size, num_draws], step_key, None, None, tf.uint32
        )
        return drawn[worker * share : (worker + 1) * share]

    @tf.autograph.experimental.do_not_convert
    def block(start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        steps = start + tf.range(steps_per_call, dtype=tf.int64)
        index = _training_order(steps, rows, count, batch_size, key)
        draws = tf.map_fn(draws_of, steps, fn_output_signature=tf.uint32)
        draws = tf.reshape(draws, [steps_per_call * share, num_draws])
        images = task(tf.gather(pool, index), draws, pool, index, training=True)
        return (
            tf.reshape(images, [steps_per_call, share, *shape]),
            tf.reshape(tf.gather(labels, index), [steps_per_call, share]),
        )

    dataset = tf.data.Dataset.from_tensor_slices(np.asarray(starts, np.int64))
    return _parallel_map(dataset, block)


def _training_order(
    steps: tf.Tensor, rows: tf.Tensor, count: int, batch_size: int, key: tf.Tensor
) -> tf.Tensor:
    """Returns int64 [S * b]: which images the rows of these steps show."""
    per_epoch = count // batch_size
    epoch = tf.cast(steps // per_epoch % 2**31, tf.int32)
    position = (steps % per_epoch)[:, None] * batch_size + rows
    words = tf.broadcast_to(key, [tf.size(steps), 2])
    words = tf.concat([words, epoch[:, None]], axis=1)
    # The raw op: tf.random.experimental.index_shuffle mishandles one seed an index.
    return tf.raw_ops.RandomIndexShuffle(
        index=tf.reshape(position, [-1]),
        seed=tf.repeat(words, tf.size(rows), axis=0),
        max_index=tf.constant(count - 1, tf.int64),
    )


def evaluation_batches(
    image_set: ImageSet,
    task: Task,
    batch_size: int,
    indices: Sequence[int] | np.ndarray | None = None,
) -> tf.data.Dataset:
    """Returns the images of a split in order, the same for every run and seed.

    Args:
      image_set: the whole split: an image's draws come from its index in it.
      task: what is made of the images, without augmentation.
      batch_size: images a batch; the last batch holds what is left.
      indices: the images to yield; None is all of them.

    Returns:
      A dataset of (images float32 [b, H, W, C], labels int32 [b], index int64 [b]).

    Raises:
      RamError: when the split is empty.
    """
    count = len(image_set.labels)
    if not count:
        raise RamError("the split to evaluate has no images, expected at least 1")
    pool, labels, shape = _as_tensors(image_set, task)
    drawn = tf.random.stateless_uniform(
        [count, task.num_draws(training=False)],
        [EVALUATION_SEED, 0],
        None,
        None,
        tf.uint32,
    )

    @tf.autograph.experimental.do_not_convert
    def batch(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        images = task(tf.gather(pool, index), tf.gather(drawn, index), pool, index)
        images = tf.ensure_shape(images, [None, *shape])
        return images, tf.gather(labels, index), index

    chosen = np.arange(count) if indices is None else np.asarray(indices)
    dataset = tf.data.Dataset.from_tensor_slices(chosen.astype(np.int64))
    return _parallel_map(dataset.batch(batch_size), batch)


def _as_tensors(
    image_set: ImageSet, task: Task
) -> tuple[tf.Tensor, tf.Tensor, tuple[int, int, int]]:
    """Returns images (gray already if the task is), labels, shape of an output."""
    shape = task.output_shape(image_set.images.shape[1:])
    pool = task.to_gray(tf.constant(image_set.images))
    return pool, tf.constant(image_set.labels, tf.int32), shape


def _seed_words(seed: int) -> tuple[int, int]:
    """Splits a seed of up to 62 bits into two non-negative int32."""
    return seed % 2**31, seed // 2**31 % 2**31


def _parallel_map(dataset: tf.data.Dataset, function: object) -> tf.data.Dataset:
    dataset = dataset.map(
        function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    return dataset.with_options(options).prefetch(_BLOCKS_AHEAD)
