"""Pipeline: batches of a task's images as tf.data, a pure function of seed and step.

Follows tasks, feeds training and evaluation. Nothing is shuffled through a buffer: the
order of an epoch is a random permutation that can be read at any place, and the draws
come from the number of the step or of the image, so a resumed run needs no state of the
iterator and a worker makes its own share only.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ram_tf.data.permutation import ROUNDS, permute
from ram_tf.data.sources.base import ImageSet
from ram_tf.data.tasks import Task
from ram_tf.errors import RamError

EVALUATION_SEED = 20160926  # Of the draws of validation and test images, for every run.
_BEFORE_ALL_EPOCHS = tf.int64.min  # Counts as no step and no epoch.
_BLOCKS_AHEAD = 2
# Made together: enough to hide what a call costs, few enough to stay in the cache.
# Tensors of more than 32 MB cost far more, as malloc gives them back each time.
_IMAGES_AT_ONCE = 512
_GRAY_AT_ONCE = 4096


def check_batch_size(batch_size: int, count: int) -> None:
    """Raises RamError where a batch has more images than there are for training."""
    if batch_size > count:
        raise RamError(
            f"--batch_size={batch_size}: expected at most {count}, the training images"
        )


def training_blocks(
    image_set: ImageSet,
    task: Task,
    starts: Sequence[int] | np.ndarray,
    steps_per_call: int,
    batch_size: int,
    seed: int,
    shard: tuple[int, int] = (0, 1),
    redraw: bool = True,
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
      redraw: give an image other draws in every epoch; else it keeps its first ones.

    Returns:
      A dataset of (images float32 [S, B/W, H, W, C], labels int32 [S, B/W]), one
      element for each start. An epoch is n // B steps; it sees each image at most once.

    Raises:
      RamError: when the split is smaller than a batch, or W does not divide B.
    """
    count = len(image_set.labels)
    worker, workers = shard
    check_batch_size(batch_size, count)
    if batch_size % workers or not 0 <= worker < workers:
        raise RamError(
            f"--batch_size={batch_size}: expected a multiple of the {workers} shards"
        )
    share = batch_size // workers
    rows = tf.range(worker * share, (worker + 1) * share, dtype=tf.int64)
    pool, labels, shape = _as_tensors(image_set, task)
    num_draws = task.num_draws(training=True)
    if not redraw:
        with tf.device("CPU"):
            kept = _random([count, num_draws], seed, _BEFORE_ALL_EPOCHS)

    def draw(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # Epochs are counted downwards, so that they share no seed with a step.
        keys = _random([ROUNDS], seed, -1 - step // (count // batch_size))
        drawn = _random([batch_size, num_draws], seed, step)
        return keys, drawn[worker * share : (worker + 1) * share]

    fitting = max(1, min(steps_per_call, _IMAGES_AT_ONCE // share))
    part = next(size for size in range(fitting, 0, -1) if steps_per_call % size == 0)
    parts = steps_per_call // part

    def compose(start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        steps = start + tf.range(part, dtype=tf.int64)
        keys, draws = tf.map_fn(draw, steps, fn_output_signature=(tf.uint32, tf.uint32))
        places = (steps % (count // batch_size))[:, None] * batch_size + rows
        index = permute(tf.reshape(places, [-1]), tf.repeat(keys, share, axis=0), count)
        draws = tf.reshape(draws, [-1, num_draws]) if redraw else tf.gather(kept, index)
        images = task.compose(tf.gather(pool, index), draws, pool, index, training=True)
        return images, tf.gather(labels, index)

    def finish(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = task.to_float(tf.reshape(images, [steps_per_call, share, *shape]))
        return images, tf.reshape(labels, [steps_per_call, share])

    part_starts = np.asarray(starts, np.int64)[:, None] + part * np.arange(parts)
    dataset = tf.data.Dataset.from_tensor_slices(part_starts.reshape(-1))
    dataset = _parallel_map(dataset, compose).batch(parts, drop_remainder=True)
    return _parallel_map(dataset, finish).prefetch(_BLOCKS_AHEAD)


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
    chosen = np.arange(count) if indices is None else np.asarray(indices)
    if not len(chosen):
        raise RamError("no images to evaluate, expected at least 1")
    pool, labels, shape = _as_tensors(image_set, task)
    with tf.device("CPU"):
        drawn = _random([count, task.num_draws(training=False)], EVALUATION_SEED, 0)

    def batch(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        images = task(tf.gather(pool, index), tf.gather(drawn, index), pool, index)
        images = tf.ensure_shape(images, [None, *shape])
        return images, tf.gather(labels, index), index

    dataset = tf.data.Dataset.from_tensor_slices(chosen.astype(np.int64))
    batches = _parallel_map(dataset.batch(batch_size), batch)
    return batches.prefetch(_BLOCKS_AHEAD)


def first_images(
    image_set: ImageSet, task: Task, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first images of a split as the model is shown them, in 8 bits.

    Args:
      image_set: the split; its images are drawn as for evaluation.
      task: what is done to them.
      count: of images; of a smaller split all.

    Returns:
      Images, uint8 [n, H, W, C], and their labels, integers [n].
    """
    chosen = range(min(count, len(image_set.labels)))
    batches = evaluation_batches(image_set, task, len(chosen), chosen)
    images, labels, _ = next(iter(batches))
    return task.to_bytes(images), labels.numpy()


def _as_tensors(
    image_set: ImageSet, task: Task
) -> tuple[tf.Tensor, tf.Tensor, tuple[int, int, int]]:
    """Returns images (gray already if the task is), labels, shape of an output."""
    shape = task.output_shape(image_set.images.shape[1:])
    with tf.device("CPU"):
        # In parts: the work in between takes several times the memory of the result.
        parts = range(0, len(image_set.labels), _GRAY_AT_ONCE)
        pool = tf.concat(
            [task.to_gray(image_set.images[at : at + _GRAY_AT_ONCE]) for at in parts], 0
        )
        return pool, tf.constant(image_set.labels, tf.int32), shape


def _random(shape: Sequence[int], seed: int, counter: int | tf.Tensor) -> tf.Tensor:
    """Returns uint32, uniform over all values: a pure function of seed and counter."""
    words = tf.stack([tf.constant(seed, tf.int64), tf.cast(counter, tf.int64)])
    return tf.random.stateless_uniform(shape, words, None, None, tf.uint32)


def _parallel_map(dataset: tf.data.Dataset, function: Any) -> tf.data.Dataset:
    """Maps in parallel, in order; shared out by `shard`, never by tf.distribute."""
    function = tf.autograph.experimental.do_not_convert(function)
    dataset = dataset.map(function, tf.data.AUTOTUNE, deterministic=True)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    return dataset.with_options(options)
