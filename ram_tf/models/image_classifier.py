"""What the recurrent attention model and the baselines share as Keras models."""

from typing import Any

import keras
import tensorflow as tf

from ram_tf.errors import RamError

_ROWS = 8


class ImageClassifier(keras.Model):
    """A Keras model of images to class probabilities with a loss of its own.

    A subclass calls `learn` in its train_step and `track` in its test_step. `fit`,
    `evaluate` and the package's training loop all go through these two steps.

    Call arguments:
      images: float32 [B, H, W, C] in [0, 1], or uint8 0..255.

    Returns:
      probabilities: float32 [B, N].
    """

    def __init__(self, **kwargs: Any) -> None:
        # Pixels must not be rounded to bfloat16 before they are cut out.
        super().__init__(autocast=False, **kwargs)
        self._trackers: dict[str, keras.metrics.Metric] = {}

    def track_terms(self, names: tuple[str, ...]) -> None:
        """Makes one mean per name; they are what `fit` shows and logs."""
        self._trackers = {name: keras.metrics.Mean(name=name) for name in names}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return list(self._trackers.values())

    def compile(
        self,
        optimizer: Any = "adam",
        clip_norm: float = 0.0,
        jit_update: bool = False,
        **kwargs: Any,
    ) -> None:
        """Configures training; without arguments, Adam with Keras' defaults.

        The loss is the model's own, so `loss` and `metrics` are not taken.

        Args:
          optimizer: a Keras optimizer or its name.
          clip_norm: largest global norm of the whole batch's gradient; 0 does not
            clip. (A Keras optimizer's own global_clipnorm clips each replica's part.)
          jit_update: compile the update (norm, clipping, optimizer) by XLA even where
            the step is not: hundreds of small operations become one. Not under
            tf.distribute.
          **kwargs: as `keras.Model.compile`.

        Raises:
          ValueError: when a loss or metrics are given.
        """
        for name in ("loss", "metrics"):
            if kwargs.get(name) is not None:
                raise ValueError(f"{type(self).__name__} has its own {name}")
        self.clip_norm = clip_norm
        self.jit_update = jit_update
        self._apply = tf.function(self._update, jit_compile=True)
        super().compile(optimizer=optimizer, **kwargs)
        # `learn` sums over the replicas itself, because clipping needs the whole
        # gradient; twice would double what goes over the network.
        self.optimizer._all_reduce_sum_gradients = _summed_already

    def get_compile_config(self) -> dict[str, Any]:
        return {
            "optimizer": keras.saving.serialize_keras_object(self.optimizer),
            "clip_norm": self.clip_norm,
            "jit_update": self.jit_update,
            "jit_compile": self.jit_compile,
            "steps_per_execution": self.steps_per_execution,
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def unpack(self, data: Any) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Splits what `fit` or the training loop passes to a step.

        Args:
          data: (images, labels) or (dict with "images", labels); the dict may name
            further inputs of the model's `rollout`.

        Returns:
          The dict of inputs, and the labels as int32 [B].

        Raises:
          RamError: for weights of samples or classes, which the loss does not have.
        """
        inputs, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        if weights is not None:
            raise RamError(
                f"{type(self).__name__}: expected no sample_weight and no "
                "class_weight: the model has its own loss"
            )
        if not isinstance(inputs, dict):
            inputs = {"images": inputs}
        if not self.built:  # `fit` was the first to show it an image.
            with tf.init_scope():
                self.build((None, *inputs["images"].shape[1:]))
                self.optimizer.build(self.trainable_variables)
        return inputs, tf.reshape(tf.cast(labels, tf.int32), [-1])

    def learn(
        self,
        tape: tf.GradientTape,
        loss: tf.Tensor,
        terms: dict[str, tf.Tensor],
        num_rows: tf.Tensor,
    ) -> dict[str, Any]:
        """Updates the weights once and tracks the terms and the gradient's norm.

        A gradient that is not finite, or comes with such a term, counts as zero, so
        that no weight is spoiled; the trackers of the loss and the norm show it.

        Args:
          tape: recorded `loss`.
          loss: the replica's loss, a scalar mean over its share of the batch.
          terms: scalars by tracker name, means over the same share.
          num_rows: rows in that share, a scalar.

        Returns:
          The running mean of every tracker, by name, the same on every replica.
        """
        # Gradients are summed over replicas; the loss is a mean over the global batch,
        # of which the last of `fit` may leave one replica fewer rows, or none.
        num_replicas = tf.distribute.get_strategy().num_replicas_in_sync
        rows = tf.cast(num_rows, tf.float32)
        share = tf.constant(1.0)
        if num_replicas > 1:
            context = tf.distribute.get_replica_context()
            all_rows = context.all_reduce(tf.distribute.ReduceOp.SUM, rows)
            share, rows = rows / all_rows, all_rows
        gradients = tape.gradient(
            loss,
            # TensorFlow's own variables: a Keras one has no zeros of its dtype.
            [variable.value for variable in self.trainable_variables],
            output_gradients=share,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        values = tf.stack(list(terms.values()))
        if num_replicas > 1:
            gradients, values = context.all_reduce(
                tf.distribute.ReduceOp.SUM,
                (gradients, tf.math.multiply_no_nan(values, share)),
            )
            terms = dict(zip(terms, tf.unstack(values), strict=True))
        norm = (self._apply if self.jit_update else self._update)(gradients, values)
        # The loss of a sick step may look well: ReLU takes NaN for 0.
        loss = tf.where(tf.math.is_finite(norm), terms["loss"], norm)
        return self._track({**terms, "loss": loss, "gradient_norm": norm}, rows)

    def _update(self, gradients: list[tf.Tensor], values: tf.Tensor) -> tf.Tensor:
        """Takes one step of the optimizer; returns the norm of the gradients."""
        norm = _global_norm(gradients)
        sound = tf.reduce_all(tf.math.is_finite(values)) & tf.math.is_finite(norm)
        if self.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.clip_norm, norm)
        gradients = [tf.where(sound, g, tf.zeros_like(g)) for g in gradients]
        self.optimizer.apply(gradients, self.trainable_variables)
        return norm

    def track(self, terms: dict[str, tf.Tensor], num_rows: tf.Tensor) -> dict[str, Any]:
        """Adds scalars to the trackers of their names and returns all means.

        Args:
          terms: scalars by tracker name, means over the replica's share of the batch.
          num_rows: rows in that share, a scalar.

        Returns:
          The running mean of every term, by name, the same on every replica.
        """
        rows = tf.cast(num_rows, tf.float32)
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            context = tf.distribute.get_replica_context()
            sums = tf.math.multiply_no_nan(tf.stack(list(terms.values())), rows)
            sums, rows = context.all_reduce(tf.distribute.ReduceOp.SUM, (sums, rows))
            terms = dict(zip(terms, tf.unstack(sums / rows), strict=True))
        return self._track(terms, rows)

    def _track(
        self, terms: dict[str, tf.Tensor], num_rows: tf.Tensor
    ) -> dict[str, Any]:
        """As `track`, of the whole batch: a last one of few images counts as few."""
        for name, value in terms.items():
            self._trackers[name].update_state(value, sample_weight=num_rows)
        return {name: self._trackers[name].result() for name in terms}


def _global_norm(gradients: list[tf.Tensor]) -> tf.Tensor:
    """Returns the norm of all gradients together, float32."""
    return tf.sqrt(tf.add_n([_sum_of_squares(gradient) for gradient in gradients]))


def _sum_of_squares(values: tf.Tensor) -> tf.Tensor:
    values = tf.cast(values, tf.float32)
    if values.shape.num_elements() % _ROWS:
        return tf.reduce_sum(tf.square(values))
    # XLA on a CPU adds up one number at a time, but multiplies matrices at full width;
    # the squares are on the diagonal of this product. 8 % of a step of batch 20.
    rows = tf.reshape(values, [_ROWS, -1])
    return tf.linalg.trace(tf.matmul(rows, rows, transpose_b=True))


def _summed_already(gradients_and_variables: Any) -> Any:
    return gradients_and_variables
