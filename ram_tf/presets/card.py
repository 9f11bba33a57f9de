"""The card of a preset, README.md, written from its metadata alone.

Its front matter is as the Hugging Face Hub reads it.
"""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from ram_tf.config import Config
from ram_tf.data.sources.base import FOLDER_PREFIX
from ram_tf.evaluation.metrics import wilson_interval
from ram_tf.evaluation.pixel_budget import PixelBudget


class Data(NamedTuple):
    """What a card says of a data set.

    Attributes:
      name: as its authors call it.
      origin: who made it, and where it is described.
      license_name: its licence, or that its authors state none.
    """

    name: str
    origin: str
    license_name: str


_MNIST_ORIGIN = (
    "Yann LeCun, Corinna Cortes and Christopher J.C. Burges, "
    "http://yann.lecun.com/exdb/mnist/"
)
_CIFAR_ORIGIN = (
    "Alex Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009, "
    "https://www.cs.toronto.edu/~kriz/cifar.html"
)
DATA = {
    "mnist": Data("MNIST", _MNIST_ORIGIN, "CC BY-SA 3.0"),
    "mnist_sample": Data(
        "the first 12,000 digits of MNIST", _MNIST_ORIGIN, "CC BY-SA 3.0"
    ),
    "cifar10": Data("CIFAR-10", _CIFAR_ORIGIN, "none stated by its author"),
    "cifar100": Data("CIFAR-100", _CIFAR_ORIGIN, "none stated by its author"),
}
_TASKS = {
    "plain": "",
    "translated": ", at a random place of a black {size}x{size} canvas",
    "cluttered": ", at a random place of a black {size}x{size} canvas with "
    "{pieces} pieces of other images around",
}
_POLICIES = {
    "learned": "where it learned to look",
    "random": "the same weights, looking at random places",
    "center": "the same weights, looking at the centre only",
}
_CORES = {
    "rnn": "a ReLU RNN core",
    "lstm": "an LSTM core",
    "conv_lstm": "a ConvLSTM core",
    "none": "no recurrent core",
}
_NETWORKS = {
    "fc": "a fully connected glimpse network",
    "inception": "an Inception glimpse network",
    "conv": "a convolutional glimpse network",
}


def description(config: Config, image_shape: Sequence[int]) -> str:
    """Returns what a model is, in a sentence.

    Args:
      config: of its run.
      image_shape: (H, W, C) that the model sees.
    """
    height, width, channels = image_shape
    glimpses = "glimpse" if config.num_glimpses == 1 else "glimpses"
    scales = f" at {config.num_scales} scales" if config.num_scales > 1 else ""
    colour = "gray" if channels == 1 else "colour"
    return (
        f"Recurrent attention model of {config.num_glimpses} {glimpses} of "
        f"{config.patch_size}x{config.patch_size} pixels{scales}, with "
        f"{_NETWORKS[config.glimpse_network]} "
        f"and {_CORES[config.core]}, for {height}x{width} {colour} images, trained on "
        f"{data_words(config)}."
    )


def data_words(config: Config) -> str:
    """Returns the name of a Config's data and what its task makes of them."""
    size, pieces = config.canvas_size, config.num_clutter
    return data_of(config).name + _TASKS[config.task].format(size=size, pieces=pieces)


def data_of(config: Config) -> Data:
    """Returns what is known of the data set of a Config."""
    if config.dataset in DATA:
        return DATA[config.dataset]
    name = config.dataset.removeprefix(FOLDER_PREFIX)
    folder = config.dataset.startswith(FOLDER_PREFIX)
    shown = f"images of a folder, {pathlib.PurePath(name).name}" if folder else name
    return Data(shown, "not known to ram_tf", "not known to ram_tf")


def percent(fraction: float) -> str:
    """Returns "96.60 %"."""
    return f"{100 * fraction:.2f} %"


def with_interval(accuracy: float, interval: Sequence[float]) -> str:
    """Returns "96.60 % [96.23, 96.94]"."""
    low, high = (100 * bound for bound in interval)
    return f"{percent(accuracy)} [{low:.2f}, {high:.2f}]"


def card(metadata: dict[str, Any]) -> str:
    """Returns the text of README.md of a preset."""
    config = Config.from_dict(metadata["config"])
    parts = [
        _front_matter(metadata, config),
        f"# {metadata['name']}",
        metadata["description"],
        _facts(metadata, config),
        _use(metadata),
        _data(metadata, config),
        _accuracy(metadata),
        _limits(metadata, config),
        _training(metadata, config),
        _licence(metadata, config),
    ]
    return "\n\n".join(parts) + "\n"


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *rest = rows
    lines = [head, ["---"] * len(head), *rest]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _front_matter(metadata: dict[str, Any], config: Config) -> str:
    lines = ["---", "library_name: keras", "pipeline_tag: image-classification"]
    if metadata["license"]:
        lines.append(f"license: {metadata['license'].lower()}")
    if not config.dataset.startswith(FOLDER_PREFIX):
        dataset = "mnist" if config.dataset == "mnist_sample" else config.dataset
        lines += ["datasets:", f"- {dataset}"]
    lines += ["metrics:", "- accuracy", "tags:"]
    tags = ("ram_tf", "recurrent-attention", "hard-attention", "reinforce")
    lines += [f"- {tag}" for tag in tags]
    return "\n".join([*lines, "---"])


def _facts(metadata: dict[str, Any], config: Config) -> str:
    height, width, channels = metadata["image_shape"]
    pixels = PixelBudget.of(config, (height, width, channels))
    byte = config.pixel_range == "byte"
    names = ", ".join(metadata["class_names"])
    rows = [
        ["", ""],
        ["Images", f"{height}x{width}, {'gray' if channels == 1 else 'colour'}"],
        ["Pixels", f"float32 in {'0..255' if byte else '[0, 1]'}, or uint8 0..255"],
        ["Behind transparent pixels", metadata["background"]],
        ["Classes", names],
        [
            "Test accuracy",
            with_interval(metadata["test_accuracy"], metadata["test_interval"]),
        ],
        [
            "Pixel values read",
            f"{pixels.read_product} = {pixels.read:,} of {pixels.image_product} = "
            f"{pixels.image:,} ({pixels.share:.0f} %)",
        ],
        ["Parameters", f"{metadata['params']:,}"],
        [
            "Size",
            f"{metadata['weights_bytes'] / 1e6:.2f} MB, {metadata['weights_dtype']}; "
            "float32 when loaded",
        ],
    ]
    return _table(rows)


def _use(metadata: dict[str, Any]) -> str:
    name = metadata["name"]
    return f"""## Use

```python
from ram_tf import RecurrentAttentionModel

model = RecurrentAttentionModel.from_preset("{name}")
probabilities = model.predict(images)
```

```sh
python -m ram_tf.predict --model=preset:{name} image.png
python -m ram_tf.figures --model=preset:{name} --out=paths.png image.png
```

A preset that does not come with the package is named by its folder, or by its address
on the Hugging Face Hub, `hf://user/name`."""


def _data(metadata: dict[str, Any], config: Config) -> str:
    data, splits = data_of(config), metadata["results"]["splits"]
    select = "was best on validation" if config.select == "best" else "was the last"
    return f"""## Data and protocol

- Data: {data_words(config)}. Origin: {data.origin}. Licence: {data.license_name}.
- Training: {splits["train"]}. Validation: {splits["validation"]}.
- Test: {splits["test"]}.
- The weights are the checkpoint that {select}; test was read once, after that.
- Accuracy of results: one rollout at the means of the policy, its first glimpse
  {"at the centre" if config.initial_location == "center" else "at a random place"}. \
Intervals are Wilson's, 95 %."""


def _accuracy(metadata: dict[str, Any]) -> str:
    results = metadata["results"]
    own, count = results["policies"][results["policy"]], results["num_images"]
    rows = [["Glimpses", "Test accuracy", "Mean of rollouts"]]
    for name, found in results["policies"].items():
        rollouts = found["num_rollouts"]
        rows.append(
            [
                _POLICIES[name],
                with_interval(found["accuracy"], found["interval"]),
                f"{percent(found['accuracy_mean'])} ({rollouts})",
            ]
        )
    steps = own["accuracy_by_glimpse"]
    by_glimpse = [
        ["After glimpse", *(str(step + 1) for step in range(len(steps)))],
        ["Test accuracy %", *(f"{100 * step:.2f}" for step in steps)],
    ]
    full, half = metadata["accuracy_of_float32"], metadata["accuracy_of_float16"]
    centre = metadata["test_accuracy"]
    stored = [
        ["Weights, first glimpse", "Test accuracy"],
        ["float32 as trained, as in training", _measured(full, count)],
        ["float16 as stored, as in training", _measured(half, count)],
        ["float16 as stored, at the centre", _measured(centre, count)],
    ]
    return f"""## Accuracy

As the run was measured, on {count:,} test images:

{_table(rows)}

{_table(by_glimpse)}

{_seeds(metadata["seeds"])}

Measured again when this preset was made. Loaded, the model looks at the centre first:

{_table(stored)}"""


def _measured(accuracy: float, count: int) -> str:
    return with_interval(accuracy, wilson_interval(accuracy, count))


def _seeds(seeds: dict[str, float]) -> str:
    if len(seeds) == 1:
        return f"One seed was trained ({next(iter(seeds))}), so no spread is known."
    values = ", ".join(
        f"seed {seed}: {percent(accuracy)}" for seed, accuracy in seeds.items()
    )
    low, high = min(seeds.values()), max(seeds.values())
    mean = sum(seeds.values()) / len(seeds)
    return (
        f"{len(seeds)} seeds were trained: {values}. Mean {percent(mean)}, from "
        f"{percent(low)} to {percent(high)}."
    )


def _limits(metadata: dict[str, Any], config: Config) -> str:
    by_class = metadata["results"]["accuracy_by_class"]
    worst = min(range(len(by_class)), key=by_class.__getitem__)
    best = max(range(len(by_class)), key=by_class.__getitem__)
    names = metadata["class_names"]
    height, width, _ = metadata["image_shape"]
    return f"""## Intended use and limits

- For research and teaching of hard attention, as a start for training on like images,
  and for demonstrations. It was tested on nothing but the test images above.
- Every image gets one of the {len(names)} classes, also an image of none of them. The
  probabilities are not calibrated.
- Images have to look as those of training: {height}x{width} pixels, \
{data_words(config)}.
- Right by class: from {100 * by_class[worst]:.1f} % ({names[worst]}) to \
{100 * by_class[best]:.1f} % ({names[best]}) of the test images."""


def _training(metadata: dict[str, Any], config: Config) -> str:
    results = metadata["results"]
    versions = ", ".join(f"{name} {v}" for name, v in results["versions"].items())
    minutes = results["wall_seconds"] / 60
    lines = [
        "## Training",
        "",
        f"- Experiment `{metadata['experiment']}`, seed {metadata['seed']}, "
        f"config_digest `{metadata['config_digest']}`: {results['train_steps']:,} "
        f"steps of {config.batch_size} images, {minutes:.0f} minutes.",
    ]
    if metadata.get("command"):
        lines.append(f"- Again: `{metadata['command']}`.")
    if versions:
        lines.append(f"- Versions: {versions}.")
    if results["commit"]:
        lines.append(f"- Commit of ram_tf: `{results['commit']}`.")
    lines.append("- Every setting is in `metadata.json`, under `config`.")
    return "\n".join(lines)


def _licence(metadata: dict[str, Any], config: Config) -> str:
    stated = metadata["license"] or "none is stated; ask whoever trained them"
    return f"""## Licence

Weights: {stated}. The images of training are under their own licence, see above."""
