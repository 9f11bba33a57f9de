"""A model's variables by name, and its averaged weights for a while."""

import contextlib
from collections.abc import Iterator
from typing import Any

from ram_tf.models.image_classifier import ImageClassifier


def named_variables(model: ImageClassifier) -> dict[str, Any]:
    """Returns every variable of training by a stable name.

    Weights, optimizer state with its step count, and the running means, in this order.
    """
    groups = {
        "weights": model.weights,
        "optimizer": model.optimizer.variables,
        "metrics": [v for metric in model.trackers for v in metric.variables],
    }
    return {
        f"{group}/{index:03d}/{variable.name}": variable
        for group, variables in groups.items()
        for index, variable in enumerate(variables)
    }


def put_average(model: ImageClassifier) -> None:
    """Puts the optimizer's average, if it keeps one, in the place of the weights."""
    if model.inner_optimizer.use_ema:
        model.optimizer.finalize_variable_values(model.trainable_variables)


@contextlib.contextmanager
def averaged_weights(model: ImageClassifier) -> Iterator[None]:
    """Does `put_average` inside a `with`, and puts the weights back behind it."""
    if not model.inner_optimizer.use_ema:
        yield
        return
    variables = model.trainable_variables
    kept = [variable.numpy() for variable in variables]
    put_average(model)
    try:
        yield
    finally:
        for variable, value in zip(variables, kept, strict=True):
            variable.assign(value)
