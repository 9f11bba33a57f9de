"""The card of a preset, README.md, written from its metadata alone.

Its front matter is as the Hugging Face Hub reads it.
"""

import json
from typing import Any

from ram_tf.config import FOLDER_PREFIX, Config
from ram_tf.errors import few_of
from ram_tf.evaluation.pixel_budget import PixelBudget
from ram_tf.markdown import table_text
from ram_tf.presets.card_accuracy import accuracy_text, stopping_texts
from ram_tf.presets.words import (
    data_of,
    data_words,
    percent,
    with_interval,
)


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
        accuracy_text(metadata),
        *stopping_texts(metadata),
        _limits(metadata, config),
        _training(metadata, config),
        _licence(metadata),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(metadata: dict[str, Any], config: Config) -> str:
    lines = ["---", "library_name: keras", "pipeline_tag: image-classification"]
    if metadata["license"]:
        lines.append(f"license: {metadata['license'].lower()}")
    dataset = "mnist" if config.dataset == "mnist_sample" else config.dataset
    if dataset.startswith(FOLDER_PREFIX):
        dataset = "imagefolder"
    else:
        lines += ["datasets:", f"- {dataset}"]
    lines += ["metrics:", "- accuracy", "tags:"]
    tags = ("ram_tf", "recurrent-attention", "hard-attention", "reinforce")
    lines += [f"- {tag}" for tag in tags]
    lines += [
        "model-index:",
        f"- name: {json.dumps(metadata['name'])}",
        "  results:",
        "  - task:",
        "      type: image-classification",
        "    dataset:",
        f"      name: {json.dumps(data_words(config))}",
        f"      type: {dataset}",
        "      split: test",
        "    metrics:",
        "    - type: accuracy",
        f"      value: {metadata['test_accuracy']:.4f}",
    ]
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
    return table_text(rows)


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
    first = "the centre" if config.first_glimpse == "center" else "a random location"
    warnings = "".join(
        f"\n- {line[:1].upper()}{line[1:]}." for line in metadata.get("warnings", [])
    )
    select = "was best on validation" if config.select == "best" else "was the last"
    return f"""## Data and protocol

- Data: {data_words(config)}. Origin: {data.origin}. Licence: {data.license_name}.
- Training: {splits["train"]}. Validation: {splits["validation"]}.
- Test: {splits["test"]}.
- The weights are the checkpoint that {select}; test chose nothing.
- Accuracy of results: one rollout at the means of the policy, its first glimpse
  at {first}. Intervals are Wilson's, 95 %.{warnings}"""


def _limits(metadata: dict[str, Any], config: Config) -> str:
    names = metadata["class_names"]
    by_class = dict(zip(names, metadata["results"]["accuracy_by_class"], strict=True))
    untested = [name for name in names if by_class[name] is None]
    not_tested = ""
    if untested:
        not_tested = f" The test images have none of {few_of(untested)}."
    tested = [name for name in names if by_class[name] is not None]
    worst, best = (choose(tested, key=by_class.__getitem__) for choose in (min, max))
    height, width, _ = metadata["image_shape"]
    looks = f"{height}x{width} pixels"
    if metadata["polarity"]:
        looks += f", {metadata['polarity']}"
    return f"""## Intended use and limits

- For research and teaching of hard attention, as a start for training on like images,
  and for demonstrations. It was tested on nothing but the test images above.
- Every image gets one of the {len(names)} classes, also an image of none of them.
- {_calibration(metadata)}
- Images have to look as those of training: {looks}, of \
{data_words(config)}.
- Right by class: from {100 * by_class[worst]:.1f} % ({worst}) to \
{100 * by_class[best]:.1f} % ({best}) of the test images.{not_tested}"""


def _calibration(metadata: dict[str, Any]) -> str:
    return f"""How far the probability of an answer is from how often it is right: \
{percent(metadata["calibration_error"])}
  on average over the test images (expected calibration error, 15 bins, one rollout;
  Brier score {metadata["brier_score"]:.3f}). Nothing was done to calibrate the \
probabilities, and of other
  images it is not known. More rollouts change it: docs/serving.md of ram_tf."""


def _training(metadata: dict[str, Any], config: Config) -> str:
    results = metadata["results"]
    versions = ", ".join(f"{name} {v}" for name, v in results["versions"].items())
    seconds = results["wall_seconds"]
    time = f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
    lines = [
        "## Training",
        "",
        f"- Experiment `{metadata['experiment']}`, seed {metadata['seed']}, "
        f"config_digest `{metadata['config_digest']}`: {results['train_steps']:,} "
        f"steps of {config.batch_size} images, {time}.",
    ]
    if config.initial_weights:
        lines.append(f"- It began with the weights of `{config.initial_weights}`.")
    lines.append(f"- Again: `{metadata['command']}`.")
    if versions:
        lines.append(f"- Versions: {versions}.")
    if results["commit"]:
        lines.append(f"- Commit of ram_tf: `{results['commit']}`.")
    lines.append("- Every setting is in `metadata.json`, under `config`.")
    return "\n".join(lines)


def _licence(metadata: dict[str, Any]) -> str:
    stated = metadata["license"] or "none is stated; ask whoever trained them"
    return f"""## Licence

Weights: {stated}. The images of training are under their own licence, see above."""
