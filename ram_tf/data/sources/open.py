"""Opens a data set by name: the only module that knows every kind of source."""

from collections.abc import Callable

from ram_tf.config import FOLDER_PREFIX
from ram_tf.data.sources.base import Source


def open_source(
    dataset: str,
    data_dir: str = "",
    validation_size: int = -1,
    image_size: int = 0,
    background: str = "white",
    on_read: Callable[[int, int], None] = lambda done, total: None,
) -> Source:
    """Opens a source by name; of a folder it reads all files, of others no images yet.

    Args:
      dataset: "mnist_sample" (embedded digits), "folder:PATH", or a TFDS name.
      data_dir: where TFDS data are; "" is TFDS_DATA_DIR or else TFDS's own default.
      validation_size: images cut from the end of training; -1 is the source's own
        validation split if it has one, 1,000 of mnist_sample, 5,000 of sets with at
        least 50,000 training images, a tenth of others, at least one.
      image_size: side in pixels that images are resized to; 0 keeps their size.
      background: what shows through where images are transparent: white, black, gray
        or #rrggbb.
      on_read: called, while the files of a folder are read, with how many are done and
        how many there are.

    Raises:
      RamError: when there is no such data set, or it cannot be used.
    """
    if dataset == "mnist_sample":
        from ram_tf.data.sources.mnist_sample import MnistSample

        return MnistSample(validation_size, image_size)
    if dataset.startswith(FOLDER_PREFIX):
        from ram_tf.data.sources.folder import FolderSource

        path = dataset.removeprefix(FOLDER_PREFIX)
        return FolderSource(path, validation_size, image_size, background, on_read)
    from ram_tf.data.sources.tfds import TfdsSource

    return TfdsSource(dataset, data_dir, validation_size, image_size, background)
