"""What the recurrent attention model and the whole-image classifiers share.

They are Keras models with a loss of their own: here is how a step updates the weights,
what it reports, and what Keras' own methods need to know about them.

Over 250 lines: Keras asks one class for all of this.
"""

import math
import operator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.trainers.compile_utils import MetricsList

from ram_tf.errors import RamError
from ram_tf.layers.sensor import check_channels, check_images
from ram_tf.models.given_arrays import (
    check_labels,
    check_lengths,
    check_no_list,
    check_range_of_labels,
    images_of,
    warn_of_range,
    warn_of_size,
)

_ROWS = 8
_GROWING = ("accuracy", "reward")  # The higher the better; all other terms fall.
_OF_TRAINING = ("reinforce", "gradient_norm")  # What `evaluate` does not have.


class _Directions(MetricsList):
    """Tells EarlyStopping and ModelCheckpoint which terms should grow.

    Given no mode, they look into lists of metrics and nowhere else.
    """

    variables: list[Any] = []  # Those of its metrics are theirs.

    def reset_state(self) -> None:
        pass

    def result(self) -> dict[str, Any]:
        return {}


class ImageClassifier(keras.Model):
    """A Keras model of images to class probabilities with a loss of its own.

    A subclass calls `apply_loss` in its train_step and `update_metrics` in its
    test_step. `fit`, `evaluate` and the package's training loop all go through these
    two steps.

    Call arguments:
      images: floats [B, H, W, C] in [0, 1], or uint8 0..255. Any other dtype is
        refused: its range is not known.

    Returns:
      probabilities: float32 [B, N].

    Attributes:
      num_classes: N.
      policy: what chooses the locations; "whole_image" where none is looked at.
      num_rollouts: passes over an image in a training step.
    """

    num_classes: int
    policy: str = "whole_image"
    num_rollouts: int = 1

    def __init__(self, **kwargs: Any) -> None:
        # Pixels must not be rounded to bfloat16 before they are cut out.
        super().__init__(autocast=False, **kwargs)
        self._trackers: dict[str, keras.metrics.Metric] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # Here and not in `call`, around whose errors Keras writes lines of its own.
        inputs = args[0] if args else kwargs.get("inputs")
        if inputs is not None:  # Else Keras says what is missing.
            self._check(images_of(inputs))
        return super().__call__(*args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        """As `keras.Model.predict`, and arrays of images are looked at before."""
        self._check_arrays(x)
        return super().predict(x, *args, **kwargs)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.fit`, and arrays of images and labels are checked before."""
        self._check_arrays(x, y)
        self._begin_averages()  # Weights may have been loaded since `compile`.
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.evaluate`, and arrays are checked as by `fit`."""
        self._check_arrays(x, y)
        return super().evaluate(x, y, *args, **kwargs)

    def _check_arrays(self, x: Any, labels: Any = None) -> None:
        check_no_list(x)
        images = images_of(x)
        if isinstance(images, (np.ndarray, tf.Tensor)):
            self._check(images)
        if isinstance(labels, (np.ndarray, tf.Tensor)):
            check_labels(labels)
            check_range_of_labels(labels, self.num_classes)
            if isinstance(images, (np.ndarray, tf.Tensor)):
                check_lengths(images, labels)

    def _check(self, images: Any) -> None:
        check_images(images)
        if self.built:
            built_for = self.image_shape
            check_channels(images, built_for[-1])
            self._check_size(images, built_for)
        warn_of_range(images)

    def _check_size(self, images: Any, built_for: tuple[Any, ...]) -> None:
        warn_of_size(images, built_for)

    @property
    def image_shape(self) -> tuple[Any, ...]:
        """(H, W, C) that the model was built for; a side of any length is None."""
        built: Any = self.get_build_config()
        return tuple(images_of(built["input_shape"])[1:])

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, int]:
        return images_of(input_shape)[0], self.num_classes

    def look(
        self,
        images: tf.Tensor,
        initial_locations: tf.Tensor | None = None,
        exploration: tf.Tensor | None = None,
        policy: str | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns what the model predicts after each glimpse, and where it looked.

        A whole-image classifier has one prediction and no location, T = 1; what is said
        of locations is without effect on it.

        Args:
          images: [B, H, W, C], as the model takes them.
          initial_locations: as of `RecurrentAttentionModel.rollout`.
          exploration: likewise.
          policy: likewise.

        Returns:
          Probabilities, float32 [B*M, T, N], and locations, float32 [B*M, T, 2], (y, x)
          in [-1, 1]; of a whole-image classifier [B, 0, 2]. Gradients are those of the
          predictions: none passes through a location.

        Raises:
          RamError: when the images have not the channels the model was built for, or
            there is no such policy.
        """
        return self(images)[:, None], tf.zeros([tf.shape(images)[0], 0, 2])

    def track_terms(self, names: tuple[str, ...]) -> None:
        """Makes one mean per name; they are what `fit` shows and logs."""
        self._trackers = {name: keras.metrics.Mean(name=name) for name in names}
        for name, tracker in self._trackers.items():
            # Where EarlyStopping and ModelCheckpoint look when no mode is given.
            tracker._direction = "up" if name in _GROWING else "down"

    @property
    def trackers(self) -> list[keras.metrics.Metric]:
        """The running mean of every term."""
        return list(self._trackers.values())

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [*self.trackers, _Directions(self.trackers)]

    @property
    def metrics_names(self) -> list[str]:
        """The names of what `evaluate` returns, in its order.

        `train_on_batch` has more terms; its `return_dict=True` names them.
        """
        return [name for name in self._trackers if name not in _OF_TRAINING]

    def compile(
        self,
        optimizer: Any = "adam",
        *,
        clip_norm: float = 0.0,
        jit_update: bool = False,
        **kwargs: Any,
    ) -> None:
        """Configures training; without arguments, Adam with Keras' defaults.

        The loss is the model's own, so none is taken, nor weights or metrics of it.

        Args:
          optimizer: a Keras optimizer or its name.
          clip_norm: largest global norm of the whole batch's gradient; 0 does not
            clip. (A Keras optimizer's own global_clipnorm clips each replica's part.)
            Of a scaled loss the gradient is clipped as if it were not scaled.
          jit_update: compile the update (norm, clipping, optimizer) by XLA even where
            the step is not: hundreds of small operations become one. Not under
            tf.distribute.
          **kwargs: as `keras.Model.compile`. With mixed_float16 Keras wraps the
            optimizer in a LossScaleOptimizer, unless auto_scale_loss is False.

        Raises:
          ValueError: when a loss, metrics, or weights of either are given, or
            `clip_norm` is below 0 or not finite.
        """
        if not 0 <= clip_norm < math.inf:
            raise ValueError(f"clip_norm={clip_norm}: expected a number of at least 0")
        for name in ("loss", "metrics", "weighted_metrics", "loss_weights"):
            if kwargs.get(name) is not None:
                raise ValueError(
                    f"{type(self).__name__}.compile: expected no {name}: the model has "
                    "its own; fit shows its loss and accuracy"
                )
        self.clip_norm = clip_norm
        self.jit_update = jit_update
        self.auto_scale_loss = kwargs.get("auto_scale_loss", True)
        self._jitted_update = tf.function(
            self._update, jit_compile=True, autograph=False
        )
        super().compile(optimizer=optimizer, **kwargs)
        # `apply_loss` sums over the replicas itself, because clipping needs the whole
        # gradient; twice would double what goes over the network.
        self.inner_optimizer._all_reduce_sum_gradients = _summed_already
        if self.built:
            self._build_optimizer()

    def _build_optimizer(self) -> None:
        """Makes the optimizer's state, unless it has one."""
        self.optimizer.build(self.trainable_variables)
        self._begin_averages()

    def _begin_averages(self) -> None:
        """Sets Keras' averages of weights to the weights, before the first step.

        They begin at 0, and take the place of the weights at the end of `fit`, also
        where no step was applied. The first step that is applied sets them anew.

        Raises:
          RamError: when other weights are averaged than are trained. Keras would fail
            at the end of `fit`, with some weights replaced.
        """
        if not self.compiled:
            return
        optimizer = self.inner_optimizer
        if not optimizer.built or not optimizer.use_ema:
            return
        variables = self.trainable_variables
        averaged = optimizer._trainable_variables
        if [id(v) for v in averaged] != [id(v) for v in variables]:
            raise RamError(
                f"{type(self).__name__}: `trainable` was changed after compile, and "
                "the optimizer averages weights: compile the model again"
            )
        if int(self.steps_done) == 0:
            averages = optimizer._model_variables_moving_average
            with self.distribute_strategy.scope():
                for average, variable in zip(averages, variables, strict=True):
                    average.assign(variable)

    @property
    def inner_optimizer(self) -> keras.optimizers.Optimizer:
        """The optimizer that updates, without the scaling of the loss around it."""
        return getattr(self.optimizer, "inner_optimizer", self.optimizer)

    @property
    def steps_done(self) -> tf.Tensor:
        """How many times `apply_loss` has counted a step, a scalar.

        Of an optimizer that accumulates gradients this is the number of batches, where
        `iterations` is the number of updates. It is saved with the optimizer.
        """
        return tf.convert_to_tensor(self.inner_optimizer._iterations)

    @property
    def input_dtype(self) -> str:
        """What `export` takes pixels as: also at lower precision they come whole."""
        return "float32"

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """As `keras.Model.save`, to a .keras file: Keras cannot load its older .h5.

        Raises:
          RamError: when the name ends with .h5 or .hdf5.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise RamError(f"{filepath}: expected a name that ends with .keras")
        super().save(filepath, *args, **kwargs)

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """As `keras.Model.export`, as soon as the model is built.

        Keras asks for a model that was called; `fit`, `evaluate` and `load_model`
        build this one without a call.
        """
        if self.built and not self._called:
            self(tf.zeros([1, *(side or 1 for side in self.image_shape)]))
        super().export(filepath, *args, **kwargs)

    def get_build_config(self) -> dict[str, Any] | None:
        # A model's own layers are not made from saved settings of theirs, in which
        # Keras has what is trained. So it is saved here, by their places.
        config = super().get_build_config()
        parts = enumerate(self._flatten_layers(include_self=False))
        frozen = [place for place, part in parts if not part.trainable]
        return {**config, "frozen": frozen} if config and frozen else config

    def build_from_config(self, config: dict[str, Any]) -> None:
        config = dict(config or {})
        frozen = config.pop("frozen", ())
        super().build_from_config(config)
        parts = list(self._flatten_layers(include_self=False))
        for place in frozen:
            parts[place].trainable = False

    def get_compile_config(self) -> dict[str, Any] | None:
        if not self.compiled:
            return None
        return {
            "optimizer": keras.saving.serialize_keras_object(self.optimizer),
            "clip_norm": self.clip_norm,
            "jit_update": self.jit_update,
            "jit_compile": self.jit_compile,
            "auto_scale_loss": self.auto_scale_loss,
            "steps_per_execution": self.steps_per_execution,
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))

    def unpack(self, data: Any) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Splits what `fit` or the training loop passes to a step.

        Args:
          data: (images, labels) or (dict with "images", labels); of a RAM the dict may
            name `initial_locations` and `exploration` too, one row per image.

        Returns:
          The dict of inputs, and the labels as int32 [B].

        Raises:
          RamError: for weights of samples or classes, which the loss does not have, for
            labels that are no class numbers, for inputs of other names, and for images
            of a dtype whose range is not known.
        """
        inputs, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        if weights is not None:
            raise RamError(
                f"{type(self).__name__}: expected no sample_weight and no "
                "class_weight: the model has its own loss"
            )
        check_labels(labels)
        check_images(images_of(inputs))
        if not isinstance(inputs, dict):
            inputs = {"images": inputs}
        if not self.built or not self.optimizer.built:
            with tf.init_scope():
                if not self.built:  # `fit` was the first to show it an image.
                    self.build((None, *inputs["images"].shape[1:]))
                self._build_optimizer()
        return inputs, tf.reshape(tf.cast(labels, tf.int32), [-1])

    def apply_loss(
        self,
        tape: tf.GradientTape,
        loss: tf.Tensor,
        terms: dict[str, tf.Tensor],
        num_rows: tf.Tensor,
    ) -> dict[str, Any]:
        """Updates the weights once, and the trackers of the terms and of the norm.

        A step whose terms or gradient are not finite updates nothing: no weight, no
        state of the optimizer, not its count of steps. The trackers of the loss and the
        norm show it. A LossScaleOptimizer then halves its scale and goes on. While the
        scale is above 1 that is normal, so no tracker shows it.

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
            output_gradients=self.optimizer.scale_loss(share),
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        values = tf.stack(list(terms.values()))
        if num_replicas > 1:
            gradients, values = context.all_reduce(
                tf.distribute.ReduceOp.SUM,
                (gradients, tf.math.multiply_no_nan(values, share)),
            )
            terms = dict(zip(terms, tf.unstack(values), strict=True))
        update = self._jitted_update if self.jit_update else self._update
        norm, tried = tf.zeros([]), None
        if gradients:  # Not every weight is frozen.
            norm, tried = update(gradients, values)
        # The loss of a non-finite step may look well: ReLU takes NaN for 0.
        loss = tf.where(tf.math.is_finite(norm), terms["loss"], norm)
        if tried is None:
            return self._track({**terms, "loss": loss, "gradient_norm": norm}, rows)
        # A scale that was too large says nothing of the gradient.
        found = self._track(
            {**terms, "loss": tf.where(tried, terms["loss"], loss)}, rows
        )
        norm, rows = tf.where(tried, 0.0, norm), tf.where(tried, 0.0, rows)
        return {**found, **self._track({"gradient_norm": norm}, rows)}

    def _update(
        self, gradients: list[tf.Tensor], values: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Takes one step of the optimizer where everything is finite.

        Args:
          gradients: of the scaled loss, for every trainable variable.
          values: all terms of the loss.

        Returns:
          The norm of the gradients, as of the loss without its scale, and whether they
          were lost to a scale that a LossScaleOptimizer only tried; None without one.
        """
        scaled_norm = norm = _global_norm(gradients)
        scale: Any = 1.0
        if self._loss_is_scaled():
            scale = self.optimizer.scale_loss(tf.constant(1.0))
            norm = scaled_norm / scale
        terms_are_finite = tf.reduce_all(tf.math.is_finite(values))
        finite = terms_are_finite & tf.math.is_finite(scaled_norm)
        if self.clip_norm:
            gradients, _ = tf.clip_by_global_norm(
                gradients, self.clip_norm * scale, scaled_norm
            )
        if self.optimizer is self.inner_optimizer:
            self._apply_where(finite, gradients)
            return norm, None
        # It looks for what is not finite itself, and adapts its scale to it.
        tried = terms_are_finite & ~finite & (scale > 1.0)
        gradients = [tf.where(finite, gradient, np.nan) for gradient in gradients]
        self.optimizer.apply(gradients, self.trainable_variables)
        return norm, tried

    def _loss_is_scaled(self) -> bool:
        scales = self.optimizer is not self.inner_optimizer
        return scales or self.optimizer.loss_scale_factor is not None

    def _apply_where(self, condition: tf.Tensor, gradients: list[tf.Tensor]) -> None:
        """Applies the gradients if a condition, the same on every replica, holds."""
        variables = self.trainable_variables
        apply = self.optimizer.apply
        if tf.__internal__.distribute.strategy_supports_no_merge_call():
            tf.cond(condition, lambda: apply(gradients, variables), lambda: None)
            return

        def across(
            strategy: tf.distribute.Strategy, condition: Any, gradients: Any
        ) -> None:
            def apply_on_each() -> None:
                strategy.extended.call_for_each_replica(
                    apply, args=(gradients, variables)
                )

            condition = strategy.experimental_local_results(condition)[0]
            tf.cond(condition, apply_on_each, lambda: None)

        # The optimizer meets the other replicas, which no branch of one of them may do.
        context = tf.distribute.get_replica_context()
        context.merge_call(across, args=(condition, gradients))

    def update_metrics(
        self, terms: dict[str, tf.Tensor], num_rows: tf.Tensor
    ) -> dict[str, Any]:
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
        """As `update_metrics`, of the whole batch: few images count as few."""
        for name, value in terms.items():
            self._trackers[name].update_state(value, sample_weight=num_rows)
        return {name: self._trackers[name].result() for name in terms}


def class_count(value: Any) -> int:
    """Returns a number of classes as int; NumPy's integers are numbers too."""
    try:
        count = operator.index(value)
    except TypeError:
        count = 0
    if count < 1:
        raise RamError(f"num_classes={value!r}: expected an integer of at least 1")
    return count


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
