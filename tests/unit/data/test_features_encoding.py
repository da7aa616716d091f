"""Features: fitted on train, applied by name, refused where a cell does not fit, exact through JSON."""

from __future__ import annotations

import datetime
import json

import numpy as np
import polars as pl
import pytest
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

from gnomon.core.errors import ArtefactError, DataError
from gnomon.core.settings import DataSettings
from gnomon.data.features import (
    Feature,
    encode_features,
    fit_features,
    kinds_of,
    number_names,
    unlike_training,
)
from gnomon.data.tables import TableExamples, make_mixed_table, plan_targets, read_table, table_from_frame


def fit(**columns):
    frame = pl.DataFrame(columns)
    return fit_features(frame, frame.columns)


def test_numbers_are_scaled_as_scikit_learn_scales_them():
    x = np.random.default_rng(0).normal(1000, 3, size=(50, 2))
    features, _ = fit(a=x[:, 0], b=x[:, 1])
    encoded, codes = encode_features(pl.DataFrame({"a": x[:, 0], "b": x[:, 1]}), features)
    assert encoded.dtype == np.float32
    assert codes.shape == (50, 0)
    np.testing.assert_allclose(encoded, StandardScaler().fit_transform(x), atol=1e-6)


def test_missing_numbers_are_filled_with_the_median_and_marked_with_a_note():
    x = np.array([[1.0], [np.nan], [3.0], [10.0], [np.nan]])
    features, notes = fit(a=[1.0, None, 3.0, 10.0, None])
    encoded, _ = encode_features(pl.DataFrame({"a": [1.0, None, 3.0, 10.0, None]}), features)
    filled = SimpleImputer(strategy="median").fit_transform(x)[:, 0]
    np.testing.assert_allclose(encoded[:, 0], (filled - np.mean([1, 3, 10])) / np.std([1, 3, 10]), atol=1e-6)
    assert encoded[:, 1].tolist() == [0, 1, 0, 0, 1]
    assert number_names(features) == ("a", "a is missing")
    assert any("a (2 by 3)" in note and "of 5 training rows" in note for note in notes)


def test_a_missing_value_where_train_had_none_is_filled_without_a_mark():
    features, _ = fit(a=[1.0, 2.0, 6.0])
    encoded, _ = encode_features(pl.DataFrame({"a": [None, 2.0]}, schema={"a": pl.Float64}), features)
    assert encoded.shape == (2, 1)
    assert encoded[0, 0] == encoded[1, 0]


def test_dates_are_days_and_booleans_are_0_and_1_before_scaling():
    days = [datetime.date(2024, 1, 1), datetime.date(2024, 1, 2), datetime.date(2024, 1, 9)]
    features, _ = fit(d=days, t=[True, False, True])
    encoded, _ = encode_features(pl.DataFrame({"d": days, "t": [True, False, True]}), features)
    np.testing.assert_allclose(encoded[:, 0], (np.array([0, 1, 8]) - 3) / np.std([0, 1, 8]), atol=1e-5)
    np.testing.assert_allclose(encoded[:, 1], StandardScaler().fit_transform([[1], [0], [1]])[:, 0], atol=1e-6)


def test_categories_are_sorted_counted_from_1_and_unknown_ones_are_0():
    features, _ = fit(c=["red", "blue", None, "red"])
    assert features[0].categories == ("blue", "red")
    _, codes = encode_features(pl.DataFrame({"c": ["blue", "red", "green", None]}), features)
    assert codes[:, 0].tolist() == [1, 2, 0, 0]
    as_enum = pl.DataFrame({"c": pl.Series(["green", "blue", None], dtype=pl.Enum(["green", "blue", "red"]))})
    assert encode_features(as_enum, features)[1][:, 0].tolist() == [0, 1, 0]


def test_constant_columns_and_free_text_are_dropped_with_a_note():
    features, notes = fit(
        same=[1.0] * 60,
        gap=pl.Series([None] * 60, dtype=pl.Float64),
        one=["x"] * 60,
        essay=[f"text {i} of {i % 7}" for i in range(60)],
        x=list(range(60)),
    )
    assert [feature.name for feature in features] == ["x"]
    said = " ".join(notes)
    assert "only one value in the training split: same, one." in said
    assert "no value in the training split: gap." in said
    assert "free text (different in most rows): essay." in said


def test_no_column_left_is_refused():
    with pytest.raises(DataError, match="no column is left to learn from"):
        fit(same=[1.0] * 9)


def test_large_and_tiny_numbers_stay_finite():
    features, _ = fit(a=[1e300, -1e300, 5e299], b=[1e-300, 2e-300, 3e-300])
    encoded, _ = encode_features(pl.DataFrame({"a": [1e300, 1e308, -1e308], "b": [1e-300, 1e300, 0.0]}), features)
    assert np.isfinite(encoded).all()
    assert encoded[0, 0] == pytest.approx((1 - 1 / 6) / np.std([1, -1, 0.5]), rel=1e-5)


def test_infinity_at_prediction_is_filled_like_a_missing_value():
    features, _ = fit(a=[1.0, 2.0, 6.0])
    encoded, _ = encode_features(pl.DataFrame({"a": [float("inf"), 2.0, float("nan")]}), features)
    assert encoded[0, 0] == encoded[1, 0] == encoded[2, 0]


def test_a_missing_column_is_named():
    features, _ = fit(age=[1.0, 2.0], c=["x", "y"])
    with pytest.raises(DataError, match="column 'age', which"):
        encode_features(pl.DataFrame({"c": ["x"]}), features)


@pytest.mark.parametrize(
    ("trained", "given", "message"),
    [
        ([1.0, 2.0], ["3", "NA", "tall"], r"column 'a' has 'tall' in row 3; in training it had numbers"),
        ([True, False], [1, 0, 7], r"has '7' in row 3; in training it had booleans"),
        ([datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)], ["2024-01-05", "soon"], "has 'soon' in row 2"),
        ([datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)], [5, 6], "has Int64; in training it had dates"),
        ([1.0, 2.0], [datetime.date(2024, 1, 1)], "has Date; in training it had numbers"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_row(trained, given, message):
    features, _ = fit(a=trained)
    with pytest.raises(DataError, match=message):
        encode_features(pl.DataFrame({"a": given}), features)


def test_errors_name_ids_if_they_are_known():
    features, _ = fit(a=[1.0, 2.0])
    with pytest.raises(DataError, match="in row 41"):
        encode_features(pl.DataFrame({"a": ["3", "tall"]}), features, ids=pl.Series([40, 41]))


def test_text_is_converted_by_the_fitted_features():
    features, _ = fit(n=[1.0, 2.0, 6.0], t=[True, False, True], c=["7", "8", "7"])
    frame = pl.DataFrame({"n": ["2", " NA "], "t": ["TRUE", "false"], "c": [8, 9]})
    typed = pl.DataFrame({"n": [2.0, None], "t": [True, False], "c": ["8", None]})
    for one, two in zip(encode_features(frame, features), encode_features(typed, features), strict=True):
        assert np.array_equal(one, two)
    assert encode_features(frame.with_columns(c=pl.Series([8.0, 7.0])), features)[1][:, 0].tolist() == [2, 1]


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"kind": "picture"},
        {"std": 0.0},
        {"std": float("nan")},
        {"mean": "0"},
        {"mean": True},
        {"has_missing": 1},
        {"categories": ["a"]},
        {"name": 5},
    ],
)
def test_saved_features_are_loaded_strictly(change):
    good = json.loads(json.dumps(Feature("a", "number", 1.0, 2.0, 1.5).to_json()))
    assert Feature.from_json(good) == Feature("a", "number", 1.0, 2.0, 1.5)
    with pytest.raises(ArtefactError, match="saved features are damaged"):
        Feature.from_json({**good, **change})


def test_category_names_must_be_distinct():
    good = Feature("a", "category", categories=("x", "y")).to_json()
    for categories in ([], ["x", "x"], "xy", ["x", 1]):
        with pytest.raises(ArtefactError):
            Feature.from_json({**good, "categories": categories})
    with pytest.raises(ArtefactError):
        Feature.from_json([])


def test_fitting_sees_the_training_rows_only():
    frame = make_mixed_table(300, seed=0)
    table = table_from_frame(frame, DataSettings())
    settings = DataSettings(target=("price",))
    examples = TableExamples.planned(table, plan_targets(table, settings))
    train = examples.take(np.arange(0, 300, 2))
    features, _ = fit_features(train, ["area", "city"])
    rows = frame[::2]["area"].drop_nulls()
    assert features[0].mean == pytest.approx(rows.mean())
    assert features[0].fill == pytest.approx(rows.median())


def test_a_file_to_predict_is_encoded_like_the_file_of_training(tmp_path):
    frame = make_mixed_table(120, seed=3).with_columns(built=pl.col("built").dt.strftime("%d/%m/%Y"))
    frame.write_csv(tmp_path / "train.csv")
    settings = DataSettings(target=("price",))
    table = read_table(tmp_path / "train.csv", settings)
    examples = TableExamples.planned(table, plan_targets(table, settings))
    features, _ = fit_features(examples, ["area", "rooms", "garden", "city", "built"], kinds=table.kinds)
    expected = encode_features(examples, features)
    columns = ["built", "city", "area", "garden", "rooms"]
    frame[[7]].select(columns).write_csv(tmp_path / "new.csv")  # one row: its date alone could be read in two ways
    new = read_table(tmp_path / "new.csv", DataSettings(), kinds=kinds_of(features))
    found = encode_features(TableExamples.to_predict(new, tuple(f.name for f in features)), features)
    for one, two in zip(expected, found, strict=True):
        assert np.array_equal(one[[7]], two)


# --- unlike training --------------------------------------------------------------------------------------------------
def said_of(train: pl.DataFrame, new: pl.DataFrame) -> str:
    features, _ = fit_features(train, train.columns)
    alarms, notes = unlike_training(new, features, lambda rows: f"row {rows[0] + 1}")
    return "\n".join([*alarms, *notes])


def test_categories_and_missing_values_new_since_training_are_counted():
    train = pl.DataFrame({"city": ["Bonn", "Rome"] * 10, "area": range(20)})
    new = pl.DataFrame({"city": ["Bonn", "Oslo", "Rome", "Oslo"], "area": [1, None, 3, 4]})
    said = said_of(train, new)
    assert "city: 2 of 4 rows have a value that did not occur in training ('Oslo' in row 2 is the first)" in said
    assert "area is missing in 1 of 4 rows, the first is row 2" in said
    assert "the median, 9.5" in said
    assert said_of(train, train) == ""


def test_a_column_with_only_unknown_categories_is_warned_about_first():
    train = pl.DataFrame({"area": [None, *range(19)], "city": ["Bonn", "Rome"] * 10})
    said = said_of(train, pl.DataFrame({"area": [1, None], "city": ["BONN", None]}))
    first, second = said.splitlines()
    assert first.startswith("city: none of the 1 values occurred in training ('BONN' in row 1, for example)")
    assert "city is missing in 1 of 2 rows" in second


def test_the_edges_of_bins_are_the_eighths_of_a_column_on_its_own_scale():
    x = np.random.default_rng(3).exponential(size=801)
    features, _ = fit(a=x, b=[0.0, 1.0] * 400 + [1.0], c=[1.0, 2.0, None] * 267)
    expected = np.quantile((x - x.mean()) / x.std(), np.arange(9) / 8)  # of 801 values each is one of them
    np.testing.assert_allclose(features[0].edges, expected, rtol=1e-6)
    assert features[1].edges == features[2].edges == ()  # of two values


def test_equal_quantiles_are_one_edge():
    features, _ = fit(a=[0.0] * 90 + [1.0, 2.0, 3.0, 4.0] * 5)
    mean, std = np.mean([0.0] * 90 + [1, 2, 3, 4] * 5), np.std([0.0] * 90 + [1, 2, 3, 4] * 5)
    # of 110 values 90 are 0: seven eighths of them reach to 2, the last to 4
    np.testing.assert_allclose(np.array(features[0].edges) * std + mean, [0, 2, 4], atol=1e-6)
