"""Predictions from elsewhere: what is read, how errors are made of it, and what is refused by column and row."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from gnomon.core.errors import DataError
from gnomon.core.evaluation import SHARE
from gnomon.strategy import external
from gnomon.strategy.external import leaked_ids, read_predictions, read_table
from gnomon.strategy.ladder import diagnose


def frame(**columns):
    return pl.DataFrame(
        {
            "split": ["train", "train", "dev", "dev"],
            "target": ["a", "b", "a", "b"],
            "prediction": ["a", "b", "b", "b"],
            **columns,
        }
    )


def test_names_make_0_1_errors_by_split():
    found = read_predictions(frame())
    assert list(found) == ["train", "dev"]
    assert found["dev"].unit == SHARE
    assert found["dev"].table["error"].to_list() == [1.0, 0.0]
    assert found["dev"].table.columns[:9] == [
        "id", "source", "target", "prediction", "error", "weight", "loss", "confidence", "group"]  # fmt: skip
    assert found["dev"].table["weight"].to_list() == [1.0, 1.0]


def test_fractions_make_absolute_errors_without_a_named_unit():
    found = read_predictions(frame(target=[1.0, 2.0, 3.0, 4.0], prediction=[1.5, 2.0, 1.0, 4.0]))
    assert found["train"].unit == ""
    assert found["train"].table["error"].to_list() == [0.5, 0.0]
    assert found["dev"].table["error"].to_list() == [2.0, 0.0]


def test_whole_numbers_against_fractions_are_measures_too():
    found = read_predictions(frame(target=[1, 2, 3, 4], prediction=[1.5, 2.0, 1.0, 4.0]))
    assert found["train"].unit == ""


def test_whole_numbers_are_class_ids():
    found = read_predictions(frame(target=[0, 7, 3, 9], prediction=[0, 7, 9, 9]))
    assert found["dev"].unit == SHARE
    assert found["dev"].table["error"].to_list() == [1.0, 0.0]


def test_truth_values_are_classes():
    found = read_predictions(frame(target=[True, False, True, False], prediction=[True, False, False, False]))
    assert found["dev"].table["error"].to_list() == [1.0, 0.0]


def test_categories_are_classes_like_texts():
    words = pl.Series(["a", "b", "a", "b"])
    for dtype in (pl.Categorical, pl.Enum(["a", "b"])):
        typed = {name: words.cast(dtype) for name in ("target", "id", "group", "source", "tag.x")}
        typed["id"] = pl.Series(["1", "2", "3", "4"]).cast(pl.Categorical)
        plain = {name: column.cast(pl.String) for name, column in typed.items()}
        assert read_predictions(frame(**typed))["dev"].table.equals(read_predictions(frame(**plain))["dev"].table)


NO_NUMBERS = {
    "a category": pl.Series(["x", "y", "x", "y"], dtype=pl.Categorical),
    "a date": pl.Series([1, 2, 3, 4]).cast(pl.Date),
    "a duration": pl.Series([1, 2, 3, 4]).cast(pl.Duration("ms")),
}


@pytest.mark.parametrize("name", ["error", "weight", "loss", "confidence", "p.a"])
@pytest.mark.parametrize("column", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_columns_of_numbers_take_nothing_else(name, column):
    with pytest.raises(DataError, match=name):
        read_predictions(frame(**{name: column}))


@pytest.mark.parametrize("name", ["split", "target", "prediction", "id", "group", "source", "tag.x"])
def test_durations_are_refused_by_the_name_of_their_column(name):
    with pytest.raises(DataError, match=f"column '{name}' has the type Duration"):
        read_predictions(frame(**{name: NO_NUMBERS["a duration"]}))


def test_dates_are_texts_and_those_beyond_all_calendars_are_refused_by_their_row():
    days = pl.Series([0, 1, 0, 1], dtype=pl.Int32).cast(pl.Date)
    found = read_predictions(frame(target=days, prediction=days))["dev"].table
    assert found["target"].to_list() == ["1970-01-01", "1970-01-02"]
    for far in (
        pl.Series([0, 1, 2**31 - 1, 1], dtype=pl.Int32).cast(pl.Date),
        pl.Series([0, 1, 2**62, 1]).cast(pl.Datetime("ms")),
    ):
        with pytest.raises(DataError, match="column 'target', row 3: a date outside the years 1 to 9999"):
            read_predictions(frame(target=far))


def test_a_parquet_file_that_unfolds_to_millions_of_rows_is_refused(tmp_path, monkeypatch):
    frame().write_parquet(tmp_path / "p.parquet")
    monkeypatch.setattr(external, "MOST_ROWS", 3)
    with pytest.raises(DataError, match="would unpack to 4 rows"):
        read_table(tmp_path / "p.parquet")


def test_what_is_no_file_is_not_said_to_be_missing(tmp_path):
    with pytest.raises(DataError, match="this is not a file"):
        read_table(tmp_path)
    with pytest.raises(DataError, match="there is no such file"):
        read_table(tmp_path / "p.csv")


def test_given_errors_are_taken_as_they_are():
    table = pl.DataFrame({"split": ["train", "dev"], "error": [0.25, 3.0]})
    assert read_predictions(table)["dev"].table["error"].to_list() == [3.0]
    assert read_predictions(table)["dev"].unit == ""
    assert read_predictions(table.with_columns(error=pl.Series([0, 1])))["dev"].unit == SHARE


@pytest.mark.parametrize("name", ["train-dev", "train_dev", "Train-Dev"])
def test_splits_may_be_spelled_either_way(name):
    assert list(read_predictions(frame(split=["train", name, "val", "test"]))) == ["train", "train_dev", "dev", "test"]


def test_optional_columns_are_kept():
    found = read_predictions(frame(**{
        "id": ["w", "x", "y", "z"], "weight": [1, 2, 3, 4], "confidence": [0.5, None, 0.9, 1.0],
        "group": [7, 7, 8, None], "tag.camera": ["p", "p", None, "w"], "p.a": [0.5, 0.1, 0.1, 0.0],
    }))["dev"].table  # fmt: skip
    assert found["id"].to_list() == ["y", "z"]
    assert found["weight"].to_list() == [3.0, 4.0]
    assert found["group"].to_list() == ["8", None]
    assert found["tag.camera"].to_list() == [None, "w"]
    assert found["p.a"].to_list() == [0.1, 0.0]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_give_the_same_as_frames(tmp_path, suffix):
    table = frame(weight=[1.0, 2.0, 1.0, 0.5], confidence=[0.5, None, 0.25, 1.0], id=["w", "x", "y", "z"])
    path = tmp_path / f"predictions.{suffix}"
    table.write_csv(path) if suffix == "csv" else table.write_parquet(path)
    found, expected = read_predictions(path), read_predictions(table)
    assert {name: one.table.to_dicts() for name, one in found.items()} == {
        name: one.table.to_dicts() for name, one in expected.items()
    }


def test_names_like_na_and_007_stay_text(tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text("split,target,prediction\ntrain,NA,NA\ntrain,None,nan\ndev,007,7\ndev,true,True\n")
    found = read_predictions(path)
    assert found["train"].table["target"].to_list() == ["NA", "None"]
    assert found["train"].table["error"].to_list() == [0.0, 1.0]
    assert found["dev"].table["error"].to_list() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"split": ["train", "dev", "eval", "dev"]}, r"column 'split', row 3: expected train, .* found 'eval'"),
        ({"target": ["a", None, "a", "b"]}, r"column 'target', row 2: expected a value in every row, found nothing"),
        ({"prediction": ["a", "b", "b", None]}, r"column 'prediction', row 4"),
        ({"target": [1.0, 2.0, float("nan"), 1.0], "prediction": [1.0] * 4}, r"column 'target', row 3"),
        ({"target": [1.0, 2.0, 1.0, 1.0], "prediction": [1.0, 1.0, 1.0, float("inf")]}, r"column 'prediction', row 4"),
        ({"weight": [1, 1, -1, 1]}, r"column 'weight', row 3: expected a finite number of at least 0, found -1"),
        ({"weight": [1, None, 1, 1]}, r"column 'weight', row 2: .* found nothing"),
        ({"weight": ["1", "x", "1", "1"]}, r"column 'weight', row 2: .* found 'x'"),
        ({"confidence": [0.5, 0.5, 0.5, 1.2]}, r"column 'confidence', row 4: expected a number from 0 to 1"),
        ({"error": [0, 1, -2, 1]}, r"column 'error', row 3"),
        ({"p.a": [0.5, 0.5, 7, 0.1]}, r"column 'p\.a', row 3"),
        ({"id": ["x", "y", "z", "z"]}, r"column 'id', row 3: the id 'z' appears more than once in dev"),
        ({"id": ["x", None, "y", "z"]}, r"column 'id', row 2"),
        ({"wieght": [1, 1, 1, 1]}, r"unknown column 'wieght'\. Fix: name it 'weight'"),
        ({"camera": ["a"] * 4}, r"name it 'tag\.camera'"),
    ],
)
def test_bad_cells_and_columns_are_named(columns, words):
    with pytest.raises(DataError, match=words):
        read_predictions(frame(**columns))


@pytest.mark.parametrize("name", ["split", "target", "prediction"])
def test_a_missing_column_is_named(name):
    with pytest.raises(DataError, match=rf"the column '{name}' is missing"):
        read_predictions(frame().drop(name))


def test_no_rows_are_refused():
    with pytest.raises(DataError, match="no rows"):
        read_predictions(frame().head(0))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("split,target,prediction\ntrain,a,b,c\n", "line 2: the row has 4 cells, the header 3"),
        ('split,target,prediction\ntrain,"a",b\ndev,"a,b",b,c\n', "line 3: the row has 4 cells, the header 3"),
        ("\n\nsplit,target,prediction\ntrain,a\n", "line 4: the row has 2 cells, the header 3"),
        ('split,target,prediction\ntrain,a,"' + "x" * 200_000 + '"\n', "cannot be read: field larger than"),
        ("split,target,prediction\ntrain,a\n", "line 2: the row has 2 cells, the header 3"),
        ("split,target,prediction\ntrain,a,\n", "column 'prediction', row 1: .* found nothing"),
        ("split,target,prediction\ntrain,a,b\n\ndev,a,b\n", "column 'split', row 2"),
        ("", "cannot be read"),
    ],
)
def test_ragged_and_empty_files_are_refused(tmp_path, text, words):
    path = tmp_path / "predictions.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        read_predictions(path)


def test_a_missing_file_and_a_false_parquet_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_predictions(tmp_path / "none.csv")
    path = tmp_path / "text.parquet"
    path.write_text("not parquet")
    with pytest.raises(DataError, match="cannot be read"):
        read_predictions(path)


def test_ids_shared_with_train_are_leaks_unless_they_are_row_numbers():
    named = read_predictions(frame(id=["x", "y", "x", "z"]))
    assert leaked_ids(named) == {"dev": ["x"]}
    assert diagnose(named, leaked=leaked_ids(named)).advice[0].settings == ("split.duplicates",)
    assert leaked_ids(read_predictions(frame(id=[0, 1, 0, 1]))) == {}
    assert leaked_ids(read_predictions(frame())) == {}


def test_a_table_from_elsewhere_is_diagnosed():
    rng = np.random.default_rng(0)
    target = rng.integers(3, size=4000)
    wrong = rng.random(4000) < np.where(np.arange(4000) < 2000, 0.01, 0.2)
    table = pl.DataFrame(
        {
            "split": ["train"] * 2000 + ["valid"] * 2000,
            "target": [f"class {one}" for one in target],
            "prediction": [f"class {one}" for one in (target + wrong) % 3],
        }
    )
    assert diagnose(read_predictions(table)).verdict.contenders == ("variance",)


# --- files ------------------------------------------------------------------------------------------------------------
ROWS = "split,target,prediction\ntrain,a,a\ntrain,b,b\ndev,a,b\ndev,b,b\n"


@pytest.mark.parametrize("name", ["p*.csv", "p[1].csv", "p?.csv", "{a,b}.csv"])
def test_a_name_with_wildcards_is_one_file_and_its_neighbours_are_not_read(tmp_path, name):
    (tmp_path / name).write_text(ROWS)
    for other in ("p1.csv", "pa.csv", "a.csv"):
        (tmp_path / other).write_text(ROWS.replace("a,b", "a,a"))
    assert read_predictions(tmp_path / name)["dev"].table["error"].to_list() == [1.0, 0.0]
    assert len(read_predictions(tmp_path / name)["train"].table) == 2


@pytest.mark.parametrize("name", ["p*.parquet", "p[1].parquet"])
def test_so_is_a_parquet_file(tmp_path, name):
    frame().write_parquet(tmp_path / name)
    frame(target=["b"] * 4).write_parquet(tmp_path / "p1.parquet")
    assert read_predictions(tmp_path / name)["dev"].table["target"].to_list() == ["a", "b"]


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_short_rows_are_refused_with_their_line(tmp_path, quoted, end, last):
    lines = ["id,split,target,prediction,group", "1,train,a,a,g", '2,train,"b, c",b,g' if quoted else "2,train,b,b,g"]
    lines += ["3,dev,a,a", "4,dev,b,b,g"]
    path = tmp_path / "p.csv"
    path.write_bytes((end.join(lines) + end * last).encode())
    with pytest.raises(DataError, match=r"p\.csv line 4: the row has 4 cells, the header 5"):
        read_predictions(path)
    path.write_bytes((end.join(line + ",g" if line.startswith("3") else line for line in lines) + end * last).encode())
    assert len(read_predictions(path)["dev"].table) == 2


@pytest.mark.parametrize("values", [[[1]] * 4, [{"a": 1}] * 4, [b"x"] * 4])
@pytest.mark.parametrize("name", ["target", "prediction", "id", "group", "tag.camera", "p.a", "weight"])
def test_columns_of_odd_types_are_named(values, name):
    with pytest.raises(DataError, match=f"the column '{name}' has the type"):
        read_predictions(frame(**{name: values}))


@pytest.mark.parametrize("name", ["error", "weight", "loss"])
def test_numbers_whose_squares_are_not_finite_are_refused(name):
    with pytest.raises(
        DataError, match=f"found 1e\\+308.*column '{name}', row 3|column '{name}', row 3.*found 1e\\+308"
    ):
        read_predictions(frame(**{name: [1.0, 1.0, 1e308, 1.0]}))
    with pytest.raises(DataError, match="column 'prediction', row 3"):
        read_predictions(frame(target=[1.5] * 4, prediction=[1.5, 1.5, 1e308, 1.5]))


def test_ids_beyond_64_bits_are_texts():
    ids = pl.Series([2**70 + i for i in range(4)], dtype=pl.Int128)
    assert read_predictions(frame(id=ids))["dev"].table["id"].to_list() == [str(2**70 + 2), str(2**70 + 3)]


def test_targets_and_predictions_in_two_forms_are_refused():
    with pytest.raises(DataError, match="written in two ways: target 'a' and prediction '0'"):
        read_predictions(frame(prediction=[0, 1, 1, 1]))
    with pytest.raises(DataError, match="written in two ways: target '1' and prediction 'True'"):
        read_predictions(frame(target=[1, 0, 1, 0], prediction=[True, False, True, True]))


def test_boxes_are_judged_by_average_precision_and_masks_by_mean_iou():
    label = '[[10, 10, 50, 50, "cat", ""]]'
    boxes = pl.DataFrame(
        {
            "split": ["dev"] * 2, "id": ["a.png", "b.png"], "target": [label, label], "width": [99] * 2,
            "height": [99] * 2, "threshold": [0.5] * 2,
            "prediction": ['[[10, 10, 50, 50, "cat", 0.6], [60, 60, 90, 90, "cat", 0.7]]', "[]"],
        }
    )  # fmt: skip
    # by pencil: a false alarm, then one of two objects: AP = 1/2 x 1/2; F1 of the first picture 2 x 1 / (2 + 1)
    found = read_predictions(boxes)["dev"]
    assert found.table["error"].to_list() == pytest.approx([1 / 3, 1.0])
    assert (found.unit, found.split_error(np.ones(2))) == (SHARE, 0.75)
    cells = {"target": ['{"size":[1,4],"runs":[[0,2],[1,2]]}'], "prediction": ['{"size":[1,4],"runs":[[0,3],[1,1]]}']}
    masks = read_predictions(pl.DataFrame({"split": ["dev"], **cells}))["dev"]
    assert masks.split_error(np.ones(1)) == pytest.approx(1 - (2 / 3 + 1 / 2) / 2)
