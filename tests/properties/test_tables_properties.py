"""What must hold for all tables: text comes back as written, numbers as Python reads them, encodings invert."""

from __future__ import annotations

import csv
import io
from unittest import mock

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.features import Feature, encode_features, fit_features, number_names
from gnomon.data.tables import Kind, TableExamples, plan_targets, read_table, table_from_frame

# every letter that text may hold, often those that mean something in a CSV; NUL is refused on purpose
cell_text = st.text(
    st.one_of(st.sampled_from(',;"\n\r\t| é'), st.characters(codec="utf-8", exclude_characters="\0")), max_size=8
)


def written(header, rows, **options) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, **options)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


@given(
    st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(cell_text, min_size=width, max_size=width), min_size=1)),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from([40, 2**20]),
)
@settings(max_examples=150, deadline=None)
def test_what_the_csv_module_writes_comes_back_as_text(rows, quoting, line_end, separator, block_bytes):
    if any("\r" in cell for row in rows for cell in row):
        quoting = csv.QUOTE_ALL  # Python 3.11 leaves a carriage return unquoted where lines end with a line feed
    names = [f"column {i}" for i in range(len(rows[0]))]
    content = written(names, rows, quoting=quoting, lineterminator=line_end, delimiter=separator)
    kinds = {name: Kind("text") for name in names}
    with mock.patch("gnomon.data.tables.text.BLOCK_BYTES", block_bytes):
        read = read_table("data.csv", DataSettings(delimiter=separator), content=content, kinds=kinds)
    assert [[cell or "" for cell in row] for row in read.frame.rows()] == rows
    ends = [
        written(row, [], quoting=quoting, lineterminator=line_end, delimiter=separator).count(b"\n") for row in rows
    ]
    assert read.lines.tolist() == [2 + sum(ends[:row]) for row in range(len(rows))]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
@settings(max_examples=60, deadline=None)
def test_whole_numbers_of_64_bits_come_back_exactly(values):
    content = written(["n", "x"], [[value, "a"] for value in values])
    assert read_table("data.csv", DataSettings(), content=content).frame["n"].to_list() == values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
@settings(max_examples=60, deadline=None)
def test_floats_come_back_bit_for_bit(values):
    content = written(["n", "x"], [[repr(value), "a"] for value in values])
    read = read_table("data.csv", DataSettings(), content=content).frame["n"].cast(pl.Float64)
    assert read.to_list() == values


@given(
    st.lists(
        st.lists(st.sampled_from(["1", "2.5", "NA", "", "x", "007", "-", "1e3"]), min_size=2, max_size=2), min_size=1
    )
)
@settings(max_examples=80, deadline=None)
def test_every_text_cell_is_the_cell_of_the_file(rows):
    content = written(["a", "b"], rows)
    read = read_table("data.csv", DataSettings(), content=content)
    for place, name in enumerate(("a", "b")):
        cells, values = [row[place] for row in rows], read.frame[name].to_list()
        if read.kinds[name].name == "text":
            assert values == [cell or None for cell in cells]
        else:
            words = {"NA", "-", ""}
            assert values == [None if cell in words else float(cell) for cell in cells]


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_or_refused_by_name(content):
    try:
        read = read_table("data.csv", DataSettings(), content=content)
    except DataError as error:
        named = "data.csv" in str(error)
    else:
        named = len(read) >= 1
    assert named


categories = st.lists(st.one_of(st.none(), st.sampled_from(["red", "green", "blue", " blue"])), min_size=4, max_size=40)


@given(categories)
@settings(max_examples=60, deadline=None)
def test_category_codes_decode_to_the_texts_they_came_from(values):
    column = pl.Series("colour", values, dtype=pl.String)
    if column.drop_nulls().n_unique() < 1 or (column.n_unique() < 2):
        return
    frame = column.to_frame()
    features, _ = fit_features(frame, ["colour"])
    _, codes = encode_features(frame, features)
    texts = [None, *features[0].categories]  # code 0 is for what training has not seen, and for nothing
    assert [texts[code] for code in codes[:, 0]] == values


numbers = st.one_of(st.none(), st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3)))


@given(st.lists(numbers, min_size=3, max_size=40))
@settings(max_examples=60, deadline=None)
def test_encoded_numbers_are_standardised_and_marked_where_missing(values):
    frame = pl.DataFrame({"n": pl.Series(values, dtype=pl.Float64)})
    try:
        features, _ = fit_features(frame, ["n"])
    except DataError:
        assert len({value for value in values if value is not None}) < 2
        return
    encoded, _ = encode_features(frame, features)
    is_missing = np.array([value is None for value in values])
    present = encoded[~is_missing, 0].astype(np.float64)
    assert present.mean() == pytest.approx(0, abs=1e-4)
    assert present.std() == pytest.approx(1, abs=1e-4)
    expected = (np.median([value for value in values if value is not None]) - features[0].mean) / features[0].std
    assert encoded[is_missing, 0] == pytest.approx(expected, abs=1e-5)
    assert number_names(features) == (("n", "n is missing") if is_missing.any() else ("n",))
    if is_missing.any():
        assert np.array_equal(encoded[:, 1], is_missing)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_features_survive_json_and_encode_the_same_whatever_the_column_order(data):
    count = data.draw(st.integers(5, 20))
    frame = pl.DataFrame(
        {
            "a": data.draw(st.lists(st.floats(-9, 9), min_size=count, max_size=count, unique=True)),
            "b": data.draw(st.lists(st.booleans(), min_size=count, max_size=count)),
            "c": data.draw(st.lists(st.sampled_from("xyz"), min_size=count, max_size=count)),
        }
    )
    features, _ = fit_features(frame, frame.columns)
    again = tuple(Feature.from_json(feature.to_json()) for feature in features)
    assert again == features
    shuffled = frame.select(*reversed(frame.columns), pl.lit(1).alias("extra"))
    for one, two in zip(encode_features(frame, features), encode_features(shuffled, again), strict=True):
        assert np.array_equal(one, two)


@given(st.permutations(range(12)), st.permutations(range(12)))
@settings(max_examples=30, deadline=None)
def test_taking_twice_is_taking_the_positions_of_positions(first, second):
    frame = pl.DataFrame({"x": range(12), "z": [i * i % 5 for i in range(12)], "y": [i % 3 for i in range(12)]})
    table = table_from_frame(frame, DataSettings())
    examples = TableExamples.planned(table, plan_targets(table, DataSettings()))
    first, second = np.array(first), np.array(second)[:7]
    twice, once = examples.take(first).take(second), examples.take(first[second])
    assert twice.index.equals(once.index)
    assert twice.frame().equals(once.frame())
    assert np.array_equal(twice.fingerprints(), once.fingerprints())
    assert np.array_equal(twice.fingerprints(), examples.fingerprints()[first[second]])
