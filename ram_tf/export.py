"""Exports a run: python -m ram_tf.export --run_dir=runs/x --export_dir=exported/x."""

import pathlib
import sys

from ram_tf.errors import RamError
from ram_tf.flags import Arguments, Setting, config_settings, entry_point
from ram_tf.runs.directory import RunDirectory
from ram_tf.runs.results_json import read_results
from ram_tf.runtime.quiet_import import import_tensorflow

# First locations of initial_location=random: one draw, the same for every image.
_START = {"center": "the centre", "random": "one random location"}

USAGE = """Writes the chosen weights of a finished run as a SavedModel.

  python -m ram_tf.export --run_dir=runs/x --export_dir=exported/x

It loads where TensorFlow is and ram_tf is not. Signatures: serving_default (images:
float32 [B, H, W, C] in [0, 1]) and serving_uint8 (images: uint8 0..255); both return
probabilities [B, N], label [B] and locations [B, T, 2]. metadata.json beside it says
what the model expects, its classes and its test accuracy."""

SETTINGS = [
    *config_settings(["run_dir", "data_dir"]),
    Setting("export_dir", "", "Folder to write; must not exist yet."),
    Setting(
        "initial_location",
        "center",
        "First glimpse of every image: the centre, or one fixed random location.",
        choices=("center", "random"),
    ),
]


def _command(arguments: Arguments) -> None:
    if not arguments.export_dir:
        raise RamError("--export_dir is required: a folder to write")
    import_tensorflow()
    from ram_tf.evaluation.progress_bar import EvaluationBar
    from ram_tf.runs.setup import load_run
    from ram_tf.serving.saved_model import export

    experiment = load_run(arguments.run_dir, arguments.data_dir)
    path = pathlib.Path(arguments.export_dir)
    with EvaluationBar("test") as bar:
        metadata = export(experiment, path, arguments.initial_location, bar)
    run = read_results(RunDirectory(arguments.run_dir).results)
    line = f"{path}: SavedModel, test accuracy {100 * metadata['test_accuracy']:.2f} %"
    if experiment.config.model == "ram":
        line += (
            f" with the first glimpse at {_START[arguments.initial_location]}; the run "
            f"has {100 * run['test_accuracy']:.2f} %"
        )
    print(line)


main = entry_point(_command, SETTINGS, USAGE)


if __name__ == "__main__":
    sys.exit(main())
