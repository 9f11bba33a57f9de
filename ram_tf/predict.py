"""Classifies images: python -m ram_tf.predict --model=exported/x a.png."""

import contextlib
import pathlib
import sys
from typing import TYPE_CHECKING

from ram_tf.entry_point import entry_point, note, print_error
from ram_tf.errors import RamError
from ram_tf.files import write_atomic
from ram_tf.flags import Arguments, Setting
from ram_tf.runtime.progress import progress_bar
from ram_tf.runtime.quiet_import import import_tensorflow
from ram_tf.serving.model_folder import check_model

if TYPE_CHECKING:
    from ram_tf.serving.predictor import Predictor
    from ram_tf.viz.predicted_paths import PredictedPaths

USAGE = """Classifies images with an exported model or a preset.

  python -m ram_tf.predict --model=exported/x image.png ...
  python -m ram_tf.predict --model=preset:NAME --format=csv photos/ 'more/*.jpg'

Takes PNG, JPEG, GIF, BMP, WebP, TIFF and PNM files, as a viewer shows them; folders,
with the folders in them; quoted patterns; and .npz files with an array `images` (uint8
[n, H, W, C]) and perhaps `labels`, as examples.npz of a run. Prints one line per image.
Pictures become gray or colour and of the size that the model takes, with the background
of its training behind what is transparent; nothing else is changed, unless --prepare
asks for it. A file that cannot be read is named on standard error; the others are
classified, and the exit status is 1."""

SETTINGS = [
    Setting(
        "model",
        "",
        "Folder that ram_tf.export wrote, preset:NAME, or the folder of a preset.",
    ),
    Setting("resize", True, "Resize images of another size; false refuses them."),
    Setting(
        "prepare",
        False,
        "Make images like those of training, as the app does: for a gray model, invert "
        "dark on light when it learned light on dark, or the reverse; for a model of "
        "MNIST's digits, cut out, scale and centre the digit of an image of another "
        "size.",
    ),
    Setting(
        "format",
        "text",
        "What a line is: text; json, an object with the locations; or csv.",
        choices=("text", "json", "csv"),
    ),
    Setting("top", 1, "K: name the K most likely classes of an image.", low=1),
    Setting(
        "rollouts",
        0,
        "R: the mean of R rollouts from R first locations; 0 is the model's own R.",
        low=0,
    ),
    Setting("figure", "", "PNG to draw the paths of the first 6 images into."),
    Setting("animate", "", "GIF to draw them into, glimpse after glimpse."),
]

_PICTURES = {"figure": ".png", "animate": ".gif"}
_MANY = 64  # Images from which on a bar shows how far it is.


def _command(arguments: Arguments) -> int:
    _check(arguments)
    import_tensorflow()
    from ram_tf.serving.predictions import csv_header
    from ram_tf.serving.predictor import load_predictor

    predictor = load_predictor(arguments.model)
    classes = len(predictor.class_names)
    if arguments.top > classes:
        raise RamError(
            f"--top={arguments.top}: expected at most {classes}, the classes of the "
            "model"
        )
    predictor.check_rollouts(arguments.rollouts)
    if arguments.rollouts:
        if sure := predictor.metadata.get("threshold"):
            note(
                f"--rollouts={arguments.rollouts}: each rollout takes all glimpses; "
                f"the export's threshold of {sure:g} is not used"
            )
    pictures = _pictures(arguments, predictor)
    if arguments.format == "csv":
        print(csv_header(arguments.top))
    paths, missing = _find(arguments.positional)
    broken = _classify(arguments, predictor, paths, pictures)
    return int(missing or broken)


def _check(arguments: Arguments) -> None:
    """Raises what can be known before anything is loaded."""
    if not arguments.positional:
        raise RamError("the path of at least one image is required")
    if not arguments.model:
        raise RamError(
            "--model is required: a folder that ram_tf.export wrote, or preset:NAME"
        )
    for flag, suffix in _PICTURES.items():
        path = arguments.values[flag]
        if path and pathlib.Path(path).suffix.lower() != suffix:
            raise RamError(f"--{flag}={path}: expected the name of a file, *{suffix}")
        if path:
            from ram_tf.viz.path_figure import check_matplotlib

            check_matplotlib()
    check_model(arguments.model)


def _pictures(arguments: Arguments, predictor: "Predictor") -> "PredictedPaths | None":
    """Returns what will draw the first images, if anything is to be drawn."""
    if not any(arguments.values[flag] for flag in _PICTURES):
        return None
    from ram_tf.viz.predicted_paths import PredictedPaths

    return PredictedPaths(predictor, arguments.rollouts)


def _find(words: tuple[str, ...]) -> tuple[list[str], bool]:
    """Returns the files that the words name, and whether a word names none."""
    from ram_tf.serving.find_images import find_images

    paths: list[str] = []
    missing = False

    def tell(fault: RamError) -> None:
        nonlocal missing
        print_error(fault)
        missing = True

    for word in words:
        try:
            found, others = find_images(word, tell)
        except RamError as error:
            tell(error)
            continue
        paths += found
        if others:
            files = "1 other file is" if others == 1 else f"{others} other files are"
            _note(
                f"{word}: {files} left out (hidden, or no picture), {len(found)} taken"
            )
    return paths, missing


def _classify(
    arguments: Arguments,
    predictor: "Predictor",
    paths: list[str],
    pictures: "PredictedPaths | None",
) -> bool:
    """Prints what the model says of files; returns whether one could not be read."""
    from ram_tf.serving.classify import classify_files
    from ram_tf.serving.image_notes import ImageNotes
    from ram_tf.serving.predictions import line

    notes = ImageNotes(predictor.metadata)
    files = classify_files(
        predictor, paths, arguments.resize, arguments.prepare, arguments.rollouts
    )
    kind = arguments.format
    names, known, right, broken = predictor.class_names, 0, 0, False
    hidden = len(paths) < _MANY
    with progress_bar(
        len(paths), "files", "classified", at_once=False, hidden=hidden
    ) as bar:
        for file in files:
            # The bar is on the terminal that the lines may go to.
            with contextlib.nullcontext() if hidden else bar.external_write_mode():
                if file.error:
                    print_error(file.error)
                    broken = True
                for prediction in file.predictions:
                    print(_printable(line(prediction, names, arguments.top, kind)))
                    known += prediction.truth is not None
                    right += prediction.truth == prediction.label
            bar.update()
            if file.read is not None:
                notes.add(file.read)
            if pictures is not None:
                pictures.add(file)
    if kind == "text" and known:
        print(f"{right} of {known} right")
    for text in notes.lines():
        _note(text)
    if pictures:
        if notes.count > len(pictures):
            _note(f"the first {len(pictures)} of {notes.count} images are drawn")
        for flag, make in (("figure", pictures.png), ("animate", pictures.gif)):
            if path := arguments.values[flag]:
                write_atomic(pathlib.Path(path), make())
                _note(f"{path}: written")
    return broken


def _note(text: str) -> None:
    """Says on standard error what is no error."""
    note(_printable(text))


def _printable(line: str) -> str:
    """Returns a line that standard output takes; file names may be no text at all."""
    # None: closed by the shell, as in `>&-`.
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    with contextlib.suppress(UnicodeEncodeError):  # Half of a pair, in metadata.
        line = line.encode("utf-8", "surrogateescape").decode(
            "utf-8", "backslashreplace"
        )
    return line.encode(encoding, "backslashreplace").decode(encoding)


main = entry_point(_command, SETTINGS, USAGE, positional=True)


if __name__ == "__main__":
    sys.exit(main())
