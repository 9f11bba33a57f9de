"""What the worker processes of one run tell each other between compiled calls.

Every sum over replicas waits for all workers, so all of them must make the same calls
with the same steps: one that stopped alone would leave the others waiting.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from ram_tf.runtime.replicas import local_copies
from ram_tf.runtime.stop_signals import SIGNALS


class Decision(NamedTuple):
    """What all workers do next.

    Attributes:
      stop: the signal to stop on, or None.
      finish: whether training ends here.
      size: steps of the next call.
    """

    stop: int | None
    finish: bool
    size: int


class WorkerSync:
    """Makes all workers take one decision; with one process it does nothing.

    Args:
      strategy: that of the run, the same on all workers.
      is_chief: whether this process is the one that others follow.
    """

    def __init__(self, strategy: tf.distribute.Strategy, is_chief: bool) -> None:
        self.strategy = strategy
        self.is_chief = is_chief
        replicas = strategy.num_replicas_in_sync
        self.local_replicas = (
            1 if replicas == 1 else len(strategy.extended.worker_devices)
        )
        self.alone = replicas == self.local_replicas
        self._sum = tf.function(self._sum_over_workers, autograph=False)

    def decide(self, mine: Decision) -> Decision:
        """Returns what all do: stop or finish if any one would, the chief's size."""
        if self.alone:
            return mine
        asked = [float(mine.stop == number) for number in SIGNALS]
        size = float(mine.size) if self.is_chief else 0.0
        *asked, finish, size = self._total([*asked, float(mine.finish), size])
        stop = [number for number, count in zip(SIGNALS, asked, strict=True) if count]
        return Decision(stop[0] if stop else None, finish > 0, round(size))

    def barrier(self) -> None:
        """Waits until all workers are here."""
        self.decide(Decision(None, False, 0))

    def broadcast(self, variables: Sequence[Any], numbers: Sequence[int]) -> list[int]:
        """Gives every worker the chief's variables and numbers.

        Args:
          variables: Keras variables, the same on all workers; those of the others are
            overwritten.
          numbers: of this worker.

        Returns:
          The chief's numbers.
        """
        if self.alone:
            return list(numbers)
        values = [tf.convert_to_tensor(local_copies(v)[0]) for v in variables]
        values += [tf.constant(number, tf.int64) for number in numbers]
        # Whole numbers travel as float64, which every kind of collective can sum.
        sent = [v if v.dtype.is_floating else tf.cast(v, tf.float64) for v in values]
        if not self.is_chief:
            sent = [tf.zeros_like(value) for value in sent]
        found = self._sum(sent)
        for variable, value in zip(variables, found[: len(variables)], strict=True):
            for copy in local_copies(variable):
                copy.assign(tf.cast(value, copy.dtype))
        return [int(number) for number in found[len(variables) :]]

    def _total(self, values: Sequence[float]) -> list[float]:
        (total,) = self._sum([tf.constant(values, tf.float32)])
        return total.numpy().tolist()

    def _sum_over_workers(self, values: list[tf.Tensor]) -> list[tf.Tensor]:
        def add(values: list[tf.Tensor]) -> list[tf.Tensor]:
            context = tf.distribute.get_replica_context()
            # One replica speaks for its worker, so that a sum with zeros is exact.
            speaks = context.replica_id_in_sync_group % self.local_replicas == 0
            values = [tf.where(speaks, value, tf.zeros_like(value)) for value in values]
            # One by one: a sum of several takes one dtype.
            return [context.all_reduce("SUM", value) for value in values]

        totals = self.strategy.run(add, args=(values,))
        return [self.strategy.experimental_local_results(total)[0] for total in totals]
