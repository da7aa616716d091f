"""What a claim is, and what its experiment found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gnomon.gallery._small_pictures import Pictures
    from gnomon.metrics.interval import Interval

M = TypeVar("M")  # what an experiment measured: a frozen dataclass of numbers and arrays

Answer = Literal["holds", "does not hold here", "inconclusive"]
HOLDS: Answer = "holds"
FAILS: Answer = "does not hold here"
UNKNOWN: Answer = "inconclusive"

Progress = Callable[[float, str], None]  # share done, what is being done now


@dataclass(frozen=True)
class Part:
    """One statement of a claim, worded so that a number decides it."""

    says: str
    answer: Answer
    shown: str  # the measurement, as text
    measured: Interval | None = None  # None for a statement without randomness


@dataclass(frozen=True)
class Table:
    """Results as text, ready to be shown."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Claim(Generic[M]):
    """A claim of the field and the experiment that tests it. Its title is the docstring of its file.

    `measure` trains; `judge` decides from the numbers alone, by `rule`; `table` and `draw` show them.
    """

    claimed: str  # as stated in the field
    source: str
    experiment: str
    rule: str  # written before the experiment was run
    seeds: int  # by default
    measure: Callable[..., M]  # of seeds, progress and, where the user may choose them, pictures
    judge: Callable[[M], tuple[Part, ...]]
    table: Callable[[M], Table]
    draw: Callable[[M], Figure]
    pictures: Callable[[], Pictures] | None = None  # which it takes if the user chooses none; None: there is no choice

    def measured(self, seeds: Sequence[int], progress: Progress, pictures: Pictures | None) -> M:
        if self.pictures is None:
            return self.measure(seeds, progress)
        return self.measure(seeds, progress, pictures or self.pictures())


def verdict(parts: Sequence[Part]) -> Answer:
    """A claim holds if all of its statements do, and does not hold here if one of them does not."""
    answers = {part.answer for part in parts}
    if FAILS in answers:
        return FAILS
    return UNKNOWN if UNKNOWN in answers else HOLDS
