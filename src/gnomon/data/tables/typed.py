"""Tables whose columns come with types: Parquet files and frames. Their types are believed, text stays text."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gnomon.core.errors import DataError, MachineError
from gnomon.core.settings import DataSettings
from gnomon.data.source import display_name
from gnomon.data.tables.kinds import MAX_CATEGORIES, Decision, Kind, Role, Tally, demand, to_numbers, to_values
from gnomon.data.tables.raw import RawTable, quoted
from gnomon.data.tables.rows import check_names
from gnomon.data.tables.table import Table, check_demanded, finished, missing_cells, role_of, target_names, used_columns

PEEK_ROWS = 10_000


def read_parquet(raw: RawTable, settings: DataSettings, kinds: Mapping[str, Kind], *, is_peek: bool) -> Table:
    """The table in a Parquet file; of the first rows alone where `is_peek`. Raises DataError, UsageError."""

    def source() -> Any:
        return raw.path if raw.content is None else io.BytesIO(raw.content)

    def column(name: str) -> pl.Series:  # one at a time: what a column needs on its way is freed before the next
        return pl.read_parquet(source(), columns=[name], n_rows=PEEK_ROWS if is_peek else None, glob=False).to_series()

    notes = []
    if not has_parquet_name(raw.path):
        notes.append(f"{raw.shown} is a Parquet file, whatever its name says.")
    before = raw.identity()
    try:
        names = list(pl.read_parquet_schema(source()))
        table = _typed(names, column, raw.shown, settings, kinds, notes)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        what = f"the Parquet file is cut off or damaged ({_first_line(error)})."
        raise raw.bad(what, fix="make or download the file again.") from None
    if raw.identity() != before:
        raise raw.bad("changed while it was read.", fix="wait until it is finished, then start again.")
    return table


def has_parquet_name(path: Path) -> bool:
    return path.suffix.lower() in (".parquet", ".pq")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "no reason given")[:200]


def table_from_frame(
    frame: Any, settings: DataSettings, *, origin: str = "the frame", kinds: Mapping[str, Kind] | None = None
) -> Table:
    """A polars, pandas or pyarrow frame as a table: by its own types, text kept as text. Raises DataError."""
    notes: list[str] = []
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, pl.DataFrame):
        frame = _from_others(frame, origin, notes)
    return _typed(frame.columns, frame.get_column, origin, settings, kinds or {}, notes)


def _from_others(frame: Any, origin: str, notes: list[str]) -> pl.DataFrame:
    given = getattr(frame, "columns", None)
    names = [str(name) for name in given] if hasattr(frame, "iloc") and given is not None else None
    if names is not None:
        check_names(names, origin, can_be_headless=False)
        index = frame.index
        if index.name is not None or index.nlevels > 1 or not np.array_equal(index, np.arange(len(index))):
            notes.append(f"{origin}: its index is not used; reset_index() makes it a column.")
        frame = frame.reset_index(drop=True)
        frame.columns = names
    try:
        return pl.DataFrame(frame)
    except ImportError as error:
        raise MachineError(f"{origin} cannot be read: {error}.", fix="pip install pyarrow") from None
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        what = f"cannot be read: {_first_line(error)}; perhaps a column mixes types."
        raise DataError(what, where=origin, fix="give every column one type (astype(str), for instance).") from None


def _typed(
    names: Sequence[str],
    column: Callable[[str], pl.Series],
    origin: str,
    settings: DataSettings,
    kinds: Mapping[str, Kind],
    notes: list[str],
) -> Table:
    if not names:
        raise DataError("has no columns.", where=origin, fix="give a table with columns and at least one row.")
    check_names(names, origin, can_be_headless=False)
    used, ignored = used_columns(names, settings, origin)
    check_demanded(used, kinds, origin)
    targets, missing = target_names(names, settings), missing_cells(settings)
    columns, decisions = [], []
    for name in used:
        series = _plain(column(name), role_of(name, targets, settings), missing, origin, notes)
        if name in kinds:
            series = as_demanded(series, kinds[name], missing, origin, notes)
        columns.append(series.rechunk())  # with chunks that differ, every select would copy all columns
        decisions.append(Decision(name, kinds.get(name, _kind_of(series)), series.dtype))
    if not columns or not len(columns[0]):
        raise DataError("has columns but no rows.", where=origin, fix="add at least one row of data.")
    lines = np.arange(1, len(columns[0]) + 1, dtype=np.uint32)
    return finished(pl.DataFrame(columns), lines, "row", origin, decisions, (*notes, *ignored))


def _plain(series: pl.Series, role: Role, missing: tuple[str, ...], origin: str, notes: list[str]) -> pl.Series:
    """A column in one of the types of `Table`; a type that is none of them is refused by name."""
    dtype, name = series.dtype, display_name(series.name)
    if dtype.is_float():
        if series.is_nan().any():
            notes.append(f"{name}: {int(series.is_nan().sum()):,} NaN cells are read as missing.")
            series = series.fill_nan(None)
        if role == "input" and series.is_infinite().any():
            is_infinite = series.is_infinite().fill_null(value=False)
            notes.append(f"{name}: {int(is_infinite.sum()):,} cells are not finite and taken as missing.")
            series = series.set(is_infinite, None)
        return series
    if dtype.is_integer():
        return series.shrink_dtype()
    if dtype in (pl.Boolean, pl.Date):
        return series
    if dtype.is_decimal() or dtype == pl.Null:
        return series.cast(pl.Float64)
    if dtype == pl.Datetime:
        return series.dt.replace_time_zone(None).cast(pl.Datetime("us"))
    if dtype == pl.Duration:
        notes.append(f"{name}: lengths of time are read as seconds.")
        return series.cast(pl.Duration("us")).dt.total_microseconds().cast(pl.Float64) / 1e6
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        text = series.cast(pl.String)
        is_missing = text.is_in(missing).fill_null(value=False)
        text = text.set(is_missing, None) if is_missing.any() else text
        distinct = text.drop_nulls().unique()
        if role == "input" and len(distinct) and to_numbers(distinct, has_decimal_commas=False).null_count() == 0:
            notes.append(f"{name} holds numbers, but its type is text: it stays text.")
        return text.cast(pl.Enum(distinct.sort())) if len(distinct) <= MAX_CATEGORIES else text
    what = f"column {quoted(series.name)} has the type {dtype}, which is neither number, text, truth nor date."
    raise DataError(what, where=origin, fix="take the column out (ignore=...), or turn it into numbers or text.")


def as_demanded(series: pl.Series, kind: Kind, missing: tuple[str, ...], origin: str, notes: list[str]) -> pl.Series:
    """A column as the kind that was fitted elsewhere. Raises DataError naming the row that does not fit."""
    name, dtype = series.name, series.dtype
    if dtype in (pl.String, pl.Enum) and kind.name != "text":
        cells = series.cast(pl.String).fill_null("")
        tally = Tally(name, has_decimal_commas=False, missing=missing)
        tally.add(cells, np.arange(1, len(cells) + 1))
        decision = demand(tally, kind)
        if isinstance(decision, str):
            what = decision.replace("but line", "but row")
            raise DataError(what, where=origin, fix="correct the cell, or train again with such cells in the data.")
        notes += decision.notes
        return to_values(cells, decision, missing, keep_infinite=False)
    if kind.name == "text":
        is_whole = dtype.is_float() and bool((series.drop_nulls() % 1 == 0).all())
        return series.cast(pl.Int64).cast(pl.String) if is_whole else series.cast(pl.String)
    fits = {
        "number": dtype.is_numeric() or dtype == pl.Boolean,
        "boolean": dtype == pl.Boolean,
        "date": dtype.is_temporal(),
    }
    if not fits[kind.name]:
        what = f"column {quoted(name)} holds {_kind_of(series).name}s; the model was trained on {kind.name}s."
        raise DataError(what, where=origin, fix="give the column the type it had in training.")
    return series.cast(pl.Int8) if kind.name == "number" and dtype == pl.Boolean else series


def _kind_of(series: pl.Series) -> Kind:
    if series.dtype.is_numeric():
        return Kind("number")
    if series.dtype == pl.Boolean:
        return Kind("boolean")
    return Kind("date") if series.dtype.is_temporal() else Kind("text")
