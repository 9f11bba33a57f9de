"""What several measurements of one run of the suite say together."""

from collections.abc import Sequence
from typing import Any

from ram_tf.benchmarks.suite import CLUTTERED, INCEPTION, Goal, Line


def compare(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Returns quotients and best settings, with their goals.

    Args:
      lines: of one run of `ram_tf.benchmark --suite`.

    Returns:
      Lines of measure "comparison": name, value, goal, met; only those whose parts are
      all there.
    """
    found = []

    def add(name: str, value: float, goal: Goal) -> None:
        line = {"measure": "comparison", "name": name, "value": value}
        found.append({**line, **goal.fields(line)})

    large_mfu = _best(lines, "training", INCEPTION, 128, "mfu")
    if large_mfu:
        add(
            "Inception + ConvLSTM, batch 128, best setting: MFU",
            large_mfu,
            Goal("value", "at least", 0.60),
        )
    for precision in ("float32", "mixed_bfloat16"):
        same = [line for line in lines if line.get("precision") == precision]
        small, large = (
            _best(same, "training", INCEPTION, batch_size, "images_per_second")
            for batch_size in (20, 128)
        )
        if small and large:
            add(
                f"Inception + ConvLSTM, {precision}: images/s of batch 20 / of batch "
                "128",
                small / large,
                Goal("value", "at least", 0.75),
            )
    for batch_size in (20, 128):
        alone, training = (
            _best(lines, measure, CLUTTERED, batch_size, "images_per_second")
            for measure in ("pipeline", "training")
        )
        if alone and training:
            add(
                f"{CLUTTERED}, batch {batch_size}: pipeline alone / training",
                alone / training,
                Goal("value", "at least", 3),
            )
    memory = {
        line["sides"][0]: line["beyond_image_mb"]
        for line in lines
        if line["measure"] == "image_memory"
    }
    if len(memory) > 1:
        add(
            "peak memory beyond the image: largest image / smallest",
            memory[max(memory)] / memory[min(memory)],
            Goal("value", "at most", 1.1),
        )
    return found


def _best(
    lines: Sequence[Line], measure: str, experiment: str, batch_size: int, field: str
) -> float:
    """Returns the largest value of a field over the settings; 0 when there is none."""
    kind = (measure, experiment, batch_size)
    return max(
        (
            line[field]
            for line in lines
            if kind == tuple(map(line.get, ("measure", "experiment", "batch_size")))
        ),
        default=0.0,
    )
