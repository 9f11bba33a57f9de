"""Stands in for ram_tf.train: the same flags and files, no training.

What it does is in the environment: FAIL names an experiment that fails, SLEEP one that
waits for a signal and says that it is there.
"""

import json
import os
import pathlib
import sys
import time

from helpers.result_files import result_of
from ram_tf.flags import config_settings, experiment_name, parse
from ram_tf.runtime.cpu_affinity import usable_cores


def main(argv):
    arguments = parse(config_settings(), argv)
    config = arguments.config()
    flagfile = arguments.flagfile
    name = experiment_name(flagfile) if flagfile else config.experiment
    with open(os.environ["CALLS"], "a") as calls:
        calls.write(f"{name} {config.seed} {config.data_dir}\n")
    if os.environ.get("FAIL") == name:
        print("error: --data_dir: expected mnist, found none", file=sys.stderr)
        return 1
    if os.environ.get("SLEEP") == name:
        pathlib.Path(os.environ["CALLS"] + ".sleeping").touch()
        time.sleep(60)
    run = pathlib.Path(config.run_dir)
    run.mkdir(parents=True, exist_ok=True)
    (run / "cores.json").write_text(json.dumps(usable_cores()))
    (run / "curve.csv").write_text("step\n20\n")
    (run / "examples.npz").write_bytes(b"examples")
    (run / "results.json").write_text(json.dumps(result_of(config, name, 0.5)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
