"""TensorBoard's files of a run that is resumed: what is to come again is cut off.

A file of events is a TFRecord file. The run writes a new one each time it is started.
"""

import pathlib

import tensorflow as tf

from ram_tf.errors import RamError, one_line
from ram_tf.files import written_beside


def event_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the files of events in a folder, the oldest first."""
    return sorted(folder.glob("events.out.tfevents.*"))


def cut_after(path: pathlib.Path, step: int) -> None:
    """Keeps the events of steps 1 to `step`, as curve.csv keeps its rows.

    What a killed run left half-written at the end goes too, and what stands at step 0,
    the run's hyper-parameters: each start writes them anew. A file of which nothing is
    left is removed.

    Args:
      path: a file of events that nobody writes to.
      step: the last one to keep.

    Raises:
      RamError: when it cannot be written.
    """
    version, kept = b"", []
    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            if event.HasField("file_version"):
                version = record
            elif 0 < event.step <= step:
                kept.append(record)
    except tf.errors.DataLossError:
        pass  # The half-written end.
    if not kept:
        path.unlink()
        return
    try:
        with written_beside(path) as whole, tf.io.TFRecordWriter(str(whole)) as writer:
            for record in [version, *kept]:
                writer.write(record)
    except (OSError, tf.errors.OpError) as error:  # A full disk is TensorFlow's error.
        raise RamError(
            f"{path}: expected to write {len(kept)} events, found: {one_line(error)}"
        ) from None
