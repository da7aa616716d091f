"""The error of a split with its interval: Wilson for shares, the bootstrap for everything else; and differences."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gnomon.core.errors import DataError
from gnomon.core.evaluation import SHARE, Evaluation, SplitError
from gnomon.core.seeds import generator
from gnomon.metrics.interval import Interval
from gnomon.metrics.resampling import (
    ROUNDS,
    ROUNDS_OF_CALLS,
    accelerated_interval,
    left_out_counts,
    percentile_interval,
    resampled_counts,
    resampled_sums,
    sums_per_unit,
)

if TYPE_CHECKING:
    import polars as pl

Z = 1.959963984540054  # 0.975 quantile of the normal distribution
FEWEST_FOR_BOOTSTRAP = 10  # below this many units a studentised bootstrap is erratic


@dataclass(frozen=True)
class Measured:
    """A split's error: its interval, and R draws of what other samples of the same size could have given."""

    interval: Interval
    draws: np.ndarray
    examples: int  # with a weight above 0


@dataclass(frozen=True)
class Rows:
    """The N rows with a weight above 0 from which a split's mean is computed."""

    errors: np.ndarray  # (N,)
    weights: np.ndarray  # (N,)
    groups: np.ndarray | None  # (N,) integer codes


def wilson(errors: float, total: float, *, z: float = Z) -> Interval:
    """The share errors / total, 0 <= errors <= total, total > 0 (either may be fractional: effective sizes).

    Covers 95 % on average over shares; for one share and few examples between about 90 % and 99 %.
    Source: Wilson 1927; Brown, Cai and DasGupta 2001.
    """
    if not (total > 0 and 0 <= errors <= total):
        raise ValueError(f"expected 0 <= errors <= total and total > 0, got {errors} of {total}")
    share = errors / total
    middle = share + z * z / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    low = 0.0 if errors == 0 else max((middle - half) / scale, 0.0)
    high = 1.0 if errors == total else min((middle + half) / scale, 1.0)
    return Interval(share, min(low, share), max(high, share), "Wilson")


def newcombe(errors: float, total: float, other_errors: float, other_total: float) -> Interval:
    """The share errors / total minus the share other_errors / other_total of an independent sample.

    Source: Newcombe 1998, Statistics in Medicine 17:873, method 10.
    """
    return difference(wilson(errors, total), wilson(other_errors, other_total))


def difference(first: Interval, second: Interval) -> Interval:
    """first - second for two independent measurements, from their intervals alone.

    For two Wilson intervals this is Newcombe's; a number known exactly is an interval of zero width.
    Source: Zou and Donner 2008 (method of variance estimates recovery).
    """
    value = first.value - second.value
    low = value - math.hypot(first.value - first.low, second.high - second.value)
    high = value + math.hypot(first.high - first.value, second.value - second.low)
    methods = dict.fromkeys(method for method in (first.method, second.method) if method)
    return Interval(value, low, high, "difference: " + ", ".join(methods))


def split_error(evaluation: Evaluation, *, seed: int = 0) -> Interval:
    """The error of a split with its interval (see `measure`)."""
    return measure(evaluation, seed=seed).interval


def measure(evaluation: Evaluation, *, leave_out: np.ndarray | None = None, seed: int = 0) -> Measured:
    """The error of a split, without the rows that are True in `leave_out` (N,).

    Raises DataError if no row has a weight above 0, or an error is not a finite number of at least 0.
    """
    rng = generator(seed, "bootstrap", evaluation.split)
    keep = _scored(evaluation, leave_out)
    if evaluation.split_error is not None:
        whole = _measure_whole(evaluation, keep, rng)
        found = _widened(whole, evaluation.inflation)
        if evaluation.unit != SHARE or found is whole:
            return found
        value, low, high = found.interval.value, found.interval.low, found.interval.high
        inside = replace(found.interval, low=max(low, min(0.0, value)), high=min(high, max(1.0, value)))
        return replace(found, interval=inside)
    rows = rows_of(evaluation, keep)
    if evaluation.unit == SHARE and rows.errors.max() <= 1:
        return share(rows, rng, inflation=evaluation.inflation)
    found = _widened(mean(rows, rng), evaluation.inflation)
    return replace(found, interval=replace(found.interval, low=max(found.interval.low, 0.0)))


def inflation_of(folds: int) -> float:
    """By how much the variance of the error over folds exceeds that of as many independent examples: 2.25 for five.

    Every two models share most of their training examples, and no estimate from the errors themselves is unbiased.
    This one takes the errors of two folds to be correlated as the share of examples held out, 1 / folds.
    Source: Bengio & Grandvalet 2004; Nadeau & Bengio 2003, section 3.
    """
    return 1 + folds / (folds - 1)


def _widened(found: Measured, inflation: float) -> Measured:
    """With the ends, and the draws, further from the value by the root of the inflation."""
    if inflation == 1:
        return found
    factor, ends, value = math.sqrt(inflation), found.interval, found.interval.value
    low, high = value - factor * (value - ends.low), value + factor * (ends.high - value)
    draws = value + factor * (found.draws - value)
    return replace(found, interval=Interval(value, low, high, f"{ends.method}, widened for folds"), draws=draws)


def rows_of(evaluation: Evaluation, keep: np.ndarray) -> Rows:
    """The rows that are True in `keep` (N,), checked."""
    table = evaluation.table
    errors = table["error"].cast(float).to_numpy()[keep]
    bad = ~(np.isfinite(errors) & (errors >= 0))
    if bad.any():
        row = int(np.flatnonzero(keep)[np.flatnonzero(bad)[0]])
        raise DataError(
            f"{int(bad.sum())} errors are not finite numbers of at least 0; the first is {errors[bad][0]}.",
            where=f"{evaluation.split}, row {row + 1}",
            fix="check the predictions for these examples; give rows that cannot be scored the weight 0.",
        )
    return Rows(errors, weights_of(table)[keep], groups_of(table, keep))


def weights_of(table: pl.DataFrame) -> np.ndarray:
    """(N,) float64; 1 if the table has no weights."""
    if "weight" not in table.columns:
        return np.ones(table.height)
    return table["weight"].cast(float).fill_null(0.0).to_numpy()


def groups_of(table: pl.DataFrame, keep: np.ndarray) -> np.ndarray | None:
    """(N,) integer codes for the rows kept; None if no row has a group. A row without a group is a group by itself."""
    if "group" not in table.columns:
        return None
    groups = table["group"].filter(keep)
    if groups.null_count() == len(groups):
        return None
    codes = groups.rank("dense").cast(int).fill_null(-1).to_numpy().copy()
    alone = codes < 0
    codes[alone] = codes.max() + 1 + np.arange(alone.sum())
    return codes


def _scored(evaluation: Evaluation, leave_out: np.ndarray | None) -> np.ndarray:
    weights = weights_of(evaluation.table)
    if (weights < 0).any() or not np.isfinite(weights).all():
        raise DataError(
            "weights must be finite numbers of at least 0.",
            where=f"{evaluation.split}, row {int(np.flatnonzero((weights < 0) | ~np.isfinite(weights))[0]) + 1}",
            fix="correct the weight column.",
        )
    keep = weights > 0 if leave_out is None else (weights > 0) & ~leave_out
    if not keep.any():
        raise DataError(
            "no example has a weight above 0.",
            where=evaluation.split,
            fix="give this split some examples, or leave it out.",
        )
    return keep


def share(rows: Rows, rng: np.random.Generator, *, is_ratio: bool = False, inflation: float = 1.0) -> Measured:
    """The weighted mean of errors in [0, 1].

    Wilson's interval. With weights, groups, or fractional errors, on the effective number of examples: the number of
    independent 0/1 errors with the same standard error as the units (examples or groups), using the t quantile for
    Kish's number of them. In simulation (docs/planted-faults.md) its coverage is closer to 95 % than that of the
    percentile, BCa or studentised bootstrap at every size tried, and it stays sensible when no example is wrong.
    Draws are from the Beta distribution of the effective counts with Jeffreys' prior.
    `is_ratio`: the weights depend on what is wrong, not on the example (as in 1 - F1), and are not informative alone.
    `inflation`: as in Evaluation.
    Source: Korn and Graubard 1998 (effective size); Franco et al. 2019 (with Wilson).
    """
    value, size, method = effective(rows, is_ratio=is_ratio)
    if inflation > 1:
        size, method = size / inflation, f"{method}, widened for folds"
    ends = wilson(value * size, size)
    draws = rng.beta(value * size + 0.5, (1 - value) * size + 0.5, size=ROUNDS)
    return Measured(Interval(value, min(ends.low, value), max(ends.high, value), method), draws, len(rows.errors))


def effective(rows: Rows, *, is_ratio: bool = False) -> tuple[float, float, str]:
    """The weighted mean of errors in [0, 1]; the equivalent number of independent 0/1 errors; the method."""
    errors, weights = rows.errors, rows.weights
    value = float(np.clip((weights * errors).sum() / weights.sum(), 0.0, 1.0))
    is_plain = rows.groups is None and bool((weights == weights[0]).all()) and bool(np.isin(errors, (0, 1)).all())
    if is_plain:
        return value, float(len(errors)), "Wilson"
    size, num_units = _effective_size(rows, value, is_ratio=is_ratio)
    over = "examples" if rows.groups is None else "groups"
    return value, size, f"Wilson, {num_units:,} {over} worth {size:,.0f} independent examples"


def _effective_size(rows: Rows, value: float, *, is_ratio: bool) -> tuple[float, int]:
    """The equivalent number of independent 0/1 errors of equal weight, and the number of units."""
    units = sums_per_unit(np.stack([rows.weights * rows.errors, rows.weights], axis=1), rows.groups)
    num_units = len(units)
    by_weight = float(units[:, 1].sum() ** 2 / (units[:, 1] ** 2).sum())  # Kish 1965
    variance = _variance(units, value) if num_units > 1 else 0.0
    if variance <= 0 or not 0 < value < 1:
        return by_weight, num_units
    from scipy.special import stdtrit  # lazily: not needed before training

    freedom = max(by_weight - 1, 1.0)  # light units say little about the spread
    size = value * (1 - value) / variance * (Z / float(stdtrit(freedom, 0.975))) ** 2
    if rows.groups is None and not is_ratio and np.isin(rows.errors, (0, 1)).all():
        size = min(size, by_weight)  # a few errors that happen to fall on light examples look too certain
    return max(size, 1.0), num_units


def _variance(units: np.ndarray, value: float) -> float:
    """Of the ratio of sums, linearised; units (U, 2) hold the sums of weight x error and of weight."""
    residuals = units[:, 0] - value * units[:, 1]
    return float((residuals**2).sum() / units[:, 1].sum() ** 2 * len(units) / (len(units) - 1))


def mean(rows: Rows, rng: np.random.Generator) -> Measured:
    """The weighted mean of errors without an upper limit, by the studentised bootstrap over examples or groups.

    With one unit the spread is unknown: the interval is [0, inf). Below FEWEST_FOR_BOOTSTRAP units, Student's t of
    the logarithm is used, because errors are skewed to the right. More than MOST_UNITS distinct units are resampled in
    random blocks (see `resampled_sums`).
    Source: Efron and Tibshirani 1993, section 12.5; linearised variance of a ratio.
    """
    over = "examples" if rows.groups is None else "groups"
    units = sums_per_unit(np.stack([rows.weights * rows.errors, rows.weights], axis=1), rows.groups)
    num_units = len(units)
    value = float(units[:, 0].sum() / units[:, 1].sum())
    if num_units == 1:
        unknown = Interval(value, 0.0, math.inf, f"spread unknown: there is only one of the {over}")
        return Measured(unknown, np.full(ROUNDS, value), len(rows.errors))
    a, b = units.T
    totals = resampled_sums(np.stack([a, b, a * a, a * b, b * b], axis=1), ROUNDS, rng)  # (R, 5)
    draws = totals[:, 0] / totals[:, 1]
    deviation = math.sqrt(_variance(units, value))
    if deviation == 0:
        return Measured(Interval(value, value, value, f"all {num_units:,} {over} equal"), draws, len(rows.errors))
    if num_units < FEWEST_FOR_BOOTSTRAP:
        from scipy.special import stdtrit  # lazily: not needed before training

        factor = math.exp(deviation / value * float(stdtrit(num_units - 1, 0.975)))
        low, high = value / factor, value * factor
        method = f"Student's t of the logarithm over {num_units} {over}"
    else:
        low, high = _studentised(value, deviation, draws, totals, units)
        method = f"studentised bootstrap over {num_units:,} {over}"
    return Measured(Interval(value, max(low, 0.0), max(high, value), method), draws, len(rows.errors))


def _studentised(
    value: float, deviation: float, draws: np.ndarray, totals: np.ndarray, units: np.ndarray
) -> tuple[float, float]:
    """Ends from the quantiles of (draw - value) / (standard error within the draw).

    Draws with identical units have no spread. If so many have none that a quantile is not finite (few errors
    among many zeros), that end comes from Hall's transformation of t instead, which corrects for skewness.
    """
    num_units = len(units)
    _, b, aa, ab, bb = totals.T
    squares = np.maximum(aa - 2 * draws * ab + draws**2 * bb, 0.0)  # rounding can make it slightly negative
    errors = np.sqrt(squares * num_units / (num_units - 1)) / b
    has_spread = errors > 1e-9 * deviation
    scores = np.where(draws < value, -np.inf, np.inf)
    scores[has_spread] = (draws[has_spread] - value) / errors[has_spread]
    least, most = np.quantile(scores, [0.025, 0.975], method="nearest")
    if not np.isfinite([least, most]).all():
        from scipy.special import stdtrit  # lazily: not needed before training

        quantile = float(stdtrit(num_units - 1, 0.975))
        least = least if np.isfinite(least) else _hall(-quantile, units, value)
        most = most if np.isfinite(most) else _hall(quantile, units, value)
    return min(value - float(most) * deviation, value), max(value - float(least) * deviation, value)


def _hall(quantile: float, units: np.ndarray, value: float) -> float:
    """The quantile of t for units (U, 2) with this skewness. Source: Hall 1992, JRSS B 54:221."""
    residuals = units[:, 0] - value * units[:, 1]
    slant = float((residuals**3).mean() / (residuals**2).mean() ** 1.5) / math.sqrt(len(units))
    if abs(slant) < 1e-6:
        return quantile
    return float(3 / slant * (np.cbrt(1 + slant * (quantile - slant / 6)) - 1))


def _measure_whole(evaluation: Evaluation, keep: np.ndarray, rng: np.random.Generator) -> Measured:
    """An error that is not a mean: resample the rows and recompute it."""
    whole = evaluation.split_error
    assert whole is not None
    places = np.flatnonzero(keep)
    groups = groups_of(evaluation.table, keep)
    value = float(whole(keep.astype(np.float64)))
    if not math.isfinite(value):
        raise DataError(
            f"the error of this split is {value}, not a finite number.",
            where=evaluation.split,
            fix="check the predictions; a metric can be undefined on so few examples.",
        )
    draws = np.empty(ROUNDS_OF_CALLS)
    counts = np.zeros(len(keep))
    for index, drawn in enumerate(resampled_counts(len(places), groups, ROUNDS_OF_CALLS, rng)):
        counts[places] = drawn
        draws[index] = whole(counts)
    without = _without_blocks(whole, keep, groups, rng)
    num_units = len(places) if groups is None else len(np.unique(groups))
    over = "examples" if groups is None else "groups"
    interval = accelerated_interval(value, draws, without, num_units, f"bootstrap over {num_units:,} {over}")
    draws[np.isnan(draws)] = value
    if evaluation.unit == SHARE:
        interval = Interval(
            value, max(interval.low, min(0.0, value)), min(interval.high, max(1.0, value)), interval.method
        )
    return Measured(interval, draws, len(places))


def _without_blocks(
    whole: SplitError, keep: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """The error without each of several blocks of the rows kept, in turn."""
    places, counts = np.flatnonzero(keep), np.zeros(len(keep))
    found = []
    for left in left_out_counts(len(places), groups, rng):
        counts[places] = left
        found.append(float(whole(counts)) if left.any() else np.nan)
    return np.array(found)


def paired_difference(first: Evaluation, second: Evaluation, *, seed: int = 0) -> Interval:
    """The error of `first` minus that of `second`, two models on the same examples (see `measure_paired`)."""
    return measure_paired(first, second, seed=seed).interval


def measure_paired(first: Evaluation, second: Evaluation, *, seed: int = 0) -> Measured:
    """The error of `first` minus that of `second`, two models on the same examples, matched by id; with draws.

    0/1 errors with equal weights and no groups: Bonett and Price's interval for paired shares (the estimate that
    matches McNemar's test). Otherwise examples, or groups, are resampled for both at once.
    The inflation of `first` widens it. Raises DataError unless both hold the same examples.
    Source: Bonett and Price 2012, Journal of Educational and Behavioral Statistics 37:479.
    """
    return _widened(_measure_paired(first, second, seed), first.inflation)


def _measure_paired(first: Evaluation, second: Evaluation, seed: int) -> Measured:
    ids, other_ids = (evaluation.table["id"].cast(str).to_numpy() for evaluation in (first, second))
    order, other_order = np.argsort(ids, kind="stable"), np.argsort(other_ids, kind="stable")
    if len(ids) != len(other_ids) or (ids[order] != other_ids[other_order]).any():
        raise DataError(
            "the two models were not evaluated on the same examples.",
            where=first.split,
            fix="compare predictions for the same split.",
        )
    keep = _scored(first, None)
    rng = generator(seed, "paired bootstrap", first.split)
    match = np.empty(len(ids), dtype=np.int64)  # row of `second` for each row of `first`
    match[order] = other_order
    if first.split_error is not None and second.split_error is not None:
        return _paired_whole(first, second, match, keep, rng)
    errors = first.table["error"].cast(float).to_numpy()[keep]
    others = second.table["error"].cast(float).to_numpy()[match][keep]
    weights, groups = weights_of(first.table)[keep], groups_of(first.table, keep)
    is_plain = groups is None and bool((weights == weights[0]).all()) and bool(np.isin([errors, others], (0, 1)).all())
    if is_plain:
        interval = _paired_shares(errors, others)
        deviation = (interval.high - interval.low) / (2 * Z)
        return Measured(interval, rng.normal(interval.value, deviation, size=ROUNDS), len(errors))
    units = sums_per_unit(np.stack([weights * (errors - others), weights], axis=1), groups)
    totals = resampled_sums(units, ROUNDS, rng)
    value, draws = float(units[:, 0].sum() / units[:, 1].sum()), totals[:, 0] / totals[:, 1]
    over = "examples" if groups is None else "groups"
    return Measured(percentile_interval(value, draws, len(units), f"paired bootstrap over {over}"), draws, len(errors))


def _paired_shares(errors: np.ndarray, others: np.ndarray) -> Interval:
    only_first = float((errors > others).sum())
    only_second = float((others > errors).sum())
    total = len(errors) + 2
    p, q = (only_first + 1) / total, (only_second + 1) / total
    half = Z * math.sqrt((p + q - (p - q) ** 2) / total)
    value = (only_first - only_second) / len(errors)
    return Interval(value, max(min(p - q - half, value), -1.0), min(max(p - q + half, value), 1.0), "Bonett and Price")


def _paired_whole(
    first: Evaluation, second: Evaluation, match: np.ndarray, keep: np.ndarray, rng: np.random.Generator
) -> Measured:
    whole, other = first.split_error, second.split_error
    assert whole is not None
    assert other is not None

    def gap(counts: np.ndarray) -> float:
        moved = np.empty_like(counts)
        moved[match] = counts
        return float(whole(counts) - other(moved))

    places = np.flatnonzero(keep)
    groups = groups_of(first.table, keep)
    counts = np.zeros(len(keep))
    draws = np.empty(ROUNDS_OF_CALLS)
    for index, drawn in enumerate(resampled_counts(len(places), groups, ROUNDS_OF_CALLS, rng)):
        counts[places] = drawn
        draws[index] = gap(counts)
    num_units = len(places) if groups is None else len(np.unique(groups))
    value = gap(keep.astype(np.float64))
    without = _without_blocks(gap, keep, groups, rng)
    return Measured(accelerated_interval(value, draws, without, num_units, "paired bootstrap"), draws, len(places))
