"""The one reader of results.json: of a run, or of a copy in results/.

Needs no TensorFlow.
"""

import pathlib
from typing import Any

from ram_tf.errors import RamError
from ram_tf.files import read_json

# What commands, tables and the report rely on. What nothing needs (versions, commit,
# class names...) may be missing.
_MEASURES = {
    "accuracy": float,
    "accuracy_mean": float,
    "accuracy_ensemble": float,
    "num_rollouts": int,
    "num_images": int,
    "interval": [float, float],
}
# Of a policy's `by_threshold`, which results of earlier versions have not.
_STOPPED = {"threshold": float, "accuracy": float, "mean_glimpses": float}
_RESULTS = {
    "experiment": str,
    "seed": int,
    "test_accuracy": float,
    "validation_accuracy": float,
    "train_steps": int,
    "num_parameters": int,
    "image_shape": [int, int, int],
    "wall_seconds": float,
    "evaluation": {"policy": str, "policies": dict},
    "config": dict,
    "config_digest": str,
}
_NAMES = {
    float: "a finite number",
    int: "an integer",
    str: "a text",
    list: "a list",
    dict: "an object",
}
_HUGE = 10**15  # No count or time is larger; such an integer may fit no float.


def read_results(path: pathlib.Path) -> dict[str, Any]:
    """Reads results.json and checks what its readers rely on.

    Raises:
      RamError: when it is missing or no JSON, or a value in it is missing or of another
        kind; the message names the value.
    """
    results = read_json(path)
    _require(path, "", results, _RESULTS)
    policy, policies = (results["evaluation"][key] for key in ("policy", "policies"))
    for name in (policy, *policies):
        where = f"evaluation.policies.{name}"
        _require(path, where, policies.get(name), _MEASURES)
        after_each = policies[name].get("accuracy_by_glimpse")
        if after_each is not None:
            own = policies[policy].get("accuracy_by_glimpse")
            steps = len(own) if isinstance(own, list) else 0
            _require(path, f"{where}.accuracy_by_glimpse", after_each, [float] * steps)
        curve = policies[name].get("by_threshold", [])
        _require(path, f"{where}.by_threshold", curve, list)
        for row in curve:
            _require(path, f"{where}.by_threshold", row, _STOPPED)
    if results.get("versions") is not None:
        _require(path, "versions", results["versions"], dict)
    checked: dict[str, Any] = results
    return checked


def _require(path: pathlib.Path, where: str, found: Any, kind: Any) -> None:
    """Raises RamError unless a value is of a kind: a type, a list or dict of them."""
    if isinstance(kind, dict) and isinstance(found, dict):
        for name, inner in kind.items():
            _require(path, f"{where}.{name}".strip("."), found.get(name), inner)
        return
    if isinstance(kind, list):
        if isinstance(found, list) and len(found) == len(kind):
            for item, inner in zip(found, kind, strict=True):
                _require(path, where, item, inner)
            return
        expected = f"{len(kind)} numbers"
    elif isinstance(kind, dict):
        expected = "an object"
    elif kind in (int, float):
        # type(), because True is an int; the comparison is false for NaN.
        kinds = (int, float) if kind is float else (int,)
        if type(found) in kinds and abs(found) < _HUGE:
            return
        expected = _NAMES[kind]
    else:
        if isinstance(found, kind):
            return
        expected = _NAMES[kind]
    shown = "none" if found is None else repr(found)[:40]
    at = f" as {where}" if where else ""
    raise RamError(f"{path}: expected {expected}{at}, found {shown}")
