"""Recurrent attention models (RAM) on TensorFlow 2 and Keras 3.

The public classes are loaded on first use, so that ``import ram_tf`` and
``--help`` of every command do not wait for TensorFlow.
"""

import importlib
from typing import Any

__version__ = "0.2.0"

_PUBLIC = {
    "Config": "ram_tf.config",
    "RamError": "ram_tf.errors",
    "GlimpseSensor": "ram_tf.layers",
    "FCGlimpseNetwork": "ram_tf.layers",
    "InceptionGlimpseNetwork": "ram_tf.layers",
    "ConvGlimpseNetwork": "ram_tf.layers",
    "RNNCore": "ram_tf.layers",
    "LSTMCore": "ram_tf.layers",
    "ConvLSTMCore": "ram_tf.layers",
    "IdentityCore": "ram_tf.layers",
    "NoCore": "ram_tf.layers",  # The same class, by its name before.
    "LocationNetwork": "ram_tf.layers",
    "BaselineNetwork": "ram_tf.layers",
    "ActionNetwork": "ram_tf.layers",
    "RecurrentAttentionModel": "ram_tf.models.recurrent_attention",
    "Rollout": "ram_tf.models.recurrent_attention",
    "FCClassifier": "ram_tf.models.whole_image",
    "ConvClassifier": "ram_tf.models.whole_image",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'ram_tf' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
