"""What a person watches while a split is evaluated."""

from typing import Any

from ram_tf.runtime.progress import progress_bar


class EvaluationBar:
    """Shows the batches of an evaluation as a `progress_bar`.

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
            self.bar = progress_bar(total, "batches", self.split, at_once=False)
        self.bar.update(done - self.bar.n)

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()
