"""Two models on the same examples: which is better, is the difference significant, how many examples it takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gnomon.core.errors import DataError
from gnomon.core.evaluation import Evaluation
from gnomon.core.seeds import generator
from gnomon.metrics.intervals import Z, groups_of, measure_paired, weights_of
from gnomon.metrics.resampling import MOST_UNITS, sums_per_unit
from gnomon.strategy.plan import ALPHA, POWER, examples_paired, normal_quantile
from gnomon.strategy.wording import format_count, format_gap

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from gnomon.metrics.interval import Interval
    from gnomon.metrics.intervals import Measured

FLIPS = 9_999  # of a randomisation test: the smallest possible p value is one in ten thousand


@dataclass(frozen=True, slots=True)
class SeedScatter:
    """How much the differences within a pair vary between seeds, beyond what single examples explain."""

    squares: float = 0.0  # sum of squared deviations of the seeds' differences from their mean
    freedom: int = 0
    explained: float = 0.0  # what these squares would be if only the examples varied


@dataclass(frozen=True, slots=True)
class PairedTest:
    """`first` against `second` on the same examples; a difference above 0 means that `second` errs less."""

    difference: Interval  # error of first - error of second
    p_value: float  # two-sided, of the null hypothesis of no difference
    method: str
    examples: int  # with a weight above 0
    only_first: int | None = None  # examples that only the first gets wrong; None unless all errors are 0 or 1
    only_second: int | None = None
    examples_to_confirm: int | None = None  # sample size to detect a difference this large; None if there is none
    seeds: int = 1  # trainings of each model that the errors are averaged over
    scatter: SeedScatter = SeedScatter()

    def is_significant(self, alpha: float = ALPHA) -> bool:
        """Whether the difference is significant. For several tests, correct `p_value` first (see `holm`)."""
        return self.p_value < alpha


def paired_test(first: Evaluation, second: Evaluation, *, alpha: float = ALPHA, seed: int = 0) -> PairedTest:
    """Test two models that were evaluated on the same examples, matched by id.

    0/1 errors with equal weights and no groups: McNemar's exact test. Other errors: a randomisation test that swaps
    the two models at random in each example, or group. A metric of the whole split (F1, mAP): the paired bootstrap.
    Errors of folds, which are not independent: a normal test with the variance inflated.
    `examples_to_confirm`: sample size for a power of 0.8 at level `alpha`.
    Raises DataError unless both hold the same examples with the same targets.
    Source: McNemar 1947; Edwards' exact form; Noreen 1989 (approximate randomisation).
    """
    matched = matched_rows(first, second)
    measured = measure_paired(first, second, seed=seed)
    if first.inflation > 1:
        return _by_interval(measured, alpha)
    weights = weights_of(first.table)
    keep = weights > 0
    difference, examples = measured.interval, measured.examples
    if first.split_error is not None and second.split_error is not None:
        p_value = _bootstrap_p(measured.draws)
        return PairedTest(
            difference, p_value, "paired bootstrap", examples,
            examples_to_confirm=_by_width(difference, examples, alpha),
        )  # fmt: skip
    errors = first.table["error"].cast(float).to_numpy()[keep]
    others = matched["error"].cast(float).to_numpy()[keep]
    groups, weights = groups_of(first.table, keep), weights[keep]
    if groups is None and bool((weights == weights[0]).all()) and bool(np.isin([errors, others], (0, 1)).all()):
        ours, theirs = int((errors > others).sum()), int((others > errors).sum())
        to_tell = None
        if ours != theirs:
            to_tell = examples_paired((ours + theirs) / examples, (ours - theirs) / examples, alpha=alpha)
        return PairedTest(difference, mcnemar(ours, theirs), "McNemar, exact", examples, ours, theirs, to_tell)
    units = sums_per_unit(np.stack([weights * (errors - others)], axis=1), groups)[:, 0]
    over = "examples" if groups is None else "groups"
    p_value = randomisation_p(units, generator(seed, "places changed", first.split))
    return PairedTest(
        difference, p_value, f"randomisation over {len(units):,} {over}", examples,
        examples_to_confirm=_by_width(difference, examples, alpha),
    )  # fmt: skip


def compare_models(
    first: Sequence[Evaluation], second: Sequence[Evaluation], *, scatters: Sequence[SeedScatter] = (), seed: int = 0
) -> PairedTest:
    """`paired_test` of two models that were trained once or more: one evaluation per seed, in the same order.

    Errors are averaged over seeds for each example. Any further variance between seeds is estimated from this pair and
    from `scatters`, those of earlier pairs, and widens the interval. With one seed and no `scatters` it is
    `paired_test` itself: what `gnomon compare` says of two runs and what `gnomon improve` decides is one answer.
    """
    test = paired_test(seed_average(first), seed_average(second), seed=seed)
    scatter = _scatter(first, second)
    test = replace(test, seeds=len(first), scatter=scatter)
    pooled = [one for one in (*scatters, scatter) if one.freedom]
    freedom = sum(one.freedom for one in pooled)
    beyond = sum(one.squares - one.explained for one in pooled) / freedom if freedom else 0.0
    deviation = math.sqrt(max(beyond, 0.0) / len(first))
    value, low, high = test.difference.value, test.difference.low, test.difference.high
    if deviation == 0 or not math.isfinite(high - low):
        return test
    low, high = value - math.hypot(value - low, Z * deviation), value + math.hypot(high - value, Z * deviation)
    from scipy.stats import norm

    p_value = max(test.p_value, 2 * float(norm.sf(abs(value) / max((high - low) / (2 * Z), 1e-300))))
    return replace(test, difference=replace(test.difference, low=low, high=high), p_value=min(p_value, 1.0))


def seed_average(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Evaluations of several seeds on the same examples, as one: each example's mean error and loss."""
    first = evaluations[0]
    if len(evaluations) == 1:
        return first
    import polars as pl

    means = [
        pl.Series(column, np.mean([one.table[column].cast(float).to_numpy() for one in evaluations], axis=0))
        for column in ("error", "loss")
        if column in first.table.columns
    ]
    wholes = [one.split_error for one in evaluations if one.split_error is not None]
    whole: Callable[[np.ndarray], float] | None = None
    if wholes:

        def mean_of_wholes(counts: np.ndarray) -> float:
            return sum(one(counts) for one in wholes) / len(wholes)

        whole = mean_of_wholes
    return replace(first, table=first.table.with_columns(means), split_error=whole)


def _scatter(before: Sequence[Evaluation], after: Sequence[Evaluation]) -> SeedScatter:
    seeds = len(before)
    if seeds < 2 or before[0].split_error is not None:
        return SeedScatter()
    weights = weights_of(before[0].table)
    weights = weights / weights.sum()
    errors, others = (np.stack([one.table["error"].cast(float).to_numpy() for one in side]) for side in (before, after))
    apart = errors - others  # (S, N)
    totals = apart @ weights
    explained = float((apart.var(axis=0, ddof=1) * weights**2).sum()) * (seeds - 1)
    return SeedScatter(float(((totals - totals.mean()) ** 2).sum()), seeds - 1, explained)


def _by_interval(measured: Measured, alpha: float) -> PairedTest:
    from scipy.special import ndtr

    difference, examples = measured.interval, measured.examples
    deviation = (difference.high - difference.low) / (2 * Z)
    p_value = 2 * float(ndtr(-abs(difference.value) / deviation)) if deviation > 0 else 1.0
    to_tell = _by_width(difference, examples, alpha)
    return PairedTest(difference, p_value, "normal, widened for folds", examples, examples_to_confirm=to_tell)


def matched_rows(first: Evaluation, second: Evaluation) -> pl.DataFrame:
    """The table of `second` in the order of `first`. Raises DataError if examples or targets differ."""
    import polars as pl

    order = first.table.select(pl.col("id").cast(pl.String))
    other = second.table.with_columns(pl.col("id").cast(pl.String))
    if order["id"].sort().to_list() != other["id"].sort().to_list():
        shared = order["id"].is_in(other["id"].to_list()).sum()
        raise DataError(
            f"the two models were not evaluated on the same examples: {len(order):,} and {len(other):,}, "
            f"{shared:,} shared.",
            where=first.split,
            fix="compare predictions for the same split: same data, seed and split settings.",
        )
    if order["id"].to_list() != other["id"].to_list():
        other = order.join(other, on="id", how="left", maintain_order="left")
    if "target" not in first.table.columns or "target" not in other.columns:
        return other
    ours, theirs = (table["target"].cast(pl.String) for table in (first.table, other))
    differ = int(ours.ne_missing(theirs).sum())
    if differ:
        raise DataError(
            f"{differ:,} of {len(order):,} examples have a different target in the second table.",
            where=first.split,
            fix="evaluate both models against the same labels.",
        )
    return other


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p value for a split at least this uneven of the examples that exactly one model gets wrong."""
    total = only_first + only_second
    if total == 0:
        return 1.0
    from scipy.stats import binom

    return min(1.0, 2 * float(binom.cdf(min(only_first, only_second), total, 0.5)))


def randomisation_p(units: np.ndarray, rng: np.random.Generator, *, flips: int = FLIPS) -> float:
    """Two-sided p value of the sum of differences (U,) when the two models may swap places in each unit.

    More than MOST_UNITS units are swapped in random blocks, which is a valid randomisation test too.
    """
    if len(units) > MOST_UNITS:
        units = np.bincount(rng.permutation(len(units)) % MOST_UNITS, weights=units)
    observed = abs(float(units.sum()))
    as_extreme, left = 0, flips
    while left:
        now = min(left, 1000)
        signs = rng.integers(2, size=(now, len(units)), dtype=np.int8) * 2 - 1
        as_extreme += int((np.abs(signs @ units) >= observed - 1e-12 * max(observed, 1.0)).sum())
        left -= now
    return (1 + as_extreme) / (1 + flips)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for multiple testing, in the order given. Source: Holm 1979."""
    corrected = [1.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def in_words(
    test: PairedTest, first: str, second: str, unit: str | None, *, p_value: float | None = None, corrected: str = ""
) -> str:
    """One or two sentences: which one is better, or that there are too few examples to say.

    `p_value`: a corrected one; `corrected`: what is said of that after it.
    """
    p = test.p_value if p_value is None else p_value
    is_second = test.difference.value > 0
    better, worse = (second, first) if is_second else (first, second)
    ends = (test.difference.low, test.difference.high) if is_second else (-test.difference.high, -test.difference.low)
    interval = f"[{', '.join(_plain(end, unit) for end in ends)}]"
    size = f"{format_gap(abs(test.difference.value), unit)} {interval}"
    if p < ALPHA:
        return f"{better} is better than {worse} by {size} (p = {p:.2g}{corrected})."
    apart = (
        f"{better} and {worse} do not differ significantly on these {test.examples:,} examples (p = {p:.2g}{corrected})"
    )
    if test.examples_to_confirm is None:
        return f"{apart}: their errors are equal."
    if test.examples_to_confirm <= test.examples:
        return f"{apart}; the measured difference is {size}."
    count = format_count(test.examples_to_confirm)
    return f"{apart}; the measured difference of {size} would take {count} examples to confirm."


def _plain(value: float, unit: str | None) -> str:
    return format_gap(value, unit).split(" ", 1)[0]


def _bootstrap_p(draws: np.ndarray) -> float:
    """Two-sided, from how often a resampled difference has the opposite sign."""
    draws = draws[np.isfinite(draws)]
    tail = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    return min(1.0, 2 * (1 + tail) / (1 + len(draws)))


def _by_width(difference: Interval, examples: int, alpha: float) -> int | None:
    deviation = (difference.high - difference.low) / (2 * Z)
    if difference.value == 0 or not math.isfinite(deviation):
        return None
    wanted = normal_quantile(1 - alpha / 2) + normal_quantile(POWER)
    return max(1, math.ceil(examples * (wanted * deviation / difference.value) ** 2))
