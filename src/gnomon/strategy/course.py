"""How a training went: whether it had time, whether it still learned at the end, whether dev turned upwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FEW_EPOCHS = 3  # up to so many, longer training comes first
STILL_FALLING = 0.15  # of the dev error, in the last quarter: it had not finished
PEAKED = 0.6  # of the epochs: if dev was best before this, more epochs are no remedy
LEAST_TO_TELL = 5  # epochs


@dataclass(frozen=True)
class Course:
    """What the history of a run says about its length."""

    epochs: int  # planned
    done: float  # passes over train that were made, a last part of one included
    dev_errors: tuple[float, ...]  # after each epoch
    is_cut: bool = False  # by max_time
    seconds: float = 0.0  # of training

    @staticmethod
    def of(history: Sequence[Mapping[str, Any]], epochs: int, done: float, *, is_cut: bool, seconds: float) -> Course:
        """From a run's rows, one an epoch."""
        return Course(epochs, done, tuple(float(row["dev_error"]) for row in history), is_cut, seconds)

    @property
    def best(self) -> int:
        """The epoch, from 1, whose weights were kept: the last with the lowest dev error. 0 before the first."""
        lowest = min(self.dev_errors, default=0.0)
        return max((place + 1 for place, error in enumerate(self.dev_errors) if error <= lowest), default=0)

    @property
    def is_unfinished(self) -> bool:
        """Cut before it saw every training example once: there is nothing to diagnose."""
        return self.is_cut and self.done < 1

    @property
    def is_too_short(self) -> bool:
        """Whether longer training is the first thing to try: few epochs, or cut or ended while dev still fell."""
        return self.had_no_time or self.fall > 0

    @property
    def had_no_time(self) -> bool:
        """A few epochs, or cut at its best."""
        if not self.dev_errors or self.has_peaked:
            return False
        return self.done <= FEW_EPOCHS or (self.is_cut and self.best == len(self.dev_errors))

    @property
    def fall(self) -> float:
        """Of the dev error in the last quarter, if it ended at its lowest and fell by more than a little; else 0."""
        if not self.dev_errors or self.has_peaked or self.best != len(self.dev_errors):
            return 0.0
        before = self.dev_errors[(3 * len(self.dev_errors)) // 4 - 1]
        fell = before - self.dev_errors[-1]
        return fell if fell >= STILL_FALLING * max(before, 1e-12) else 0.0

    @property
    def has_peaked(self) -> bool:
        """Whether dev was best early and worse at the end: more epochs would only make it worse."""
        count = len(self.dev_errors)
        return count >= LEAST_TO_TELL and self.best <= PEAKED * count and self.dev_errors[-1] > min(self.dev_errors)
