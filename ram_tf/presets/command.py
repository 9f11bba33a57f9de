"""Makes presets: python -m ram_tf.presets --run_dir=runs/x --out=x."""

import pathlib

from ram_tf.entry_point import entry_point, say
from ram_tf.errors import RamError
from ram_tf.flags import Arguments, Setting, config_settings
from ram_tf.runtime.quiet_import import import_tensorflow
from ram_tf.runtime.stop_signals import ended_by_signal

USAGE = """Writes a finished run as a preset: a folder to share, that loads by its name.

  python -m ram_tf.presets --run_dir=runs/x --out=presets/x

Then RecurrentAttentionModel.from_preset("presets/x") loads it in Python, and other
commands take it as

  --model=preset:presets/x

The folder has the model, its weights as float16, what it expects of images, and a card,
README.md, written from the run's results. The stored weights are measured on the run's
test split.

  python -m ram_tf.presets --shipped --runs_dir=runs

makes the presets of the package again, from the runs of ram_tf/presets/catalogue.py.

  python -m ram_tf.presets --measure=presets/x --data_dir=DIR
  python -m ram_tf.presets --measure=shipped --data_dir=DIR

measures a preset, or all of the package, again on the data, without a run, and writes
metadata.json and the card anew: accuracy, and accuracy against the number of glimpses
when the model stops as soon as it is sure."""

_ALL = "shipped"
_WITHOUT = "expected without --{}, found both"

SETTINGS = [
    *config_settings(["run_dir", "data_dir"]),
    Setting("out", "", "Folder to write; its name is the preset's name."),
    Setting("license", "", "Licence of the weights, as Apache-2.0; empty states none."),
    Setting("shipped", False, "Make the presets of the package from runs_dir."),
    Setting(
        "measure",
        "",
        "A preset to measure again, by name or folder; shipped is all of the package.",
    ),
    Setting("runs_dir", "runs", "With --shipped: the folder of runs."),
    Setting("results_dir", "results", "Where results of other seeds are."),
]


def _command(arguments: Arguments) -> None:
    with ended_by_signal():  # A half-made folder is removed then, too.
        _make_or_measure(arguments)


def _make_or_measure(arguments: Arguments) -> None:
    if arguments.measure:
        beside = {"measure", "data_dir", "results_dir"}
        arguments.refuse(arguments.given - beside, _WITHOUT.format("measure"))
        _measure(arguments)
        return
    if arguments.shipped:
        unread = ("run_dir", "out", "license")
        arguments.refuse(unread, _WITHOUT.format("shipped"))
        _make_shipped(arguments)
        return
    if not arguments.run_dir:
        raise RamError("--run_dir is required: a folder of ram_tf.train")
    arguments.refuse(["runs_dir"], _WITHOUT.format("run_dir"))
    if not arguments.out:
        raise RamError("--out is required: a folder to write")
    import_tensorflow()
    from ram_tf.presets.saving import save_preset

    metadata = save_preset(
        arguments.run_dir,
        arguments.out,
        arguments.data_dir,
        arguments.results_dir,
        arguments.license,
    )
    say(_said(pathlib.Path(arguments.out), metadata))


def _make_shipped(arguments: Arguments) -> None:
    import_tensorflow()
    from ram_tf.models.preset_files import METADATA, PRESETS_DIR
    from ram_tf.presets.catalogue import CATALOGUE, LICENSE
    from ram_tf.presets.page import fill_page
    from ram_tf.presets.saving import save_preset
    from ram_tf.runs.directory import RunDirectory

    for name, run in CATALOGUE.items():
        directory = RunDirectory(pathlib.Path(arguments.runs_dir) / run)
        folder = PRESETS_DIR / name
        if not directory.results.exists():
            kept = "kept" if (folder / METADATA).exists() else "not made"
            say(f"{name}: {kept}, there is no finished run {directory.path}")
            continue
        metadata = save_preset(
            directory.path,
            folder,
            arguments.data_dir,
            arguments.results_dir,
            LICENSE,
            replace=True,
        )
        say(_said(folder, metadata))
    if fill_page():
        say("docs/presets.md: filled")


def _measure(arguments: Arguments) -> None:
    import_tensorflow()
    from ram_tf.models.preset_files import find_preset, shipped_names
    from ram_tf.presets.again import measure_again
    from ram_tf.presets.page import fill_page

    names = [arguments.measure]
    if arguments.measure == _ALL:
        names = shipped_names()
    for name in names:
        metadata = measure_again(name, arguments.data_dir, arguments.results_dir)
        say(_said(find_preset(name), metadata))
    if fill_page():
        say("docs/presets.md: filled")


def _said(folder: pathlib.Path, metadata: dict) -> str:
    return (
        f"{folder}: preset, test accuracy {100 * metadata['test_accuracy']:.2f} % with "
        f"the first glimpse at the centre; as the run was measured "
        f"{100 * metadata['accuracy_of_float16']:.2f} % in float16, "
        f"{100 * metadata['accuracy_of_float32']:.2f} % in float32; "
        f"{metadata['weights_bytes'] / 1e6:.2f} MB"
    )


main = entry_point(_command, SETTINGS, USAGE)
