"""The layers of a recurrent attention model, in the order of a glimpse."""

from typing import Any

from ram_tf.layers.action import ActionNetwork
from ram_tf.layers.baseline import BaselineNetwork
from ram_tf.layers.conv_glimpse import ConvGlimpseNetwork
from ram_tf.layers.conv_lstm_core import ConvLSTMCore
from ram_tf.layers.fc_glimpse import FCGlimpseNetwork
from ram_tf.layers.identity_core import IdentityCore
from ram_tf.layers.inception_glimpse import InceptionGlimpseNetwork
from ram_tf.layers.location import LocationNetwork
from ram_tf.layers.lstm_core import LSTMCore
from ram_tf.layers.rnn_core import RNNCore
from ram_tf.layers.sensor import GlimpseSensor

__all__ = [
    "GlimpseSensor",
    "FCGlimpseNetwork",
    "InceptionGlimpseNetwork",
    "ConvGlimpseNetwork",
    "RNNCore",
    "LSTMCore",
    "ConvLSTMCore",
    "IdentityCore",
    "LocationNetwork",
    "BaselineNetwork",
    "ActionNetwork",
]

NoCore = IdentityCore  # Its name before version 0.2.

# By the values of the flags --glimpse_network and --core.
GLIMPSE_NETWORKS: dict[str, Any] = {
    "fc": FCGlimpseNetwork,
    "inception": InceptionGlimpseNetwork,
    "conv": ConvGlimpseNetwork,
}
CORES: dict[str, Any] = {
    "rnn": RNNCore,
    "lstm": LSTMCore,
    "conv_lstm": ConvLSTMCore,
    "none": IdentityCore,
}
