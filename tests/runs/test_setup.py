"""Tests of an experiment put together: which weights are evaluated."""

import numpy as np
import pytest
import tensorflow as tf

from ram_tf.config import Config
from ram_tf.models.factory import build_model
from ram_tf.models.variables import named_variables
from ram_tf.runs.directory import RunDirectory
from ram_tf.runs.setup import checkpoint_folder, select_weights

SHAPE, STEPS = (8, 8, 1), 12


def fill(variables, value):
    """Makes all weights the value, and their running averages one more."""
    for name, variable in variables.items():
        if "average" in name:
            variable.assign(tf.fill(variable.shape, value + 1))
        elif name.startswith("weights"):
            variable.assign(tf.fill(variable.shape, value))


@pytest.mark.parametrize(
    ("select", "average", "expected"),
    [("best", 0.0, 2.0), ("best", 0.9, 3.0), ("final", 0.0, 7.0), ("final", 0.9, 8.0)],
)
def test_selected_weights_are_those_of_the_config(select, average, expected, tmp_path):
    config = Config(
        model="fc",
        fc_units=4,
        train_steps=STEPS,
        select=select,
        weight_average=average,
    )
    model, directory = build_model(config, 3, SHAPE), RunDirectory(tmp_path)
    checkpoints = checkpoint_folder(config, directory)
    variables = named_variables(model)
    fill(variables, 2.0)
    checkpoints.save_best(variables, {"step": 4})
    fill(variables, 7.0)
    checkpoints.save(STEPS, variables, {"step": STEPS})
    fill(variables, 0.0)
    select_weights(model, config, directory)
    for weight in model.get_weights():
        np.testing.assert_array_equal(weight, np.full(weight.shape, expected))
