"""The records a diagnosis is made of. Plain data: saved as JSON, drawn by figures, shown by the faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GapName = Literal["avoidable bias", "variance", "data mismatch", "overfitting to dev"]


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder: the error of one split, or the human level."""

    name: str  # "human", "train", "train_dev", "dev", "test"
    error: float
    low: float
    high: float
    examples: int  # 0 for the human rung when it was given as a number
    note: str = ""  # "given", "not known: taken as 0", "without 12 copies of training examples" ...


@dataclass(frozen=True, slots=True)
class Gap:
    """The difference between two neighbouring rungs."""

    name: GapName
    below: str  # rung the gap starts from
    above: str  # rung it ends at
    size: float
    low: float
    high: float
    is_there: bool  # its lower end passes `floor`
    floor: float
    examples_to_settle: int | None = None  # examples of the `above` split that would decide it; None: decided already
    is_bound: bool = False  # an upper bound rather than a measurement (human level unknown or surpassed)
    settle_needs_below: bool = False  # `examples_to_settle` holds only if the split below grows in proportion


@dataclass(frozen=True, slots=True)
class Verdict:
    """What holds the system back, with how sure that is."""

    gap: GapName | None  # None: no gap is distinguishable from nothing
    contenders: tuple[GapName, ...]  # one name when certain enough, else the two that cannot be told apart
    certainty: float  # bootstrap probability that `gap` is the largest one; for None, that no gap passes its floor
    text: str  # one or two sentences a newcomer understands
    is_low: bool = False  # the whole ladder above the human level is at most 1 point: low bias and low variance


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to do next."""

    action: str  # "get more training data", "regularise.dropout=0.3"
    why: str
    link: str  # the link of the chain it turns: fit-train, fit-dev, fit-test, real-world
    settings: tuple[str, ...] = ()  # keys of the settings involved
    basis: str = "rule of thumb"  # or "measured"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The ladder, its gaps, the verdict, the advice."""

    unit: str | None  # as in Evaluation
    error_name: str
    rungs: tuple[Rung, ...]
    gaps: tuple[Gap, ...]
    verdict: Verdict
    advice: tuple[Advice, ...]
    notes: tuple[str, ...] = ()  # "train is above dev ...", "leak: 12 examples of dev are in train as well"
    test_openings: int | None = None  # how often the sealed test split was opened; None: there is none, or unknown
