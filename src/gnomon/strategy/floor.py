"""The floor under the ladder: what no effort and cheap references reach on the same dev examples; what they show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from gnomon.core.plain import read_as

BLATANT, SEVERAL = 1.0, 3  # so many columns, each moved by so many standard deviations


@dataclass(frozen=True, slots=True)
class Reference:
    """A simple model fitted to the training examples, and its error on dev."""

    name: str  # "linear model", "nearest neighbours"; of the one that learns nothing, what it answers: "always 'no'"
    error: float
    low: float  # 95 % interval
    high: float
    ahead: float  # the system's dev error minus this one's, on the same examples: above 0, this one is better
    ahead_low: float
    ahead_high: float
    p_value: float  # that the two differ: a paired test, corrected for the number of references


@dataclass(frozen=True, slots=True)
class Giveaway:
    """An input that tells the target nearly by itself."""

    name: str
    error: float  # on dev, of what this input says alone
    next_best: float  # of the best other input alone
    guess: float  # of the answer that needs no input


@dataclass(frozen=True, slots=True)
class WrongLabels:
    """Labels that contradict what similar examples say, where that is clear."""

    share: float  # of the labels where a reference is as sure as it usually is when right: estimates that of all
    low: float
    high: float
    contradicted: int  # labels
    looked_at: int  # of so many that were sure, in train (a sample of it) and dev
    given: str = ""  # they gather here: labelled so ...
    likely: str = ""  # ... although they look like this class; "" where they do not gather
    pair_share: float = 0.0  # of the examples of class `likely`, those labelled `given`: an estimate


@dataclass(frozen=True, slots=True)
class Shift:
    """Columns whose values in dev are unlike those in train, and what that costs."""

    columns: tuple[str, ...]  # most shifted first
    sizes: tuple[float, ...]  # in standard deviations of train; of categories, the share that differs
    basis: Literal["moved back", "forest"]  # how the cost was measured
    without: float  # the system's error on dev with those columns moved back; a forest's on unseen training examples
    dev: float  # the same one's error on dev as it is
    cost: float  # dev - without
    cost_low: float
    cost_high: float
    hurts: bool

    @property
    def is_blatant(self) -> bool:
        """Whether dev is other data, whatever it costs so far."""
        return sum(abs(size) >= BLATANT for size in self.sizes) >= SEVERAL


@dataclass(frozen=True, slots=True)
class Floor:
    """Everything that the references and a look at the columns show."""

    guess: Reference
    references: tuple[Reference, ...]
    seconds: float
    giveaway: Giveaway | None = None
    wrong_labels: WrongLabels | None = None
    shift: Shift | None = None

    @property
    def best(self) -> Reference:
        """The reference with the lowest error on dev; the guess, where there is none better."""
        return min((self.guess, *self.references), key=lambda one: one.error)


def from_json(values: Any, where: str = "floor.json") -> Floor:
    """Raises ArtefactError where it is something else, naming the place in `where`."""
    return read_as(Floor, values, where=where, root="floor", fix="train again to measure it.")
