"""Tables of a run are taken only with the columns they should have, and before they unfold to more than they hold."""

from __future__ import annotations

import io
import math
from datetime import date

import polars as pl
import pytest
import run_records

from gnomon.core.errors import ArtefactError
from gnomon.runs import tables

GOOD = run_records.predictions("a", "b", "c")


def parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def column(name, values, dtype=None):
    return GOOD.with_columns(pl.Series(name, values, dtype=dtype))


def test_what_a_run_saves_is_accepted():
    more = GOOD.with_columns(pl.lit("x").alias("tag.t"), pl.lit(0.5, pl.Float32).alias("p.cat"), pl.lit(1).alias("own"))
    nothing = more.with_columns(pl.lit(None, pl.Float64).alias("confidence"), pl.lit(math.nan).alias("loss"))
    for table in (GOOD, more, nothing, GOOD.with_columns(pl.col("id").cum_count().cast(pl.UInt32))):
        assert tables.read_predictions(parquet(table), "f").equals(table)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        *((GOOD.drop(name), f"the column {name} is missing") for name in GOOD.columns),
        (GOOD.clear(), "no rows"),
        (column("id", [1.0, 2.0, 3.0]), "column id is of type Float64"),
        (column("id", ["a", None, "b"]), "column id has missing values"),
        (column("id", [b"a", b"b", b"c"]), "column id is of type Binary"),
        (column("error", ["0", "1", "0"]), "column error is of type String"),
        (column("error", [0.0, math.nan, 1.0]), "column error has"),
        (column("error", [0.0, math.inf, 1.0]), "column error has"),
        (column("error", [0.0, 1e200, 1.0]), "column error has"),
        (column("error", [0.0, None, 1.0]), "column error has missing values"),
        (column("weight", [1.0, -1.0, 1.0]), "column weight has"),
        (column("confidence", [1.0, 1.5, 1.0]), "column confidence has"),
        (column("confidence", [1.0, math.nan, 1.0]), "column confidence has"),
        (column("target", [["a"], ["b"], ["c"]]), "column target is of type List"),
        (column("prediction", [{"a": 1}] * 3), "column prediction is of type Struct"),
        (column("prediction", [date(2026, 1, 1)] * 3), "column prediction is of type Date"),
        (column("tag.t", [1, 2, 3]), "column tag.t is of type Int64"),
        (column("p.cat", ["1", "2", "3"]), "column p.cat is of type String"),
        (column("p.cat", [0.1, 2.0, 0.1]), "column p.cat has"),
        (column("own", [[1], [2], [3]]), "column own is of type List"),
    ],
)
def test_an_invalid_table_of_predictions_is_refused_by_column(table, told):
    with pytest.raises(ArtefactError, match=rf"f: is not a valid table: .*{told}"):
        tables.read_predictions(parquet(table), "f")


def test_splits_and_leaks_are_of_known_splits():
    assert tables.read_splits(parquet(run_records.SPLITS), "f").equals(run_records.SPLITS)
    assert tables.read_leaks(parquet(run_records.LEAKS), "f").equals(run_records.LEAKS)
    with pytest.raises(ArtefactError, match="there is no split 'all'"):
        tables.read_splits(parquet(run_records.SPLITS.with_columns(split=pl.lit("all"))), "f")
    with pytest.raises(ArtefactError, match="column fingerprint is of type Int32"):
        tables.read_splits(parquet(run_records.SPLITS.with_columns(fingerprint=pl.lit(1))), "f")
    with pytest.raises(ArtefactError, match="there is no split ''"):
        tables.read_leaks(parquet(run_records.LEAKS.with_columns(other_split=pl.lit(""))), "f")


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"x" * 1000])
def test_files_that_are_not_parquet_are_refused(data):
    with pytest.raises(ArtefactError, match="is not a Parquet table"):
        tables.read_splits(data, "f")


def test_a_small_file_with_many_rows_is_refused_before_it_is_unpacked():
    many = pl.DataFrame(
        {"id": pl.repeat("a", 20_000_000, eager=True), "split": pl.repeat("dev", 20_000_000, eager=True)}
    )
    data = parquet(many)
    assert len(data) < 200_000
    with pytest.raises(ArtefactError, match="would unpack to 20,000,000 rows"):
        tables.read_splits(data, "f")
