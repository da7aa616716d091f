"""Rows of a table that are equal by chance: if a table has few distinct values, equal rows are not copies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gnomon.data.tables.examples import TableExamples

if TYPE_CHECKING:
    import polars as pl

    from gnomon.core.example import Examples

LEAST_EXPECTED = 0.05  # equal rows expected by chance, with independent columns, above which they may be chance
COARSE = 64  # different values, at most, in every column: rows of such a table repeat without being copied
LOOKED_AT = 100_000  # rows in which values are counted
SLACK, SURE = 0.01, 3.0  # tolerated excess of equal rows over other rows: this share, and this many standard errors


def coincidences(judged: Examples, others: Examples) -> np.ndarray:
    """(N,) True where one of N held-out rows equals one of the others, and need not be a copy of it.

    Two conditions decide. The row's values are so frequent that an equal row is to be expected, or every column of the
    table has few values, as small whole numbers and answers have. And the others equal one another as often as held-out
    rows equal them, which copies from one side to the other would break: what repeats inside train is the base rate.
    Examples that are not rows of a table never coincide.
    """
    found = np.zeros(len(judged), dtype=bool)
    if not (isinstance(judged, TableExamples) and isinstance(others, TableExamples)):
        return found
    prints = others.fingerprints()
    shared = np.flatnonzero(np.isin(judged.fingerprints(), prints))
    if not len(shared):
        return found
    _, place, counts = np.unique(prints, return_inverse=True, return_counts=True)
    among_others = float((counts[place] > 1).mean())
    sample = others.take(np.arange(0, len(others), max(1, len(others) // LOOKED_AT)))
    frequent = shared
    if not _is_coarse(sample.frame()):
        frequent = shared[_expected_equals(judged.take(shared).frame(), sample.frame(), len(others)) >= LEAST_EXPECTED]
    error = math.sqrt(max(among_others * (1 - among_others), 1 / len(judged)) / len(judged))
    if len(frequent) / len(judged) <= among_others + SLACK + SURE * error:
        found[frequent] = True
    return found


def _is_coarse(sample: pl.DataFrame) -> bool:
    """Whether no column has more than a few values, and each of them often enough not to be one of many."""
    import polars as pl

    most = min(COARSE, max(2, len(sample) // 10))
    return sample.width > 0 and all(count <= most for count in sample.select(pl.all().n_unique()).row(0))


def _expected_equals(rows: pl.DataFrame, sample: pl.DataFrame, total: int) -> np.ndarray:
    """(n,) how many of `total` rows like the sample would equal each of n rows if their columns were independent."""
    import polars as pl

    expected = np.full(len(rows), math.log(total))
    for name in rows.columns:
        ours, theirs = (frame[name].cast(pl.String).rename("value") for frame in (rows, sample))
        times = ours.to_frame().join(
            theirs.value_counts(), on="value", how="left", nulls_equal=True, maintain_order="left"
        )
        expected += np.log(times["count"].fill_null(1).to_numpy() / len(sample))
    found: np.ndarray = np.exp(expected)
    return found
