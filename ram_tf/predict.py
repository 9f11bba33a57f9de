"""Classifies images: python -m ram_tf.predict --model=exported/x a.png."""

import collections
import contextlib
import itertools
import pathlib
import sys
from typing import TYPE_CHECKING, Any

from ram_tf.errors import RamError
from ram_tf.files import write_atomic
from ram_tf.flags import Arguments, Setting, entry_point, print_error
from ram_tf.runtime.quiet_import import import_tensorflow

if TYPE_CHECKING:
    from ram_tf.serving.classify import ClassifiedFile
    from ram_tf.serving.predictor import Predictor

USAGE = """Classifies images with an exported model or a preset.

  python -m ram_tf.predict --model=exported/x image.png ...
  python -m ram_tf.predict --model=preset:NAME --format=csv photos/ 'more/*.jpg'

Takes PNG, JPEG, GIF, BMP, WebP, TIFF and PNM files, as a viewer shows them; folders,
with the folders in them; quoted patterns; and .npz files with an array `images` (uint8
[n, H, W, C]) and perhaps `labels`, as examples.npz of a run. Prints one line an image.
Images become what the model was trained on: gray or colour, of its size, with the
background of its training behind what is transparent. A file that cannot be read is
named on standard error; the others are classified, and the exit status is 1."""

SETTINGS = [
    Setting(
        "model",
        "",
        "Folder that ram_tf.export wrote, preset:NAME, or the folder of a preset.",
    ),
    Setting("resize", True, "Resize images of another size; false refuses them."),
    Setting(
        "format",
        "text",
        "What a line is: text; json, an object with the locations; or csv.",
        choices=("text", "json", "csv"),
    ),
    Setting("json", False, "Short for --format=json."),
    Setting("top", 1, "K: name the K most likely classes of an image.", low=1),
    Setting(
        "rollouts",
        0,
        "R: the mean of R rollouts from R first locations; 0 is what the model does.",
        low=0,
    ),
    Setting("figure", "", "PNG to draw the paths of the first images into."),
    Setting("animate", "", "GIF to draw them into, glimpse after glimpse."),
]

_MANY = 64  # Images from which on a bar shows how far it is.
_DRAWN = 6  # Images of a figure.


def _command(arguments: Arguments) -> int:
    if not arguments.positional:
        raise RamError("the path of at least one image is required")
    if not arguments.model:
        raise RamError(
            "--model is required: a folder that ram_tf.export wrote, or preset:NAME"
        )
    if arguments.json and arguments.format not in ("text", "json"):
        raise RamError(f"--json: expected no --format={arguments.format} beside it")
    kind = "json" if arguments.json else arguments.format
    _check_pictures(arguments)
    import_tensorflow()
    import tqdm

    from ram_tf.serving.classify import classify_files
    from ram_tf.serving.predictions import csv_header, line
    from ram_tf.serving.predictor import load_predictor

    predictor = load_predictor(arguments.model)
    names = predictor.class_names
    if arguments.top > len(names):
        raise RamError(
            f"--top={arguments.top}: expected at most {len(names)}, the classes of "
            "the model"
        )
    if arguments.figure or arguments.animate or arguments.rollouts:
        predictor.check_path()
    if kind == "csv":
        print(csv_header(arguments.top))
    paths, status = _find(arguments.positional)
    tally = _Tally()
    bar = tqdm.tqdm(total=len(paths), unit="file", disable=len(paths) < _MANY or None)
    with bar:
        for file in classify_files(
            predictor, paths, arguments.resize, arguments.rollouts
        ):
            # The bar is on the terminal that the lines may go to.
            with contextlib.nullcontext() if bar.disable else bar.external_write_mode():
                if file.error:
                    print_error(file.error)
                    status = 1
                for prediction in file.predictions:
                    print(_printable(line(prediction, names, arguments.top, kind)))
            bar.update()
            tally.add(file)
    if kind == "text" and tally.known:
        print(f"{tally.right} of {tally.known} right")
    _note_resized(tally, predictor)
    if tally.first and (arguments.figure or arguments.animate):
        _draw(tally, predictor, arguments)
    return status


def _check_pictures(arguments: Arguments) -> None:
    for flag, suffix in (("figure", ".png"), ("animate", ".gif")):
        path = arguments.values[flag]
        if path and pathlib.Path(path).suffix.lower() != suffix:
            raise RamError(f"--{flag}={path}: expected the name of a file, *{suffix}")
        if path:
            from ram_tf.viz.path_figure import check_matplotlib

            check_matplotlib()


def _find(words: tuple[str, ...]) -> tuple[list[str], int]:
    """Returns the files that the words name, and 1 if a word names none."""
    from ram_tf.serving.image_files import find_images

    paths: list[str] = []
    status = 0
    for word in words:
        try:
            found, others = find_images(word)
        except RamError as error:
            print_error(error)
            status = 1
            continue
        paths += found
        if others:
            _note(f"{word}: {others} other files are left out, {len(found)} taken")
    return paths, status


class _Tally:
    """What is to be said or drawn when all files are done.

    Attributes:
      count: images.
      known: those of them whose true label is known.
      right: those of them whose prediction is that.
      sizes: how many images of each size (h, w) there are.
      first: (image, true label) of the first.
    """

    def __init__(self) -> None:
        self.count = self.known = self.right = 0
        self.sizes: collections.Counter[tuple[int, int]] = collections.Counter()
        self.first: list[tuple[Any, int | None]] = []

    def add(self, file: "ClassifiedFile") -> None:
        self.count += len(file.predictions)
        self.sizes[file.stored_size] += len(file.predictions)
        truths = [prediction.truth for prediction in file.predictions]
        self.known += sum(truth is not None for truth in truths)
        self.right += sum(
            prediction.truth == prediction.label for prediction in file.predictions
        )
        free = _DRAWN - len(self.first)
        self.first += itertools.islice(zip(file.images, truths, strict=True), free)


def _note_resized(tally: _Tally, predictor: "Predictor") -> None:
    """Says how many images were resized, from what to what."""
    height, width, _ = predictor.image_shape
    sizes = +tally.sizes
    del sizes[height, width]
    if not sizes:
        return
    parts = [f"{count} of {h}x{w}" for (h, w), count in sizes.most_common(3)]
    if len(sizes) > len(parts):
        parts.append(f"others of {len(sizes) - len(parts)} more sizes")
    text = (
        f"{sizes.total()} of {tally.count} images were resized to {height}x{width} "
        f"(height x width): {', '.join(parts)}"
    )
    if predictor.task != "plain":
        text += (
            f"; the model was trained with --task={predictor.task}: the object is "
            "smaller than the image"
        )
    _note(text)


def _draw(tally: _Tally, predictor: "Predictor", arguments: Arguments) -> None:
    """Writes the figure and the animation of the first images."""
    import numpy as np

    from ram_tf.config import Config
    from ram_tf.viz.geometry import UNKNOWN, GlimpsePath, PathRecord
    from ram_tf.viz.path_animation import animate_paths
    from ram_tf.viz.path_figure import draw_paths, title_of, to_png

    images = np.stack([image for image, _ in tally.first])
    starts = np.tile(predictor.first_location, [len(images), 1])
    found = predictor.path(images, starts)
    rows = zip(tally.first, found.locations, found.probabilities, strict=True)
    paths = [
        GlimpsePath(
            image, UNKNOWN if truth is None else truth, locations, probabilities
        )
        for (image, truth), locations, probabilities in rows
    ]
    settings = ("num_glimpses", "patch_size", "num_scales")
    config = Config(**{name: getattr(predictor, name) for name in settings})
    record = PathRecord(config, paths, predictor.class_names)
    rollouts = arguments.rollouts or predictor.num_rollouts
    subtitle = predictor.name
    if rollouts > 1:
        subtitle += (
            f".  The first of {rollouts} rollouts, whose mean is the prediction."
        )
    if tally.count > len(paths):
        _note(f"the first {len(paths)} of {tally.count} images are drawn")
    captions = title_of(config), subtitle
    if arguments.figure:
        png = to_png(draw_paths(paths, record, *captions))
        write_atomic(pathlib.Path(arguments.figure), png)
    if arguments.animate:
        gif = animate_paths(paths, record, *captions)
        write_atomic(pathlib.Path(arguments.animate), gif)


def _note(text: str) -> None:
    """Says on standard error what is no error."""
    print(_printable(text), file=sys.stderr)


def _printable(line: str) -> str:
    """Returns a line that standard output takes; file names may be no text at all."""
    encoding = sys.stdout.encoding or "utf-8"
    with contextlib.suppress(UnicodeEncodeError):  # Half of a pair, in metadata.
        line = line.encode("utf-8", "surrogateescape").decode(
            "utf-8", "backslashreplace"
        )
    return line.encode(encoding, "backslashreplace").decode(encoding)


main = entry_point(_command, SETTINGS, USAGE, positional=True)


if __name__ == "__main__":
    sys.exit(main())
