"""Read a table file, whatever it turns out to be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gnomon.core.settings import DataSettings
from gnomon.data.tables.kinds import Kind
from gnomon.data.tables.raw import PARQUET_MAGIC, RawTable
from gnomon.data.tables.table import Table
from gnomon.data.tables.text import read_text
from gnomon.data.tables.typed import has_parquet_name, read_parquet


def read_table(
    path: str | Path, settings: DataSettings, *, content: bytes | None = None,
    kinds: Mapping[str, Kind] | None = None, only_kinds: bool = False,
) -> Table:  # fmt: skip
    """Read a CSV, TSV (also gzipped) or Parquet file; its content decides which it is, not its name.

    `content` replaces the file's bytes (a member of an archive; `path` then only names it). `kinds` are required
    of the columns they name, which must be there (those of fitted features, at prediction); other columns are decided
    as usual. Raises DataError naming file and line, UsageError for settings that cannot be used.
    """
    return _read(RawTable(Path(path), content), settings, kinds or {}, is_peek=False, only_kinds=only_kinds)


def peek_table(path: str | Path, settings: DataSettings, *, content: bytes | None = None) -> Table:
    """The first rows of a table (256 KiB of text, or 10,000 rows of Parquet): quick, to decide what it is about."""
    return _read(RawTable(Path(path), content), settings, {}, is_peek=True, only_kinds=False)


def _read(
    raw: RawTable, settings: DataSettings, kinds: Mapping[str, Kind], *, is_peek: bool, only_kinds: bool
) -> Table:  # fmt: skip
    if raw.head(len(PARQUET_MAGIC)) == PARQUET_MAGIC:
        return read_parquet(raw, settings, kinds, is_peek=is_peek, only_kinds=only_kinds)
    if has_parquet_name(raw.path):
        raise raw.bad("is named like a Parquet file but is not one.", fix="make or download the file again.")
    return read_text(raw, settings, kinds, is_peek=is_peek, only_kinds=only_kinds)
