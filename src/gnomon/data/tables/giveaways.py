"""Inputs that give the target away: the same values, a linear function of them, or another name for each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from gnomon.data.source import display_name
from gnomon.data.tables.table import Table

LARGEST = 1e100  # numbers beyond have squares, or sums of squares, that float64 cannot hold
LEAST_ROWS = 20  # with fewer, equal values may be chance
LEAK_SAMPLE = 100_000  # rows on which a suspicion is tried before all are looked at
AT_ONCE = 256  # columns
CLOSE = 1e-6  # of a correlation to 1, up to which a column is looked at more closely


def giveaways(table: Table, target: str, features: Sequence[str]) -> list[str]:
    """Sentences about inputs that give the target away."""
    notes = []
    every = max(1, len(table) // LEAK_SAMPLE)  # rows between two of the sample
    for name in _suspects(table, target, features, every):
        both = pl.DataFrame({"target": table.frame[target], "input": table.frame[name]})
        sample = both.gather_every(every).drop_nulls()
        how = _gives_away(sample) and (_gives_away(both.drop_nulls()) if every > 1 else _gives_away(sample))
        if how:
            shown = display_name(name)
            why = f"{shown} {how} {display_name(target)} in every row"
            notes.append(
                f"Leak? {why}; leave it out (ignore={shown}) unless it is known before the prediction is made."
            )
    return notes


def _suspects(table: Table, target: str, features: Sequence[str], every: int) -> list[str]:
    """The inputs worth a closer look, which costs a hundred times as much as this one."""
    truth = table.frame[target].gather_every(every)
    if len(truth) < LEAST_ROWS:
        return []
    if truth.null_count():
        return list(features)
    found = set()
    for start in range(0, len(features), AT_ONCE):
        some = table.frame.select(features[start : start + AT_ONCE]).gather_every(every)
        found |= _of_few_values(some, truth.n_unique())
        if truth.dtype.is_numeric():
            found |= _in_line(some, truth.cast(pl.Float64).to_numpy())
    return [name for name in features if name in found]


def _of_few_values(columns: pl.DataFrame, classes: int) -> set[str]:
    """Columns with as many values as there are classes, at least of those rows in which they have one."""
    beginning = columns.head(max(64, 2 * classes)).select(pl.all().n_unique()).row(0, named=True)
    few = [name for name, number in beginning.items() if number <= classes + 1]
    if not few:
        return set()
    counts, nulls = columns.select(pl.col(few).n_unique()).row(0), columns.select(few).null_count().row(0)
    values = {name: (count - bool(missing), missing) for name, count, missing in zip(few, counts, nulls, strict=True)}
    return {
        name
        for name, (count, missing) in values.items()
        if 2 * count <= len(columns) - missing and (count <= classes if missing else count == classes)
    }


def _in_line(columns: pl.DataFrame, truth: np.ndarray) -> set[str]:
    """Numeric columns whose correlation with the target is 1 or -1, or cannot be told."""
    numeric = [name for name, dtype in columns.schema.items() if dtype.is_numeric()]
    if not numeric:
        return set()
    x = columns.select(pl.col(numeric).cast(pl.Float64)).to_numpy(writable=True)  # (N, F)
    is_there = ~np.isnan(x)
    with np.errstate(all="ignore"):
        x -= np.nanmean(x, axis=0) if is_there.all() else np.where(is_there, x, 0).sum(axis=0) / is_there.sum(axis=0)
        x[~is_there] = 0
        y = truth - truth.mean()
        count, sum_x, sum_y = is_there.sum(axis=0), x.sum(axis=0), y @ is_there
        both = y @ x - sum_x * sum_y / count
        of_x, of_y = (x * x).sum(axis=0) - sum_x**2 / count, (y * y) @ is_there - sum_y**2 / count
        squared = both**2 / (of_x * of_y)
    return {name for name, value in zip(numeric, squared, strict=True) if not value < 1 - CLOSE}


def _gives_away(pair: pl.DataFrame) -> str:
    if len(pair) < LEAST_ROWS:
        return ""
    target, feature = pair["target"], pair["input"]
    if target.dtype.is_numeric() and feature.dtype.is_numeric():
        x, y = feature.cast(pl.Float64).to_numpy(), target.cast(pl.Float64).to_numpy()
        if np.array_equal(x, y):
            return "equals"
        if np.ptp(x) == 0 or np.ptp(y) == 0:
            return ""
        if max(np.abs(x).max(), np.abs(y).max()) > LARGEST:
            return ""
        x, y = x - x.mean(), y - y.mean()
        x, y = x / np.abs(x).max(), y / np.abs(y).max()  # squares of values near 1e-300 would be 0
        if np.abs(y - x * (x @ y) / (x @ x)).max() <= 1e-9:
            return "is a linear function of"
    classes = target.n_unique()
    if classes * 2 > len(pair) or feature.n_unique() != classes or classes < 2:
        return ""
    return "is another name for" if pair.n_unique() == classes else ""
