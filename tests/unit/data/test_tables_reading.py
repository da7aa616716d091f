"""Reading: types by rule, lines, demanded kinds, frames, Parquet."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from gnomon.core.errors import DataError, UsageError
from gnomon.core.settings import DataSettings
from gnomon.data.tables import Kind, make_mixed_table, peek_table, read_table, table_from_frame


def read(text: str, *, kinds=None, **settings):
    return read_table("data.csv", DataSettings(**settings), content=text.encode(), kinds=kinds)


def test_columns_get_the_narrowest_type_that_holds_every_cell():
    table = read("a,b,c,d,e,f,g\n1,1000,1.5,true,2024-01-02,x,100000\n-5,2,2,false,2024-01-03,y,-1\n")
    assert table.frame.dtypes == [pl.Int8, pl.Int16, pl.Float64, pl.Boolean, pl.Date, pl.Enum(["x", "y"]), pl.Int32]


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [((127, -128), pl.Int8), ((128, 0), pl.Int16), ((0, -129), pl.Int16), ((2**31, 0), pl.Int64)],
)
def test_the_ends_of_each_whole_type_are_kept(cells, dtype):
    column = read(f"a,b\n{cells[0]},1\n{cells[1]},2\n").frame["a"]
    assert column.dtype == dtype
    assert tuple(column) == cells


def test_booleans_written_in_several_ways_stay_text():
    assert read("a,b\ntrue,1\nFalse,2\n").frame["a"].to_list() == ["true", "False"]


def test_a_boolean_target_stays_as_written():
    assert read("a,label\n1,True\n2,False\n").frame["label"].to_list() == ["True", "False"]


def test_group_and_time_columns_are_never_reinterpreted():
    cells = [*map(str, range(30)), "NA"]
    text = "patient,x\n" + "".join(f"{cell},{i}\n" for i, cell in enumerate(cells))
    assert read(text, group="patient").frame["patient"].to_list() == cells
    assert read(text).frame["patient"].to_list() == [*range(30), None]


def test_cells_named_as_missing_are_missing_like_empty_ones():
    table = read("a,b\nx,1\n-999,2\n,3\ny,-999\n", missing=("-999",))
    assert table.frame.rows() == [("x", 1), (None, 2), (None, 3), ("y", None)]


def test_spaces_around_numbers_are_ignored_with_a_note():
    table = read("a, b\n1, 2.5\n3, 4.5\n")
    assert table.frame.columns == ["a", " b"]
    assert table.frame[" b"].to_list() == [2.5, 4.5]
    assert any("spaces around numbers" in note for note in table.notes)


def test_ignored_columns_are_gone_with_a_note():
    table = read("a,b,c\n1,2,3\n", ignore=("b",))
    assert table.frame.columns == ["a", "c"]
    assert any("data.ignore: b" in note for note in table.notes)
    with pytest.raises(UsageError, match="did you mean 'colour'"):
        read("colour,b\n1,2\n", ignore=("color",))


def test_a_column_typed_late_in_the_file_is_typed_for_all_of_it(monkeypatch):
    monkeypatch.setattr("gnomon.data.tables.text.BLOCK_BYTES", 128)
    cells = [*map(str, range(500)), "x", *map(str, range(100))]
    table = read("a,b\n" + "".join(f"{cell},1.5\n" for cell in cells))
    assert table.frame["a"].to_list() == cells
    assert table.lines.tolist() == [*range(2, 603)]


def test_many_different_texts_are_held_as_strings(monkeypatch):
    monkeypatch.setattr("gnomon.data.tables.kinds.MAX_CATEGORIES", 3)
    table = read("a,b\n" + "".join(f"t{i},{'xyz'[i % 3]}\n" for i in range(9)))
    assert table.frame.dtypes == [pl.String, pl.Enum(["x", "y", "z"])]


def test_every_row_of_a_long_file_is_read(tmp_path):
    frame = make_mixed_table(3000, seed=1)
    frame.write_csv(tmp_path / "a.csv")
    table = read_table(tmp_path / "a.csv", DataSettings())
    assert table.notes == ()
    columns = [pl.col("garden"), pl.col("area"), pl.col("price"), pl.col("rooms").cast(pl.Int64), pl.col("built")]
    assert table.frame.select(columns).equals(frame.select(columns))
    assert table.frame["city"].cast(pl.String).to_list() == frame["city"].to_list()


def test_parquet_and_csv_of_the_same_data_are_the_same_table(tmp_path):
    frame = make_mixed_table(200, seed=2)
    frame.write_csv(tmp_path / "a.csv")
    frame.write_parquet(tmp_path / "a.parquet")
    text, typed = (read_table(tmp_path / name, DataSettings()) for name in ("a.csv", "a.parquet"))
    assert text.frame.dtypes == typed.frame.dtypes
    assert text.frame.equals(typed.frame)
    assert (text.unit, typed.unit) == ("line", "row")
    assert typed.lines.tolist() == [*range(1, 201)]


def test_peeking_reads_the_beginning_only(monkeypatch, tmp_path):
    monkeypatch.setattr("gnomon.data.tables.text.SAMPLE_BYTES", 1000)
    body = "".join(f"{i},x\n" for i in range(5000))
    (tmp_path / "a.csv").write_text("a,b\n" + body + "1,2,3\n")
    table = peek_table(tmp_path / "a.csv", DataSettings())
    assert 50 < len(table) < 1000
    assert table.frame["a"][10] == 10


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n")
    from gnomon.data.tables import text

    real = text.decide

    def decide(*args):
        with path.open("a") as file:
            file.write("3,4\n")
        return real(*args)

    monkeypatch.setattr(text, "decide", decide)
    with pytest.raises(DataError, match="changed while it was being read"):
        read_table(path, DataSettings())


# --- demanded kinds ---------------------------------------------------------------------------------------------------
def test_a_required_text_stays_as_written():
    assert read("zip,x\n12345,1\n", kinds={"zip": Kind("text")}).frame["zip"].to_list() == ["12345"]


def test_a_required_number_may_be_missing_only_by_a_usual_word():
    assert read("n,x\nNA,1\n2,3\n", kinds={"n": Kind("number")}).frame["n"].to_list() == [None, 2]
    with pytest.raises(DataError, match="column 'n' holds numbers, but line 3 holds 'tall'"):
        read("n,x\n2,1\ntall,3\n", kinds={"n": Kind("number")})


def test_a_required_date_is_read_in_the_format_of_training():
    kinds = {"d": Kind("date", "%d/%m/%Y")}
    assert read("d,x\n01/02/2024,1\n", kinds=kinds).frame["d"].to_list() == [datetime.date(2024, 2, 1)]
    with pytest.raises(DataError, match="but line 2 holds '2024-13-01'"):
        read("d,x\n2024-13-01,1\n", kinds=kinds)


def test_a_required_boolean_may_be_written_in_any_one_way():
    assert read("t,x\nTRUE,1\n", kinds={"t": Kind("boolean")}).frame["t"].to_list() == [True]
    with pytest.raises(DataError, match="but line 3 holds 'perhaps'"):
        read("t,x\ntrue,1\nperhaps,2\n", kinds={"t": Kind("boolean")})


def test_a_missing_required_column_is_named():
    with pytest.raises(DataError, match="has no column 'age', which"):
        read("aged,x\n1,2\n", kinds={"age": Kind("number")})


def test_a_required_column_without_any_value_is_all_missing():
    for kind in (Kind("number"), Kind("date", "%Y-%m-%d"), Kind("boolean"), Kind("text")):
        assert read("n,x\n,1\n,2\n", kinds={"n": kind}).frame["n"].null_count() == 2


# --- frames -----------------------------------------------------------------------------------------------------------
def test_frames_of_three_libraries_are_the_same_table():
    data = {"n": [1.5, None, 3.0], "t": ["x", "y", "x"], "b": [True, False, True]}
    tables = [table_from_frame(make(data), DataSettings()) for make in (pl.DataFrame, pd.DataFrame, pa.table)]
    for table in tables:
        assert table.frame.rows() == [(1.5, "x", True), (None, "y", False), (3.0, "x", True)]
        assert table.frame.dtypes == [pl.Float64, pl.Enum(["x", "y"]), pl.Boolean]


def test_an_informative_pandas_index_is_not_dropped_silently():
    named = pd.DataFrame({"a": [1, 2]}, index=["u", "v"])
    assert any("index is not used" in note for note in table_from_frame(named, DataSettings()).notes)
    assert table_from_frame(pd.DataFrame({"a": [1, 2]}), DataSettings()).notes == ()


def test_a_pandas_column_of_mixed_types_is_refused():
    with pytest.raises(DataError, match="mixes types"):
        table_from_frame(pd.DataFrame({"a": [1, "x"]}), DataSettings())


def test_duplicate_pandas_columns_are_refused_by_name():
    with pytest.raises(DataError, match="two columns are called 'a'"):
        table_from_frame(pd.DataFrame([[1, 2]], columns=["a", "a"]), DataSettings())


def test_text_of_a_frame_stays_text_and_nan_is_missing():
    frame = pl.DataFrame({"code": ["1", "2", "3"], "n": [1.0, float("nan"), float("inf")]})
    table = table_from_frame(frame, DataSettings())
    assert table.frame["code"].to_list() == ["1", "2", "3"]
    assert table.frame["n"].to_list() == [1.0, None, None]
    assert any("code contains numbers, but its type is text" in note for note in table.notes)
    assert any("1 NaN cell" in note for note in table.notes)


@pytest.mark.parametrize("values", [[[1], [2]], [{"a": 1}, {"a": 2}], [b"x", b"y"]])
def test_columns_of_lists_records_or_bytes_are_refused_by_name(values):
    with pytest.raises(DataError, match="column 'odd' has the type"):
        table_from_frame(pl.DataFrame({"odd": values}), DataSettings())
    assert len(table_from_frame(pl.DataFrame({"odd": values, "a": [1, 2]}), DataSettings(ignore=("odd",)))) == 2


def test_a_frame_is_converted_to_required_kinds():
    frame = pl.DataFrame({"zip": [12345, 678], "n": ["1.5", "NA"], "d": ["2024-01-02", "2024-01-03"]})
    kinds = {"zip": Kind("text"), "n": Kind("number"), "d": Kind("date", "%Y-%m-%d")}
    table = table_from_frame(frame, DataSettings(), kinds=kinds)
    assert table.frame.rows()[0] == ("12345", 1.5, datetime.date(2024, 1, 2))
    with pytest.raises(DataError, match="but row 2 holds 'tall'"):
        table_from_frame(pl.DataFrame({"n": ["1", "tall"]}), DataSettings(), kinds={"n": Kind("number")})
    with pytest.raises(DataError, match="column 'd' holds numbers; the model was trained on dates"):
        table_from_frame(pl.DataFrame({"d": [1]}), DataSettings(), kinds={"d": Kind("date")})


def test_the_mixed_table_follows_its_rule():
    frame = make_mixed_table(4000, seed=0)
    known = frame.drop_nulls(["area", "city"])
    extra = known["city"].replace_strict({"Aarhus": 0.0, "Bergen": 40.0, "Cork": -30.0, "Delft": 15.0})
    days = (known["built"] - datetime.date(1950, 1, 1)).dt.total_days()
    expected = 2 * known["area"] + 12 * known["rooms"] + 20 * known["garden"].cast(int) + extra + 3 * days / 3652.5
    noise = (known["price"] - expected).to_numpy()
    assert abs(noise.mean()) < 0.5
    assert np.std(noise) == pytest.approx(8, abs=0.4)
    assert 0.05 < frame["area"].null_count() / 4000 < 0.11


# --- the index of pandas ----------------------------------------------------------------------------------------------
def filtered(**index) -> pd.DataFrame:
    frame = pd.DataFrame({"a": [1.5, 2.5, 3.5, 4.5], "label": ["x", "y", "x", "y"]})
    return frame.set_index(pd.Index([3, 5, 8, 9], **index))


def test_the_index_that_pandas_stores_in_parquet_is_not_an_input(tmp_path):
    filtered().to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet", DataSettings())
    assert table.frame.columns == ["a", "label"]
    assert any("its index (__index_level_0__) is not used" in note for note in table.notes)
    filtered().reset_index(drop=True).to_parquet(tmp_path / "plain.parquet")
    assert read_table(tmp_path / "plain.parquet", DataSettings()).notes == ()


def test_a_named_index_is_used_where_it_is_asked_for(tmp_path):
    filtered(name="patient").to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet", DataSettings()).frame.columns == ["a", "label"]
    for settings in (DataSettings(group="patient"), DataSettings(time="patient"), DataSettings(target="patient")):
        assert read_table(tmp_path / "t.parquet", settings).frame["patient"].to_list() == [3, 5, 8, 9]
    demanded = {"patient": Kind("number")}
    assert "patient" in read_table(tmp_path / "t.parquet", DataSettings(), kinds=demanded).frame.columns


def test_an_index_whose_metadata_are_lost_is_known_by_its_name(tmp_path):
    pl.DataFrame({"__index_level_0__": [3, 5], "a": [1, 2]}).write_parquet(tmp_path / "u.parquet")
    table = read_table(tmp_path / "u.parquet", DataSettings())
    assert table.frame.columns == ["a"]
    assert any("__index_level_0__ is a data frame's index" in note for note in table.notes)


@pytest.mark.parametrize("name", ["t*.parquet", "t[1].parquet", "t?.parquet"])
def test_a_parquet_file_with_wildcards_in_its_name_is_itself(tmp_path, name):
    pl.DataFrame({"a": [1, 2], "b": [3, 4]}).write_parquet(tmp_path / name)
    pl.DataFrame({"c": [5, 6]}).write_parquet(tmp_path / "t1.parquet")
    assert read_table(tmp_path / name, DataSettings()).frame.columns == ["a", "b"]
    pl.DataFrame({"a": [1, 2], "b": [3, 4]}).write_csv(tmp_path / name.replace("parquet", "csv"))
    assert read_table(tmp_path / name.replace("parquet", "csv"), DataSettings()).frame.columns == ["a", "b"]
