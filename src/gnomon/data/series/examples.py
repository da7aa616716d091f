"""Series as Examples: the rows of one table, sorted by series and time, and where each series begins and ends."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self, final

import numpy as np
import polars as pl

from gnomon.core.example import Example, Examples, LabelType
from gnomon.data.tables import TableExamples


@final
@dataclass(frozen=True, eq=False)
class SeriesExamples(Examples):
    """N series: example i is the rows from starts[i] to ends[i] of `rows`, its steps, and row i of `table`.

    What is to be predicted is in `rows` where every step has an answer of its own, otherwise in `table`: a class is its
    label, a number is in the column `number`, which is no part of the index.
    """

    rows: TableExamples  # the steps of every series of the source, with their features
    starts: np.ndarray  # (N,) int64
    ends: np.ndarray  # (N,) int64
    table: pl.DataFrame
    id_name: str = ""  # the columns that they were read by; of arrays there are none
    order_name: str = ""
    target_names: tuple[str, ...] = ()
    label_type: LabelType = "text"

    @cached_property
    def index(self) -> pl.DataFrame:
        return self.table.drop("number", strict=False)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, position: int) -> Example:
        """`inputs` is a frame of T steps; `target` the class, the number, or a list of one for each step."""
        row = self.table.row(position, named=True)
        steps = self.rows.take(np.arange(self.starts[position], self.ends[position]))
        target: Any = row["label"] if row.get("number") is None else row["number"]
        if self.rows.target_names:
            target = steps.get_column(self.rows.target_names[0]).to_list()
        return Example(str(row["id"]), steps.frame(), target)

    @property
    def feature_names(self) -> tuple[str, ...]:
        return self.rows.feature_names

    def lengths(self) -> np.ndarray:
        """(N,) int64: steps of each series."""
        return self.ends - self.starts

    def steps(self) -> TableExamples:
        """All steps of these series, one series after the other."""
        lengths = self.lengths()
        before = np.cumsum(lengths) - lengths
        return self.rows.take(np.arange(lengths.sum()) + np.repeat(self.starts - before, lengths))

    def targets(self) -> pl.DataFrame:
        """A column: the number of each series."""
        return pl.DataFrame({self.target_names[0]: self.table["number"]})

    def take(self, positions: np.ndarray) -> Self:
        at = np.asarray(positions, np.int64)
        return replace(self, starts=self.starts[at], ends=self.ends[at], table=self.table[at])

    def join(self, other: Self) -> Self:
        """Raises DataError if the other's rows lack a column of these."""
        rows, before = self.rows, 0
        if other.rows is not self.rows:
            rows, before = self.rows.join(other.rows), len(self.rows)
        label = [one.table["label"] for one in (self, other)]
        table = pl.concat([one.table.with_columns(label=one.table["label"].cast(pl.String)) for one in (self, other)],
                          how="diagonal_relaxed", rechunk=True)  # fmt: skip
        if isinstance(label[0].dtype, pl.Enum):
            others = label[1].drop_nulls().cast(pl.String).unique().sort()
            names = dict.fromkeys([*label[0].dtype.categories, *others])
            table = table.with_columns(label=table["label"].cast(pl.Enum(list(names))))
        return replace(
            self, rows=rows, table=table, starts=np.concatenate([self.starts, other.starts + before]),
            ends=np.concatenate([self.ends, other.ends + before]),
        )  # fmt: skip

    def with_labels(self, labels: pl.Series) -> Self:
        own = self.table["label"]
        if own.null_count() == len(self):
            return super().with_labels(labels)  # which refuses
        given = labels.cast(pl.String).cast(own.dtype)
        return replace(self, table=self.table.with_columns(label=given, stratum=given.cast(pl.String)))

    def with_source(self, name: str) -> Self:
        return replace(self, table=self.table.with_columns(source=pl.lit(name, dtype=pl.String)))

    def fingerprints(self) -> np.ndarray:
        return self._prints

    @cached_property
    def _prints(self) -> np.ndarray:
        each = self.rows.fingerprints()
        found = np.empty(len(self), np.uint64)
        for i, (start, end) in enumerate(zip(self.starts, self.ends, strict=True)):
            digest = hashlib.blake2b(each[start:end].tobytes(), digest_size=8).digest()
            found[i] = int.from_bytes(digest, "little")
        return found


def as_numbers(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns that are numbers, or yes and no, as Float64."""
    kept = [one.name for one in frame if one.dtype.is_numeric() or one.dtype == pl.Boolean]
    return frame.select(pl.col(kept).cast(pl.Float64))
