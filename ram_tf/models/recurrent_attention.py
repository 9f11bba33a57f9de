"""The recurrent attention model: T glimpses in, a class and a path out.

Over 250 lines: Keras asks one class for the rollout, its steps and its settings.
"""

import dataclasses
import inspect
import itertools
import pathlib
import types
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from ram_tf.config import Config, check_model, check_value
from ram_tf.errors import RamError
from ram_tf.layers import (
    CORES,
    GLIMPSE_NETWORKS,
    ActionNetwork,
    BaselineNetwork,
    GlimpseSensor,
    LocationNetwork,
)
from ram_tf.layers.sensor import check_channels, check_rollouts
from ram_tf.models.given_arrays import images_of
from ram_tf.models.image_classifier import ImageClassifier, class_count
from ram_tf.models.losses import Losses, correct, glimpse_rewards, hybrid_loss
from ram_tf.models.preset_files import (
    ShippedPresets,
    check_widths,
    find_preset,
    read_settings,
    read_weights,
)

POLICIES = ("learned", "random", "center")


class Rollout(NamedTuple):
    """One pass of T glimpses over B*M rows; all float32.

    Attributes:
      logits: [B*M, N], from the last glimpse: which the loss and the prediction use.
      step_logits: [B*M, T, N], of the prediction after each glimpse.
      locations: [B*M, T, 2], where each glimpse looked, clipped to [-1, 1].
      means: [B*M, T-1, 2], of the policy after each glimpse but the last.
      log_probs: [B*M, T-1], of the unclipped sample; 0 unless policy=learned.
      baselines: [B*M, T-1], the return expected after each glimpse but the last.
    """

    logits: tf.Tensor
    step_logits: tf.Tensor
    locations: tf.Tensor
    means: tf.Tensor
    log_probs: tf.Tensor
    baselines: tf.Tensor


@keras.saving.register_keras_serializable(package="ram_tf")
class RecurrentAttentionModel(ImageClassifier):
    """Looks at an image through T glimpses and learns where to look by REINFORCE.

    Paper 4; Mnih et al. 2014. Step t looks at l_t and gives the core output h_t; the
    next mean mu_{t+1} and the baseline b_t come from h_t. T glimpses make T-1
    decisions. Nothing else of the image reaches the class or the policy.

    Args: the fields of `Config` with these names, their ranges and defaults;
      num_classes is N. `seed` owns the first locations and the exploration noise of
      training, which are functions of (seed, optimizer step), also across replicas.

    Call arguments:
      images: float32 [B, H, W, C] in [0, 1], or uint8 0..255; or a dict with "images"
        and optionally "initial_locations" float32 [B, 2], which all rollouts of an
        image start from, and "exploration" as of `rollout`, for `fit` with one rollout;
        predictions leave it out.

    Returns:
      probabilities: float32 [B, N], at the policy's means, from the centre unless
      initial locations are given: deterministic, and no image depends on its batch. A
      random policy stays at the centre here, and in Keras' `evaluate` and `fit`'s
      val_accuracy: pass `rollout` its locations.

    Raises:
      RamError: when an argument does not fit its field, or the images have not the
        channels the model was built for.

    Gradient:
      Cross-entropy: glimpse, core and action networks. Baseline MSE: the baseline
      network. REINFORCE: the location network, and with policy_gradient_scope="core"
      the core and glimpse networks too. None through a location. Only the model's own
      `fit` has these terms: as a layer of another model it looks at its means and does
      not learn where to look.

    Attributes:
      num_parts: into how many parts of its images a rollout is split, each computed by
        itself, where the batch size is known; more than 1 only makes it faster, see
        `ram_tf.runtime.devices.use_cores`.

    Example:
      >>> model = RecurrentAttentionModel(num_classes=10, num_glimpses=3)
      >>> model(np.zeros([2, 28, 28, 1], "float32")).shape
      TensorShape([2, 10])
    """

    presets = ShippedPresets()  # Metadata of the package's trained models, by name.

    @classmethod
    def from_preset(
        cls,
        preset: str | pathlib.Path,
        load_weights: bool = True,
        **settings: Any,
    ) -> "RecurrentAttentionModel":
        """Returns a trained model, built and not compiled.

        Args:
          preset: a name of `presets`, the folder of a preset, or "hf://user/name".
          load_weights: False leaves the initial weights of the architecture.
          **settings: arguments to change, and `name`, of which two presets in one
            functional model need two. Other num_classes leave the action network
            with initial weights, for training on other classes. More num_glimpses
            leave the further decisions with untrained offsets (location_spread).

        Raises:
          RamError: when there is none, it is broken, or its weights do not fit the
            changed arguments.
        """
        folder = find_preset(preset)
        saved, image_shape = read_settings(
            folder, keras.saving.get_registered_name(RecurrentAttentionModel)
        )
        check_widths(folder, saved)
        try:
            model = cls(**{**saved, **settings})
        except (TypeError, ValueError) as error:
            raise RamError(f"preset {str(preset)!r}: {error}") from None
        model.build((None, *image_shape))
        if load_weights:
            for argument in ("patch_size", "num_scales"):
                expected = saved[argument]
                found = settings.get(argument, expected)
                if found != expected:
                    # Arrays of patches of as many pixels would fit, and mean others.
                    raise RamError(
                        f"preset {str(preset)!r}: expected {argument}={expected} as "
                        f"its weights, found {found}"
                    )
            same_classes = model.num_classes == saved["num_classes"]
            fresh = () if same_classes else (model.action_network,)
            try:
                read_weights(model, folder, fresh)
            except RamError as error:
                if not settings:
                    raise
                changed = ", ".join(f"{name}={settings[name]!r}" for name in settings)
                raise RamError(
                    f"preset {str(preset)!r}: expected arguments that fit its weights, "
                    f"found {changed} ({error})"
                ) from None
        return model

    def __init__(
        self,
        num_classes: int = 10,
        patch_size: int = 8,
        num_scales: int = 1,
        num_glimpses: int = 6,
        glimpse_network: str = "fc",
        glimpse_units: int = 0,
        glimpse_modules: int = 1,
        core: str = "lstm",
        core_units: int = 0,
        location_hidden_units: int = 0,
        location_input_scale: float = 1.0,
        policy: str = "learned",
        location_stddev: float = 0.1,
        location_bound: float = 1.0,
        location_maps: int = 0,
        location_spread: float = 0.0,
        initial_location: str = "random",
        policy_gradient_scope: str = "location",
        num_rollouts: int = 1,
        cross_entropy_at: str = "last",
        reward: str = "correct",
        decision_return: str = "final",
        discount: float = 0.5,
        baseline: str = "learned",
        normalize_advantages: bool = False,
        baseline_weight: float = 1.0,
        reinforce_weight: float = 0.01,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        given = locals()
        num_classes = class_count(num_classes)
        self._settings = {
            field.name: check_value(field, given[field.name], prefix="")
            for field in dataclasses.fields(Config)
            if field.name in given
        }
        check_model(self._settings, prefix="")
        # From here on the checked values: Python's numbers, where NumPy's were given.
        checked = types.SimpleNamespace(**self._settings)
        self.num_classes = num_classes
        self.num_glimpses = checked.num_glimpses
        self.policy = checked.policy
        self.location_bound = checked.location_bound
        self.initial_location = checked.initial_location
        self.policy_gradient_scope = checked.policy_gradient_scope
        self.num_rollouts = checked.num_rollouts
        # What is learned from which glimpse: arguments of `hybrid_loss`.
        self.credit = {
            name: self._settings[name]
            for name in inspect.signature(hybrid_loss).parameters
            if name in self._settings
        }
        self.seed = checked.seed
        self.num_parts = 1
        inner: dict[str, Any] = {"dtype": self.dtype_policy}
        self.sensor = GlimpseSensor(
            checked.patch_size, checked.num_scales, name="sensor", **inner
        )
        # A width of 0 is the layer's own.
        width = [checked.glimpse_units] if checked.glimpse_units else []
        modules = {}
        if checked.glimpse_modules > 1:
            modules["modules"] = checked.glimpse_modules
        self.glimpse_network = GLIMPSE_NETWORKS[checked.glimpse_network](
            *width, name="glimpse_network", **modules, **inner
        )
        has_width = checked.core_units and checked.core != "none"
        width = [checked.core_units] if has_width else []
        self.core = CORES[checked.core](*width, name="core", **inner)
        self.location_network = LocationNetwork(
            checked.location_stddev,
            checked.location_hidden_units,
            checked.location_input_scale,
            checked.location_bound or 1.0,  # 0 depends on the images: `build` sets it.
            maps=checked.location_maps,
            spread=checked.location_spread,
            # One glimpse decides nothing; the network is there all the same.
            num_decisions=max(checked.num_glimpses - 1, 1),
            name="location_network",
        )
        self.baseline_network = BaselineNetwork(name="baseline_network")
        self.action_network = ActionNetwork(num_classes, name="action_network")
        self.track_terms((*Losses._fields, "accuracy", "reward", "gradient_norm"))

    def build(self, input_shape: Any) -> None:
        images_shape = images_of(input_shape)
        patches_shape = self.sensor.compute_output_shape(tuple(images_shape))
        self.sensor.build(images_shape)
        self.glimpse_network.build(patches_shape)
        features_shape = self.glimpse_network.compute_output_shape(patches_shape)
        self.core.build(features_shape)
        if self.location_bound == 0:
            g, (height, width) = self.sensor.patch_size, images_shape[1:3]
            if height is None or width is None:
                raise RamError(
                    "location_bound=0: expected images of one size, which it depends on"
                )
            self.location_network.bound = [
                max(0.0, 1.0 - g / height),
                max(0.0, 1.0 - g / width),
            ]
        output_shape = self.core.output_shape_for(features_shape)
        self.location_network.build(output_shape)
        self.baseline_network.build(output_shape)
        self.action_network.build(output_shape)
        self.built = True

    def rollout(
        self,
        images: tf.Tensor,
        initial_locations: tf.Tensor | None = None,
        exploration: tf.Tensor | None = None,
        policy: str | None = None,
    ) -> Rollout:
        """Takes T glimpses.

        Args:
          images: [B, H, W, C].
          initial_locations: float32 [B*M, 2]; rows i*M .. i*M + M-1 belong to image i.
            None is the centre, once per image.
          exploration: float32 [B*M, T-1, 2]. For policy "learned", standard normal
            noise, or None to look at the means; for "random", the locations
            themselves, or None to stay at the centre; for "center", ignored.
          policy: one of `POLICIES`; overrides the model's own.

        Raises:
          RamError: when the images have not the channels the model was built for, the
            locations are no whole number of rollouts per image, the exploration has
            another shape, or there is no such policy.
        """
        policy = policy or self.policy
        if policy not in POLICIES:
            raise RamError(f"policy={policy!r}: expected one of {', '.join(POLICIES)}")
        if not self.built:
            with tf.init_scope():
                self.build((None, *images.shape[1:]))
        check_channels(images, self.image_shape[-1])
        if initial_locations is None:
            initial_locations = tf.zeros([tf.shape(images)[0], 2])
        initial_locations = tf.cast(initial_locations, tf.float32)
        if exploration is not None:
            exploration = tf.cast(exploration, tf.float32)
        self._check_draws(images, initial_locations, exploration)
        num_images = images.shape[0]  # None inside a function of any batch size.
        if not num_images or self.num_parts == 1:
            return self._rollout(images, initial_locations, exploration, policy)
        num_parts = min(self.num_parts, num_images)
        bounds = [i * num_images // num_parts for i in range(num_parts + 1)]
        num_rollouts = tf.shape(initial_locations)[0] // num_images
        parts = []
        for first, last in itertools.pairwise(bounds):
            rows = slice(first * num_rollouts, last * num_rollouts)
            part = self._rollout(
                images[first:last],
                initial_locations[rows],
                None if exploration is None else exploration[rows],
                policy,
            )
            parts.append(part)
        return Rollout(*(tf.concat(field, 0) for field in zip(*parts, strict=True)))

    def _check_draws(
        self,
        images: tf.Tensor,
        initial_locations: tf.Tensor,
        exploration: tf.Tensor | None,
    ) -> None:
        """Raises RamError where shapes that are known do not fit together."""
        check_rollouts(images, initial_locations)
        if exploration is None:
            return
        rows = initial_locations.shape[0]
        expected = tf.TensorShape([rows, self.num_glimpses - 1, 2])
        if not expected.is_compatible_with(exploration.shape):
            raise RamError(
                f"exploration of shape {exploration.shape}: expected {expected}, two "
                "numbers for each decision of a rollout"
            )

    def _rollout(
        self,
        images: tf.Tensor,
        initial_locations: tf.Tensor,
        exploration: tf.Tensor | None,
        policy: str,
    ) -> Rollout:
        batch = tf.shape(initial_locations)[0]
        state = None
        location = tf.clip_by_value(initial_locations, -1.0, 1.0)
        locations, outputs, means, log_probs, baselines = [], [], [], [], []
        for t in range(self.num_glimpses):
            locations.append(location)
            output, state = self.glimpse(images, location, state)
            outputs.append(output)
            if t == self.num_glimpses - 1:
                break
            mean = self.next_mean(output, t)
            baselines.append(self.baseline_network(output))
            if policy == "learned":
                chosen = mean
                if exploration is not None:
                    chosen = self.location_network.sample(mean, exploration[:, t])
                log_probs.append(self.location_network.log_prob(chosen, mean))
            else:
                chosen = tf.zeros_like(mean)
                if policy == "random" and exploration is not None:
                    chosen = exploration[:, t]
                log_probs.append(tf.zeros([batch]))
            means.append(mean)
            location = tf.clip_by_value(tf.stop_gradient(chosen), -1.0, 1.0)
        step_logits = [self.action_network(output) for output in outputs]
        return Rollout(
            logits=step_logits[-1],
            step_logits=tf.stack(step_logits, axis=1),
            locations=tf.stack(locations, axis=1),
            means=_stack(means, [batch, 0, 2]),
            log_probs=_stack(log_probs, [batch, 0]),
            baselines=_stack(baselines, [batch, 0]),
        )

    def glimpse(
        self, images: tf.Tensor, location: tf.Tensor, state: tuple | None = None
    ) -> tuple[tf.Tensor, tuple]:
        """Takes one glimpse: sensor, glimpse network and core.

        Args:
          images: [B, H, W, C], of the channels the model was built for.
          location: float32 [B*M, 2], (y, x) in [-1, 1]; no gradient passes through it
            to where the sensor cuts.
          state: as the last glimpse gave it; None before the first.

        Returns:
          What the core saw so far, [B*M, ...], of the model's compute dtype: the input
          of the three networks after it. And the state for the next glimpse.
        """
        patches = self.sensor(images, location)
        features = self.glimpse_network(patches, location)
        output, state = self.core(features, state)
        return output, state

    def next_mean(self, output: tf.Tensor, decision: Any) -> tf.Tensor:
        """Returns the policy's mean of the next location, float32 [B*M, 2].

        Args:
          output: of `glimpse`. It receives gradient with policy_gradient_scope="core".
          decision: which one, from 0 to T-2; an integer or a scalar.
        """
        seen = output
        if self.policy_gradient_scope == "location":
            seen = tf.stop_gradient(output)
        return self.location_network(seen, decision=decision)

    def look(
        self,
        images: tf.Tensor,
        initial_locations: tf.Tensor | None = None,
        exploration: tf.Tensor | None = None,
        policy: str | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        rollout = self.rollout(images, initial_locations, exploration, policy)
        return tf.nn.softmax(rollout.step_logits), rollout.locations

    def call(self, inputs: Any, training: bool = False) -> tf.Tensor:
        if not isinstance(inputs, dict):
            inputs = {"images": inputs}
        return tf.nn.softmax(self._look(**inputs).logits)

    def train_step(self, data: Any) -> dict[str, Any]:
        inputs, labels = self.unpack(data)
        with tf.GradientTape() as tape:
            rollout = self.rollout(**self._draw(**inputs))
            labels = tf.repeat(labels, self.num_rollouts)
            losses = self.hybrid_loss(rollout, labels, self.num_rollouts)
        terms = self._terms(losses, rollout, labels)
        return self.apply_loss(tape, losses.loss, terms, tf.shape(labels)[0])

    def test_step(self, data: Any) -> dict[str, Any]:
        inputs, labels = self.unpack(data)
        rollout = self._look(**inputs)
        losses = self.hybrid_loss(rollout, labels, num_rollouts=1)
        terms = self._terms(losses, rollout, labels)
        # At its own mean a Gaussian's density is the same everywhere: REINFORCE would
        # add the reward to the loss with a sign that depends on the spread alone.
        del terms["reinforce"]
        terms["loss"] = (
            losses.cross_entropy + self.credit["baseline_weight"] * losses.baseline_mse
        )
        return self.update_metrics(terms, tf.shape(labels)[0])

    def hybrid_loss(
        self, rollout: Rollout, labels: tf.Tensor, num_rollouts: int
    ) -> Losses:
        """Returns the terms of the loss, with the model's own credit.

        Args:
          rollout: over B images, `num_rollouts` rows each.
          labels: int32 [B*num_rollouts].
          num_rollouts: rows an image. With 1 there is no other rollout to leave out,
            so the baseline is the network's.
        """
        baseline = self.credit["baseline"] if num_rollouts > 1 else "learned"
        credit = {**self.credit, "baseline": baseline, "num_rollouts": num_rollouts}
        return hybrid_loss(
            rollout.step_logits, rollout.log_probs, rollout.baselines, labels, **credit
        )

    def _terms(
        self, losses: Losses, rollout: Rollout, labels: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        last = rollout.step_logits[:, -1:]
        rewards = glimpse_rewards(last, labels, self.credit["reward"])
        return {
            **losses._asdict(),
            "accuracy": tf.reduce_mean(correct(rollout.logits, labels)),
            "reward": tf.reduce_mean(rewards),
        }

    def _look(
        self,
        images: tf.Tensor,
        initial_locations: tf.Tensor | None = None,
        exploration: tf.Tensor | None = None,
    ) -> Rollout:
        """A rollout at the means: no noise, so nothing depends on chance."""
        return self.rollout(images, initial_locations)

    def _draw(
        self,
        images: tf.Tensor,
        initial_locations: tf.Tensor | None = None,
        exploration: tf.Tensor | None = None,
    ) -> dict[str, Any]:
        """Adds the random numbers of this training step to the images.

        They are drawn for the global batch, and each replica takes its rows: a run on
        several devices sees the numbers of a run on one.
        """
        rows = total = tf.shape(images)[0] * self.num_rollouts
        first: Any = 0
        num_replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if num_replicas > 1:
            context = tf.distribute.get_replica_context()
            replica = context.replica_id_in_sync_group
            first, total = replica * rows, num_replicas * rows
            if images.shape[0] is None:  # The last batch of `fit` may be uneven.
                given = tf.one_hot(replica, num_replicas, dtype=tf.int32) * rows
                each = context.all_reduce(tf.distribute.ReduceOp.SUM, given)
                first = tf.cumsum(each, exclusive=True)[replica]
                total = tf.reduce_sum(each)
        step = tf.cast(self.steps_done, tf.int64)
        seeds = tf.random.split(tf.stack([tf.constant(self.seed, tf.int64), step]), 2)
        own = slice(first, first + rows)
        if initial_locations is None:
            initial_locations = tf.zeros([rows, 2])
            if self.initial_location == "random" and self.policy != "center":
                initial_locations = tf.random.stateless_uniform(
                    [total, 2], seeds[0], -1.0, 1.0
                )[own]
        elif self.num_rollouts > 1:
            initial_locations = tf.repeat(initial_locations, self.num_rollouts, axis=0)
        if exploration is None:
            draw = tf.random.stateless_normal
            options: dict[str, Any] = {}
            if self.policy == "random":
                draw = tf.random.stateless_uniform
                options = {"minval": -1.0, "maxval": 1.0}
            shape = [total, self.num_glimpses - 1, 2]
            exploration = draw(shape, seeds[1], **options)[own]
        return {
            "images": images,
            "initial_locations": initial_locations,
            "exploration": exploration,
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            **self._settings,
        }


def _stack(steps: list[tf.Tensor], empty: list[Any]) -> tf.Tensor:
    return tf.stack(steps, axis=1) if steps else tf.zeros(empty)
