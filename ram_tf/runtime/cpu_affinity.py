"""The processor's cores: which ones this process may use, and how to share them."""

import os


def usable_cores() -> list[int]:
    """Returns the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))  # Only Linux and its like tell more.


def core_shares(count: int) -> list[list[int]]:
    """Deals the usable cores to `count` processes; with too few, each gets all."""
    cores = usable_cores()
    if count > len(cores):
        return [cores] * count
    return [cores[i::count] for i in range(count)]


def confine(pid: int, cores: list[int]) -> None:
    """Keeps a process to some cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(pid, cores)
