"""Runs `ram_tf.train` on several worker processes of this machine.

  python experiments/local_workers.py COUNT FLAG...

Each worker gets a TF_CONFIG that names all of them, as a scheduler gives it on several
machines; see docs/multi_worker.md. Ends with the first status that is not 0.
"""

import os
import subprocess
import sys

from ram_tf.runtime.cluster import local_configs

if len(sys.argv) < 2 or not sys.argv[1].isdigit() or sys.argv[1] == "0":
    sys.exit("error: expected a number of workers and the flags of ram_tf.train")
# Last: the last value of a flag wins, and a flagfile may name another.
words = [*sys.argv[2:], "--distribution=multi_worker"]
command = [sys.executable, "-m", "ram_tf.train", *words]
workers = [
    subprocess.Popen(command, env={**os.environ, "TF_CONFIG": text})
    for text in local_configs(int(sys.argv[1]))
]
try:
    statuses = [worker.wait() for worker in workers]
except KeyboardInterrupt:  # It reached the workers too, and they save.
    statuses = [worker.wait() for worker in workers]
sys.exit(next((status for status in statuses if status), 0))
