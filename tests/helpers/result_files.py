"""A small folder of experiments and results of them, as real ones are laid out."""

import json
import pathlib

from ram_tf.config import Config
from ram_tf.tables.catalogue import find_experiments

PAPER = {
    "sources": {"paper": "A. Author", "letter": "B. Writer"},
    "tables": {
        "table1": {
            "title": "Table 1: digits",
            "source": "paper",
            "where": "Table 1",
            "rows": {
                "ram": {
                    "label": "RAM, 6 glimpses",
                    "figures": [
                        {"accuracy": 93.79},
                        {"error": 1.5, "source": "letter", "from_memory": True},
                    ],
                },
                "fc": {"label": "FC", "figures": [{"accuracy": 97.2}]},
            },
        },
        "text": {
            "title": "Text",
            "source": "paper",
            "rows": {"hard": {"label": "Hard", "figures": [{"text": "chance"}]}},
        },
    },
}


def write_experiments(folder: pathlib.Path) -> pathlib.Path:
    """Writes experiments/ with tables table1 (ram, fc, extra) and text (hard)."""
    root = folder / "experiments"
    files = {
        "shared/base.cfg": "--dataset=mnist_sample\n--train_steps=20\n",
        "table1/ram.cfg": "--flagfile=../shared/base.cfg\n# Kept.\n--core=rnn\n",
        "table1/fc.cfg": "--flagfile=../shared/base.cfg\n--model=fc\n",
        "table1/extra.cfg": "--flagfile=fc.cfg\n--fc_units=64\n",
        "text/hard.cfg": "--flagfile=../shared/base.cfg\n--dataset=folder:nowhere\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "paper.json").write_text(json.dumps(PAPER))
    return root


def result_of(config: Config, name: str, accuracy: float) -> dict:
    """Returns what results.json of a run holds, as far as tables read it."""
    measures = {
        "accuracy": accuracy,
        "accuracy_mean": accuracy,
        "accuracy_ensemble": accuracy,
        "num_rollouts": 1,
        "num_images": 10_000,
        "interval": [accuracy - 0.01, accuracy + 0.01],
    }
    return {
        "experiment": name,
        "seed": config.seed,
        "test_accuracy": accuracy,
        "validation_accuracy": accuracy,
        "train_steps": config.train_steps,
        "num_parameters": 12345,
        "image_shape": [28, 28, 1],
        "wall_seconds": 90.0 + config.seed,
        "evaluation": {"policy": "learned", "policies": {"learned": measures}},
        "config": config.to_dict(),
        "config_digest": config.digest(),
    }


def write_result(
    experiments: pathlib.Path,
    results: pathlib.Path,
    name: str,
    seed: int,
    accuracy: float,
    **changes: object,
) -> pathlib.Path:
    """Files a result of a row, some of its values changed."""
    path = results / name / f"seed{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    config = find_experiments(experiments, [name])[0].config(seed)
    result = result_of(config, name, accuracy)
    path.write_text(json.dumps({**result, **changes}))
    return path
