"""The bootstrap: examples, or whole groups of them, redrawn with replacement and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnomon.metrics.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 2000  # of a bootstrap over sums: the ends of a 95 % interval are then stable to about 3 % of its width
ROUNDS_OF_CALLS = 500  # for metrics that call a function on all rows in each round
BLOCKS = 100  # of units, left out in turn, to measure how skewed a metric is
MOST_UNITS = 2000  # more resampling units than this are first merged at random into this many blocks


def sums_per_unit(columns: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """(U, S): the columns (N, S) summed within each group (N,) of integer codes; without groups, the rows themselves.

    The output order does not depend on the input order, so the draws do not either.
    """
    if groups is not None:
        _, codes = np.unique(groups, return_inverse=True)
        columns = np.stack([np.bincount(codes, weights=column) for column in columns.T], axis=1)
    return columns[np.lexsort(columns.T[::-1])]


def resampled_sums(units: np.ndarray, rounds: int, rng: np.random.Generator) -> np.ndarray:
    """(R, S): the sum of U rows drawn with replacement from units (U, S), one row per round.

    Above MOST_UNITS rows, equal ones are drawn together, which is exact; if more than MOST_UNITS distinct rows are
    left, they go into that many random blocks: the sum of iid blocks has the same variance and skewness as the sum
    of the rows, and the estimate of its standard deviation is uncertain by sqrt(1 / (2 MOST_UNITS)) = 1.6 %.
    """
    if len(units) > MOST_UNITS:
        starts = np.flatnonzero(np.r_[True, (units[1:] != units[:-1]).any(axis=1)])
        if len(starts) <= MOST_UNITS:
            times = np.diff(np.r_[starts, len(units)])
            counts = rng.multinomial(len(units), times / len(units), size=rounds)
            return _sums(counts, units[starts])
        block = rng.permutation(len(units)) % MOST_UNITS
        units = np.stack([np.bincount(block, weights=column, minlength=MOST_UNITS) for column in units.T], axis=1)
    num_units = len(units)
    drawn = rng.integers(num_units, size=(rounds, num_units)) + num_units * np.arange(rounds)[:, None]
    return _sums(np.bincount(drawn.ravel(), minlength=rounds * num_units).reshape(rounds, num_units), units)


def _sums(counts: np.ndarray, units: np.ndarray) -> np.ndarray:
    sums: np.ndarray = counts.astype(np.float64) @ units
    return sums


def resampled_counts(
    num_rows: int, groups: np.ndarray | None, rounds: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """How often each of N rows appears, (N,) float64, one round at a time; rows of a group (N,) appear together."""
    codes = None if groups is None else np.unique(groups, return_inverse=True)[1]
    num_units = num_rows if codes is None else int(codes.max()) + 1
    for _ in range(rounds):
        counts = np.bincount(rng.integers(num_units, size=num_units), minlength=num_units).astype(np.float64)
        yield counts if codes is None else counts[codes]


def left_out_counts(num_rows: int, groups: np.ndarray | None, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Weights (N,) float64 that leave out one of BLOCKS random blocks of rows, or of groups (N,), in turn."""
    codes = np.arange(num_rows) if groups is None else np.unique(groups, return_inverse=True)[1]
    num_units = int(codes.max()) + 1
    block = rng.permutation(num_units) % min(BLOCKS, num_units)
    for left_out in range(int(block.max()) + 1):
        yield (block != left_out)[codes].astype(np.float64)


def percentile_interval(value: float, draws: np.ndarray, num_units: int, method: str) -> Interval:
    """The 95 % percentile interval, widened for few units; always contains `value`. NaN draws are left out.

    Source: Hesterberg 2015, "What Teachers Should Know About the Bootstrap" (expanded percentiles).
    """
    draws = draws[~np.isnan(draws)]
    if num_units < 2 or len(draws) == 0:
        return Interval(value, -np.inf, np.inf, f"{method}: too few to say")
    tail = _tail(num_units)
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Interval(value, min(float(low), value), max(float(high), value), method)


def accelerated_interval(
    value: float, draws: np.ndarray, left_out: np.ndarray, num_units: int, method: str
) -> Interval:
    """The 95 % BCa interval, widened for few units; always contains `value`. NaN draws are left out.

    `left_out`: the metric without each of several blocks in turn (see `left_out_counts`), for the acceleration.
    Source: Efron 1987, JASA 82:171 (bias-corrected and accelerated); Hesterberg 2015 (expanded percentiles).
    """
    draws, left_out = draws[~np.isnan(draws)], left_out[~np.isnan(left_out)]
    if num_units < 2 or len(draws) == 0 or len(left_out) < 2:
        return percentile_interval(value, draws, num_units, method)
    from scipy.special import ndtr, ndtri  # lazily: not needed before training

    below = (np.count_nonzero(draws < value) + 0.5 * np.count_nonzero(draws == value) + 0.5) / (len(draws) + 1)
    influence = left_out.mean() - left_out
    spread = float((influence**2).sum()) ** 1.5
    acceleration = float((influence**3).sum()) / (6 * spread) if spread > 0 else 0.0
    bias, lowest = float(ndtri(below)), float(ndtri(_tail(num_units)))
    scores = bias + np.array([lowest, -lowest])  # of two units, 1 - tail rounds to 1, whose quantile is infinite
    low, high = np.quantile(draws, ndtr(bias + scores / np.maximum(1 - acceleration * scores, 0.1)))
    return Interval(value, min(float(low), value), max(float(high), value), method)


def _tail(num_units: int) -> float:
    """The share of draws beyond each end."""
    from scipy.special import ndtr, stdtrit  # lazily: not needed before training

    return float(ndtr(-np.sqrt(num_units / (num_units - 1)) * stdtrit(num_units - 1, 0.975)))
