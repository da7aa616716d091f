"""Tables whose columns come with types: Parquet files and frames. Their types are trusted, text stays text."""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.source import counted, display_name
from gnomon.data.tables import dates
from gnomon.data.tables.frames import as_polars, index_columns, index_note
from gnomon.data.tables.kinds import (
    MAX_CATEGORIES,
    MAX_INTEGER_CLASSES,
    Decision,
    Kind,
    Role,
    Tally,
    demand,
    to_values,
)
from gnomon.data.tables.parquet_size import check_size
from gnomon.data.tables.raw import RawTable, quoted
from gnomon.data.tables.rows import check_names
from gnomon.data.tables.table import (
    Table,
    check_demanded,
    finished,
    missing_cells,
    places_of,
    role_of,
    target_names,
    used_columns,
)

PEEK_ROWS = 10_000
AT_ONCE = 256  # columns read together ...
CELLS_AT_ONCE = 2**22  # ... as long as they have no more cells
LOOKED_AT = 100  # texts examined for numbers or dates before all are
FIRST_DAY, LAST_DAY = ((day - datetime.date(1970, 1, 1)).days for day in (datetime.date.min, datetime.date.max))
SECONDS_PER_DAY = 86_400
UNITS = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}  # in a second
FEW_CLASSES = MAX_INTEGER_CLASSES  # distinct texts of a target up to which nobody would mistake them for numbers


def read_parquet(
    raw: RawTable, settings: DataSettings, kinds: Mapping[str, Kind], *, is_peek: bool, only_kinds: bool
) -> Table:  # fmt: skip
    """The table in a Parquet file; only its first rows if `is_peek`. Raises DataError, UsageError."""

    def source() -> Any:
        return raw.path if raw.content is None else io.BytesIO(raw.content)

    notes = []
    if not has_parquet_name(raw.path):
        notes.append(f"{raw.shown} is a Parquet file, whatever its name says.")
    before = raw.identity()
    try:
        with raw.open() as file:  # given a path, polars would expand * and [ to other files
            names = list(pl.read_parquet_schema(file))
        with raw.open() as file:
            index = [name for name in index_columns(pl.read_parquet_metadata(file)) if name in names]
        wanted = {*target_names(names, settings), *places_of(settings), *settings.ignore, *kinds}
        unused = [name for name in index if name not in wanted]
        if unused:
            notes.append(index_note(raw.shown, unused))
        names = [name for name in names if name not in unused]
        used = [name for name in names if (name in kinds if only_kinds else name not in settings.ignore)]
        if not is_peek:
            check_size(raw, source, used, before[2] if before else len(raw.content or b""))
        columns = _ParquetColumns(source, used, PEEK_ROWS if is_peek else None)
        table = _typed(names, columns.take, raw.shown, settings, kinds, notes, only_kinds=only_kinds)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        what = f"the Parquet file is truncated or damaged ({_first_line(error)})."
        raise raw.bad(what, fix="make or download the file again.") from None
    if raw.identity() != before:
        raise raw.bad("changed while it was being read.", fix="wait until it is finished, then start again.")
    return table


class _ParquetColumns:
    """The columns of a Parquet file, in order: a few at a time, fewer of long ones, freed as they are taken.

    Opening the file takes the longer the more columns it has, and a column needs memory of its own on its way.
    """

    def __init__(self, source: Callable[[], Any], names: Sequence[str], most_rows: int | None) -> None:
        rows = int(pl.scan_parquet(source(), glob=False).select(pl.len()).collect().item())
        self._source, self._most_rows = source, most_rows
        self._at_once = max(1, min(AT_ONCE, CELLS_AT_ONCE // max(1, rows)))
        self._place_of = {name: place for place, name in enumerate(names)}
        self._names, self._ready = names, dict[str, pl.Series]()

    def take(self, name: str) -> pl.Series:
        """The column, which is then no longer kept."""
        if name not in self._ready:
            place = self._place_of[name]
            some = list(self._names[place : place + self._at_once])
            frame = pl.read_parquet(self._source(), columns=some, n_rows=self._most_rows, glob=False)
            self._ready = {column.name: column for column in frame.get_columns()}
        return self._ready.pop(name)


def has_parquet_name(path: Path) -> bool:
    return path.suffix.lower() in (".parquet", ".pq")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "no reason given")[:200]


def table_from_frame(
    frame: Any, settings: DataSettings, *, origin: str = "the frame", kinds: Mapping[str, Kind] | None = None,
    only_kinds: bool = False,
) -> Table:  # fmt: skip
    """A polars, pandas or pyarrow frame as a table: by its own types, text kept as text. Raises DataError."""
    notes: list[str] = []
    found = as_polars(frame, origin, notes)
    columns = {column.name: column for column in found.get_columns()}  # by name, polars looks through all of them
    return _typed(found.columns, columns.__getitem__, origin, settings, kinds or {}, notes, only_kinds=only_kinds)


def _typed(
    names: Sequence[str],
    column: Callable[[str], pl.Series],
    origin: str,
    settings: DataSettings,
    kinds: Mapping[str, Kind],
    notes: list[str],
    *,
    only_kinds: bool,
) -> Table:
    if not names:
        raise DataError("has no columns.", where=origin, fix="give a table with columns and at least one row.")
    check_names(names, origin, can_be_headless=False)
    used, ignored = used_columns(names, settings, kinds, origin, only_demanded=only_kinds)
    check_demanded(used, kinds, origin)
    targets, missing = target_names(names, settings), missing_cells(settings)
    columns, decisions = [], []
    for name in used:
        given = column(name)
        has_zone = given.dtype == pl.Datetime and given.dtype.time_zone is not None  # type: ignore[attr-defined]
        series = _plain(given, role_of(name, targets, settings), missing, origin, notes)
        kind = Kind("date", dates.ZONED) if has_zone else _kind_of(series)
        if name in kinds:
            series = as_demanded(series, kinds[name], missing, origin, notes, has_zone=has_zone)
        columns.append(series.rechunk())  # with differing chunks, every select would copy all columns
        decisions.append(Decision(name, kinds.get(name, kind), series.dtype))
    if not columns or not len(columns[0]):
        raise DataError("has columns but no rows.", where=origin, fix="add at least one row of data.")
    lines = np.arange(1, len(columns[0]) + 1, dtype=np.uint32)
    return finished(pl.DataFrame(columns), lines, "row", origin, decisions, (*notes, *ignored))


def _plain(series: pl.Series, role: Role, missing: tuple[str, ...], origin: str, notes: list[str]) -> pl.Series:
    """A column in one of the types of `Table`; any other type is refused by name."""
    dtype, name = series.dtype, display_name(series.name)
    if dtype.is_decimal() or dtype == pl.Null:
        return series.cast(pl.Float64)
    if dtype.is_float():
        return _finite(series.cast(pl.Float32) if dtype == pl.Float16 else series, role, notes)
    if dtype.is_integer():
        return _whole(series, role, missing, notes)
    if dtype == pl.Boolean:
        return series
    if dtype in (pl.Date, pl.Datetime):
        return _instants(series, role, origin, notes)
    if dtype == pl.Duration:
        notes.append(f"{name}: durations are read as seconds.")
        return series.to_physical().cast(pl.Float64) / UNITS[dtype.time_unit]  # type: ignore[attr-defined]
    if dtype == pl.Time:
        notes.append(f"{name}: times of day are read as seconds since midnight.")
        return series.cast(pl.Int64).cast(pl.Float64) / 1e9
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return _texts(series.cast(pl.String), role, missing, notes)
    what = f"column {quoted(series.name)} has the type {dtype}, which is not a number, text, boolean or date."
    raise DataError(what, where=origin, fix="leave the column out (ignore=...), or convert it to numbers or text.")


def _finite(series: pl.Series, role: Role, notes: list[str]) -> pl.Series:
    name = display_name(series.name)
    if series.is_nan().any():
        notes.append(f"{name}: {counted(int(series.is_nan().sum()), 'NaN cell')} read as missing.")
        series = series.fill_nan(None)
    if role == "input" and series.is_infinite().any():
        is_infinite = series.is_infinite().fill_null(value=False)
        notes.append(f"{name}: {counted(int(is_infinite.sum()), 'infinite cell')} treated as missing.")
        series = series.set(is_infinite, None)
    return series


def _whole(series: pl.Series, role: Role, missing: tuple[str, ...], notes: list[str]) -> pl.Series:
    """Whole numbers in the narrowest type; beyond 64 bits as text, as from a CSV: usually they are ids or hashes."""
    low, high = series.min() or 0, series.max() or 0
    if low >= -(2**63) and high < 2**63:  # type: ignore[operator]  # whole numbers
        return series.cast(pl.Int64).shrink_dtype()
    shown = display_name(series.name)
    row = int((series.arg_max() if high >= 2**63 else series.arg_min()) or 0)  # type: ignore[operator]
    cell = f"row {row + 1} holds {quoted(series[row])}"
    if role == "target" and series.n_unique() > MAX_INTEGER_CLASSES:
        notes.append(f"{shown} is read as numbers of about 16 digits: {cell}, too large for a whole number of 64 bits.")
        return series.cast(pl.Float64)
    notes.append(f"{shown} is read as text: {cell}, too large for a whole number of 64 bits.")
    return _texts(series.cast(pl.String), "as written", missing, notes)


def _instants(series: pl.Series, role: Role, origin: str, notes: list[str]) -> pl.Series:
    """Dates of the years 1 to 9999; times without a zone, in UTC if they had one."""
    series = _within_years(series, role, origin, notes)
    if series.dtype == pl.Date:
        return series
    zone = series.dtype.time_zone  # type: ignore[attr-defined]  # a Datetime has one, or None
    if zone not in (None, "UTC"):
        notes.append(f"{display_name(series.name)}: its times in {zone} are converted to UTC.")
    return (series if zone is None else dates.in_utc(series)).cast(pl.Datetime("us"))


def _within_years(series: pl.Series, role: Role, origin: str, notes: list[str]) -> pl.Series:
    """Instants beyond the years 1 to 9999 are missing in inputs. Raises DataError elsewhere.

    They are compared as the whole numbers that are stored: polars panics where it makes dates of the largest.
    """
    per_day = 1 if series.dtype == pl.Date else UNITS[series.dtype.time_unit] * SECONDS_PER_DAY  # type: ignore[attr-defined]
    low, high = FIRST_DAY * per_day, (LAST_DAY + 1) * per_day - 1
    stored = series.to_physical().cast(pl.Int64)
    is_beyond = ~stored.is_between(max(low, -(2**63)), min(high, 2**63 - 1)).fill_null(value=True)
    if not is_beyond.any():
        return series
    row = int(is_beyond.arg_max() or 0)
    cells = f"{counted(int(is_beyond.sum()), 'cell')} outside the years 1 to 9999 (the first is row {row + 1})"
    if role != "input":
        what = f"column {quoted(series.name)}: {cells}."
        raise DataError(what, where=origin, fix="correct these dates, or remove their rows.")
    notes.append(f"{display_name(series.name)}: {cells}, treated as missing.")
    return series.set(is_beyond, None)


def _texts(text: pl.Series, role: Role, missing: tuple[str, ...], notes: list[str]) -> pl.Series:
    """Text stays text; if it looks like numbers or dates, a note says so."""
    is_missing = text.is_in(missing).fill_null(value=False)
    text = text.set(is_missing, None) if is_missing.any() else text
    distinct = text.drop_nulls().unique(maintain_order=True)
    sort = (
        _looks_like(distinct)
        if role != "as written" and len(distinct) > (1 if role == "input" else FEW_CLASSES)
        else ""
    )
    if sort:
        such = quoted(distinct[0])
        notes.append(
            f"{display_name(text.name)} contains {sort}, but its type is text: it stays text ({such}, for example)."
        )
    return text.cast(pl.Enum(distinct.sort())) if len(distinct) <= MAX_CATEGORIES else text


def _looks_like(distinct: pl.Series) -> str:
    """ "numbers", "dates" or "": what all of some texts could be read as."""
    tally = Tally(distinct.name, ())
    for some in (distinct.head(LOOKED_AT), distinct):  # the first ones settle nearly every column
        tally = Tally(distinct.name, ())
        tally.add(some, np.arange(len(some)))
        if tally.others.count or tally.words.count == tally.present:
            return ""
    return "dates" if tally.dates else "numbers"


def as_demanded(
    series: pl.Series, kind: Kind, missing: tuple[str, ...], origin: str, notes: list[str], *, has_zone: bool
) -> pl.Series:  # fmt: skip
    """A column as the kind that was fitted elsewhere. Raises DataError naming the row that does not fit."""
    name, dtype = series.name, series.dtype
    if dtype in (pl.String, pl.Enum) and kind.name != "text":
        cells = series.cast(pl.String).fill_null("")
        tally = Tally(name, missing, kind)
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
    if kind.name == "date" and has_zone != dates.has_zone(kind.date_format):
        ours, theirs = ("a time zone", "none") if has_zone else ("no time zone", "one")
        what = f"the times of column {quoted(name)} have {ours}; in training they had {theirs}."
        raise DataError(what, where=origin, fix="give them the zone they had in training (tz_localize in pandas).")
    if kind.number.prefix or kind.number.suffix:
        example = quoted(kind.number.example)
        notes.append(
            f"{display_name(name)}: numbers are used as they are; in training they were written like {example}."
        )
    return series.cast(pl.Int8) if kind.name == "number" and dtype == pl.Boolean else series


def _kind_of(series: pl.Series) -> Kind:
    if series.dtype.is_numeric():
        return Kind("number")
    if series.dtype == pl.Boolean:
        return Kind("boolean")
    return Kind("date") if series.dtype.is_temporal() else Kind("text")
