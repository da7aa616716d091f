"""Two runs on the same examples: what the second one fixed, what it broke, what both predict wrongly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gnomon.core.errors import UsageError
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.metrics.intervals import paired_difference

if TYPE_CHECKING:
    from gnomon.metrics.interval import Interval
    from gnomon.studio.library import OpenRun


@dataclass(frozen=True)
class Comparison:
    """A first run compared with a second, over the examples evaluated by both, as rows of the second."""

    fixed: np.ndarray  # (N,) bool
    broken: np.ndarray
    still: np.ndarray
    shared: int
    only_first: int
    only_second: int
    difference: Interval | None  # error of the second minus that of the first; None where examples differ
    unit: str | None
    before: list[Any]  # (N,) predictions of the first, None if it has none
    limit: float  # an error above this counts as wrong: 0 for shares, else the first run's median

    def picked(self, change: str) -> np.ndarray:
        """(N,) bool."""
        return {"fixed": self.fixed, "broken": self.broken, "still": self.still}[change]


def compared(first: OpenRun, second: OpenRun, split: str) -> Comparison:
    """Raises UsageError if the two runs were evaluated on different examples or in different units."""
    before, after = first.sheet(split).sheet, second.sheet(split).sheet
    unit = after.diagnosis.unit
    if before.diagnosis.unit != unit:
        raise UsageError("their errors have different units.", fix="compare runs of one task.")
    ids = np.array(after.ids)
    shared = np.array([one in before.position_of for one in after.ids], dtype=bool)
    if not shared.any():
        raise UsageError("they have no examples in common.", fix="compare runs on the same data.")
    there = np.array([before.position_of[one] for one in ids[shared]])
    same_truth = (
        before.table["target"].cast(str).to_numpy()[there] == after.table["target"].cast(str).to_numpy()[shared]
    )
    if same_truth.mean() < 0.5:
        raise UsageError("their examples have the same ids but different labels.", fix="compare runs on the same data.")
    old, new = before.table["error"].to_numpy(), after.table["error"].to_numpy()
    limit = 0.0 if unit == SHARE else float(np.median(old))
    was_wrong = np.zeros(len(ids), dtype=bool)
    was_wrong[shared] = old[there] > limit
    is_wrong = (new > limit) & shared
    answers: list[Any] = [None] * len(ids)
    for position, answer in zip(np.flatnonzero(shared), before.table["prediction"].gather(there), strict=True):
        answers[position] = answer
    difference = None
    if shared.all() and len(ids) == len(before.ids):
        difference = paired_difference(
            Evaluation(split, unit, after.table), Evaluation(split, unit, before.table)
        )  # fmt: skip
    return Comparison(
        fixed=was_wrong & ~is_wrong & shared,
        broken=~was_wrong & is_wrong & shared,
        still=was_wrong & is_wrong,
        shared=int(shared.sum()),
        only_first=len(before.ids) - int(shared.sum()),
        only_second=int((~shared).sum()),
        difference=difference,
        unit=unit,
        before=answers,
        limit=limit,
    )
