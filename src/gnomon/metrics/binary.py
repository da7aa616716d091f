"""Metrics for finding one class: precision, recall, F-beta; average precision and TAR at FAR from scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from gnomon.core.errors import UsageError
from gnomon.core.seeds import generator
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import Rows, groups_of, share, weights_of
from gnomon.metrics.resampling import ROUNDS_OF_CALLS, accelerated_interval, left_out_counts, resampled_counts

if TYPE_CHECKING:
    from gnomon.core.evaluation import Evaluation


def scores_of_class(evaluation: Evaluation, positive: str, *, beta: float = 1.0, seed: int = 0) -> dict[str, Interval]:
    """Precision, recall, specificity and F-beta for class `positive`, with `weight` as scikit-learn's sample_weight.

    beta above 1 gives more weight to recall, below 1 to precision. A metric that is undefined (no positive predictions,
    for example) is missing. F-beta is treated as a share of hits in which a hit counts 1 + beta^2, a miss beta^2 and
    a false alarm 1. Source: van Rijsbergen 1979, chapter 7.
    """
    if not beta > 0:
        raise UsageError(f"beta={beta:g} is not a weight.", fix="give a number above 0: 1 for F1, 2 for F2.")
    table = evaluation.table.filter(pl.Series(weights_of(evaluation.table) > 0))
    weights, groups = weights_of(table), groups_of(table, np.ones(table.height, dtype=bool))
    is_true = (table["target"].cast(pl.String) == positive).to_numpy()
    is_predicted = (table["prediction"].cast(pl.String) == positive).to_numpy()
    found = {}
    for name, among, hit in (
        ("precision", is_predicted, is_true), ("recall", is_true, is_predicted),
        ("specificity", ~is_true, ~is_predicted),
    ):  # fmt: skip
        if among.any():
            rows = Rows((~hit[among]).astype(float), weights[among], None if groups is None else groups[among])
            error = share(rows, generator(seed, name)).interval
            found[name] = Interval(1 - error.value, 1 - error.high, 1 - error.low, error.method)
    parts = beta**2 * is_true + is_predicted  # (N,) share of the denominator: a hit counts in both terms
    if parts.any():
        here = parts > 0
        missed = 1.0 - (is_true & is_predicted)[here]
        rows = Rows(missed, (weights * parts)[here], None if groups is None else groups[here])
        error = share(rows, generator(seed, "F-beta"), is_ratio=True).interval
        found[f"F{beta:g}"] = Interval(1 - error.value, 1 - error.high, 1 - error.low, error.method)
    return found


def average_precision(
    scores: np.ndarray, is_positive: np.ndarray, *, weights: np.ndarray | None = None,
    groups: np.ndarray | None = None, seed: int = 0,
) -> Interval | None:  # fmt: skip
    """The area under the precision-recall curve, in scikit-learn's steps; arguments (N,). None without positives."""
    return _ranked(scores, is_positive, weights, groups, seed, "average precision", _average_precision)


def true_accepts(
    scores: np.ndarray, is_positive: np.ndarray, false_accepts: float, *, weights: np.ndarray | None = None,
    groups: np.ndarray | None = None, seed: int = 0,
) -> Interval | None:  # fmt: skip
    """TAR at FAR: the share of positives accepted at the lowest threshold that accepts at most this share of negatives.

    false_accepts: a share of the negatives, 0 to 1. Ties are accepted or rejected together. None without either.
    """
    if not 0 <= false_accepts <= 1:
        raise UsageError(f"false_accepts={false_accepts:g} is not a share.", fix="give 0.001 for one in a thousand.")
    if is_positive.all():
        return None

    def tar(positive: np.ndarray, negative: np.ndarray) -> float:
        allowed = negative.cumsum() <= false_accepts * negative.sum() + 1e-12
        return float(positive.cumsum()[allowed].max(initial=0.0) / positive.sum())

    return _ranked(scores, is_positive, weights, groups, seed, f"TAR at FAR {false_accepts:g}", tar)


def _average_precision(positive: np.ndarray, negative: np.ndarray) -> float:
    hits, accepted = positive.cumsum(), (positive + negative).cumsum()
    precision = np.divide(hits, accepted, out=np.zeros_like(hits), where=accepted > 0)
    return float((precision * positive).sum() / positive.sum())


def _ranked(
    scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray | None, groups: np.ndarray | None, seed: int,
    name: str, score: Callable[[np.ndarray, np.ndarray], float],
) -> Interval | None:  # fmt: skip
    """`score` of the weights (S,) of positives and negatives at each distinct score, highest first; bootstrap."""
    weights = np.ones(len(scores)) if weights is None else weights
    if not (weights * is_positive).sum() > 0:
        return None
    _, rank = np.unique(-scores, return_inverse=True)

    def of(counts: np.ndarray) -> float:
        masses = [np.bincount(rank, weights=counts * weights * side) for side in (is_positive, ~is_positive)]
        return score(masses[0], masses[1]) if masses[0].sum() > 0 else float("nan")

    rng = generator(seed, name)
    draws = np.array([of(counts) for counts in resampled_counts(len(scores), groups, ROUNDS_OF_CALLS, rng)])
    without = np.array([of(counts) for counts in left_out_counts(len(scores), groups, rng)])
    num_units = len(scores) if groups is None else len(np.unique(groups))
    return accelerated_interval(of(np.ones(len(scores))), draws, without, num_units, "bootstrap")
