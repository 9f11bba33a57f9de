"""The location network: core output in, a Gaussian policy over locations out."""

import math
import operator
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from ram_tf.errors import RamError

# The inverse powers of the root of x^3 = x + 1: the step of the R2 sequence in y and x.
_STEP = (0.7548776662466927, 0.5698402909980532)


@keras.saving.register_keras_serializable(package="ram_tf")
class LocationNetwork(keras.layers.Layer):
    """Gives the mean of the next location and owns the Gaussian around it.

    Follows the core, feeds the sensor of the next step (paper 4.5). y and x are
    independent with one fixed standard deviation. The mean is bounded by tanh, which,
    unlike clipping, loses its gradient only little by little. Always float32.

    Args:
      stddev: standard deviation, in units of half an image; above 0.
      hidden_units: width of a ReLU layer before the mean; 0 is none, as in the paper.
      bound: largest mean (y, x): tanh is multiplied by it. A number for both, or a
        pair; from 0 to 1.
      spread: above 0, every decision has its own learned offset, added before
        tanh, and the untrained means are spread over the image, as
        `even_locations` says, up to this share of `bound` from the centre; below 1.
        0 is no offsets: untrained means lie side by side.
      num_decisions: how many decisions a rollout has; counts only with a spread.
      maps: maps of a 1x1 convolution with ReLU before all else, where the core output
        is maps [B, g, g, F]; 0 is none.
      input_scale: factor on the core output, or on its `maps`. Adam moves every weight
        by about the learning rate, however small its gradient, and so the mean, before
        tanh, by the rate times the sum of the inputs' sizes: the more of them, the
        sooner noise alone takes the mean to the border of the image, where tanh has no
        gradient to bring it back. 1 is as in the paper; above 0.

    Call arguments:
      core_output: [B, ...]; maps are flattened.
      decision: which decision of the rollout this is, int or int32 scalar, from 0 to
        num_decisions - 1; None is allowed without a spread. A keyword.

    Returns:
      means: float32 [B, 2], (y, x) in [-1, 1].

    Gradient:
      To the core output; the model stops it there unless
      policy_gradient_scope=core. `log_prob` passes gradient to the means and never to
      the locations, which are what was drawn.

    Raises:
      RamError: when `stddev` or `input_scale` is not above 0, `bound` not from 0 to 1,
        `spread` not from 0 to below 1, or, with a spread, `num_decisions` or a call's
        `decision` is missing.
      ValueError: when the core output has not the shape the layer was built for.
    """

    def __init__(
        self,
        stddev: float = 0.1,
        hidden_units: int = 0,
        input_scale: float = 1.0,
        bound: float | Sequence[float] = 1.0,
        maps: int = 0,
        spread: float = 0.0,
        num_decisions: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        for name, value in {"stddev": stddev, "input_scale": input_scale}.items():
            if not value > 0:
                raise RamError(f"{name}={value}: expected a number above 0")
        if not 0 <= spread < 1:
            raise RamError(f"spread={spread}: expected a number from 0 to below 1")
        if spread and num_decisions < 1:
            raise RamError(
                f"num_decisions={num_decisions}: expected at least 1 with a spread"
            )
        # Python's numbers, where NumPy's are given.
        self.spread = float(spread)
        self.num_decisions = operator.index(num_decisions)
        self.stddev = float(stddev)
        self.input_scale = float(input_scale)
        self.hidden_units = hidden_units = operator.index(hidden_units)
        self.hidden = (
            keras.layers.Dense(
                hidden_units, "relu", dtype=self.dtype_policy, name="hidden"
            )
            if hidden_units
            else None
        )
        self.bound = [float(largest) for largest in np.ravel(bound)]
        if np.ndim(bound) == 0:
            self.bound *= 2
        if len(self.bound) != 2 or not all(0 <= each <= 1 for each in self.bound):
            raise RamError(f"bound={bound}: expected a number from 0 to 1, or two")
        self.maps = maps = operator.index(maps)
        self.to_maps = (
            keras.layers.Conv2D(
                maps,
                1,
                activation="relu",
                data_format="channels_last",
                dtype=self.dtype_policy,
                name="to_maps",
            )
            if maps
            else None
        )
        # tanh is in `call`: the offset comes before it.
        self.mean = keras.layers.Dense(2, dtype=self.dtype_policy, name="mean")

    def build(self, core_output_shape: tuple) -> None:
        shape = tuple(core_output_shape)
        if self.to_maps is not None:
            self.to_maps.build(shape)
            shape = (*shape[:-1], self.maps)
        size = math.prod(shape[1:])
        self.input_size = size
        if self.hidden is not None:
            self.hidden.build((None, size))
            size = self.hidden_units
        self.mean.build((None, size))
        if self.spread:
            # The sequence begins at the centre, where no decision needs to lead.
            ends = even_locations(self.num_decisions + 1)[1:]
            start = np.arctanh(self.spread * ends)
            self.offsets = self.add_weight(
                shape=start.shape,
                initializer=lambda shape, dtype: tf.constant(start, dtype),
                name="offsets",
            )
        self.input_spec = keras.layers.InputSpec(shape=(None, *core_output_shape[1:]))
        self.built = True

    def load_own_variables(self, store: Any) -> None:
        """Reads the offsets of as many decisions as both have, from Keras' `store`.

        Decision t has offset t, so a model of fewer glimpses takes the first ones; of
        more, the further decisions keep their untrained offsets.
        """
        if not self.spread or "0" not in store:
            super().load_own_variables(store)
            return
        offsets = self.offsets.numpy()
        stored = np.asarray(store["0"])[: self.num_decisions]
        offsets[: len(stored)] = stored
        self.offsets.assign(offsets)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # Here and not in `call`, around whose errors Keras writes lines of its own.
        if self.spread and kwargs.get("decision") is None and len(args) < 2:
            raise RamError("decision=None: expected the number of the decision")
        return super().__call__(*args, **kwargs)

    def call(
        self, core_output: tf.Tensor, decision: int | tf.Tensor | None = None
    ) -> tf.Tensor:
        x = core_output
        if self.to_maps is not None:
            x = self.to_maps(x)
        x = tf.reshape(x, [-1, self.input_size])
        if self.input_scale != 1.0:
            x *= self.input_scale
        if self.hidden is not None:
            x = self.hidden(x)
        mean = self.mean(x)
        if self.spread:
            mean += self.offsets[decision]
        mean = tf.tanh(mean)
        if self.bound == [1.0, 1.0]:
            return mean
        return mean * tf.constant(self.bound, mean.dtype)

    def policy(self, means: tf.Tensor) -> tfd.Distribution:
        """Returns the policy at means [B, 2]: a distribution over [B, 2]."""
        return tfd.Independent(
            tfd.Normal(loc=means, scale=self.stddev), reinterpreted_batch_ndims=1
        )

    def sample(self, means: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Returns the unclipped locations means + stddev * noise, gradient stopped.

        Args:
          means: float32 [B, 2].
          noise: float32 [B, 2], standard normal; given, so that whoever owns the seed
            draws it.
        """
        return tf.stop_gradient(means + self.stddev * noise)

    def log_prob(self, locations: tf.Tensor, means: tf.Tensor) -> tf.Tensor:
        """Returns log pi(location) [B], summed over y and x (paper equation 2).

        Args:
          locations: float32 [B, 2], as drawn: not clipped to the image.
          means: float32 [B, 2].
        """
        return self.policy(means).log_prob(tf.stop_gradient(locations))

    def compute_output_shape(self, core_output_shape: tuple) -> tuple:
        return (core_output_shape[0], 2)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "stddev": self.stddev,
            "hidden_units": self.hidden_units,
            "input_scale": self.input_scale,
            "bound": self.bound,
            "maps": self.maps,
            "spread": self.spread,
            "num_decisions": self.num_decisions,
        }


def even_locations(
    count: int, first: np.ndarray | Sequence[float] = (0.0, 0.0)
) -> np.ndarray:
    """Returns locations [count, 2] in [-1, 1] that cover the image evenly.

    The R2 sequence (Roberts 2018, "The unreasonable effectiveness of quasirandom
    sequences"), shifted to begin at `first`: however many of its points are taken, none
    are close together.
    """
    steps = np.arange(count)[:, None] * np.array(_STEP)
    return (np.asarray(first) + 1.0 + 2.0 * steps) % 2.0 - 1.0
