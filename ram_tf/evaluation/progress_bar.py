"""The bar that a person watches while a split is evaluated."""

from typing import Any

import tqdm

from ram_tf.runtime.progress import on_terminal


class EvaluationBar:
    """Shows batches of an evaluation on standard error, where that is a terminal.

    Use it in a `with`; it is what `final_results.evaluate` takes as on_batch.

    Args:
      split: what is evaluated, which stands before the bar.
    """

    def __init__(self, split: str) -> None:
        self.split = split
        self.bar: Any = None

    def __enter__(self) -> "EvaluationBar":
        return self

    def __call__(self, done: int, total: int) -> None:
        if self.bar is None:
            self.bar = tqdm.tqdm(
                total=total,
                desc=self.split,
                unit="batch",
                mininterval=1.0,
                dynamic_ncols=True,
                # A log of `evaluate` keeps to results and errors.
                disable=not on_terminal(),
            )
        self.bar.update(done - self.bar.n)

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()
