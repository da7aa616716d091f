"""Rows as examples: ids that are lines, strata, fingerprints, joining, folders that divide themselves."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.opening import open_source
from gnomon.data.tables import (
    TableExamples,
    make_mixed_table,
    plan_targets,
    read_split_tables,
    read_table,
    split_files,
    table_from_frame,
)


def examples_of(frame: pl.DataFrame, **settings) -> TableExamples:
    options = DataSettings(**settings)
    table = table_from_frame(frame, options)
    return TableExamples.planned(table, plan_targets(table, options))


@pytest.fixture
def mixed() -> TableExamples:
    return examples_of(make_mixed_table(200, seed=0), target=("level",))


def test_an_example_has_the_values_of_its_row():
    content = b"size,colour,label\n1.5,red,a\n2.5,,b\n\n3,blue,a\n4,red,b\n"
    table = read_table("data.csv", DataSettings(), content=content)
    examples = TableExamples.planned(table, plan_targets(table, DataSettings()))
    assert len(examples) == 4
    assert examples[2].id == "5"  # the line of the file
    assert examples[2].inputs == {"size": 3.0, "colour": "blue"}
    assert examples[1].inputs["colour"] is None
    assert [examples[i].target for i in range(4)] == ["a", "b", "a", "b"]
    assert examples[-1].id == "6"
    with pytest.raises(IndexError):
        examples[4]


def test_the_index_has_lines_classes_groups_and_times():
    frame = pl.DataFrame({"x": [5, 3, 4, 8], "g": ["p", "q", "p", None], "t": [4, 3, 2, 1], "y": ["a", "b", "a", "b"]})
    index = examples_of(frame, group="g", time="t").index
    assert index.columns == ["id", "label", "stratum", "group", "time"]
    assert index["id"].dtype == pl.UInt32
    assert index.rows() == [(1, "a", "a", "p", 4), (2, "b", "b", "q", 3), (3, "a", "a", "p", 2), (4, "b", "b", None, 1)]


def test_the_stratum_of_a_number_is_its_tenth():
    rng = np.random.default_rng(0)
    stratum = examples_of(pl.DataFrame({"x": rng.normal(size=500), "y": rng.exponential(size=500)})).index["stratum"]
    assert np.bincount(stratum.to_numpy()).tolist() == [50] * 10


def test_several_targets_have_no_stratum_and_keep_missing_values():
    examples = examples_of(make_mixed_table(100, seed=0), target=("level", "sold", "price"))
    assert examples.index["stratum"].null_count() == 100
    assert examples.targets().dtypes == [pl.Enum(["high", "low", "middle"]), pl.Enum(["false", "true"]), pl.Float64]
    assert examples.targets()["sold"].null_count() > 0
    assert set(examples[0].target) == {"level", "sold", "price"}


def test_taking_copies_positions_only(mixed):
    part = mixed.take(np.array([5, 3, 100]))
    assert part.table is mixed.table
    assert part.index["id"].to_list() == [6, 4, 101]
    assert part.frame().equals(mixed.frame()[[5, 3, 100]])
    assert part.get_column("area").equals(mixed.get_column("area").gather([5, 3, 100]))
    assert len(mixed.take(np.array([], dtype=np.int64)).frame()) == 0
    assert mixed.thumbnails() is None


def test_fingerprints_are_equal_exactly_for_equal_inputs():
    frame = pl.DataFrame(
        {"a": [1, 2, 1, 1, None, None], "b": ["u", "u", "u", "v", "u", "u"], "c": [0.0, 1.5, -0.0, 0.0, 2.0, 3.0]}
    ).with_columns(y=pl.Series(["p", "q", "q", "p", "p", "q"]))
    prints = examples_of(frame).fingerprints()
    assert prints.dtype == np.uint64
    assert prints[0] == prints[2]
    assert len(set(prints.tolist())) == 5


def test_swapped_values_have_another_fingerprint():
    frame = pl.DataFrame({"a": [1, 2, 5], "b": [2, 1, 5], "y": ["p", "q", "p"]})
    prints = examples_of(frame).fingerprints()
    assert prints[0] != prints[1]


def test_fingerprints_do_not_depend_on_the_type_that_holds_the_value():
    first = pl.DataFrame({"a": [1, 2, 3], "b": ["u", "v", "u"], "y": ["p", "q", "p"]})
    second = pl.DataFrame({"a": [3.0, 1.0, 700.0], "b": ["u", "u", "a"], "y": ["p", "q", "p"]})
    one, two = examples_of(first).fingerprints(), examples_of(second).fingerprints()
    assert one[0] == two[1]
    assert one[2] == two[0]


def test_rows_of_one_table_join_without_copying(mixed):
    first, second = mixed.take(np.arange(10)), mixed.take(np.arange(50, 60))
    both = first.join(second)
    assert both.table is mixed.table
    assert both.index["id"].to_list() == [*range(1, 11), *range(51, 61)]


def test_rows_of_two_tables_join_in_the_types_that_hold_both():
    first = examples_of(pl.DataFrame({"n": [1, 2, 3], "c": ["u", "v", "u"], "y": ["p", "q", "p"]}))
    second = examples_of(pl.DataFrame({"c": ["w", "u", "u"], "n": [1.5, 2, 4000], "y": ["q", "r", "q"]}))
    both = first.join(second.take(np.array([0, 2])))
    assert both.frame().rows() == [(1, "u"), (2, "v"), (3, "u"), (1.5, "w"), (4000, "u")]
    assert both.targets()["y"].to_list() == ["p", "q", "p", "q", "q"]
    assert both.index["stratum"].to_list() == ["p", "q", "p", "q", "q"]
    assert both.fingerprints()[0] == first.fingerprints()[0]
    assert both.index["id"].to_list()[2:] == ["the frame:3", "the frame (2):1", "the frame (2):3"]


def test_joined_rows_of_two_files_have_different_ids(tmp_path):
    parts = []
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("x,z,y\n1,4,p\n2,6,q\n5,5,p\n")
        table = read_table(tmp_path / name, DataSettings())
        parts.append(TableExamples.planned(table, plan_targets(table, DataSettings())))
    both = parts[0].join(parts[1])
    assert both.index["id"].to_list() == ["a.csv:2", "a.csv:3", "a.csv:4", "b.csv:2", "b.csv:3", "b.csv:4"]


def test_a_table_without_a_column_cannot_be_joined():
    first = examples_of(pl.DataFrame({"n": [1, 2, 4], "c": ["u", "v", "u"], "y": ["p", "q", "p"]}))
    second = examples_of(pl.DataFrame({"n": [1, 2, 4], "y": ["p", "q", "p"]}))
    with pytest.raises(DataError, match="has no column c"):
        first.join(second)


# --- folders ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def folder(tmp_path):
    def write(**files):
        for name, text in files.items():
            (tmp_path / f"{name}.csv").write_text(text)
        return open_source(tmp_path).tree

    return write


TRAIN = "x,c,label\n" + "".join(f"{i * 37 % 50},{'uvw'[i % 3]},{'ab'[i * 7 % 5 % 2]}\n" for i in range(40))


def test_a_folder_with_train_and_test_tables_is_split_already(folder):
    tree = folder(train=TRAIN, valid="x,c,label\n3.5,u,a\n4,new,b\n", test="label,c,x\nb,u,7\n", notes="a,b\n1,2\n")
    assert split_files(tree) == {"train": "train.csv", "dev": "valid.csv", "test": "test.csv"}
    reading, plan = read_split_tables(tree, DataSettings())
    assert {name: len(part) for name, part in reading.splits.items()} == {"train": 40, "dev": 2, "test": 1}
    assert plan.features == ("x", "c")
    assert reading.splits["dev"].index["id"].to_list() == ["valid.csv:2", "valid.csv:3"]
    assert reading.splits["test"].frame().rows() == [(7, "u")]


def test_an_archive_of_tables_is_read_like_a_folder(folder, tmp_path):
    import zipfile

    folder(train=TRAIN, test="x,c,label\n1,u,a\n")
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for name in ("train.csv", "test.csv"):
            archive.write(tmp_path / name, name)
    reading, _ = read_split_tables(open_source(tmp_path / "data.zip").tree, DataSettings())
    assert len(reading.splits["train"]) == 40
    assert "test.csv:2" in reading.splits["test"].index["id"].to_list()


def test_a_folder_without_a_train_table_or_with_nothing_else_is_not_split(folder):
    assert split_files(folder(train=TRAIN)) is None


def test_two_tables_for_one_split_are_refused(folder):
    with pytest.raises(DataError, match=r"val\.csv and valid\.csv"):
        split_files(folder(train=TRAIN, val=TRAIN, valid=TRAIN))


def test_tables_with_different_columns_are_refused_by_name(folder):
    with pytest.raises(DataError, match="it lacks c and adds d"):
        read_split_tables(folder(train=TRAIN, dev="x,d,label\n1,2,a\n"), DataSettings())
    with pytest.raises(DataError, match="it adds extra"):
        read_split_tables(folder(train=TRAIN, dev="x,c,extra,label\n1,u,2,a\n"), DataSettings())


def test_a_test_table_without_target_is_left_out_with_a_note(folder):
    tree = folder(train=TRAIN, dev="x,c,label\n3,u,a\n4,v,b\n", test="x,c\n1,u\n")
    reading, _ = read_split_tables(tree, DataSettings())
    assert set(reading.splits) == {"train", "dev"}
    assert any("test.csv has no column label: it can be predicted, not evaluated" in note for note in reading.notes)


def test_a_cell_that_does_not_fit_train_is_refused_with_file_and_line(folder):
    with pytest.raises(DataError, match=r"dev\.csv: column 'x' holds numbers, but line 3 holds 'tall'"):
        read_split_tables(folder(train=TRAIN, dev="x,c,label\n1,u,a\ntall,u,b\n"), DataSettings())


def test_a_class_that_train_never_showed_is_reported(folder):
    reading, plan = read_split_tables(folder(train=TRAIN, dev="x,c,label\n1,u,a\n2,u,z\n"), DataSettings())
    assert plan.targets[0].class_names == ("a", "b", "z")
    assert any("classes of dev that are not in train, so they cannot be learned: z" in note for note in reading.notes)


def test_a_numeric_looking_class_of_dev_keeps_the_writing_of_train(folder):
    train = "x,label\n" + "".join(f"{i * 37 % 50},{'1.0' if i * 7 % 5 % 2 else 'b'}\n" for i in range(40))
    reading, _ = read_split_tables(folder(train=train, dev="x,label\n1,1.0\n2,1.0\n"), DataSettings())
    assert reading.splits["dev"].targets()["label"].to_list() == ["1.0", "1.0"]
