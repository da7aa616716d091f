"""CPU threads: how many a run uses, by a table, so that it repeats at any load; or, on request, by the load."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

Chosen = int | Literal["adaptive"] | None  # as the settings have it
PER_THREAD = 2e7  # multiply-adds of a step's forward pass that make one more thread worth its waiting
WINDOW = 1.0  # seconds of steps over which the pace is measured
SETTLED = 30.0  # seconds between two trials of the other number
STARVED = 0.8  # share of the chosen threads' CPU time below which the processors are being shared


def threads_for(multiply_adds: float, cores: int) -> int:
    """The number for steps of this size (forward, all examples of the batch) on this many cores: never by timing.

    Another number adds in another order and leads to other weights. Two threads take turns waiting for each other,
    and while they wait they spin: at 15 million multiply-adds a step takes 0.6 ms on one thread and 0.45 ms on two
    idle cores, but 7 to 200 ms if other programs use them (docs/log.md). So two from 40 million on.
    """
    return max(1, min(cores, int(multiply_adds / PER_THREAD)))


@contextmanager
def using(chosen: Chosen) -> Iterator[None]:
    """Inside, torch has as many threads as the setting says (None, adaptive: as many as now); afterwards as before."""
    before = torch.get_num_threads()
    if isinstance(chosen, int):
        torch.set_num_threads(chosen)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Threads:
    """Times the steps; with `adaptive` it also sets torch's number of threads by their pace.

    The threads of one operator wait for each other, and while they wait they spin. When another program takes one of
    the processors, all of them wait for the one that does not run: steps take three to seven times as long, and one
    thread is faster than many. On an otherwise idle machine the number never changes; if it does, the run
    does not repeat bit for bit.
    """

    def __init__(self, chosen: int, *, adaptive: bool = False) -> None:
        self.chosen = self.now = chosen
        self.fixed = not adaptive or chosen == 1
        self.rejected_pace: float | None = None  # steps per second with the other number, while this one is tried
        self.settled_until = 0.0
        self._open_window()

    def start_step(self) -> tuple[float, float]:
        """The clocks at the beginning of a step, for `end_step`."""
        return time.monotonic(), 0.0 if self.fixed else time.process_time()

    def end_step(self, started: tuple[float, float]) -> float:
        """Count the step and return the seconds it took."""
        now = time.monotonic()
        took = now - started[0]
        if not self.fixed:
            self.steps += 1
            self.seconds += took
            self.cpu_seconds += time.process_time() - started[1]
            if self.seconds >= WINDOW:
                self._decide(now)
        return took

    def _decide(self, now: float) -> None:
        """At the end of a window: keep the number, try the other one, or end a trial."""
        pace = self.steps / self.seconds
        is_starved = self.cpu_seconds < STARVED * self.now * self.seconds
        if self.rejected_pace is not None:
            if pace < self.rejected_pace:
                self._switch()
            self.rejected_pace, self.settled_until = None, now + SETTLED
        elif now >= self.settled_until and (self.now == 1 or is_starved):
            self.rejected_pace = pace
            self._switch()
        self._open_window()

    def _switch(self) -> None:
        self.now = 1 if self.now != 1 else self.chosen
        torch.set_num_threads(self.now)

    def _open_window(self) -> None:
        self.steps, self.seconds, self.cpu_seconds = 0, 0.0, 0.0
