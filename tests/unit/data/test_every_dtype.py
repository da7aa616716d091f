"""Every type of column of polars, pandas and Arrow, in every part it can play: used, or refused by name."""

from __future__ import annotations

import datetime
import decimal
import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import gnomon
from gnomon import tasks
from gnomon.core.errors import DataError, UsageError
from gnomon.core.settings import from_flat
from gnomon.data.opening import open_source
from gnomon.data.splits import divide

N = 60
RNG = np.random.default_rng(0)
WHOLE = RNG.integers(0, 6, N).tolist()
LARGE = [2**63 + 7 * one for one in WHOLE]
HUGE = [2**100 + 7 * one for one in WHOLE]
FRACTIONS = RNG.normal(size=N).round(3).tolist()
WORDS = ["abcdef"[one] for one in WHOLE]
TRUTHS = [one > 2 for one in WHOLE]
DAYS = [datetime.date(2020, 1, 1) + datetime.timedelta(days=7 * one) for one in WHOLE]
MOMENTS = [datetime.datetime(2020, 1, 1, 10) + datetime.timedelta(hours=7 * one) for one in WHOLE]
SPANS = [datetime.timedelta(hours=one) for one in WHOLE]
CLOCK = [datetime.time(one, 30) for one in WHOLE]
ENDS = [(2**63 - 1, -(2**63) + 1, 2**62, 0, 10**9, 10**12)[one] for one in WHOLE]
DAY_ENDS = [(2**31 - 1, -(2**31), 10**8, 0, 5, 2_932_896)[one] for one in WHOLE]
GAPS = [None if i % 9 == 4 else one for i, one in enumerate(WHOLE)]

# name -> (column, the parts it can play: Input, Target, Group, Order in time; "" is refused in all of them)
POLARS = {
    **{f"{d}": (pl.Series(WHOLE, dtype=d), "ITGO") for d in (
        pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.UInt128,
    )},
    "UInt64 beyond 2^63": (pl.Series(LARGE, dtype=pl.UInt64), "ITG"),
    "Int128 beyond 2^63": (pl.Series(HUGE, dtype=pl.Int128), "ITG"),
    "UInt128 beyond 2^63": (pl.Series(HUGE, dtype=pl.UInt128), "ITG"),
    "Int128 ids": (pl.Series([2**100 + i for i in range(N)], dtype=pl.Int128), "G"),
    **{f"{d}": (pl.Series(FRACTIONS, dtype=d), "ITGO") for d in (pl.Float16, pl.Float32, pl.Float64)},
    "1e308": (pl.Series([1e308 * one for one in FRACTIONS]), "IGO"),
    "Decimal": (pl.Series(FRACTIONS).cast(pl.Decimal(20, 3)), "ITGO"),
    "Boolean": (pl.Series(TRUTHS), "IT"),
    "String": (pl.Series(WORDS), "ITG"),
    "Categorical": (pl.Series(WORDS, dtype=pl.Categorical), "ITG"),
    "Enum": (pl.Series(WORDS, dtype=pl.Enum(list("abcdef"))), "ITG"),
    "Date": (pl.Series(DAYS), "ITGO"),
    **{f"Datetime {unit}": (pl.Series(MOMENTS, dtype=pl.Datetime(unit)), "ITGO") for unit in ("ms", "us", "ns")},
    "Datetime with a zone": (pl.Series(MOMENTS, dtype=pl.Datetime("us", "Asia/Tokyo")), "ITGO"),
    "Date to the ends": (pl.Series(DAY_ENDS, dtype=pl.Int32).cast(pl.Date), "I"),
    **{f"Datetime {unit} to the ends": (pl.Series(ENDS, dtype=pl.Datetime(unit)), "I") for unit in ("ms", "us")},
    "Datetime ns to the ends": (pl.Series(ENDS, dtype=pl.Datetime("ns")), "ITGO"),
    "Duration": (pl.Series(SPANS), "ITGO"),
    **{f"Duration {u} to the ends": (pl.Series(ENDS, dtype=pl.Duration(u)), "ITGO") for u in ("ms", "us", "ns")},
    "Time": (pl.Series(CLOCK), "ITGO"),
    "gaps": (pl.Series(GAPS), "IG"),
    "Null": (pl.Series([None] * N), "G"),
    "Binary": (pl.Series([b"x"] * N), ""),
    "List": (pl.Series([[1]] * N), ""),
    "Array": (pl.Series([[1, 2]] * N, dtype=pl.Array(pl.Int64, 2)), ""),
    "Struct": (pl.Series([{"a": 1}] * N), ""),
    "Object": (pl.Series([object()] * N, dtype=pl.Object), ""),
}  # fmt: skip
PANDAS = {
    "int64": (pd.Series(WHOLE), "ITGO"),
    "Int64 with gaps": (pd.Series(GAPS, dtype="Int64"), "IG"),
    "uint64 beyond 2^63": (pd.Series(LARGE, dtype="uint64"), "ITG"),
    "Float64": (pd.Series(FRACTIONS, dtype="Float64"), "ITGO"),
    "float16": (pd.Series(FRACTIONS, dtype="float16"), "ITGO"),
    "longdouble": (pd.Series(FRACTIONS, dtype=np.longdouble), "ITGO"),
    "boolean": (pd.Series(TRUTHS, dtype="boolean"), "IT"),
    "string": (pd.Series(WORDS, dtype="string"), "ITG"),
    "object of words": (pd.Series(WORDS, dtype=object), "ITG"),
    "object of whole numbers": (pd.Series(WHOLE, dtype=object), "ITGO"),
    "object of decimals": (pd.Series([decimal.Decimal(str(one)) for one in FRACTIONS]), "ITGO"),
    "category": (pd.Series(WORDS, dtype="category"), "ITG"),
    "category of numbers": (pd.Series(WHOLE, dtype="category"), "ITGO"),
    "datetime64": (pd.Series(MOMENTS), "ITGO"),
    "datetime64 with a zone": (pd.Series(MOMENTS).dt.tz_localize("Europe/Berlin"), "ITGO"),
    "timedelta64": (pd.Series(SPANS), "ITGO"),
    "seconds to the ends": (pd.Series(np.array(ENDS, "datetime64[s]")), ""),
    "spans of seconds to the ends": (pd.Series(np.array(ENDS, "timedelta64[s]")), ""),
    "sparse": (pd.Series(pd.arrays.SparseArray(WHOLE)), "ITGO"),
    "period": (pd.Series(pd.period_range("2020", periods=N, freq="D")), ""),
    "interval": (pd.Series(pd.interval_range(0, N)), ""),
    "complex": (pd.Series(FRACTIONS).astype(complex), ""),
    "object of several types": (pd.Series([1, "x"] * (N // 2)), ""),
    "object beyond 64 bits": (pd.Series(HUGE, dtype=object), ""),
}  # fmt: skip
ARROW = {
    **{f"{t}": (pa.array(WHOLE, t), "ITGO") for t in (pa.int8(), pa.uint32(), pa.int64(), pa.uint64())},
    "uint64 beyond 2^63": (pa.array(LARGE, pa.uint64()), "ITG"),
    "halffloat": (pa.array(np.array(FRACTIONS, np.float16)), "ITGO"),
    "float": (pa.array(FRACTIONS, pa.float32()), "ITGO"),
    "decimal128": (pa.array([decimal.Decimal(str(one)) for one in FRACTIONS], pa.decimal128(20, 3)), "ITGO"),
    "decimal256": (pa.array([decimal.Decimal(str(one)) for one in FRACTIONS], pa.decimal256(60, 3)), ""),
    "bool": (pa.array(TRUTHS), "IT"),
    "string": (pa.array(WORDS), "ITG"),
    "large_string": (pa.array(WORDS, pa.large_string()), "ITG"),
    "string_view": (pa.array(WORDS, pa.string_view()), "ITG"),
    "dictionary": (pa.array(WORDS).dictionary_encode(), "ITG"),
    "date32": (pa.array(DAYS, pa.date32()), "ITGO"),
    "date64": (pa.array(DAYS, pa.date64()), "ITGO"),
    "timestamp s": (pa.array(MOMENTS, pa.timestamp("s")), "ITGO"),
    "timestamp with a zone": (pa.array(MOMENTS, pa.timestamp("ns", "America/Lima")), "ITGO"),
    "timestamp s to the ends": (pa.array(ENDS, pa.timestamp("s", "UTC")), ""),
    "duration": (pa.array(SPANS, pa.duration("ms")), "ITGO"),
    "duration s to the ends": (pa.array(ENDS, pa.duration("s")), ""),
    "time32": (pa.array(CLOCK, pa.time32("s")), "ITGO"),
    "time64": (pa.array(CLOCK, pa.time64("ns")), "ITGO"),
    "null": (pa.nulls(N), "G"),
    "binary": (pa.array([b"x"] * N), ""),
    "list": (pa.array([[1]] * N), ""),
    "struct": (pa.array([{"a": 1}] * N), ""),
    "month_day_nano_interval": (pa.nulls(N, pa.month_day_nano_interval()), ""),
    "run_end_encoded": (pa.RunEndEncodedArray.from_arrays(pa.array([N], pa.int32()), pa.array([1])), ""),
}  # fmt: skip
COLUMNS = [
    pytest.param(library, column, parts, id=f"{library} {name}")
    for library, family in (("polars", POLARS), ("pandas", PANDAS), ("arrow", ARROW))
    for name, (column, parts) in family.items()
]


def frame_of(library, column, *, with_target):
    others = {"x": FRACTIONS, **({"label": TRUTHS} if with_target else {})}
    if library == "polars":
        return pl.DataFrame({"odd": column, **others})
    if library == "pandas":
        return pd.DataFrame({"odd": column, **others})
    return pa.table({"odd": column, **{name: pa.array(values) for name, values in others.items()}})


def through(thing, settings):
    """Recognised, read, divided, fitted, encoded, kept as JSON, and predicted: everything that sees the column."""
    source = open_source(thing)
    claims = {name: tasks.load(name).reader.claim(source, settings.data) for name in tasks.names()}
    found = [(claim, name) for name, claim in claims.items() if claim is not None]
    claim, name = max(found, key=lambda pair: pair[0].certainty)
    if claim.fault is not None:
        claim.fault()
    kind = tasks.load(name)
    examples = kind.reader.read(source, settings.data).splits["all"]
    division = divide(examples.index, dev=0.25, test=0.25, by_time=settings.data.time is not None, seed=0)
    examples.fingerprints()
    train = examples.take(division.train)
    fitted = kind.from_train(train, settings)
    fitted.encoder.notes(train)
    fitted.reader.view(train[0])
    task = kind.from_facts(json.loads(json.dumps(fitted.facts())))
    columns = task.encode(examples)
    assert all(len(column) == N for column in columns.values())
    assert np.isfinite(columns["numbers"].numpy()).all()
    again = task.reader.read_inputs(open_source(thing), settings.data, task.encoder)
    for name, column in task.encoder.encode(again.splits["all"]).items():
        np.testing.assert_array_equal(column.numpy(), columns[name].numpy())
    return task


@pytest.mark.parametrize("part", "ITGO")
@pytest.mark.parametrize(("library", "column", "parts"), COLUMNS)
def test_a_column_of_any_type_is_used_or_refused_by_name(library, column, parts, part):
    frame = frame_of(library, column, with_target=part != "T")
    options = {"I": {}, "T": {"target": "odd"}, "G": {"group": "odd"}, "O": {"time": "odd"}}[part]
    settings = from_flat({"target": "label", **options})
    played, why = outcome(frame, settings)
    if part == "I":
        played = played and "odd" in {feature.name for feature in played.encoder.features}
    assert bool(played) == (part in parts), why
    assert why == "" or any(word in why for word in ("odd", "data.group", "data.time"))


def outcome(frame, settings):
    """The task, or None and why not."""
    try:
        return through(frame, settings), ""
    except (DataError, UsageError) as refusal:
        return None, str(refusal)


@pytest.mark.parametrize("model", ["logistic", "dense"])
def test_a_table_of_categories_alone_is_trained(tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    run = gnomon.fit(pl.DataFrame({"a": WORDS, "b": WORDS[::-1], "label": TRUTHS}), model=model, epochs=2)
    assert len(run.predict(pl.DataFrame({"a": ["a", "b"], "b": ["f", "c"]}))) == 2


@pytest.mark.parametrize(
    "column", ["9223372036854775808", "170141183460469231731687303715884105727", "-9223372036854775809"]
)
def test_whole_numbers_beyond_64_bits_of_a_csv_are_read_as_from_a_frame(tmp_path, column):
    cells = [column if one > 2 else one for one in WHOLE]
    rows = zip(cells, FRACTIONS, TRUTHS, strict=True)
    (tmp_path / "t.csv").write_text("odd,x,label\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    task = through(tmp_path / "t.csv", from_flat({"target": "label"}))
    assert task.encoder.features[0].categories == tuple(sorted({str(cell) for cell in cells}))
