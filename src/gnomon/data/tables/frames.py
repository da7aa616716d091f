"""pandas and Arrow frames as polars frames: names and types of columns are checked, an index is left out."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from gnomon.core.errors import DataError, MachineError
from gnomon.data.source import first_names
from gnomon.data.tables.raw import quoted
from gnomon.data.tables.rows import check_names

# What the libraries raise on columns that polars does not support. Its own panics are not Exceptions.
_UNSUPPORTED = (
    TypeError, ValueError, ArithmeticError, NotImplementedError,
    pl.exceptions.PolarsError, pl.exceptions.PanicException,
)  # fmt: skip
MOST_SECONDS = 2**63 // 1_000
_ARROW_UNKNOWN = ("decimal256", "month_day_nano_interval", "run_end_encoded")  # polars 2.1 panics, or asks for settings


def as_polars(frame: Any, origin: str, notes: list[str]) -> pl.DataFrame:
    """A polars, pandas or pyarrow frame as a polars one; what is left out is in `notes`. Raises DataError."""
    if isinstance(frame, dict):  # of columns
        frame = _of_columns(frame, origin)
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame
    is_pandas = hasattr(frame, "iloc") and hasattr(frame, "columns")
    if is_pandas:
        frame = _plain_pandas(frame, origin, notes)
    index = () if is_pandas else index_columns(getattr(getattr(frame, "schema", None), "metadata", None) or {})
    for field in getattr(frame, "schema", ()) if not is_pandas else ():
        if str(field.type).startswith(_ARROW_UNKNOWN):
            raise _not_taken(field.name, f"of the type {field.type}", origin)
        if str(field.type).startswith(("timestamp[s", "duration[s")):
            _check_seconds(field.name, np.asarray(frame.column(field.name).cast("int64")), origin)
    try:
        found = pl.DataFrame(frame)
    except ImportError as error:
        raise MachineError(f"{origin} cannot be read: {error}.", fix="pip install pyarrow") from None
    except _UNSUPPORTED as error:
        raise _unsupported_column(frame, error, origin) from None
    kept = [name for name in found.columns if name not in index]
    if len(kept) < found.width:
        notes.append(index_note(origin, [name for name in found.columns if name in index]))
    return found.select(kept)


def _of_columns(columns: Mapping[str, Any], origin: str) -> pl.DataFrame:
    """Arrays, series or lists by name as a frame. Raises DataError."""
    check_names(list(columns), origin, can_be_headless=False)
    try:
        return pl.DataFrame({name: pl.Series(name, column) for name, column in columns.items()})
    except _UNSUPPORTED as error:
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"{name} {length:,}" for name, length in list(lengths.items())[:4])
            raise DataError(
                f"the columns differ in length: {shown}.", where=origin, fix="make them equally long."
            ) from None
        raise DataError(f"the columns cannot be read: {error}.", where=origin, fix="give a polars frame.") from None


def index_columns(metadata: Mapping[Any, Any]) -> tuple[str, ...]:
    """The columns that hold the index of a pandas frame, according to its Parquet or Arrow metadata."""
    text: Any = metadata.get("pandas") or metadata.get(b"pandas")
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        return tuple(name for name in json.loads(text).get("index_columns", ()) if isinstance(name, str))
    return ()


def index_note(origin: str, names: Sequence[str]) -> str:
    """A note that an index is not an input, and how it becomes one."""
    return f"{origin}: its index ({first_names(names)}) is not used; reset_index() makes it a column."


def _plain_pandas(frame: Any, origin: str, notes: list[str]) -> Any:
    """A pandas frame without its index, with text names, and sparse or very long numbers as ordinary ones."""
    names = [str(name) for name in frame.columns]
    check_names(names, origin, can_be_headless=False)
    index = frame.index
    if index.name is not None or index.nlevels > 1 or not np.array_equal(index, np.arange(len(index))):
        notes.append(f"{origin}: its index is not used; reset_index() makes it a column.")
    frame = frame.reset_index(drop=True)
    frame.columns = names
    for name, dtype in zip(names, frame.dtypes, strict=True):
        if str(dtype).startswith(("datetime64[s", "timedelta64[s")):
            _check_seconds(name, frame[name].dropna().astype("int64").to_numpy(), origin)
        if str(dtype).startswith("Sparse"):
            frame[name] = frame[name].sparse.to_dense()
        elif dtype == np.longdouble and dtype != np.float64:
            frame[name] = frame[name].astype(np.float64)
    return frame


def _check_seconds(name: str, seconds: np.ndarray, origin: str) -> None:
    """Raise DataError for seconds that polars, which counts milliseconds, would turn into another time."""
    found = np.flatnonzero(np.abs(seconds.astype(np.float64)) > MOST_SECONDS)
    if len(found):
        what = f"column {quoted(name)} holds {seconds[found[0]]:.0f} seconds, which is not a valid time."
        raise DataError(what, where=origin, fix="correct or remove such cells.")


def _unsupported_column(frame: Any, error: BaseException, origin: str) -> DataError:
    """The error naming the first column that cannot be converted."""
    for name in getattr(frame, "columns", ()) if hasattr(frame, "iloc") else ():
        try:
            pl.DataFrame(frame[[name]])
        except _UNSUPPORTED as one:
            return _not_taken(name, f"of the type {frame[name].dtype} ({_first_line(one)})", origin)
    return DataError(f"cannot be converted: {_first_line(error)}.", where=origin, fix="give a CSV or Parquet file.")


def _not_taken(name: str, why: str, origin: str) -> DataError:
    return DataError(
        f"column {quoted(name)} cannot be converted: it is {why}; perhaps it mixes types.",
        where=origin,
        fix="give it one type of numbers, text, booleans or dates (astype(str), for example), or leave it out.",
    )


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "no reason given")[:200]
