"""Parquet tables of a run, read and checked: the required columns, of the required types."""

from __future__ import annotations

import io

import polars as pl
import polars.selectors as cs

from gnomon.core.errors import ArtefactError
from gnomon.core.evaluation import SPLITS
from gnomon.core.plain import LARGEST_FLOAT
from gnomon.runs.seal import RESTORE

MOST_RATIO, SLACK = 200, 64 << 20  # bytes in memory per byte in the file; a table of losses and ids unpacks to 5 to 20
CELL = 8  # bytes that a cell takes at least

TEXTS, FLOATS, NOTHING = cs.string(), cs.float(), cs.by_dtype(pl.Null)
INTEGERS = cs.by_dtype(pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)


def read_predictions(data: bytes, where: str) -> pl.DataFrame:
    """The table of an Evaluation. Raises ArtefactError naming the column that is wrong."""
    table = _read(data, where)
    tags = [name for name in table.columns if name.startswith("tag.")]
    shares = [name for name in table.columns if name.startswith("p.")]
    others = dict.fromkeys(table.columns, TEXTS | INTEGERS | FLOATS | cs.boolean() | NOTHING)
    _require(table, where, {"id": TEXTS | INTEGERS, "source": TEXTS, "error": FLOATS, "weight": FLOATS})
    may_lack = {"target": TEXTS | INTEGERS | FLOATS | cs.boolean(), "loss": FLOATS | NOTHING}
    may_lack |= {"prediction": may_lack["target"], "confidence": FLOATS | NOTHING, "group": TEXTS | NOTHING}
    may_lack |= dict.fromkeys(tags, TEXTS | NOTHING) | dict.fromkeys(shares, FLOATS)
    _require(table, where, {**others, **may_lack}, with_nulls=True)
    _require(table, where, {"target": may_lack["target"], "prediction": may_lack["target"]})
    if not len(table):
        raise _refused(where, "it has no rows")
    _require_range(table, where, "error", -LARGEST_FLOAT, LARGEST_FLOAT)
    _require_range(table, where, "weight", 0.0, LARGEST_FLOAT)
    if (table["target"].dtype == pl.String) != (table["prediction"].dtype == pl.String):
        raise _refused(where, "predictions are of another type than targets")
    for name in ("target", "prediction"):
        _require_range(table, where, name, -LARGEST_FLOAT, LARGEST_FLOAT)
    for name in ("confidence", *shares):
        _require_range(table, where, name, 0.0, 1.0 + 1e-6)
    return table


def read_splits(data: bytes, where: str) -> pl.DataFrame:
    """Which example is in which split: split, id, fingerprint. Raises ArtefactError."""
    table = _read(data, where)
    _require(table, where, {"split": TEXTS, "id": TEXTS, "fingerprint": cs.by_dtype(pl.UInt64)})
    _require_splits(table, where, "split")
    return table


def read_leaks(data: bytes, where: str) -> pl.DataFrame:
    """Pairs of copies across splits, like data.leakage.Leaks.pairs. Raises ArtefactError."""
    table = _read(data, where)
    _require(table, where, dict.fromkeys(("kind", "split", "id", "other_split", "other_id"), TEXTS))
    _require(table, where, {"same_target": cs.boolean(), "similarity": FLOATS}, with_nulls=True)
    _require_splits(table, where, "split", "other_split")
    return table


def read_people(data: bytes, where: str) -> pl.DataFrame:
    """Whose pictures were enrolled: name, picture, sha256. Raises ArtefactError."""
    table = _read(data, where)
    columns = ("name", "picture", "sha256")
    _require(table, where, dict.fromkeys(columns, TEXTS))
    return table.select(columns)


def _read(data: bytes, where: str) -> pl.DataFrame:
    try:
        lazy = pl.scan_parquet(io.BytesIO(data))
        num_rows, num_columns = lazy.select(pl.len()).collect().item(), len(lazy.collect_schema())
        if num_rows * num_columns * CELL > MOST_RATIO * len(data) + SLACK:
            raise _refused(where, f"{len(data):,} bytes would unpack to {num_rows:,} rows")
        return pl.read_parquet(io.BytesIO(data)).rechunk()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ArtefactError(f"is not a Parquet table ({error}).", where=where, fix=RESTORE) from None


FOLD = r"^fold [1-9][0-9]?$"  # instead of train and dev: who is judged by which fold


def _require(table: pl.DataFrame, where: str, wanted: dict[str, cs.Selector], *, with_nulls: bool = False) -> None:
    for name, selector in wanted.items():
        if name not in table.columns:
            raise _refused(where, f"the column {name} is missing")
        column = table.select(name)
        if not column.select(selector).columns:
            raise _refused(where, f"the column {name} is of type {column.dtypes[0]}")
        if not with_nulls and column[name].null_count():
            raise _refused(where, f"the column {name} has missing values")


def _require_range(table: pl.DataFrame, where: str, name: str, low: float, high: float) -> None:
    values = table[name].drop_nulls()
    if not values.dtype.is_numeric():  # only missing values
        return
    if not values.is_between(low, high).all():
        raise _refused(where, f"the column {name} has a value outside {low:g} to {high:g}")


def _require_splits(table: pl.DataFrame, where: str, *names: str) -> None:
    for name in names:
        odd = table.filter(~(table[name].is_in(SPLITS) | table[name].str.contains(FOLD)))[name]
        if len(odd):
            raise _refused(where, f"there is no split {odd[0][:80]!r}")


def _refused(where: str, why: str) -> ArtefactError:
    return ArtefactError(f"is not a valid table: {why}.", where=where, fix=RESTORE)
