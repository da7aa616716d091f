"""How well a score ranks positives above negatives: the area under the ROC curve with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import wilson

PRIOR_EXAMPLES = 5  # of the smaller side: the weight of the variance of exponential scores


@dataclass(frozen=True, slots=True)
class Area:
    """The area under a ROC curve with its variance, and the number of positives or negatives, whichever is smaller."""

    value: float
    variance: float
    fewest: float

    def interval(self) -> Interval:
        """Wilson's interval for the number of pairs of independent examples that gives this variance."""
        value = min(max(self.value, 0.0), 1.0)
        size = value * (1 - value) / self.variance if self.variance > 0 and 0 < value < 1 else self.fewest
        ends = wilson(value * size, size)
        return Interval(value, min(ends.low, value), max(ends.high, value), "DeLong, Wilson")


def auc(
    scores: np.ndarray, is_positive: np.ndarray, *, weights: np.ndarray | None = None, groups: np.ndarray | None = None
) -> Interval | None:
    """The probability that a positive scores above a negative; ties count half; all arguments (N,).

    None without positives or without negatives. The interval is Wilson's for the variance of `area`.
    """
    found = area(scores, is_positive, weights=weights, groups=groups)
    return None if found is None else found.interval()


def area(
    scores: np.ndarray, is_positive: np.ndarray, *, weights: np.ndarray | None = None, groups: np.ndarray | None = None
) -> Area | None:
    """As `auc`, with the variance: DeLong's, summed within groups if there are any.

    A few positives or negatives say little about their own spread, so DeLong's variance is combined with that of
    exponential scores, which counts as PRIOR_EXAMPLES of the smaller side. Groups get no such help.
    Source: DeLong et al. 1988 (structural components), with weights and clusters by linearisation; Newcombe 2006,
    Statistics in Medicine 25:559, method 5 (the variance of exponential scores, from Hanley and McNeil 1982).
    """
    weights = np.ones(len(scores)) if weights is None else weights
    found = _influence(scores, is_positive, weights)
    if found is None:
        return None
    measured = _area(*found, groups, [is_positive], weights)
    return measured if groups is not None else _helped(measured, weights[is_positive], weights[~is_positive])


def _helped(measured: Area, positive: np.ndarray, negative: np.ndarray) -> Area:
    """The area with its variance and that of exponential scores, joined; weights (P,) and (M,) of both sides."""
    if measured.variance <= 0:  # every positive above every negative
        return measured
    first, second = (float(side.sum() ** 2 / (side**2).sum()) for side in (positive, negative))  # Kish 1965
    value, others, own = measured.value, (first + second) / 2 - 1, max(min(first, second) - 1, 0.0)
    shared = others * ((1 - value) / (2 - value) + value / (1 + value))
    exponential = value * (1 - value) * (1 + shared) / (first * second)
    variance = (own * measured.variance + PRIOR_EXAMPLES * exponential) / (own + PRIOR_EXAMPLES)
    return replace(measured, variance=variance)


def macro_auc(
    scores: np.ndarray, target: np.ndarray, *, weights: np.ndarray | None = None, groups: np.ndarray | None = None
) -> Interval | None:
    """The mean over classes of the AUC of each against the rest: scores (N, K), target (N,) in [0, K).

    None if a class is never the target, or is the only one. The interval as in `auc`: an example counts in all K.
    """
    weights = np.ones(len(scores)) if weights is None else weights
    kinds = [target == k for k in range(scores.shape[1])]
    found = [_influence(scores[:, k], kinds[k], weights) for k in range(scores.shape[1])]
    parts = [one for one in found if one is not None]
    if not parts or len(parts) < len(found):
        return None
    value, influence = float(np.mean([one[0] for one in parts])), np.mean([one[1] for one in parts], axis=0)
    return _area(value, influence, groups, kinds, weights).interval()


def _influence(scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray] | None:
    """The area, and by how much each example (N,) moves it; None without positives or without negatives."""
    positive, negative = weights * is_positive, weights * ~is_positive
    if positive.sum() == 0 or negative.sum() == 0:
        return None
    _, rank = np.unique(scores, return_inverse=True)  # equal scores share a rank
    at = np.stack([np.bincount(rank, weights=mass) for mass in (positive, negative)])  # (2, distinct scores)
    below_or_tied = at.cumsum(axis=1) - at / 2
    beaten = below_or_tied[1][rank] / negative.sum()  # share of negatives below each example
    beaten_by = 1 - below_or_tied[0][rank] / positive.sum()  # share of positives above each example
    value = float((positive * beaten).sum() / positive.sum())
    return value, positive * (beaten - value) / positive.sum() + negative * (beaten_by - value) / negative.sum()


def _area(
    value: float, influence: np.ndarray, groups: np.ndarray | None, kinds: Sequence[np.ndarray], weights: np.ndarray
) -> Area:
    """`kinds`: the positives (N,) of each class involved."""
    if groups is not None:
        influence = np.bincount(np.unique(groups, return_inverse=True)[1], weights=influence)
    counts = [np.count_nonzero(weights * side) for kind in kinds for side in (kind, ~kind)]
    fewest = float(min(counts))
    return Area(value, float((influence**2).sum()) * fewest / max(fewest - 1, 1), fewest)
