"""The records that make up a diagnosis. Plain data: saved as JSON, drawn by figures, shown by reports and screens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gnomon.strategy.floor import Floor

GapName = Literal["avoidable bias", "variance", "data mismatch", "overfitting to dev", "mismatch with use"]
Cause = Literal["", "unfinished", "nothing learned", "copies", "giveaway", "shift", "labels", "reference"]
UNKNOWN_HUMAN = "not known, assumed 0"  # the note of the human rung if nobody gave a level


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder: the error of one split, or the human level."""

    name: str  # "human", "train", "train_dev", "dev", "test", "real_world"
    error: float
    low: float
    high: float
    examples: int  # 0 for the human rung when it was given as a number
    note: str = ""  # "given", UNKNOWN_HUMAN, "without 12 copies of training examples" ...
    raw: float | None = None  # the error with the copies of training examples, where there are any

    @property
    def is_unknown(self) -> bool:
        """Whether this is the human rung and nobody gave a level."""
        return self.name == "human" and self.note.startswith("not known")


@dataclass(frozen=True, slots=True)
class Gap:
    """The difference between two neighbouring rungs."""

    name: GapName
    below: str  # rung the gap starts from
    above: str  # rung it ends at
    size: float
    low: float
    high: float
    is_there: bool  # statistically clear: see `ladder.is_clear`
    floor: float
    examples_to_settle: int | None = None  # of the `above` split; None: it is settled, or nobody has so many
    is_bound: bool = False  # an upper bound rather than a measurement (human level unknown or surpassed)
    settle_needs_below: bool = False  # `examples_to_settle` holds only if the split below grows in proportion
    settles_half: bool = False  # `examples_to_settle` only detects a gap half as large as the largest still possible
    proven_by: str = ""  # the reference whose dev error is below the train error: the gap is at least this large

    @property
    def is_undecided(self) -> bool:
        """Not clear, and it may still be large enough to matter."""
        return not self.is_there and not self.is_bound and self.high > self.floor


@dataclass(frozen=True, slots=True)
class Verdict:
    """What limits the system, and how certain that is."""

    gap: GapName | None  # None: no gap is statistically clear
    contenders: tuple[GapName, ...]  # one name when certain enough, otherwise the two that could be the largest
    certainty: float  # bootstrap probability that `gap` is the largest; if None, that no gap exceeds its floor
    text: str  # one sentence for a newcomer
    is_low: bool = False  # no error is more than 1 point above the human level: low bias and low variance
    cause: Cause = ""  # what comes before every gap, where something does


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to do next."""

    action: str  # "get more training data", "regularise.dropout=0.3"
    why: str
    link: str  # the link of the chain it acts on: fit-train, fit-dev, fit-test, real-world
    settings: tuple[str, ...] = ()  # keys of the settings involved
    basis: str = "rule of thumb"  # or "measured"
    command: str = ""  # to paste; "" where there is no run


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
    test_openings: int | None = None  # how often the sealed test split was opened; None: no test split, or unknown
    floor: Floor | None = None  # what no effort and cheap references give on dev

    def __str__(self) -> str:
        from gnomon.strategy.wording import ladder_text  # which is about diagnoses, as notebook is

        return ladder_text(self)

    def _repr_html_(self) -> str:
        from gnomon.strategy.notebook import diagnosis_html

        return diagnosis_html(self)
