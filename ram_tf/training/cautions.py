"""What of a Config is allowed and may not be as meant, in a line each."""

from ram_tf.config import Config

# What the first weights may still count for in an average.
_LITTLE = 0.05


def cautions(config: Config) -> list[str]:
    """Returns lines on settings that do not go with the number of steps.

    Args:
      config: the run.
    """
    lines = []
    steps = config.train_steps
    if config.eval_every > steps:
        lines.append(
            f"--eval_every={config.eval_every} is more than --train_steps={steps}: "
            "validation is measured once, at the end"
        )
    decays = config.lr_schedule in ("linear", "cosine")
    if decays and config.decay_steps < steps:
        lines.append(
            f"--decay_steps={config.decay_steps} is less than --train_steps={steps}: "
            "the learning rate is 0 after them"
        )
    if decays and config.decay_steps > steps:
        lines.append(
            f"--decay_steps={config.decay_steps} is more than --train_steps={steps}: "
            "the learning rate does not fall to 0"
        )
    # As Keras averages: the weights after the first step, then the mean of the rest.
    left = config.weight_average ** (steps - 1)
    if config.weight_average and left > _LITTLE:
        lines.append(
            f"--weight_average={config.weight_average:g} is long for "
            f"--train_steps={steps}: {100 * left:.0f} % of the average, which "
            "evaluation uses, are the weights of the first step"
        )
    return lines
