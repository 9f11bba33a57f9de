"""How many arithmetic operations a prediction costs."""

import math
from typing import Any

import keras

from ram_tf.layers import ConvLSTMCore, LSTMCore, RNNCore
from ram_tf.models.image_classifier import ImageClassifier
from ram_tf.models.recurrent_attention import RecurrentAttentionModel


def forward_operations(model: ImageClassifier) -> int:
    """Returns the operations of the forward products for one image, M = 1.

    A product of [m, k] and [k, n] is 2mkn; convolutions likewise; element-wise work is
    not counted. Training is taken as three times this.
    """
    if not isinstance(model, RecurrentAttentionModel):
        return _operations(model)
    glimpse = _operations(model.glimpse_network) + _operations(model.core)
    # Before the first glimpse there is no state to multiply.
    unused = _operations_on_state(model.core)
    decision = _operations(model.location_network)
    decision += _operations(model.baseline_network)
    classification = _operations(model.action_network)
    num_glimpses = model.num_glimpses
    decisions = (num_glimpses - 1) * decision
    return num_glimpses * glimpse - unused + decisions + classification


def _operations_on_state(core: keras.layers.Layer) -> int:
    """Returns the operations of one glimpse that the core's last state takes."""
    if isinstance(core, RNNCore):
        return _operations(core.from_state)
    if isinstance(core, LSTMCore):
        return _product(core.cell.recurrent_kernel)
    if isinstance(core, ConvLSTMCore):
        return _product(core.conv_lstm.cell.recurrent_kernel, core.height * core.width)
    return 0


def _product(kernel: Any, places: int = 1) -> int:
    """Returns the operations of a kernel that is applied at so many places."""
    return 2 * math.prod(kernel.shape) * places


def _operations(layer: Any) -> int:
    if isinstance(layer, keras.layers.ConvLSTM2D):
        places = math.prod(layer.get_build_config()["input_shape"][2:4])
        kernels = layer.cell.kernel, layer.cell.recurrent_kernel
        return sum(_product(kernel, places) for kernel in kernels)
    if isinstance(layer, keras.layers.LSTMCell):
        return _product(layer.kernel) + _product(layer.recurrent_kernel)
    if isinstance(layer, keras.layers.Dense):
        return _product(layer.kernel)
    if isinstance(layer, (keras.layers.Conv2D, keras.layers.Conv2DTranspose)):
        # Every kernel entry meets every output pixel; transposed, every input pixel.
        shape = layer.get_build_config()["input_shape"]
        if not isinstance(layer, keras.layers.Conv2DTranspose):
            shape = layer.compute_output_shape(shape)
        return _product(layer.kernel, math.prod(shape[1:3]))
    inner = layer._flatten_layers(include_self=False, recursive=False)
    return sum(_operations(part) for part in inner)
