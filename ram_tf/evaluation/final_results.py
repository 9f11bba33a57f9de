"""What a finished run leaves: its measures on test, example paths, results.json."""

import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ram_tf.data.pipeline import first_images
from ram_tf.data.sources.base import SplitName
from ram_tf.errors import RamError
from ram_tf.evaluation.evaluator import Evaluator
from ram_tf.evaluation.metrics import summarise
from ram_tf.evaluation.pixel_budget import PixelBudget
from ram_tf.files import to_json, write_atomic
from ram_tf.models.cost import forward_operations
from ram_tf.models.recurrent_attention import POLICIES, RecurrentAttentionModel
from ram_tf.runs.directory import RunDirectory
from ram_tf.runs.examples import Examples, to_npz
from ram_tf.runs.provenance import commit, versions
from ram_tf.runs.setup import Experiment

NUM_EXAMPLES = 20


def evaluate(
    experiment: Experiment,
    split: SplitName,
    jit_compile: bool,
    policies: tuple[str, ...] = (),
    num_rollouts: int | None = None,
    eval_locations: str | None = None,
    on_batch: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[dict[str, Any], Evaluator]:
    """Measures the model's current weights on a split.

    Args:
      experiment: with the weights to measure.
      split: train, validation or test.
      jit_compile: whether XLA compiles the rollout.
      policies: which policies; empty is the model's own, and for a learned one also
        random and center.
      num_rollouts: rollouts per policy; None is config.eval_rollouts. One is enough for
        what does not depend on chance.
      eval_locations: mean or sample; None is config.eval_locations.
      on_batch: called with the batches done and in all, over all passes, before each
        batch and after the last.

    Returns:
      What evaluation.json holds, and the evaluator, which can predict more.

    Raises:
      RamError: when a policy is asked of a model that has none, or a learned one of a
        model that was trained on other locations.
    """
    config, model = experiment.config, experiment.model
    is_ram = isinstance(model, RecurrentAttentionModel)
    if policies and not is_ram:
        raise RamError(
            f"--policy={policies[0]}: expected a run of --model=ram, found "
            f"--model={config.model}"
        )
    if "learned" in policies and config.policy != "learned":
        raise RamError(
            "--policy=learned: expected a run of --policy=learned, found "
            f"--policy={config.policy}, whose location network was not trained"
        )
    if not policies:
        own = model.policy
        policies = (own, *(p for p in POLICIES[1:] if own == "learned"))
    sample = (eval_locations or config.eval_locations) == "sample"
    images = experiment.source.split(split)
    passes = {}
    for policy in policies:
        by_chance = policy == "random" or (
            policy == "learned" and (sample or config.initial_location == "random")
        )
        passes[policy] = (num_rollouts or config.eval_rollouts) if by_chance else 1
    evaluator = Evaluator(model, images, experiment.task, jit_compile)
    total = sum(passes.values()) * -(-evaluator.size // evaluator.batch_size)
    done = itertools.count()
    evaluator.on_batch = lambda: on_batch(next(done), total)
    own_bound = model.location_network.bound if is_ram else (1.0, 1.0)
    measures = {
        policy: summarise(
            (evaluator.predict(policy, rollout, sample) for rollout in range(count)),
            own_bound if policy == "learned" else (1.0, 1.0),
        )
        for policy, count in passes.items()
    }
    on_batch(total, total)
    evaluator.on_batch = lambda: None  # What else it is asked is not in the total.
    found = {
        "split": split,
        "policy": policies[0],
        "eval_locations": "sample" if sample else "mean",
        "class_names": experiment.source.class_names,
        "policies": measures,
    }
    return found, evaluator


def write_results(
    experiment: Experiment,
    directory: RunDirectory,
    jit_compile: bool,
    wall_seconds: float,
    validation_accuracy: float,
    on_batch: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Reads test once with the chosen weights and writes all that a run leaves.

    Args:
      experiment: with the chosen weights.
      directory: where to write.
      jit_compile: whether XLA compiled.
      wall_seconds: of training, over all resumptions.
      validation_accuracy: of the chosen weights.
      on_batch: as of `evaluate`.

    Returns:
      What results.json holds, written last.
    """
    config, model = experiment.config, experiment.model
    started = time.monotonic()
    found, evaluator = evaluate(experiment, "test", jit_compile, on_batch=on_batch)
    write_atomic(directory.evaluation, to_json(found))
    write_atomic(directory.examples, _examples(experiment, evaluator, found))
    headline = found["policies"][found["policy"]]
    results = {
        "experiment": config.experiment,
        "seed": config.seed,
        "test_accuracy": headline["accuracy"],
        "test_error": 1.0 - headline["accuracy"],
        "validation_accuracy": validation_accuracy,
        "train_steps": config.train_steps,
        "num_parameters": model.count_params(),
        "flops_per_image": forward_operations(model),
        "pixels_per_image": PixelBudget.of(config, experiment.image_shape).read,
        "image_shape": list(experiment.image_shape),
        "wall_seconds": round(wall_seconds, 1),
        "evaluation_seconds": round(time.monotonic() - started, 1),
        "images_per_second": round(
            config.train_steps * config.batch_size / max(wall_seconds, 1e-9), 1
        ),
        "evaluation": found,
        "split_description": experiment.source.split_description,
        # Where a run was belongs to its machine, not to its result.
        "config": config.without_places().to_dict(),
        "config_digest": config.digest(),
        "versions": versions(),
        "commit": commit(),
    }
    if config.initial_weights:
        results["warnings"] = directory.read_warnings()
    write_atomic(directory.results, to_json(results))
    return results


def _examples(
    experiment: Experiment, evaluator: Evaluator, found: dict[str, Any]
) -> bytes:
    """Returns an .npz of the first test images and what the model did on them.

    It is the first rollout of what `evaluate` found, at the same locations.
    """
    images, labels = first_images(
        experiment.source.split("test"), experiment.task, NUM_EXAMPLES
    )
    sample = found["eval_locations"] == "sample"
    predictions = evaluator.predict(found["policy"], sample=sample)
    return to_npz(
        Examples(
            images=images,
            labels=labels.astype(np.int32),
            locations=predictions.locations[: len(labels)],
            probabilities=predictions.step_probabilities[: len(labels)],
            class_names=experiment.source.class_names,
        )
    )
