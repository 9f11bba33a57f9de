"""Trained weights that a training begins with, in place of random ones.

They come from a finished run or from a preset. Of a preset or a run on other classes
the action network is left out, whose outputs are the classes.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

from ram_tf.config import Config, short_name
from ram_tf.errors import RamError, few_of
from ram_tf.flags import flag
from ram_tf.models.preset_files import (
    METADATA,
    PRESET,
    find_preset,
    shipped_names,
)
from ram_tf.runs.directory import RunDirectory
from ram_tf.runs.results_json import read_results
from ram_tf.runs.trained_on import TrainedOn
from ram_tf.runtime.replicas import local_copies

if TYPE_CHECKING:
    from ram_tf.models.recurrent_attention import RecurrentAttentionModel

# Fields of Config that give the weights their shapes.
_SHAPES = (
    "patch_size",
    "num_scales",
    "glimpse_network",
    "glimpse_units",
    "glimpse_modules",
    "core",
    "core_units",
    "location_hidden_units",
    "location_maps",
)
# And that change what the weights mean.
_MEANINGS = (
    "pixel_range",
    "grayscale",
    "background",
    "image_size",
    "task",
    "canvas_size",
    "num_glimpses",
    "policy",
    "location_bound",
    "location_spread",
    "location_input_scale",
    "initial_location",
)


@dataclasses.dataclass(frozen=True)
class InitialWeights:
    """What is known of the weights that a training begins with.

    Attributes:
      lines: where they are from, and what is not as it was there.
      warnings: on images of validation and test that they were trained on; the run's
        results keep them.
      trained_on: the images that they were trained on.
    """

    lines: list[str]
    warnings: list[str]
    trained_on: TrainedOn

    def to_json(self) -> dict[str, Any]:
        """Returns what a run keeps of it, for itself and for those that follow it."""
        return {"warnings": self.warnings, "trained_on": self.trained_on.to_json()}


@dataclasses.dataclass(frozen=True)
class _Trained:
    """A trained model.

    Attributes:
      model: with the weights that its run chose.
      config: of its run.
      class_names: what its outputs are.
      trained_on: as of `InitialWeights`.
    """

    model: "RecurrentAttentionModel"
    config: Config
    class_names: list[str]
    trained_on: TrainedOn


def check_initial_weights(given: str) -> None:
    """Checks that there are such weights, before anything slow is done.

    Args:
      given: `Config.initial_weights`.

    Raises:
      RamError: when there is no such preset, or no finished run.
    """
    try:
        if given.startswith(PRESET):
            find_preset(given.removeprefix(PRESET))
        else:
            _read_run(given)
    except RamError as error:
        raise _refusal(given, error) from None


def load_initial_weights(
    model: "RecurrentAttentionModel",
    config: Config,
    class_names: list[str],
    records: dict[str, Any],
) -> InitialWeights:
    """Gives a model the weights that its Config names.

    Args:
      model: built, of `config`.
      config: with `initial_weights`.
      class_names: of the data, in the order of their labels.
      records: what the source says of the data.

    Raises:
      RamError: when there are none, or they do not fit the model; nothing of the model
        has changed then.
    """
    given = config.initial_weights
    try:
        trained = _trained(given)
    except RamError as error:
        raise _refusal(given, error) from None
    misfit = _misfit(config, trained, model)
    if misfit:
        raise RamError(f"--initial_weights={given}: {misfit}")
    same_classes = trained.class_names == class_names
    fresh = [] if same_classes else model.action_network.weights
    skipped = {id(variable) for variable in fresh}
    pairs = [
        (mine, theirs)
        for mine, theirs in zip(model.weights, trained.model.weights, strict=True)
        if id(mine) not in skipped
    ]
    for mine, theirs in pairs:
        for copy in local_copies(mine):
            copy.assign(theirs.numpy())
    lines = [f"begins with the weights of {given}"]
    if not same_classes:
        lines.append(
            f"the classes are others than those of {given} "
            f"({_class_changes(trained.class_names, class_names)}): the action network "
            "begins with random weights"
        )
    changed = _changed(config, trained.config, _MEANINGS)
    if changed:
        theirs = " ".join(flag(name, getattr(trained.config, name)) for name in changed)
        lines.append(f"the weights were trained with {theirs}")
    warnings = _warnings(config, trained.trained_on, records)
    return InitialWeights(lines, warnings, trained.trained_on)


def _class_changes(before: list[str], now: list[str]) -> str:
    kinds = {
        "new": [name for name in now if name not in before],
        "gone": [name for name in before if name not in now],
    }
    said = [f"{kind}: {few_of(names)}" for kind, names in kinds.items() if names]
    return "; ".join(said) or "the same names in another order"


def _warnings(
    config: Config, trained_on: TrainedOn, records: dict[str, Any]
) -> list[str]:
    lines = [
        f"warning: which images {name} was trained on is not recorded: accuracy counts "
        "only if none of them is in validation and test"
        for name in sorted(trained_on.unrecorded)
    ]
    seen = trained_on.seen(records)
    if seen:
        lines.append(
            f"warning: {short_name(config.initial_weights)} was trained on "
            f"{' and '.join(seen)}: accuracy on those says nothing of new images"
        )
    return lines


def _trained(given: str) -> _Trained:
    # Here, so that a mistyped name needs no TensorFlow.
    from ram_tf.models.factory import build_model
    from ram_tf.models.presets import load_preset
    from ram_tf.runs.setup import select_weights

    if given.startswith(PRESET):
        preset = load_preset(given.removeprefix(PRESET))
        trained_on = TrainedOn.of_preset(
            preset.metadata, short_name(given), preset.folder / METADATA
        )
        return _Trained(preset.model, preset.config, preset.class_names, trained_on)
    directory, config = _read_run(given)
    class_names = directory.read_class_names()
    image_shape = read_results(directory.results)["image_shape"]
    model = build_model(config, len(class_names), image_shape)
    select_weights(model, config, directory)
    return _Trained(model, config, class_names, directory.read_trained_on())


def _read_run(given: str) -> tuple[RunDirectory, Config]:
    directory = RunDirectory(given)
    config = directory.read_finished_config()
    if config.model != "ram":
        raise RamError(f"expected a run of --model=ram, found --model={config.model}")
    return directory, config


def _misfit(config: Config, trained: _Trained, model: "RecurrentAttentionModel") -> str:
    names = _changed(config, trained.config, _SHAPES)
    if names:
        expected, found = (
            " ".join(flag(name, getattr(each, name)) for name in names)
            for each in (trained.config, config)
        )
        return f"expected a model of the same shape, {expected}, found {found}"
    mine, theirs = model.image_shape[-1], trained.model.image_shape[-1]
    if mine != theirs:
        if theirs == 1:
            return f"expected gray images as there (--grayscale), found {mine} channels"
        return f"expected images of {theirs} channels as there, found {mine}"
    if _decisions_with_offsets(config) != _decisions_with_offsets(trained.config):
        names = _changed(config, trained.config, ("location_spread", "num_glimpses"))
        expected = " ".join(flag(name, getattr(trained.config, name)) for name in names)
        return f"expected {expected} as there, since each decision has offsets"
    return ""


def _decisions_with_offsets(config: Config) -> int:
    # As `RecurrentAttentionModel` has them: of one glimpse there is one, unused.
    return max(config.num_glimpses - 1, 1) if config.location_spread else 0


def _changed(mine: Config, theirs: Config, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if getattr(mine, name) != getattr(theirs, name)]


def _refusal(given: str, error: RamError) -> RamError:
    said = str(error).removeprefix(f"--run_dir={given}: ")
    hint = f"; did you mean {PRESET}{given}?" if given in shipped_names() else ""
    return RamError(f"--initial_weights={given}: {said}{hint}")
