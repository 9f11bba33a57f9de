"""Experiments and results as files, made up: what the tests of the report read."""

import json
import pathlib

import numpy as np

from ram_tf.config import Config
from ram_tf.flags import config_settings, parse

CIFAR = "airplane automobile bird cat deer dog frog horse ship truck".split()

PAPER = {
    "sources": {"paper": "The paper", "other": "Another version"},
    "tables": {
        "table1": {
            "title": "Table 1: digits",
            "source": "paper",
            "rows": {
                "fc": {"label": "Fully connected", "figures": [{"accuracy": 97.5}]},
                "ram": {
                    "label": "RAM, 4 glimpses",
                    "figures": [
                        {"accuracy": 90.25},
                        {"accuracy": 91.5, "where": "the text"},
                    ],
                },
                "later": {"label": "RAM, later", "figures": [{"error": 5.75}]},
            },
        },
        "table5": {
            "title": "Table 5: colour",
            "source": "paper",
            "rows": {"ram_colour": {"label": "RAM in colour <b>"}},
        },
        "ablation": {
            "title": "Faults",
            "rows": {
                "mnist_none": {"label": "no fault"},
                "mnist_noise": {"label": "noise"},
            },
        },
    },
}

FLAGS = {
    "table1/fc": ["--model=fc"],
    "table1/ram": ["--num_glimpses=4"],
    "table1/later": ["--num_glimpses=2"],
    "table5/ram_colour": [
        "--dataset=cifar10",
        "--num_glimpses=3",
        "--num_scales=3",
        "--patch_size=6",
    ],
    "ablation/mnist_none": ["--num_glimpses=4"],
    "ablation/mnist_noise": ["--num_glimpses=4", "--location_stddev=1.0"],
}


def write_experiments(root: pathlib.Path) -> pathlib.Path:
    """Writes flagfiles and paper.json; returns their folder."""
    folder = root / "experiments"
    for name, flags in FLAGS.items():
        path = folder / f"{name}.cfg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(flags))
    (folder / "paper.json").write_text(json.dumps(PAPER))
    return folder


def config_of(name: str, seed: int = 0) -> Config:
    """Returns the Config of a row and seed."""
    return parse(config_settings(), [*FLAGS[name], f"--seed={seed}"]).config()


def write_result(
    results: pathlib.Path,
    name: str,
    accuracy: float,
    seed: int = 0,
    class_names: list[str] | None = None,
) -> pathlib.Path:
    """Writes a result with curve and examples, as a run leaves them; returns its path.

    Images, paths and counts depend on nothing but the row and the seed.
    """
    config = config_of(name, seed)
    names = class_names or [str(digit) for digit in range(10)]
    is_ram = config.model == "ram"
    steps = config.num_glimpses if is_ram else 1
    shape = (32, 32, 3) if config.dataset == "cifar10" else (28, 28, 1)
    rng = np.random.default_rng([seed, len(name)])
    policies = {}
    for policy in ("learned", "random", "center") if is_ram else ("whole_image",):
        own = accuracy if policy in ("learned", "whole_image") else accuracy / 2
        policies[policy] = {
            "accuracy": own,
            "accuracy_mean": own,
            "accuracy_ensemble": own,
            "num_rollouts": 10 if is_ram else 1,
            "num_images": 1000,
            "interval": [own - 0.01, own + 0.01],
            "accuracy_by_glimpse": np.linspace(0.1, own, steps).tolist(),
            "confusion_matrix": _confusion(len(names)),
        }
    results_json = {
        "experiment": name,
        "seed": seed,
        "test_accuracy": accuracy,
        "validation_accuracy": accuracy,
        "num_parameters": 12345,
        "flops_per_image": 2_500_000,
        "image_shape": list(shape),
        "wall_seconds": 4000.0,
        "train_steps": config.train_steps,
        "evaluation": {
            "policy": next(iter(policies)),
            "class_names": names,
            "policies": policies,
        },
        "split_description": {"train": "all but the rest", "test": "the rest"},
        "config": config.to_dict(),
        "config_digest": config.digest(),
        "versions": {"numpy": "2.0"},
        "commit": "0123456789abcdef",
    }
    path = results / name / f"seed{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results_json))
    path.with_suffix(".curve.csv").write_text(
        "step,accuracy,validation_accuracy\n100,0.4,0.5\n200,0.7,0.8\n300,0.8,0.9\n"
    )
    images = np.random.default_rng(len(shape) + shape[2]).integers(0, 256, (20, *shape))
    probabilities = rng.dirichlet(np.ones(len(names)), (20, steps))
    np.savez_compressed(
        path.with_suffix(".examples.npz"),
        images=images.astype(np.uint8),
        labels=rng.integers(0, len(names), 20).astype(np.int32),
        locations=rng.uniform(-1, 1, (20, steps if is_ram else 0, 2)).astype("f"),
        probabilities=probabilities.astype(np.float32),
        class_names=np.array(names),
    )
    return path


def write_all(root: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Writes experiments and results; table1/later is not run.

    Returns:
      The folders of experiments and of results.
    """
    results = root / "results"
    write_result(results, "table1/fc", 0.96)
    write_result(results, "table1/ram", 0.92)
    write_result(results, "table1/ram", 0.94, seed=1)
    write_result(results, "table5/ram_colour", 0.4, class_names=CIFAR)
    write_result(results, "ablation/mnist_none", 0.9)
    write_result(results, "ablation/mnist_noise", 0.7)
    return write_experiments(root), results


def _confusion(count: int) -> list[list[int]]:
    matrix = np.diag(np.full(count, 90))
    if count == 10:
        matrix[1, 9], matrix[9, 1] = 7, 4  # automobile and truck
        matrix[3, 5], matrix[5, 3] = 5, 6  # cat and dog
        matrix[0, 8] = 20
    return matrix.tolist()
