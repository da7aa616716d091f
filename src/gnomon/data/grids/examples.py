"""Signals or volumes as Examples: one array, as it was stored, and which of its rows are meant."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self, final

import numpy as np
import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.example import Example, Examples, LabelType
from gnomon.data.layouts import times

VALUES_AT_ONCE = 1 << 22  # in float64: 32 MB


@final
@dataclass(frozen=True)
class GridExamples(Examples):
    """N signals (C, T) or volumes (C, D, H, W), of one shape. Example i is values[rows[i]]."""

    values: np.ndarray  # (M, C, ...) numbers as they were stored; NaN is missing
    rows: np.ndarray  # (N,) int64
    table: pl.DataFrame  # the index
    layout: str  # of the array they came from
    label_type: LabelType = "text"

    @property
    def index(self) -> pl.DataFrame:
        return self.table

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> Example:
        """`inputs` is (C, T) or (C, D, H, W), `target` the class or None."""
        row = self.table.row(position, named=True)
        return Example(str(row["id"]), self.values[self.rows[position]], row["label"])

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, T) or (C, D, H, W): of each example."""
        return self.values.shape[1:]

    def chunks(self) -> Iterator[np.ndarray]:
        """The values as (n, C, ...) float64, a few examples at a time."""
        few = max(1, VALUES_AT_ONCE // max(1, int(np.prod(self.shape))))
        for start in range(0, len(self), few):
            yield self.values[self.rows[start : start + few]].astype(np.float64)

    def take(self, positions: np.ndarray) -> Self:
        positions = np.asarray(positions, np.int64)
        return replace(self, rows=self.rows[positions], table=self.table[positions])

    def join(self, other: Self) -> Self:
        """Raises DataError for examples of another shape."""
        if self.shape != other.shape:
            raise DataError(
                f"the two sources have examples of different shapes: {times(self.shape)} and {times(other.shape)}.",
                fix="give both one shape.",
            )
        table = pl.concat([self.table, other.table], how="diagonal_relaxed", rechunk=True)
        if self.values is other.values:
            return replace(self, rows=np.concatenate([self.rows, other.rows]), table=table)
        values = np.concatenate([self.values[self.rows], other.values[other.rows]])
        return replace(self, values=values, rows=np.arange(len(values)), table=table)

    def with_labels(self, labels: pl.Series) -> Self:
        return replace(self, table=self.table.with_columns(labels.alias("label"), labels.alias("stratum")))

    def with_source(self, name: str) -> Self:
        return replace(self, table=self.table.with_columns(pl.lit(name).alias("source")))

    def fingerprints(self) -> np.ndarray:
        return self._prints

    @functools.cached_property
    def _prints(self) -> np.ndarray:
        prints = [_fingerprint(one) for chunk in self.chunks() for one in chunk]
        return np.array(prints, np.uint64)


def _fingerprint(values: np.ndarray) -> int:
    """64 bits from shape and float64 values: the same number is the same in every type, and so are NaN and zeros."""
    plain = np.where(np.isnan(values), np.nan, values + 0.0)  # one NaN of the many there are; -0.0 becomes 0.0
    digest = hashlib.blake2b(repr(values.shape).encode(), digest_size=8)
    digest.update(np.ascontiguousarray(plain).data)
    return int.from_bytes(digest.digest(), "little")
