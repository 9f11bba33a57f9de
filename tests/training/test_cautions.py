"""Settings that do not go with the number of steps are said, and no others."""

import keras
import pytest

from ram_tf.config import Config
from ram_tf.training.cautions import cautions


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, None),
        ({"train_steps": 1000, "eval_every": 1000}, None),
        ({"train_steps": 500, "eval_every": 1000}, "--train_steps=500: validation is"),
        ({"lr_schedule": "cosine"}, None),
        ({"lr_schedule": "cosine", "decay_steps": 10_000}, None),
        ({"lr_schedule": "cosine", "decay_steps": 9_999}, "the learning rate is 0"),
        ({"lr_schedule": "linear", "decay_steps": 10_001}, "does not fall to 0"),
        ({"lr_schedule": "exponential", "decay_steps": 10}, None),
        ({"lr_schedule": "constant", "decay_steps": 10}, None),
        ({"train_steps": 10_000, "weight_average": 0.999}, None),
        ({"train_steps": 2_994, "weight_average": 0.999, "eval_every": 100}, "5 % of"),
        ({"train_steps": 2_997, "weight_average": 0.999, "eval_every": 100}, None),
    ],
)
def test_cautions(fields, words):
    lines = cautions(Config(**fields))
    assert len(lines) == (words is not None)
    if words is not None:
        assert words in lines[0]


def test_share_of_the_first_weights_is_that_of_keras():
    optimizer = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.9)
    weight = keras.Variable([0.0])
    optimizer.build([weight])
    optimizer.apply([[-1.0]])  # The first step: 1. All later ones leave it at 0.
    optimizer.apply([[1.0]])
    for _ in range(8):
        optimizer.apply([[0.0]])
    optimizer.finalize_variable_values([weight])
    share = float(weight.value[0])
    lines = cautions(Config(train_steps=10, eval_every=5, weight_average=0.9))
    assert f"{100 * share:.0f} % of the average" in lines[0]
