"""What several measurements of one run of the suite say together."""

from collections.abc import Sequence
from typing import Any

from ram_tf.benchmarks.suite import CLUTTERED, INCEPTION, RNN, Goal, Line

# Images/s of a PyTorch RAM, batched crops under torch.compile, by batch size, on a
# machine of so many GFLOP/s: not measured here. We aim at three times as much.
_PYTORCH, _PYTORCH_GFLOPS = {20: 3600, 128: 7000}, 190


def compare(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Returns quotients and best settings, with their goals.

    Args:
      lines: of one run of `ram_tf.benchmark --suite`.

    Returns:
      Lines of measure "comparison": name, value and, where there is one, goal and met;
      only those whose parts are all there.
    """
    found = []

    def add(name: str, value: float, goal: Goal | None = None) -> None:
        line = {"measure": "comparison", "name": name, "value": value}
        found.append({**line, **(goal.fields(line) if goal else {})})

    for batch_size, pytorch in _PYTORCH.items():
        ours = _best(lines, "training", RNN, batch_size, "images_per_gflop")
        if ours:
            add(
                f"RNN core, batch {batch_size}: images/s at {_PYTORCH_GFLOPS} GFLOP/s "
                f"/ {pytorch:,} of PyTorch",
                ours * _PYTORCH_GFLOPS / pytorch,
                Goal("value", "at least", 3),
            )
    large_mfu = _best(lines, "training", INCEPTION, 128, "mfu")
    if large_mfu:
        add(
            "Inception + ConvLSTM, batch 128, best setting: MFU",
            large_mfu,
            Goal("value", "at least", 0.60),
        )
    for setting in ("best settings", "float32", "mixed_bfloat16"):
        best = setting == "best settings"
        same = [line for line in lines if best or line.get("precision") == setting]
        small, large = (
            _best(same, "training", INCEPTION, batch_size, "images_per_second")
            for batch_size in (20, 128)
        )
        if small and large:
            add(
                f"Inception + ConvLSTM, {setting}: images/s of batch 20 / of batch 128",
                small / large,
                # What a precision loses by a small batch is for information.
                Goal("value", "at least", 0.75) if best else None,
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
    for jit in ("on", "off"):
        memory = {
            line["sides"][0]: line
            for line in lines
            if (line["measure"], line.get("jit_compile")) == ("image_memory", jit)
        }
        if len(memory) > 1:
            on_small, on_large = memory[min(memory)], memory[max(memory)]
            # Not the quotient of whole processes: TensorFlow's own memory is so large
            # that no copy of the image would show in it.
            add(
                f"Answers, XLA {jit}: MB raised by the calls, largest image - smallest",
                on_large["call_mb"] - on_small["call_mb"],
                Goal("value", "at most", on_large["image_mb"]),
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
