"""Steady-state rates: warm up, then several windows, of which the median counts."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence

Clock = Callable[[], float]


@dataclasses.dataclass(frozen=True)
class Budget:
    """How long a measure takes.

    Attributes:
      warmup_seconds: after the first call, not counted.
      warmup_laps: calls that are not counted, the first one included; the training
        loop takes about eight to find the length of its calls.
      window_seconds: least length of a window.
      windows: counted; an odd number has a median that was measured.
      calls: single predictions, where each one is timed.
      matmul_size: side of the square matrices that give the machine's rate.
      matmul_repeats: products, of which the fastest counts.
      seeds: whole trainings, where a measure is made of them.
      train_steps: the most steps of such a training; 0 is its own number.
    """

    warmup_seconds: float = 1.5
    warmup_laps: int = 8
    window_seconds: float = 1.2
    windows: int = 5
    calls: int = 1000
    matmul_size: int = 2048
    matmul_repeats: int = 6
    seeds: int = 3
    train_steps: int = 0


FULL = Budget()
# Shows that everything runs; its figures say nothing.
QUICK = Budget(
    warmup_seconds=0.0,
    warmup_laps=1,
    window_seconds=0.01,
    windows=1,
    calls=5,
    matmul_size=128,
    matmul_repeats=1,
    seeds=1,
    train_steps=4,
)


class Stopwatch:
    """Turns the ends of calls ("laps") into a rate.

    Args:
      budget: warm-up and windows.
      clock: seconds from any start, never going back.

    Attributes:
      window_rates: items per second of each finished window.
      done: whether all windows are finished.
    """

    def __init__(self, budget: Budget, clock: Clock = time.perf_counter) -> None:
        self.budget = budget
        self.clock = clock
        self.window_rates: list[float] = []
        self._laps = 0
        self._first_items = 0
        self._first_seconds = 0.0
        self._items = 0
        self._window_start: float | None = None
        self._started = clock()

    def start(self) -> None:
        """Starts the first lap; without it, that starts with the stopwatch."""
        self._started = self.clock()

    def lap(self, items: int) -> bool:
        """Ends a lap in which `items` were handled; returns whether this was the last.

        A window ends with the first lap that fills it, so every counted item belongs to
        counted time.
        """
        now = self.clock()
        self._laps += 1
        if self._laps == 1:
            self._first_items, self._first_seconds = items, now - self._started
        if self._window_start is None:
            warm = now - self._started - self._first_seconds
            warm_enough = warm >= self.budget.warmup_seconds
            if warm_enough and self._laps >= self.budget.warmup_laps:
                self._window_start = now
        else:
            self._items += items
            seconds = now - self._window_start
            if seconds >= max(self.budget.window_seconds, 1e-9):
                self.window_rates.append(self._items / seconds)
                self._window_start, self._items = now, 0
        return self.done

    @property
    def done(self) -> bool:
        return len(self.window_rates) >= self.budget.windows

    @property
    def rate(self) -> float:
        """Items per second of the median window."""
        return statistics.median(self.window_rates)

    @property
    def compile_seconds(self) -> float:
        """The first lap, less what its items take in the steady state."""
        return max(0.0, self._first_seconds - self._first_items / self.rate)


def steady_rate(call: Callable[[], int], budget: Budget) -> Stopwatch:
    """Repeats a call that returns how many items it handled until its rate is known."""
    stopwatch = Stopwatch(budget)
    while not stopwatch.lap(call()):
        pass
    return stopwatch


def call_times(
    calls: Sequence[Callable[[], object]],
    count: int,
    clock: Clock = time.perf_counter,
    limit_seconds: float = float("inf"),
) -> list[list[float]]:
    """Times single calls, in turn, so that a change of the machine meets all of them.

    Args:
      calls: what to time.
      count: times each is called.
      clock: as `Stopwatch`.
      limit_seconds: stop earlier, after a whole turn, when this much time has passed.

    Returns:
      The seconds of each call, for each of `calls`.
    """
    times: list[list[float]] = [[] for _ in calls]
    started = clock()
    while len(times[0]) < count:
        for call, seconds in zip(calls, times, strict=True):
            before = clock()
            call()
            seconds.append(clock() - before)
        if clock() - started > limit_seconds:
            break
    return times
