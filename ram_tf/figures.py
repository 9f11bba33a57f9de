"""Draws glimpse paths: python -m ram_tf.figures --run_dir=... --out=x.png.

Of a run it reads config.json, examples.npz and results.json, and needs no TensorFlow; a
preset looks at the images itself. Needs matplotlib.
"""

import pathlib
import sys
from collections.abc import Sequence

from ram_tf.entry_point import entry_point, note
from ram_tf.errors import RamError
from ram_tf.evaluation.pixel_budget import PixelBudget
from ram_tf.files import write_atomic
from ram_tf.flags import Arguments, Setting, config_settings
from ram_tf.runs.directory import RunDirectory
from ram_tf.runs.results_json import read_results
from ram_tf.runtime.quiet_import import import_tensorflow
from ram_tf.serving.model_folder import check_model, is_preset, preset_of
from ram_tf.viz.geometry import (
    UNKNOWN,
    GlimpsePath,
    PathRecord,
    choose_paths,
    read_paths,
)
from ram_tf.viz.path_figure import draw_paths, title_of, to_png

_MOST_FILES = 20  # Images of files drawn when --num_examples does not say.

USAGE = """Draws where a model looked, what it saw and what it predicted.

  python -m ram_tf.figures --run_dir=runs/x --out=x.png [--num_examples=6]
  python -m ram_tf.figures --model=preset:demo --out=x.png [image.png ...]

For every image: the path of its glimpses, the patches that each of them saw, and the
probability of every class after each of them. The images are chosen from those that the
run kept: right predictions of different classes, and the first wrong one. A preset
(docs/presets.md) looks at the images of the files, in their order, or without files at
the first 20 test images of its data; of MNIST they are those in the package. A preset
of own images needs files, unless their folder is here."""

SETTINGS = [
    *config_settings(["run_dir", "data_dir"]),
    Setting("model", "", "preset:NAME, preset:FOLDER or preset:hf://USER/NAME."),
    Setting(
        "out", "", "PNG file to write; empty is glimpses.png in run_dir, if given."
    ),
    Setting(
        "num_examples",
        6,
        "How many images to draw: 6 by default, up to 20 of files. A run keeps 20.",
        low=1,
    ),
    Setting("resize", True, "Resize images of another size; false refuses them."),
    Setting("prepare", False, "Make images like those of training, as ram_tf.predict."),
]


def _captions(
    record: PathRecord, paths: Sequence[GlimpsePath], accuracy: float | None
) -> tuple[str, str]:
    """Returns title and subtitle: what is drawn, the accuracy and the pixel budget."""
    config = record.config
    pixels = PixelBudget.of(config, record.paths[0].image.shape)
    subtitle = (
        f"{_choice(record.paths, paths)}.  An image has "
        f"{pixels.image:,} values, the glimpses read {pixels.read:,}."
    )
    if accuracy is not None:
        subtitle = f"Test accuracy {100 * accuracy:.2f} %.  {subtitle}"
    return title_of(config), subtitle


def _choice(kept: Sequence[GlimpsePath], drawn: Sequence[GlimpsePath]) -> str:
    """Says how many right and wrong predictions are drawn, of those that were kept."""
    if any(path.label == UNKNOWN for path in kept):
        some = f" of {len(kept)}" if len(drawn) < len(kept) else ""
        return f"Shown: {len(drawn)}{some} image{'s' if len(kept) > 1 else ''}"
    right, all_right = (sum(path.is_right for path in some) for some in (drawn, kept))
    images = "images" if len(kept) > 1 else "image"
    shown = [f"{right} right"] if right else []
    if len(drawn) > right:
        shown.append(f"{len(drawn) - right} wrong")
    said = f"{all_right} of {len(kept)} {images} predicted right"
    return f"{said}; shown: {', '.join(shown)}"


def _of_run(arguments: Arguments) -> tuple[PathRecord, list[GlimpsePath], float | None]:
    """Returns what a run kept, what of it is drawn, and the run's test accuracy."""
    if arguments.positional:
        raise RamError(
            f"{arguments.positional[0]}: expected no images with --run_dir, which "
            "keeps its own; --model=preset:NAME looks at them"
        )
    unread = ("data_dir", "resize", "prepare")
    arguments.refuse(unread, "expected with --model alone, found --run_dir")
    directory = RunDirectory(arguments.run_dir)
    record = read_paths(directory)
    accuracy = None
    if directory.results.exists():
        accuracy = read_results(directory.results)["test_accuracy"]
    return record, choose_paths(record.paths, arguments.num_examples), accuracy


def _of_preset(
    arguments: Arguments,
) -> tuple[PathRecord, list[GlimpsePath], float | None]:
    """Returns what a preset did on the images, what is drawn, and its test accuracy."""
    if not is_preset(arguments.model):
        raise RamError(
            f"--model={arguments.model}: expected preset:NAME or the folder of a "
            "preset; of an export, ram_tf.predict --figure draws paths"
        )
    check_model(arguments.model)
    import_tensorflow()
    from ram_tf.models.presets import load_preset
    from ram_tf.viz.preset_paths import paths_on_files, paths_on_test

    preset = load_preset(preset_of(arguments.model))
    accuracy = preset.metadata["test_accuracy"]
    count = arguments.num_examples
    if not arguments.positional:
        unread = ("resize", "prepare")
        arguments.refuse(unread, "expected with image files, found none")
        record = paths_on_test(preset, arguments.data_dir)
        return record, choose_paths(record.paths, count), accuracy
    arguments.refuse(["data_dir"], "expected without image files, found both")
    record, notes = paths_on_files(
        preset, arguments.positional, arguments.resize, arguments.prepare
    )
    for line in notes:
        note(line)
    if "num_examples" not in arguments.given:
        count = _MOST_FILES
    return record, record.paths[:count], accuracy


def _command(arguments: Arguments) -> None:
    if arguments.model and arguments.run_dir:
        raise RamError("--model: expected one of --run_dir and --model, found both")
    if arguments.model and not arguments.out:
        raise RamError("--out is required with --model: the name of a PNG file")
    run = None if arguments.model else RunDirectory(arguments.run_dir).path
    out = pathlib.Path(arguments.out or f"{run}/glimpses.png")
    if out.suffix != ".png":
        raise RamError(f"--out={out}: expected the name of a PNG file, *.png")
    make = _of_preset if arguments.model else _of_run
    record, paths, accuracy = make(arguments)
    figure = draw_paths(paths, record, *_captions(record, paths, accuracy))
    write_atomic(out, to_png(figure))
    print(f"{out}: {_choice(record.paths, paths)}")


main = entry_point(_command, SETTINGS, USAGE, positional=True)


if __name__ == "__main__":
    sys.exit(main())
