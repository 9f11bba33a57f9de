"""Draws glimpse paths of a run: python -m ram_tf.figures --run_dir=... --out=x.png.

Reads config.json, examples.npz and results.json; needs matplotlib and no TensorFlow.
"""

import io
import pathlib
import sys
from collections.abc import Sequence

from ram_tf.errors import RamError
from ram_tf.evaluation.pixel_budget import PixelBudget
from ram_tf.files import write_atomic
from ram_tf.flags import Arguments, Setting, config_settings, entry_point
from ram_tf.runs.directory import RunDirectory
from ram_tf.runs.results_json import read_results
from ram_tf.viz.geometry import GlimpsePath, PathRecord, choose_paths, read_paths
from ram_tf.viz.path_figure import draw_paths

USAGE = """Draws where a run's model looked, what it saw and what it predicted.

  python -m ram_tf.figures --run_dir=runs/x --out=x.png [--num_examples=6]

For every image: the path of its glimpses, the patches that each of them saw, and the
probability of every class after each of them. The images are chosen from those that the
run kept: right predictions of different classes, and the first
wrong one."""

SETTINGS = [
    *config_settings(["run_dir"]),
    Setting("out", "", "PNG file to write; empty is glimpses.png in run_dir."),
    Setting("num_examples", 6, "Images to draw; a run keeps 20.", low=1),
]


def _captions(
    record: PathRecord, paths: Sequence[GlimpsePath], directory: RunDirectory
) -> tuple[str, str]:
    """Returns title and subtitle: what is drawn, the accuracy and the pixel budget."""
    config = record.config
    scales = f" at {config.num_scales} scales" if config.num_scales > 1 else ""
    side = config.patch_size
    glimpses = "glimpse" if config.num_glimpses == 1 else "glimpses"
    title = (
        f"Where the model looks: {config.num_glimpses} {glimpses} of "
        f"{side}×{side} pixels{scales}"
    )
    pixels = PixelBudget.of(config, record.paths[0].image.shape)
    subtitle = (
        f"{_choice(record.paths, paths)}.  An image has "
        f"{pixels.image:,} values, the glimpses read {pixels.read:,}."
    )
    if directory.results.exists():
        accuracy = 100 * read_results(directory.results)["test_accuracy"]
        subtitle = f"Test accuracy {accuracy:.2f} %.  {subtitle}"
    return title, subtitle


def _choice(kept: Sequence[GlimpsePath], drawn: Sequence[GlimpsePath]) -> str:
    """Says how many right and wrong predictions are drawn, of those that were kept."""
    right, all_right = (sum(path.is_right for path in some) for some in (drawn, kept))
    wrong, all_wrong = len(drawn) - right, len(kept) - all_right
    return (
        f"Shown: {right} of {all_right} right predictions, {wrong} of {all_wrong} wrong"
    )


def _command(arguments: Arguments) -> None:
    directory = RunDirectory(arguments.run_dir)
    out = pathlib.Path(arguments.out or directory.path / "glimpses.png")
    if out.suffix != ".png":
        raise RamError(f"--out={out}: expected the name of a PNG file, *.png")
    record = read_paths(directory)
    paths = choose_paths(record.paths, arguments.num_examples)
    figure = draw_paths(paths, record, *_captions(record, paths, directory))
    buffer = io.BytesIO()
    # Without the version of matplotlib, which would make equal pictures differ.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    write_atomic(out, buffer.getvalue())
    print(f"{out}: {_choice(record.paths, paths)}")


main = entry_point(_command, SETTINGS, USAGE)


if __name__ == "__main__":
    sys.exit(main())
