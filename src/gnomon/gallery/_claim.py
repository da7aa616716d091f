"""What a claim is, and what its experiment found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gnomon.metrics.interval import Interval

M = TypeVar("M")  # what an experiment measured: a frozen dataclass of numbers and arrays

Answer = Literal["holds", "does not hold here", "cannot be told"]
HOLDS: Answer = "holds"
FAILS: Answer = "does not hold here"
UNKNOWN: Answer = "cannot be told"

Progress = Callable[[float, str], None]  # the share that is done, what is being done now


@dataclass(frozen=True)
class Part:
    """One statement of a claim, put so that a number decides it."""

    says: str
    answer: Answer
    shown: str  # what was measured, as a person reads it
    measured: Interval | None = None  # None for a statement that chance has no part in


@dataclass(frozen=True)
class Table:
    """Figures of merit: texts, ready to be shown."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Claim(Generic[M]):
    """A claim of the field and the experiment that puts it to the test. Its title is its file's docstring.

    `measure` trains, `judge` decides from its numbers alone by `rule`, `table` and `draw` show them.
    """

    claimed: str  # in the words of the field
    source: str
    experiment: str
    rule: str  # written down before the experiment was run
    seeds: int  # by default
    measure: Callable[[Sequence[int], Progress], M]
    judge: Callable[[M], tuple[Part, ...]]
    table: Callable[[M], Table]
    draw: Callable[[M], Figure]


def verdict(parts: Sequence[Part]) -> Answer:
    """A claim holds when all of its statements do, and does not hold here when one of them does not."""
    answers = {part.answer for part in parts}
    if FAILS in answers:
        return FAILS
    return UNKNOWN if UNKNOWN in answers else HOLDS
