"""The standard list: which measure of which experiment."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.flags import config_settings, parse


@dataclasses.dataclass(frozen=True)
class Row:
    """One measure of one experiment.

    Attributes:
      group: what --suite selects it by.
      measure: a key of isolated.MEASURES.
      experiment: folder and name of a flagfile; "" is the defaults.
      flags: changes on top of it.
      options: further arguments of the measure.
      flagfile: where it is, if not in the folder of experiments.
    """

    group: str
    measure: str
    experiment: str = ""
    flags: tuple[str, ...] = ()
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    flagfile: str = ""

    def config(self, experiments_dir: str, given: Sequence[str] = ()) -> Config:
        """Returns the Config to measure.

        Args:
          experiments_dir: where the experiments' flagfiles are.
          given: flags that stand above all others.

        Raises:
          RamError: when there is no such experiment.
        """
        words = []
        if self.experiment:
            path = pathlib.Path(experiments_dir) / f"{self.experiment}.cfg"
            if not path.exists():
                raise RamError(
                    f"--experiments_dir={experiments_dir}: expected the flagfile "
                    f"{self.experiment}.cfg in it, found none"
                )
            words.append(f"--flagfile={path}")
        config = parse(config_settings(), [*words, *self.flags, *given]).config()
        return dataclasses.replace(config, experiment=self.experiment)


RNN, LSTM = "mnih/mnist_6g", "table1/ram_6g_1s"
INCEPTION, CLUTTERED = "table5/ram_inception_4g", "mnih/cluttered60_4g"
# As `train` runs them: jit_compile=auto. With XLA for all one batch is enough: it is
# twenty times slower.
_CONV_SETTINGS = (
    (20,),
    (128,),
    (20, "--precision=mixed_bfloat16"),
    (128, "--precision=mixed_bfloat16"),
    (20, "--jit_compile=on"),
)


def _training(group: str, experiment: str, batch_size: int, *flags: str) -> Row:
    return Row(group, "training", experiment, (f"--batch_size={batch_size}", *flags))


ROWS: tuple[Row, ...] = (
    Row("start", "machine"),
    Row("start", "train_help"),
    Row("start", "first_step", RNN),
    Row("start", "first_step", INCEPTION),
    _training("dense", RNN, 20),
    _training("dense", RNN, 128),
    _training("dense", LSTM, 20),
    _training("dense", LSTM, 512),
    *(_training("conv", INCEPTION, *setting) for setting in _CONV_SETTINGS),
    Row("conv", "evaluation", INCEPTION),
    Row("data", "pipeline", RNN, ("--batch_size=128",)),
    *(
        Row("data", measure, CLUTTERED, (f"--batch_size={batch_size}",))
        for batch_size in (20, 128)
        for measure in ("pipeline", "training")
    ),
    Row("serving", "evaluation", RNN),
    Row("serving", "serving_throughput", RNN),
    *(Row("serving", "serving_latency", name) for name in (RNN, LSTM)),
    # Both ways: XLA may fuse away a copy of the image that costs memory without it.
    *(
        Row("image_size", "image_size", RNN, (f"--jit_compile={jit}",))
        for jit in ("on", "off")
    ),
    *(
        Row("image_size", "image_memory", RNN, (f"--jit_compile={jit}",), {"side": n})
        for jit in ("on", "off")
        for n in (28, 2048)
    ),
    Row("image_size", "image_curve", RNN),
)

GROUPS = tuple(dict.fromkeys(row.group for row in ROWS))
