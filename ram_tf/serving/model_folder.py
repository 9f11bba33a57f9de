"""Whether --model names a model, said before TensorFlow is imported."""

import pathlib

from ram_tf.errors import RamError
from ram_tf.models.preset_files import (
    HUB_PREFIX,
    PRESET,
    WEIGHTS,
    find_preset,
    shipped_names,
)
from ram_tf.runs.directory import RunDirectory
from ram_tf.serving.reload import FILES


def is_preset(model: str) -> bool:
    """Says whether a preset is meant, by preset:NAME or by its folder."""
    return model.startswith(PRESET) or (pathlib.Path(model) / WEIGHTS).exists()


def preset_of(model: str) -> str | pathlib.Path:
    """Returns what names the preset that --model means; a folder stays a folder."""
    if model.startswith(PRESET):
        return model.removeprefix(PRESET)
    return pathlib.Path(model)


def check_model(model: str) -> None:
    """Checks that there is a model; whether it is whole, loading it shows.

    The Hub is asked once, by what loads the model, and not here.

    Args:
      model: the folder of an export or a preset, or preset:NAME.

    Raises:
      RamError: when there is neither.
    """
    if is_preset(model):
        preset = preset_of(model)
        if not str(preset).startswith(HUB_PREFIX):
            find_preset(preset)
        return
    folder = pathlib.Path(model)
    if model in shipped_names() and not folder.exists():
        raise RamError(
            f"--model={model}: expected a folder of ram_tf.export, or a preset as "
            f"{PRESET}{model}, found no such folder"
        )
    if (folder / "saved_model.pb").exists():
        return
    for name in FILES.values():
        if (folder / name).exists():
            raise RamError(
                f"--model={folder}: expected an export of --format=saved_model, found "
                f"{name}"
            )
    what = "a folder without saved_model.pb" if folder.is_dir() else "no such folder"
    if RunDirectory(folder).config.exists():
        what = (
            f"a run; python -m ram_tf.export --run_dir={folder} makes an export of it"
        )
    raise RamError(
        f"--model={folder}: expected a folder of ram_tf.export, or preset:NAME, found "
        f"{what}"
    )
