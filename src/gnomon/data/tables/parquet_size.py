"""The size of a Parquet file in memory, estimated before it is read: a few MB may contain gigabytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from gnomon.core.errors import ArtefactError, MachineError
from gnomon.data.room import memory_left
from gnomon.data.tables.raw import RawTable

MOST_RATIO = 1000  # unpacked to stored, from RATIO_FROM bytes on: real tables stay below a hundredth of it
RATIO_FROM = 10**9
MOST_MEMORY = 0.5  # of the free memory
SAMPLED_ROWS = 1000  # in a few places, to estimate the length of texts
PLACES = 4
CODE = 4  # bytes of a text that occurs often, stored as a code
VIEW = 16  # bytes of a text besides its letters


def check_size(raw: RawTable, source: Callable[[], Any], names: Sequence[str], file_bytes: int) -> None:
    """Raise ArtefactError for columns of absurd size, MachineError for columns that do not fit into memory."""
    lazy = pl.scan_parquet(source(), glob=False)
    rows = int(lazy.select(pl.len()).collect().item())
    if not rows or not names:
        return
    schema = lazy.collect_schema()
    step = max(1, rows // PLACES)
    texts = [
        name for name in names if schema[name] in (pl.String, pl.Categorical, pl.Binary) or schema[name].is_nested()
    ]
    are_texts = set(texts)
    sample = pl.concat(
        [lazy.select(texts).slice(start, SAMPLED_ROWS // PLACES) for start in range(0, rows, step)]
    ).collect()
    whole = kept = largest = 0
    for name in names:
        if name in are_texts:
            column = sample[name]
            each = _letters(column) // max(1, len(column)) + VIEW
            left = CODE if 2 * column.n_unique() < len(column) else each
        else:
            each = left = _bytes_of(schema[name])
        whole, kept, largest = whole + rows * each, kept + rows * left, max(largest, rows * each)
    if whole > RATIO_FROM and whole > MOST_RATIO * file_bytes:
        raise ArtefactError(
            f"refused: {file_bytes:,} bytes would unpack to about {whole:,}.",
            where=raw.shown,
            fix="check the file; if it is fine, give it as CSV, or with fewer rows or columns.",
        )
    if kept + largest > MOST_MEMORY * memory_left():
        needed, left_over = (kept + largest) / 1e9, memory_left() / 1e9
        raise MachineError(
            f"{rows:,} rows need about {needed:,.1f} GB of memory, but only {left_over:,.1f} GB are free.",
            where=raw.shown,
            fix="leave columns out (ignore=...), or give fewer rows.",
        )


def _letters(column: pl.Series) -> int:
    """Bytes of all texts, those that are stored once and used often counted as often."""
    if column.dtype in (pl.String, pl.Categorical):
        return int(column.cast(pl.String).str.len_bytes().sum() or 0)
    return int(column.estimated_size())


def _bytes_of(dtype: pl.DataType) -> int:
    """Of one value."""
    return max(1, int(pl.Series([None], dtype=dtype).new_from_index(0, 8).estimated_size()) // 8)
