"""Errors with different costs: weights by class or kind of mistake, and averages that count every group equally."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from gnomon.core.errors import DataError, UsageError
from gnomon.core.evaluation import SHARE
from gnomon.core.seeds import generator
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import Rows, effective, groups_of, weights_of, wilson
from gnomon.metrics.resampling import ROUNDS, percentile_interval, resampled_sums, sums_per_unit

if TYPE_CHECKING:
    from gnomon.core.evaluation import Evaluation


def with_costs(evaluation: Evaluation, costs: Mapping[str, float]) -> Evaluation:
    """The evaluation with its rows weighted by class: {"porn": 10} makes such a picture count ten times.

    The error of a split is the sum of weight x error over the sum of weights, so it stays a share. costs: by target,
    each at least 0; targets that are not listed keep their weight. Raises UsageError for an unknown class.
    """
    table = evaluation.table
    targets = table["target"].cast(pl.String)
    known = targets.unique().drop_nulls().to_list()
    for name, cost in costs.items():
        if name not in known:
            raise UsageError(f"unknown class {name!r}.", fix=f"give one of {', '.join(sorted(known)[:10])}.")
        if not (math.isfinite(cost) and cost >= 0):
            raise UsageError(f"a cost of {cost:g} is not possible.", fix=f"give weight.{name}=10, for example.")
    factor = targets.replace_strict(list(costs), list(costs.values()), default=1.0, return_dtype=pl.Float64)
    weights = pl.Series("weight", weights_of(table)) * factor
    return replace(evaluation, table=table.with_columns(weights.alias("weight")))


def average_over(evaluation: Evaluation, column: str, *, seed: int = 0) -> dict[str, Interval]:
    """The mean error over the values of a column, each counting equally, and the worst; rows without one are left out.

    {"average": ..., "worst": ...}; examples (or groups) are resampled. The worst of several looks worse than it is: for
    shares its interval reaches down to the highest lower bound that holds for all values at once (Bonferroni), and up
    to the highest upper bound. Raises DataError if the column has no value.
    """
    table = evaluation.table
    keep = table[column].is_not_null() & pl.Series(weights_of(table) > 0)
    table = table.filter(keep)
    if table.is_empty():
        raise DataError(f"no example has a {column}.", where=evaluation.split, fix="average over another column.")
    codes = table[column].cast(pl.String).rank("dense").to_numpy().astype(np.int64) - 1
    num_values = int(codes.max()) + 1
    weights, errors = weights_of(table), table["error"].cast(float).to_numpy()
    columns = np.zeros((len(codes), 2 * num_values))
    columns[np.arange(len(codes)), codes] = weights * errors
    columns[np.arange(len(codes)), num_values + codes] = weights
    units = sums_per_unit(columns, groups_of(table, np.ones(len(table), dtype=bool)))
    totals = np.vstack([units.sum(axis=0), resampled_sums(units, ROUNDS, generator(seed, "averages", column))])
    with np.errstate(invalid="ignore"):
        of_value = totals[:, :num_values] / totals[:, num_values:]  # NaN if a round drew no example of a value
    average, worst = np.nanmean(of_value, axis=1), np.nanmax(of_value, axis=1)
    found = {
        name: percentile_interval(float(draws[0]), draws[1:], len(units), "bootstrap")
        for name, draws in (("average", average), ("worst", worst))
    }
    if evaluation.unit == SHARE and errors.max() <= 1 and num_values > 1:
        groups = groups_of(table, np.ones(len(table), dtype=bool))
        parts = [np.flatnonzero(codes == value) for value in range(num_values)]
        found["worst"] = _worst([Rows(errors[at], weights[at], None if groups is None else groups[at]) for at in parts])
    return found


def _worst(parts: Sequence[Rows]) -> Interval:
    """The largest of several shares."""
    from scipy.special import ndtri  # lazily: not needed before training

    known = [effective(rows)[:2] for rows in parts]
    together = -float(ndtri(0.025 / len(parts)))
    value = max(share for share, _ in known)
    low = max(wilson(share * size, size, z=together).low for share, size in known)
    high = max(wilson(share * size, size).high for share, size in known)
    return Interval(value, min(low, value), max(high, value), f"Wilson, the worst of {len(parts)}")
