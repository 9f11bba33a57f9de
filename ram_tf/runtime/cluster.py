"""The workers of one run on several machines, as TF_CONFIG names them.

TensorFlow's coordination service watches the workers by heartbeats and ends every sum
over them when one is lost. What it does not do is here: to give up on workers that
never come, and to say in one line which one was lost.
"""

import contextlib
import dataclasses
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from ram_tf.errors import RamError, WorkerLost

_JOBS = ("chief", "worker")
_CONNECT_SECONDS = 3.0
_LOST_SECONDS = 20.0  # A worker that was there and is not for so long is lost.
_EXAMPLE = '{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {...}}'


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Who takes part.

    Attributes:
      names: of the workers, as "worker 0"; the first is the chief.
      addresses: HOST:PORT of each.
      index: which one this process is.
    """

    names: tuple[str, ...]
    addresses: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run's files."""
        return self.index == 0

    @classmethod
    def from_environment(cls) -> "Cluster":
        """Reads TF_CONFIG.

        Raises:
          RamError: when it is missing or says nothing that can be followed.
        """
        text = os.environ.get("TF_CONFIG", "")
        if not text:
            raise RamError(
                "--distribution=multi_worker: the environment variable TF_CONFIG is "
                f"required, as {_EXAMPLE}"
            )
        try:
            config = json.loads(text)
            jobs = {str(job): list(tasks) for job, tasks in config["cluster"].items()}
            members = [
                (job, number, str(address))
                for job in _JOBS
                for number, address in enumerate(jobs.pop(job, []))
            ]
            me = (str(config["task"]["type"]), int(config["task"]["index"]))
            index = [(job, number) for job, number, _ in members].index(me)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RamError(
                f"TF_CONFIG: expected {_EXAMPLE} with this process in the cluster, "
                f"found {text!r} ({type(error).__name__}: {error})"
            ) from None
        if jobs:
            raise RamError(
                f"TF_CONFIG: expected the jobs chief and worker, found {sorted(jobs)}"
            )
        for _, _, address in members:
            host, _, port = address.rpartition(":")
            if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
                raise RamError(f"TF_CONFIG: expected HOST:PORT, found {address!r}")
        names = tuple(f"{job} {number}" for job, number, _ in members)
        return cls(names, tuple(address for _, _, address in members), index)

    def describe(self, indices: Iterator[int] | list[int]) -> str:
        """Returns names and addresses of workers."""
        return ", ".join(f"{self.names[i]} ({self.addresses[i]})" for i in indices)

    def silent(self) -> list[int]:
        """Returns which other workers take no connection now."""
        others = [i for i in range(len(self.names)) if i != self.index]
        with ThreadPoolExecutor(max_workers=max(1, len(others))) as pool:
            answers = list(pool.map(self._answers, others))
        return [i for i, there in zip(others, answers, strict=True) if not there]

    def loss(self, error: Exception) -> WorkerLost:
        """Says which worker was lost, when TensorFlow gave up on a sum over them.

        Call it at once. It returns late enough for the others to find this one here.
        """
        lost = self.silent()
        time.sleep(_CONNECT_SECONDS)
        text = str(error)
        if not lost:  # It takes connections and does nothing else: stopped, or stuck.
            tasks = re.findall(r"/job:(\w+)/(?:replica:0/)?task:(\d+)", text)
            named = {f"{job} {number}" for job, number in tasks}
            lost = [i for i, name in enumerate(self.names) if name in named]
            lost = [i for i in lost if i != self.index]
        if not lost and "CoordinationService" in text and not self.is_chief:
            lost = [0]  # Its heartbeats go to the chief.
        who = self.describe(lost) if lost else "a worker"
        reason = next(iter(text.strip().splitlines()[::-1]), type(error).__name__)
        for line in text.splitlines():
            if "aborted by" in line:
                reason = line.partition("aborted by: ")[2] or reason
        return WorkerLost(
            f"lost {who}: {reason[:200]}; start all workers again to go on from the "
            "last checkpoint"
        )

    @contextlib.contextmanager
    def joining(
        self, seconds: float, give_up: Callable[[RamError], None]
    ) -> Iterator[None]:
        """Watches over the others inside a `with` in which TensorFlow waits for them.

        Args:
          seconds: how long to wait for workers that have never been there.
          give_up: called in another thread with what is wrong; TensorFlow's waiting
            cannot be broken off, so it should end the process.
        """
        joined = threading.Event()

        def watch() -> None:
            started = time.monotonic()
            last_seen: dict[int, float] = {}
            while not joined.wait(1.0):
                now = time.monotonic()
                silent = self.silent()
                for i in range(len(self.names)):
                    if i not in silent:
                        last_seen[i] = now
                lost = [
                    i for i in silent if now - last_seen.get(i, now) > _LOST_SECONDS
                ]
                if lost and not joined.is_set():
                    give_up(RamError(f"lost {self.describe(lost)} while joining"))
                if now - started > seconds and not joined.is_set():
                    missing = [i for i in silent if i not in last_seen]
                    give_up(
                        RamError(
                            f"expected {len(self.names)} workers within {seconds:.0f} s"
                            f", found none at {self.describe(missing) or 'work'}"
                        )
                    )

        thread = threading.Thread(target=watch, name="joining", daemon=True)
        thread.start()
        try:
            yield
        finally:
            joined.set()
            thread.join()

    def _answers(self, index: int) -> bool:
        host, _, port = self.addresses[index].rpartition(":")
        try:
            with socket.create_connection(
                (host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS
            ):
                return True
        except (OSError, ValueError):  # ValueError: no name that a host can have.
            return False


def local_configs(count: int) -> list[str]:
    """Returns the TF_CONFIG of each of `count` workers on free local ports."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return [
        json.dumps(
            {
                "cluster": {"worker": addresses},
                "task": {"type": "worker", "index": index},
            }
        )
        for index in range(count)
    ]
