"""The part of a card on accuracy: as trained, as stored, and stopped when sure."""

from typing import Any

from ram_tf.data.sources.base import FEW_IMAGES
from ram_tf.evaluation.metrics import wilson_interval
from ram_tf.markdown import table_text
from ram_tf.presets.words import percent, with_interval

_POLICIES = {
    "learned": "where it learned to look",
    "random": "the same weights, looking at random locations",
    "center": "the same weights, looking at the centre only",
}


def accuracy_text(metadata: dict[str, Any]) -> str:
    """Returns what a card says of accuracy, from the preset's metadata."""
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

{table_text(rows)}

{table_text(by_glimpse)}

{_seeds(metadata["seeds"])}

Measured again when this preset was made. Loaded, the model looks at the centre first:

{table_text(stored)}"""


def _measured(accuracy: float, count: int) -> str:
    return with_interval(accuracy, wilson_interval(accuracy, count))


def _seeds(seeds: dict[str, float]) -> str:
    if len(seeds) == 1:
        (seed,) = seeds
        return f"One seed was trained ({seed}), so no standard deviation is known."
    values = ", ".join(
        f"seed {seed}: {percent(accuracy)}" for seed, accuracy in seeds.items()
    )
    low, high = min(seeds.values()), max(seeds.values())
    mean = sum(seeds.values()) / len(seeds)
    return (
        f"{len(seeds)} seeds were trained: {values}. Mean {percent(mean)}, from "
        f"{percent(low)} to {percent(high)}."
    )


def stopping_texts(metadata: dict[str, Any]) -> list[str]:
    """Returns what a card says of stopping early; nothing of a model of one glimpse."""
    curves, glimpses = metadata["by_threshold"], metadata["config"]["num_glimpses"]
    if not curves["test"]:
        return []
    chosen = metadata["suggested_threshold"]
    rows = [["Threshold", "Mean glimpses", "Test accuracy"]]
    for row in curves["test"]:
        shown = f"{row['threshold']:g}"
        rows.append(
            [
                f"**{shown}**" if row["threshold"] == chosen else shown,
                f"{row['mean_glimpses']:.2f}",
                percent(row["accuracy"]),
            ]
        )
    rows.append(["none", f"{glimpses}", percent(metadata["test_accuracy"])])
    images = metadata.get("num_validation_images", FEW_IMAGES)
    if chosen:
        advice = (
            f"The threshold {chosen:g} takes the fewest glimpses that cost no accuracy "
            "on validation; test\nchose nothing."
        )
    elif images < FEW_IMAGES:
        advice = f"None is suggested: {images} validation images are too few for that."
    else:
        advice = "None is suggested: each costs some accuracy on validation."
    return [
        f"""## Stop when it is sure

Exported with `--rollouts=1 --threshold=P`, the model looks at an image no further when
its largest probability is P or more. One rollout from the centre, on the test images:

{table_text(rows)}

{advice}"""
    ]
