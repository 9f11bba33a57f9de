"""Presets on disk: a model with its weights, found by name, folder or Hub address.

A preset is a folder of four files. `config.json` and `model.weights.h5` are as
`keras.saving.load_model` reads them from a folder; the weights are stored as float16.
`metadata.json` says what an export's says, and what the card in `README.md` states.
"""

import importlib
import pathlib
from typing import TYPE_CHECKING, Any

from ram_tf.errors import RamError, did_you_mean, one_line
from ram_tf.files import read_json

if TYPE_CHECKING:
    import keras

CONFIG, METADATA = "config.json", "metadata.json"
WEIGHTS, CARD = "model.weights.h5", "README.md"
# They come with the package.
PRESETS_DIR = pathlib.Path(__file__).parents[1] / "presets"
HUB_PREFIX = "hf://"
PRESET = "preset:"  # Before the name of a preset, in --model.

# Settings that are a side of an array of the weights, or a part of one.
_WIDTHS = (
    *("num_classes", "patch_size", "num_scales", "glimpse_units", "glimpse_modules"),
    *("core_units", "location_hidden_units", "location_maps"),
)
_KINDS = {
    "experiment": str,
    "config_digest": str,
    "image_shape": list,
    "class_names": list,
    "initial_location": str,
    "test_accuracy": float,
    "config": dict,
}


class ShippedPresets:
    """A class attribute: the metadata of every preset of the package, by name."""

    def __get__(self, instance: Any, owner: Any = None) -> dict[str, dict[str, Any]]:
        return {name: read_metadata(PRESETS_DIR / name) for name in shipped_names()}


def shipped_names() -> list[str]:
    """Returns the names of the presets that come with the package, sorted."""
    # Not what a killed `make presets` left.
    return sorted(path.parent.name for path in PRESETS_DIR.glob(f"[!.]*/{METADATA}"))


def find_preset(preset: str | pathlib.Path) -> pathlib.Path:
    """Returns the folder of a preset.

    Args:
      preset: a name of the package's own; else a folder; else an address of the
        Hugging Face Hub, "hf://user/name", which is downloaded to the Hub's cache. A
        path, as this returns it, is a folder whatever its name.

    Returns:
      An absolute path, which can be no name.

    Raises:
      RamError: when there is none, or the Hub cannot be asked.
    """
    given = str(preset)
    names = shipped_names()
    if isinstance(preset, str) and preset in names:
        return PRESETS_DIR / preset
    if given.startswith(HUB_PREFIX):
        return _download(given)
    folder = pathlib.Path(given)
    if given and (folder / WEIGHTS).is_file():
        return folder.absolute()
    found = "no preset and no folder of that name"
    if given and folder.is_dir():
        found = f"a folder without {WEIGHTS}"
    if (folder / "saved_model.pb").is_file():
        found = "an export, which --model takes without preset:"
    if folder.suffix == ".keras" and folder.is_file():
        found = "a file that keras.saving.load_model reads"
    raise RamError(
        f"preset {given!r}: expected one of {', '.join(names)}, the folder of a "
        f"preset, or {HUB_PREFIX}USER/NAME, found {found}"
        # Not of a path, which the name of a shipped one is none of.
        + ("" if "/" in given else did_you_mean(given.removeprefix(PRESET), names))
    )


def _download(address: str) -> pathlib.Path:
    repository = address.removeprefix(HUB_PREFIX)
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise RamError(f"preset {address!r}: expected {HUB_PREFIX}USER/NAME")
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError:
        raise RamError(
            "huggingface_hub is not installed: pip install 'ram-tf[hub]'"
        ) from None
    try:
        # Nothing else of a repository is needed, whatever its size.
        files = [CONFIG, METADATA, WEIGHTS, CARD]
        folder = hub.snapshot_download(repo_id=repository, allow_patterns=files)
    except Exception as error:  # noqa: BLE001 - its own errors, and those of the network.
        raise RamError(
            f"preset {address!r}: expected to download it, found: {one_line(error)}"
        ) from None
    if not (pathlib.Path(folder) / WEIGHTS).is_file():
        raise RamError(
            f"preset {address!r}: expected a preset of ram_tf, found a repository "
            f"without {WEIGHTS}"
        )
    return pathlib.Path(folder)


def read_metadata(folder: pathlib.Path) -> dict[str, Any]:
    """Reads what a preset says of itself.

    Returns:
      metadata.json, with `image_shape` a tuple.

    Raises:
      RamError: when it is missing or broken; the message names the value.
    """
    path = folder / METADATA
    metadata = read_json(path)
    for name, kind in _KINDS.items():
        value = metadata.get(name) if isinstance(metadata, dict) else None
        if not isinstance(value, kind):
            raise RamError(f"{path}: expected {name} of type {kind.__name__}")
    shape = metadata["image_shape"]
    if len(shape) != 3 or not all(type(side) is int and side > 0 for side in shape):
        raise RamError(f"{path}: expected image_shape [H, W, C], found {shape}")
    background = metadata["config"].get("background", "white")
    return {"background": background, **metadata, "image_shape": tuple(shape)}


def read_settings(
    folder: pathlib.Path, registered_name: str
) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Reads what a preset's model is made with.

    Args:
      folder: of the preset.
      registered_name: of the model's class, as Keras saves it.

    Returns:
      The arguments of its class, and (H, W, C) of its images.

    Raises:
      RamError: when config.json is missing, broken, or of another class.
    """
    path = folder / CONFIG
    saved = read_json(path)
    try:
        found = saved["registered_name"]
        settings = dict(saved["config"])
        _, height, width, channels = saved["build_config"]["input_shape"]
        # By its name: nothing that a file describes is imported or run.
        settings["dtype"] = settings["dtype"]["config"]["name"]
    except (KeyError, TypeError, ValueError) as error:
        raise RamError(
            f"{path}: expected a model as Keras saves it, found: "
            f"{type(error).__name__} {error}"
        ) from None
    if found != registered_name:
        raise RamError(f"{path}: expected a {registered_name}, found {found}")
    return settings, (height, width, channels)


def check_widths(folder: pathlib.Path, settings: dict[str, Any]) -> None:
    """Refuses settings of a wider model than the weights are of, before it is built.

    Initial weights of any width that a file states could fill the machine.

    Args:
      folder: of the preset.
      settings: as `read_settings` gives them.

    Raises:
      RamError: when one is larger than every side of every array, or the file of
        weights is missing or damaged.
    """
    path = folder / WEIGHTS
    widest = max((max(shape, default=1) for shape in _array_shapes(path)), default=1)
    for name in _WIDTHS:
        ignored = name == "core_units" and settings.get("core") == "none"
        width = 0 if ignored else settings.get(name, 0)
        if isinstance(width, int) and width > widest:
            raise RamError(
                f"{folder / CONFIG}: expected {name} of at most {widest}, as the "
                f"weights of the model are, found {width}"
            )


def read_weights(
    model: "keras.Model", folder: pathlib.Path, fresh: tuple[Any, ...] = ()
) -> None:
    """Assigns a preset's weights to a built model, as the dtype of its variables.

    Args:
      model: of the preset's architecture.
      folder: of the preset.
      fresh: layers that keep the weights that they have.

    Raises:
      RamError: when the file is missing, damaged, or of another architecture.
    """
    path = folder / WEIGHTS
    stored = len(_array_shapes(path))
    try:
        model.load_weights(path, objects_to_skip=list(fresh) or None)
    except Exception as error:  # noqa: BLE001 - Keras and HDF5 raise all kinds.
        raise _no_weights(path, error) from None
    if stored != len(model.weights):  # Keras leaves out what the model lacks.
        raise RamError(
            f"{path}: expected the weights of the model, {len(model.weights)} arrays, "
            f"found {stored}"
        )


def _array_shapes(path: pathlib.Path) -> list[tuple[int, ...]]:
    import h5py  # Keras has it; a name of a preset is known without.

    shapes: list[tuple[int, ...]] = []
    try:
        with h5py.File(path) as file:
            file.visititems(
                lambda _, found: (
                    shapes.append(found.shape)
                    if isinstance(found, h5py.Dataset)
                    else None
                )
            )
    except Exception as error:  # noqa: BLE001 - HDF5 raises all kinds.
        raise _no_weights(path, error) from None
    return shapes


def _no_weights(path: pathlib.Path, error: Exception) -> RamError:
    return RamError(
        f"{path}: expected the weights of the model, found: {one_line(error)}"
    )
