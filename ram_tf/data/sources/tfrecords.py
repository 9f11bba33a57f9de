"""TFRecord files of encoded images and labels to arrays, fast, and named if broken.

Used by `tfds`. Batches are parsed and decoded together, which takes a third of the
time that TFDS's own example by example reading does. What fails there is read again one
by one, to find the file and the record that are at fault.
"""

import bisect
import itertools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ram_tf.data import image_ops as images_lib
from ram_tf.data.picture import Color, over_if_transparent
from ram_tf.data.sources.base import ImageSet
from ram_tf.errors import RamError, one_line

_BATCH = 256  # Records that are parsed and decoded together.

# Height and width may be None: they vary. Channels are 1, 3 or 4.
StoredShape = tuple[int | None, int | None, int]


class Records(NamedTuple):
    """Examples start to stop of a split.

    Attributes:
      files: the TFRecord files of the split, in order.
      lengths: how many records each holds.
      start: the first example, counted over the whole split.
      stop: the example behind the last.
      image: key of the encoded image in an example.
      label: key of the int64 label.
    """

    files: tuple[str, ...]
    lengths: tuple[int, ...]
    start: int
    stop: int
    image: str
    label: str

    def place(self, number: int) -> str:
        """Returns file and record of an example, for messages."""
        ends = list(itertools.accumulate(self.lengths))
        file = bisect.bisect_right(ends, self.start + number)
        if file == len(ends):
            return f"{self.files[-1]}, past its end"
        record = self.start + number - ends[file] + self.lengths[file]
        return f"{self.files[file]}, record {record}"

    def features(self) -> dict[str, tf.io.FixedLenFeature]:
        """Returns how to parse an example."""
        return {
            self.image: tf.io.FixedLenFeature([], tf.string),
            self.label: tf.io.FixedLenFeature([], tf.int64),
        }

    def dataset(self) -> tf.data.Dataset:
        """Returns the serialized examples."""
        records = tf.data.TFRecordDataset(list(self.files))
        return records.skip(self.start).take(self.stop - self.start)


def read_records(
    records: Records,
    stored_shape: StoredShape,
    image_shape: tuple[int, int, int],
    num_classes: int,
    background: Color = (255, 255, 255),
) -> ImageSet:
    """Reads and checks images and labels.

    Args:
      records: which.
      stored_shape: what the data set says that its images are.
      image_shape: of the images to return; another size than stored is resized.
      num_classes: N; labels are in [0, N).
      background: behind the transparency of sets of four channels.

    Raises:
      RamError: for a broken file or image, another size or channel count than stated,
        a label out of range, or too few records.
    """
    count = records.stop - records.start
    images = np.empty((count, *image_shape), np.uint8)
    labels = np.empty(count, np.int64)
    done, kinds = 0, set()
    try:
        decoded = _decode(records, stored_shape, image_shape, background)
        for batch in decoded.as_numpy_iterator():
            rows = slice(done, done + len(batch[1]))
            colour = batch[0].shape[-1] > 2
            kinds.add(colour)
            if len(kinds) > 1 or colour and image_shape[2] == 1:
                raise ValueError("gray and colour images")
            # Repeats gray when colour is wanted.
            images[rows] = batch[0][..., : 3 if colour else 1]
            labels[rows] = batch[1]
            done = rows.stop
    except (tf.errors.OpError, ValueError) as error:
        _read_singly(records, stored_shape)
        raise RamError(
            f"{records.place(done)}: expected {count} readable examples, found: "
            f"{one_line(error)}"
        ) from None
    if done != count:
        raise RamError(
            f"{records.place(done)}: expected {count} examples by dataset_info.json, "
            f"found {done}"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(wrong):
        raise RamError(
            f"{records.place(wrong[0])}: label {labels[wrong[0]]}, expected 0 to "
            f"{num_classes - 1}"
        )
    return ImageSet(images, labels.astype(np.int32))


def _decode(
    records: Records,
    stored_shape: StoredShape,
    image_shape: tuple[int, int, int],
    background: Color,
) -> tf.data.Dataset:
    """Returns (images uint8 [b, h, w, ?], labels int64 [b]); uneven batches fail."""
    varies = None in stored_shape
    # Sets of JPEGs of many sizes hold gray ones among colour, as their makers found
    # them; sets of one size are alike throughout, so there a stray image is a fault.
    wanted = stored_shape[2] if varies else 0

    def decode_one(encoded: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(encoded, wanted, expand_animations=False)
        image = tf.ensure_shape(image, [*stored_shape[:2], None])
        if stored_shape[2] == 4:
            image = tf.numpy_function(
                lambda pixels: over_if_transparent(pixels, background),
                [image],
                tf.uint8,
            )
            image.set_shape([*stored_shape[:2], None])
        if stored_shape[:2] == image_shape[:2]:
            return image
        return images_lib.resize(image, *image_shape[:2])

    def decode(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        examples = tf.io.parse_example(serialized, records.features())
        encoded = examples[records.image]
        images = tf.map_fn(decode_one, encoded, fn_output_signature=tf.uint8)
        return images, examples[records.label]

    batches = records.dataset().batch(_BATCH)
    decode = tf.autograph.experimental.do_not_convert(decode)
    return batches.map(decode, tf.data.AUTOTUNE, deterministic=True).prefetch(2)


def _read_singly(records: Records, stored_shape: StoredShape) -> None:
    """Raises RamError for the first record that is at fault; slow."""
    number = 0
    usual = None
    try:
        for serialized in records.dataset():
            example = tf.io.parse_single_example(serialized, records.features())
            image, channels = images_lib.decode(example[records.image])
            usual = int(channels) if usual is None else usual
            expected = 1 if stored_shape[2] == 1 else usual
            if None not in stored_shape and int(channels) != expected:
                raise RamError(
                    f"{records.place(number)}: an image of {int(channels)} channel(s), "
                    f"expected {expected}"
                )
            tf.ensure_shape(image, [*stored_shape[:2], None])
            number += 1
    except (tf.errors.OpError, ValueError) as error:
        if isinstance(error, RamError):
            raise
        expected_shape = "x".join(str(side or "any") for side in stored_shape)
        raise RamError(
            f"{records.place(number)}: broken, expected an image of {expected_shape} "
            f"and a label: {one_line(error)}"
        ) from None
