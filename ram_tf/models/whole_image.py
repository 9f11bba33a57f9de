"""The paper's two classifiers that see the whole image (paper 5)."""

from typing import Any

import keras
import tensorflow as tf

from ram_tf.config import check_setting
from ram_tf.errors import RamError
from ram_tf.layers.sensor import check_images
from ram_tf.models.given_arrays import check_size, images_of
from ram_tf.models.image_classifier import ImageClassifier, class_count
from ram_tf.models.losses import correct, cross_entropy


class _WholeImageClassifier(ImageClassifier):
    """A stack of layers, trained by cross-entropy."""

    def __init__(
        self, num_classes: int, stack: list[keras.layers.Layer], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.stack = stack
        self.num_classes = num_classes
        self.track_terms(("loss", "cross_entropy", "accuracy", "gradient_norm"))

    def _check_size(self, images: Any, built_for: tuple[Any, ...]) -> None:
        # Images of as many pixels would fit the first layer, and mean others to it.
        check_size(images, built_for)

    def build(self, input_shape: Any) -> None:
        shape = (None, *images_of(input_shape)[1:])
        for layer in self.stack:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def logits(self, images: tf.Tensor) -> tf.Tensor:
        """Returns float32 [B, N]."""
        check_images(images)
        x = images
        if images.dtype == tf.uint8:
            x = tf.cast(images, tf.float32) / 255.0
        for layer in self.stack:
            x = layer(x)
        return x

    def call(self, inputs: Any, training: bool = False) -> tf.Tensor:
        return tf.nn.softmax(self.logits(images_of(inputs)))

    def train_step(self, data: Any) -> dict[str, Any]:
        inputs, labels = self.unpack(data)
        with tf.GradientTape() as tape:
            logits = self.logits(inputs["images"])
            loss = cross_entropy(logits, labels)
        terms = self._terms(loss, logits, labels)
        return self.apply_loss(tape, loss, terms, tf.shape(labels)[0])

    def test_step(self, data: Any) -> dict[str, Any]:
        inputs, labels = self.unpack(data)
        logits = self.logits(inputs["images"])
        terms = self._terms(cross_entropy(logits, labels), logits, labels)
        return self.update_metrics(terms, tf.shape(labels)[0])

    def _terms(
        self, loss: tf.Tensor, logits: tf.Tensor, labels: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        accuracy = tf.reduce_mean(correct(logits, labels))
        return {"loss": loss, "cross_entropy": loss, "accuracy": accuracy}


@keras.saving.register_keras_serializable(package="ram_tf")
class FCClassifier(_WholeImageClassifier):
    """Two hidden ReLU layers on the flattened image: "FC 2 layers" of the tables.

    Args:
      num_classes: classes N.
      fc_units: width of both hidden layers (paper 5: 256).

    Call arguments:
      images: float32 [B, H, W, C] in [0, 1], or uint8 0..255.

    Returns:
      probabilities: float32 [B, N].

    Gradient:
      Of the cross-entropy, the only term of the loss: to every weight.

    Raises:
      RamError: when an argument does not fit its field of `Config`, or images are of a
        dtype whose range is not known, or have not the size and channels the model was
        built for.
    """

    def __init__(
        self, num_classes: int = 10, fc_units: int = 256, **kwargs: Any
    ) -> None:
        dtype = kwargs.get("dtype")
        num_classes = class_count(num_classes)
        fc_units = check_setting("fc_units", fc_units, prefix="")
        super().__init__(
            num_classes,
            [
                keras.layers.Flatten("channels_last", dtype=dtype, name="flatten"),
                keras.layers.Dense(fc_units, "relu", dtype=dtype, name="hidden_1"),
                keras.layers.Dense(fc_units, "relu", dtype=dtype, name="hidden_2"),
                keras.layers.Dense(num_classes, dtype="float32", name="logits"),
            ],
            **kwargs,
        )
        self.fc_units = fc_units

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "fc_units": self.fc_units,
        }


@keras.saving.register_keras_serializable(package="ram_tf")
class ConvClassifier(_WholeImageClassifier):
    """A convolution and a hidden layer: "Convolutional, 2 layers" of the tables.

    8 filters of 10x10 (paper 5) inside the image, then 256 units (paper 5).

    Args:
      num_classes: classes N.
      fc_units: width of the hidden layer.
      conv_stride: of the filters, in pixels (Mnih et al. 2014, section 4.1: 5; the
        paper does not say).

    Call arguments:
      images: float32 [B, H, W, C] in [0, 1], or uint8 0..255; H and W at least 10.

    Returns:
      probabilities: float32 [B, N].

    Gradient:
      Of the cross-entropy, the only term of the loss: to every weight.

    Raises:
      RamError: when an argument does not fit its field of `Config`, images are smaller
        than the filters, of a dtype whose range is not known, or have not the size and
        channels the model was built for.
    """

    KERNEL_SIZE = 10  # Also the least side of an image.

    def __init__(
        self,
        num_classes: int = 10,
        fc_units: int = 256,
        conv_stride: int = 5,
        **kwargs: Any,
    ) -> None:
        dtype = kwargs.get("dtype")
        num_classes = class_count(num_classes)
        fc_units = check_setting("fc_units", fc_units, prefix="")
        conv_stride = check_setting("conv_stride", conv_stride, prefix="")
        super().__init__(
            num_classes,
            [
                keras.layers.Conv2D(
                    8,
                    self.KERNEL_SIZE,
                    conv_stride,
                    activation="relu",
                    data_format="channels_last",
                    dtype=dtype,
                    name="conv",
                ),
                keras.layers.Flatten("channels_last", dtype=dtype, name="flatten"),
                keras.layers.Dense(fc_units, "relu", dtype=dtype, name="hidden"),
                keras.layers.Dense(num_classes, dtype="float32", name="logits"),
            ],
            **kwargs,
        )
        self.fc_units = fc_units
        self.conv_stride = conv_stride

    def build(self, input_shape: Any) -> None:
        height, width = images_of(input_shape)[1:3]
        if any(side and side < self.KERNEL_SIZE for side in (height, width)):
            raise RamError(
                "--model=conv: expected images of at least "
                f"{self.KERNEL_SIZE} pixels a side, found {height}x{width}"
            )
        super().build(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "fc_units": self.fc_units,
            "conv_stride": self.conv_stride,
        }
