"""What XLA is given of a tf.function, looked at, and run by a second runtime: JAX's.

The program is StableHLO, which XLA takes for every kind of device.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# What calls another library or the host, or takes random numbers from the runtime.
_FOREIGN = re.compile(r"\bstablehlo\.(custom_call|infeed|outfeed|send|recv|rng)\b")
_DYNAMIC = re.compile(r"tensor<[^>]*\?")
_UNSUPPORTED = re.compile(r"Detected unsupported operations.*?: (\w+) \(")
_ALIAS = re.compile(
    r"parameter_number = (\d+) : i64}, output_index = array<i64: (\d+)>"
)


def stable_hlo(function: Any, arguments: Sequence[tf.Tensor]) -> str:
    """Returns the program of a function that XLA compiles, as StableHLO.

    Raises:
      ValueError: when XLA does not have one of its operations.
    """
    lower = function.experimental_get_compiler_ir(*arguments)
    return str(lower(stage="stablehlo"))


def faults(function: Any, arguments: Sequence[tf.Tensor]) -> list[str]:
    """Returns why a function is not one XLA program for any device; [] when it is."""
    try:
        text = stable_hlo(function, arguments)
    except ValueError as error:
        found = _UNSUPPORTED.search(str(error))
        if found is None:
            raise
        return [f"not an operation of XLA: {found[1]}"]
    foreign = sorted({match[1] for match in _FOREIGN.finditer(text)})
    return foreign + (["dynamic shape"] if _DYNAMIC.search(text) else [])


class JaxProgram:
    """A tf.function run by JAX on its first device, with copies of its variables.

    Args:
      function: compiled by XLA, of tensors, with tensors as results.
      arguments: one of each, for the shapes.

    Attributes:
      variables: the values of the variables now.
      captured: TensorFlow's own variables, in the same order.
      platform: where JAX runs it: "cpu" or "gpu".
    """

    def __init__(self, function: Any, arguments: Sequence[tf.Tensor]) -> None:
        import jax
        from jaxlib import _jax

        self._jax = jax
        concrete = function.get_concrete_function(*arguments)
        by_handle = {id(each.handle): each for each in concrete.graph.variables}
        self.captured = [by_handle[id(each)] for each in concrete.captured_inputs]
        self.variables = [variable.numpy() for variable in self.captured]
        text = stable_hlo(function, arguments)
        # A variable that is written is an argument, behind the function's own, and a
        # result.
        self._written = {
            int(output): int(parameter) - len(arguments)
            for parameter, output in _ALIAS.findall(text)
        }
        self._num_results = len(tf.nest.flatten(concrete.structured_outputs))
        self._device = jax.devices()[0]
        self.platform = self._device.platform
        self._program = self._device.client.compile_and_load(
            text, _jax.DeviceList((self._device,)), _jax.CompileOptions()
        )

    def __call__(self, *arguments: Any) -> list[np.ndarray]:
        """Runs it, keeps what it writes to variables, and returns its results, flat."""
        values = [np.asarray(argument) for argument in arguments] + self.variables
        with self._jax.enable_x64(True):  # Otherwise it makes int32 of int64.
            given = self._jax.device_put(values, self._device)
        found = [np.asarray(each) for each in self._program.execute(given)]
        for output, variable in self._written.items():
            self.variables[variable] = found[output]
        return found[: self._num_results]
