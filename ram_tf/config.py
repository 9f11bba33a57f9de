"""Every hyper-parameter once: type, default, unit, range, place in the paper.

A flag, a Config field, a keyword argument and a key in every JSON file have the
same name. "Paper" is Jatakia, Rane and Rao, "Recurrent Attention Model for Image
Classification"; "Mnih" is Mnih et al. 2014, "Recurrent Models of Visual
Attention".

Over 250 lines: every field stands here with what `--help` says of it.
"""

import dataclasses
import hashlib
import json
import math
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ram_tf.errors import RamError

# Before the path in Config.dataset, of images in folders.
FOLDER_PREFIX = "folder:"


def _setting(
    default: Any,
    doc: str,
    *,
    choices: Iterable[str] = (),
    low: float | None = None,
    high: float | None = None,
    changes_numbers: bool = True,
    section: str = "",
) -> Any:
    metadata = {
        "section": section,
        "doc": doc,
        "choices": tuple(choices),
        "low": low,
        "high": high,
        "changes_numbers": changes_numbers,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """One training run, complete.

    The first field of a group names it (`section`), for `--help`.

    Raises:
      RamError: on construction, when a value is of the wrong type, out of its range
        or at odds with another; the message names the flag.
    """

    model: str = _setting(
        "ram",
        "Model: the recurrent attention model, or a whole-image classifier (paper 5).",
        choices=("ram", "fc", "conv"),
        section="What is trained, on which images",
    )
    fc_units: int = _setting(
        256,
        "Units of both hidden layers of model=fc, and of the one of model=conv "
        "(paper 5).",
        low=1,
    )
    conv_stride: int = _setting(
        5,
        "Stride in pixels of the convolution of model=conv (Mnih: 5; the paper does "
        "not say).",
        low=1,
    )
    dataset: str = _setting(
        "mnist_sample",
        "A TFDS name (mnist, cifar10, ...), mnist_sample (in the package) "
        "or folder:PATH with one folder of images per class.",
    )
    image_size: int = _setting(
        0, "Side in pixels that images are resized to; 0 keeps their size.", low=0
    )
    validation_size: int = _setting(
        -1,
        "Images cut from the end of the training split for validation; -1 is 5,000, "
        "1,000 for mnist_sample, a tenth of sets under 50,000 images, and none of a "
        "set with a validation split of its own. Training needs at least 1.",
        low=-1,
    )
    background: str = _setting(
        "white",
        "What shows through where images are transparent: white, black, gray or "
        "#rrggbb.",
    )
    task: str = _setting(
        "plain",
        "Images as they are, at a random place of a black canvas, or that with "
        "clutter (paper 6.1-6.3).",
        choices=("plain", "translated", "cluttered"),
    )
    canvas_size: int = _setting(
        60, "Side in pixels of the canvas (paper 5: 60).", low=1
    )
    num_clutter: int = _setting(4, "Pieces of clutter (Mnih: 4).", low=0)
    clutter_size: int = _setting(8, "Side of a piece in pixels (Mnih: 8).", low=1)
    clutter_overlap: bool = _setting(
        True,
        "Pieces land anywhere; false leaves out a piece that would land where the "
        "canvas is not black, as the authors' public code does: num_clutter are tried.",
    )
    grayscale: bool = _setting(
        False, "Make colour images gray by ITU-R 601 luma (paper 6.4)."
    )
    pixel_range: str = _setting(
        "unit",
        "Pixels in [0, 1], or in 0..255 as in the authors' public code.",
        choices=("unit", "byte"),
    )
    augmentation: str = _setting(
        "none",
        "Random changes of training images: left-right flips, shifts by up to "
        "max_shift, or both; affine, for handwriting, shifts, turns by up to 15 "
        "degrees, sizes from 87 to 118 % and slants by up to 15 %.",
        choices=("none", "flip", "shift", "flip_crop", "affine"),
    )
    max_shift: int = _setting(4, "Pixels by which augmentation shifts at most.", low=1)
    redraw: bool = _setting(
        True,
        "Draw the position, the clutter and the augmentation of every training image "
        "anew every epoch; false draws them once, as the authors' public code does.",
    )

    patch_size: int = _setting(
        8,
        "Side g of a patch in pixels (paper 4.2: 12; Mnih: 8).",
        low=1,
        section="Glimpse sensor and networks",
    )
    num_scales: int = _setting(
        1, "Patches K per glimpse, each twice as wide (paper 4.1).", low=1, high=8
    )
    num_glimpses: int = _setting(6, "Glimpses T per image (paper 6).", low=1)
    glimpse_network: str = _setting(
        "fc",
        "Mnih's fully connected network, the paper's Inception module (paper 4.2), "
        "or our convolutional one.",
        choices=("fc", "inception", "conv"),
    )
    glimpse_units: int = _setting(
        0,
        "Width of a glimpse's features; 0 is 256, and 24 maps for inception "
        "(paper 4.2). conv has an eighth as many maps in its first two convolutions.",
        low=0,
    )
    glimpse_modules: int = _setting(
        1,
        "Inception modules of glimpse_network=inception, one after the other, with a "
        "2x2 max pool between two (paper: 1).",
        low=1,
    )
    core: str = _setting(
        "lstm",
        "Core network: ReLU RNN (Mnih), LSTM or ConvLSTM (paper 4.3), or none: "
        "features pass through and nothing recurs.",
        choices=("rnn", "lstm", "conv_lstm", "none"),
    )
    core_units: int = _setting(
        0, "Core width F; 0 is 256, and 24 filters for conv_lstm (paper 4.2).", low=0
    )
    location_hidden_units: int = _setting(
        0, "ReLU units between core and location mean; 0 is none (paper 4.5).", low=0
    )
    location_input_scale: float = _setting(
        1.0,
        "Factor on what the location network reads: the core's output, or the maps of "
        "location_maps. On a wide output Adam's steps drive the mean to the border; "
        "256 / width avoids it (0.074 for 24 maps of 12x12).",
        low=1e-6,
    )
    location_maps: int = _setting(
        0,
        "Maps of a 1x1 convolution between a core whose output is maps and the "
        "location network: fewer inputs keep Adam's steps from driving the mean to the "
        "border; 0 is none.",
        low=0,
    )

    policy: str = _setting(
        "learned",
        "Where to look next: learned by REINFORCE (paper 4.5), uniformly random, or "
        "always at the centre.",
        choices=("learned", "random", "center"),
        section="The policy",
    )
    location_stddev: float = _setting(
        0.1,
        "Standard deviation of the location policy, in units of half an image "
        "(paper 4.5: fixed, not stated).",
        low=1e-6,
    )
    initial_location: str = _setting(
        "random",
        "First location: uniformly random, or the centre.",
        choices=("random", "center"),
    )
    policy_gradient_scope: str = _setting(
        "location",
        "What REINFORCE trains: the location network, or the core behind it too.",
        choices=("location", "core"),
    )
    location_bound: float = _setting(
        1.0,
        "Largest mean of the location policy; 0 is 1 - patch_size over the image's "
        "side, which keeps the smallest patch inside the image.",
        low=0,
        high=1,
    )
    location_spread: float = _setting(
        0.0,
        "How far from the centre untrained means are spread over the image, as a share "
        "of the largest mean; each decision then has its own learned offset. 0 is "
        "no offsets: untrained means lie side by side.",
        low=0,
        high=0.99,
    )
    num_rollouts: int = _setting(
        1, "Rollouts M per image in training (paper equation 2).", low=1
    )

    cross_entropy_at: str = _setting(
        "last",
        "Cross-entropy of the class after the last glimpse (paper 4.4), or its mean "
        "over every glimpse.",
        choices=("last", "every"),
        section="Credit: what is learned from which glimpse",
    )
    reward: str = _setting(
        "correct",
        "Reward of a glimpse: 1 where the class is right, else 0 (paper 4.4), or the "
        "probability of the true class.",
        choices=("correct", "probability"),
    )
    decision_return: str = _setting(
        "final",
        "What a decision is credited with: the reward after the last glimpse (paper "
        "4.4), the mean of the rewards after it, or the discounted sum of what each "
        "later glimpse adds to the reward.",
        choices=("final", "to_go", "gain"),
    )
    discount: float = _setting(
        0.5,
        "Discount per later glimpse, with decision_return=gain; 0 credits a decision "
        "with the next glimpse alone.",
        low=0,
        high=1,
    )
    baseline: str = _setting(
        "learned",
        "What is subtracted from the return: the baseline network's prediction, or the "
        "mean of the image's other rollouts.",
        choices=("learned", "leave_one_out"),
    )
    normalize_advantages: bool = _setting(
        False, "Divide advantages by their standard deviation over the batch."
    )

    eval_rollouts: int = _setting(
        10,
        "Rollouts per image in the final evaluation; the headline is the first.",
        low=1,
        section="Evaluation",
    )
    eval_locations: str = _setting(
        "mean",
        "Evaluate at the policy's means, or at sampled locations.",
        choices=("mean", "sample"),
    )
    select: str = _setting(
        "best",
        "Evaluate the weights that were best on validation, or the last ones.",
        choices=("best", "final"),
    )

    batch_size: int = _setting(
        128,
        "Images per step, over all devices.",
        low=1,
        section="Optimisation",
    )
    train_steps: int = _setting(10_000, "Training steps.", low=1)
    optimizer: str = _setting("adam", "Adam (paper 5) or SGD.", choices=("adam", "sgd"))
    momentum: float = _setting(0.0, "Momentum of sgd (Mnih: 0.9).", low=0, high=0.9999)
    learning_rate: float = _setting(
        1e-3, "Learning rate at the first step (paper 5: 1e-4).", low=0
    )
    lr_schedule: str = _setting(
        "constant",
        "Constant; exponential staircase by decay_rate every decay_steps (paper 5); "
        "linear or cosine to 0 at decay_steps.",
        choices=("constant", "exponential", "linear", "cosine"),
    )
    decay_steps: int = _setting(
        0,
        "Steps of lr_schedule; 0 means train_steps; lr_schedule=exponential needs at "
        "least 1 (paper 5: 10,000).",
        low=0,
    )
    decay_rate: float = _setting(
        0.96, "Factor of the exponential schedule.", low=1e-6, high=1
    )
    clip_norm: float = _setting(
        0.0, "Largest global norm of the gradient; 0 does not clip.", low=0
    )
    weight_average: float = _setting(
        0.0,
        "Decay of the exponential moving average of weights that evaluation uses; "
        "0 uses the weights themselves.",
        low=0,
        high=0.999999,
    )
    baseline_weight: float = _setting(1.0, "Weight of the baseline's MSE.", low=0)
    reinforce_weight: float = _setting(
        0.01, "Weight of the REINFORCE term, summed over decisions.", low=0
    )
    initial_weights: str = _setting(
        "",
        "Trained weights to begin with: the folder of a finished run, or preset:NAME. "
        "The model must have the same shape; on other classes its action network "
        "begins with random weights. Empty: all weights are random.",
    )
    seed: int = _setting(
        0, "Seed of all random numbers of training.", low=0, high=2**31 - 1
    )

    jit_compile: str = _setting(
        "auto",
        "XLA: on for GPUs and dense models, off for convolutions on a CPU; or by hand.",
        choices=("auto", "on", "off"),
        section="How it runs",
    )
    precision: str = _setting(
        "float32",
        "Arithmetic of glimpse and core networks.",
        choices=("float32", "mixed_bfloat16"),
    )
    distribution: str = _setting(
        "one",
        "One device, all devices of this machine, or the machines of TF_CONFIG.",
        choices=("one", "mirrored", "multi_worker"),
    )
    cpu_devices: int = _setting(
        1,
        "Logical devices that distribution=mirrored makes of this machine's CPU when "
        "it has no GPU.",
        low=1,
        high=64,
    )
    steps_per_call: int = _setting(
        50, "Training steps inside one compiled call.", low=1, changes_numbers=False
    )
    checkpoint_every: int = _setting(
        1000, "Steps between checkpoints.", low=1, changes_numbers=False
    )
    keep_checkpoints: int = _setting(
        3,
        "Newest checkpoints kept; the best one is kept besides.",
        low=1,
        changes_numbers=False,
    )
    eval_every: int = _setting(1000, "Steps between evaluations on validation.", low=1)
    data_dir: str = _setting(
        "",
        "Where TFDS data sets are; empty is TFDS_DATA_DIR or TFDS's own default.",
        changes_numbers=False,
    )
    run_dir: str = _setting(
        "", "Folder of the run: checkpoints, logs, results.", changes_numbers=False
    )
    experiment: str = _setting(
        "",
        "Name in the results. Empty is the flagfile's folder and name; without a "
        "flagfile, and where other flags change its settings, the name of run_dir.",
        changes_numbers=False,
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(
                self, field.name, check_value(field, getattr(self, field.name))
            )
        if self.decay_steps == 0 and self.lr_schedule == "exponential":
            # One drop after the last step would be none.
            raise RamError(
                "--lr_schedule=exponential: expected --decay_steps of at least 1, "
                "found --decay_steps=0"
            )
        for name, value in self._meanings_of_zero().items():
            if getattr(self, name) == 0:
                object.__setattr__(self, name, value)
        if self.model == "ram":
            check_model(self.to_dict())
        elif self.initial_weights:
            raise RamError(
                f"--initial_weights={self.initial_weights}: expected --model=ram, "
                f"found --model={self.model}"
            )
        check_background(self.background)
        if self.dataset in ("", FOLDER_PREFIX):
            raise RamError(
                f"--dataset={self.dataset}: expected a TFDS name, mnist_sample or "
                "folder:PATH"
            )

    def _meanings_of_zero(self) -> dict[str, int]:
        """Returns what 0 stands for in fields whose default hangs on other fields."""
        meanings = {
            "glimpse_units": {"inception": 24}.get(self.glimpse_network, 256),
            "core_units": {"conv_lstm": 24}.get(self.core, 256),
        }
        if self.lr_schedule != "exponential":
            meanings["decay_steps"] = self.train_steps
        return meanings

    def as_given(self) -> dict[str, Any]:
        """Returns the fields with 0 where it says the same: what a flagfile holds.

        With other flags behind it, the flagfile then means what it would have meant. A
        number that was given and is the default counts as the default.
        """
        values = self.to_dict()
        for name, value in self._meanings_of_zero().items():
            if values[name] == value:
                values[name] = 0
        return values

    def to_dict(self) -> dict[str, Any]:
        """Returns every field by name, resolved, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Config":
        """Makes a Config from a dict as `to_dict` writes it.

        Raises:
          RamError: when a name is unknown or a value does not fit.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise RamError(f"unknown field of Config: {', '.join(unknown)}")
        return cls(**values)

    def without_places(self) -> "Config":
        """Returns it without run_dir and data_dir, which are of one machine alone.

        Of `initial_weights` the last part of the path is left.
        """
        return dataclasses.replace(
            self,
            run_dir="",
            data_dir="",
            initial_weights=short_name(self.initial_weights),
        )

    def for_sharing(self) -> "Config":
        """Returns it for others: without places, and of a folder its name alone."""
        config = self.without_places()
        if not config.image_folder:
            return config
        name = pathlib.Path(config.image_folder).resolve().name
        return dataclasses.replace(  # "." has none, nor has "/".
            config, dataset=f"{FOLDER_PREFIX}{name or 'images'}"
        )

    @property
    def image_folder(self) -> str:
        """The folder of the user's own images; "" where the data are others."""
        of_folder = self.dataset.startswith(FOLDER_PREFIX)
        return self.dataset.removeprefix(FOLDER_PREFIX) if of_folder else ""

    @property
    def first_glimpse(self) -> str:
        """Where the first glimpse is: center, of a center policy too, or random."""
        return "center" if self.policy == "center" else self.initial_location

    def identity(self) -> dict[str, Any]:
        """Returns the fields that change the numbers and differ from their default.

        Two runs are the same run when their identities are equal. Defaults are left
        out, so that a new field does not make old results stale; a default is for
        the same reason never changed while results that rest on it are kept.
        """
        default = Config()
        kept = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            counts = field.metadata["changes_numbers"]
            if field.name == "eval_every" and self.select == "final":
                counts = False  # Evaluation then only watches.
            if counts and value != getattr(default, field.name):
                kept[field.name] = value
        return kept

    def digest(self) -> str:
        """Returns 16 hexadecimal digits that name the `identity`."""
        text = json.dumps(self.identity(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def differences(self, other: "Config") -> list[str]:
        """Returns the names of the fields in which the two identities differ.

        Not `decay_steps` where it is `train_steps` in both, as when it was not given.
        """
        mine, theirs = self.identity(), other.identity()
        names = sorted({*mine, *theirs})
        if all(each.decay_steps == each.train_steps for each in (self, other)):
            names = [name for name in names if name != "decay_steps"]
        return [name for name in names if mine.get(name) != theirs.get(name)]


def short_name(initial_weights: str) -> str:
    """Returns trained weights' name without the place where one machine has them."""
    if "hf://" in initial_weights:  # An address of the Hub is the same for all.
        return initial_weights
    prefix, colon, path = initial_weights.rpartition(":")
    return prefix + colon + pathlib.PurePath(path).name


def check_model(settings: Mapping[str, Any], prefix: str = "--") -> None:
    """Checks that the fields of a recurrent attention model go together.

    Args:
      settings: every such field by name.
      prefix: what the message puts before a name.

    Raises:
      RamError: when two do not; the message names both.
    """

    def require(fits: bool, name: str, expected: str, other: str) -> None:
        if not fits:
            raise RamError(
                f"{prefix}{name}={settings[name]}: expected {prefix}{expected}, found "
                f"{prefix}{other}={settings[other]}"
            )

    core, network = settings["core"], settings["glimpse_network"]
    require(
        core != "conv_lstm" or network == "inception",
        "core",
        "glimpse_network=inception, whose features are maps",
        "glimpse_network",
    )
    require(
        network != "inception" or settings["glimpse_units"] % 4 == 0,
        "glimpse_network",
        "glimpse_units, a multiple of its 4 branches",
        "glimpse_units",
    )
    require(
        network == "inception" or settings["glimpse_modules"] == 1,
        "glimpse_modules",
        "glimpse_network=inception, which has modules",
        "glimpse_network",
    )
    require(
        network != "conv" or settings["patch_size"] >= 2,
        "glimpse_network",
        "patch_size of at least 2, which it pools",
        "patch_size",
    )
    require(
        not settings["location_maps"] or network == "inception",
        "location_maps",
        "glimpse_network=inception, whose features are maps",
        "glimpse_network",
    )
    require(
        not settings["location_maps"] or core in ("conv_lstm", "none"),
        "location_maps",
        "core=conv_lstm or none, whose output is maps",
        "core",
    )
    require(
        settings["baseline"] == "learned" or settings["num_rollouts"] >= 2,
        "baseline",
        "num_rollouts of at least 2",
        "num_rollouts",
    )


def expectation(field: dataclasses.Field) -> str:
    """Says in words which values a field takes."""
    metadata = field.metadata
    if metadata["choices"]:
        return "one of " + ", ".join(metadata["choices"])
    kind = {int: "an integer", float: "a number", bool: "true or false", str: "text"}
    words = kind[type(field.default)]
    low, high = (
        f"{bound:g}" if isinstance(bound, float) else bound
        for bound in (metadata["low"], metadata["high"])
    )
    if low is not None and high is not None:
        return f"{words} from {low} to {high}"
    if low is not None:
        return f"{words} of at least {low}"
    return words


def check_value(field: dataclasses.Field, value: Any, prefix: str = "--") -> Any:
    """Returns `value` as the field's type, or raises a RamError that names the flag.

    Args:
      field: of Config.
      value: to be checked.
      prefix: what the message puts before the name.
    """
    kind = type(field.default)
    metadata = field.metadata
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        value = value.item()  # A number of NumPy's is a number.
    good: Any = value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        good = float(value)
    fits = type(good) is kind
    if fits and metadata["choices"]:
        fits = good in metadata["choices"]
    if fits and kind in (int, float):
        low, high = metadata["low"], metadata["high"]
        fits = math.isfinite(good)
        fits = fits and (low is None or good >= low)
        fits = fits and (high is None or good <= high)
    if not fits:
        raise RamError(
            f"{prefix}{field.name}={value}: expected {expectation(field)}, "
            f"found {value!r}"
        )
    return good


def check_setting(name: str, value: Any, prefix: str = "--") -> Any:
    """Returns `check_value` of the Config's field of that name."""
    return check_value(Config.__dataclass_fields__[name], value, prefix)


def check_background(background: str) -> None:
    """Raises RamError unless a text is a colour as `--background` has it."""
    if not re.fullmatch(r"white|black|gray|#[0-9a-fA-F]{6}", background):
        raise RamError(
            f"--background={background}: expected white, black, gray or #rrggbb, "
            f"found {background!r}"
        )


def parse_value(field: dataclasses.Field, text: str) -> Any:
    """Reads a field's value from the text of a flag.

    Raises:
      RamError: when the text does not fit the field.
    """
    kind: Any = type(field.default)
    value: Any = text
    try:
        if kind is bool:
            value = {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        elif kind is int:
            value = int(text.replace("_", "x"))  # "1_000" is a slip, not a number.
        elif kind is float:
            value = float(text.replace("_", "x"))
    except (KeyError, ValueError):
        pass  # check_value says what was expected.
    return check_value(field, value)


def flag_text(value: Any) -> str:
    """Returns a value as a flag has it: what `parse_value` reads."""
    return str(value).lower() if isinstance(value, bool) else str(value)
