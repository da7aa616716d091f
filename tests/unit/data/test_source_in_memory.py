"""Arrays, tensors, frames and data sets handed over from Python."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from PIL import Image

from gnomon.core.errors import DataError, UsageError
from gnomon.core.settings import DataSettings
from gnomon.data.images import read_labelled
from gnomon.data.opening import open_source

X = np.arange(12.0).reshape(4, 3)
Y = np.array([0, 1, 0, 1])


@pytest.mark.parametrize(("inputs", "targets"), [
    (X, Y), (torch.tensor(X), torch.tensor(Y)), (torch.tensor(X, requires_grad=True), Y), (X, pd.Series(Y)),
    (X, pl.Series(Y)),
])  # fmt: skip
def test_inputs_with_targets(inputs, targets):
    arrays = open_source((inputs, targets)).arrays
    np.testing.assert_array_equal(arrays.inputs, X)
    np.testing.assert_array_equal(arrays.targets, Y)


def test_inputs_alone_have_no_targets():
    assert open_source(X).arrays.targets is None
    assert open_source(torch.tensor(X)).arrays.targets is None


def test_half_precision_tensors_are_read():
    np.testing.assert_array_equal(open_source(torch.tensor(X, dtype=torch.bfloat16)).arrays.inputs, X)


def test_channels_first_pictures_are_transposed_with_a_note():
    reading = read_labelled(open_source((torch.zeros(4, 3, 8, 9), Y)), DataSettings())
    assert reading.splits["all"][0].inputs.shape == (8, 9, 3)
    assert "interpreted as (N, C, H, W)" in reading.notes[0]
    notes = read_labelled(open_source((np.zeros((4, 8, 9, 3)), Y)), DataSettings()).notes
    assert not any("interpreted as" in note for note in notes)


def test_frames_come_as_polars_without_their_index():
    plain = {"a": [1, 2], "b": ["x", None]}
    pandas_frame = pd.DataFrame(plain, index=[7, 3])
    for frame in (pl.DataFrame(plain), pl.LazyFrame(plain), pandas_frame, pa.table(plain)):
        taken = open_source(frame).frame
        assert taken.columns == ["a", "b"]
        assert taken.rows() == [(1, "x"), (2, None)]


def test_a_frame_of_numbers_with_a_series_of_targets_keeps_its_names():
    arrays = open_source((pd.DataFrame(X, columns=list("abc")), pd.Series(Y, name="kind"))).arrays
    assert (arrays.feature_names, arrays.target_names) == (("a", "b", "c"), ("kind",))
    np.testing.assert_array_equal(arrays.inputs, X)
    beside = open_source((pd.DataFrame({"a": ["x", "y", "x", "y"]}), pd.Series(Y, name="kind")))
    assert beside.targets == ("kind",)
    assert beside.frame.columns == ["a", "kind"]


def test_a_torch_dataset_is_read_item_by_item():
    dataset = torch.utils.data.TensorDataset(torch.arange(12.0).reshape(4, 3), torch.tensor(Y))
    arrays = open_source(dataset).arrays
    np.testing.assert_array_equal(arrays.inputs, X)
    np.testing.assert_array_equal(arrays.targets, Y)


class Pictures(torch.utils.data.Dataset):
    classes = ("cat", "dog")

    def __init__(self, sizes):
        self.sizes = sizes

    def __len__(self):
        return len(self.sizes)

    def __getitem__(self, i):
        return Image.new("RGB", (self.sizes[i], 5), (i, 0, 0)), i % 2


def test_a_dataset_of_pillow_pictures_keeps_its_class_names():
    arrays = open_source(Pictures([6, 6, 6])).arrays
    assert arrays.inputs.shape == (3, 5, 6, 3)
    assert arrays.class_names == ("cat", "dog")
    np.testing.assert_array_equal(arrays.inputs[:, 0, 0, 0], [0, 1, 2])


def test_items_of_different_shapes_are_named():
    with pytest.raises(DataError, match="item 2 is 5x7x3"):
        open_source(Pictures([6, 6, 7]))


@pytest.mark.parametrize("thing", [None, 3, {"a": 1}, {1, 2}, object(), [], (X, Y, Y), iter([1]), [1, 2, 3]])
def test_things_that_are_not_a_source_are_refused_with_what_is_accepted(thing):
    with pytest.raises(UsageError, match="a polars or pandas frame"):
        open_source(thing)


@pytest.mark.parametrize(("thing", "what"), [
    ((X, Y[:3]), "4 inputs but 3 targets"), (np.zeros((0, 3)), "empty"), (np.zeros(5), "one-dimensional inputs"),
    (np.array([["a", "b"]]), "not numbers"), (Pictures([]), "empty"),
])  # fmt: skip
def test_arrays_that_cannot_be_used_are_named(thing, what):
    with pytest.raises(DataError, match=what):
        open_source(thing)


# --- masks, types, targets ------------------------------------------------------------------------------------------
def test_masked_values_are_missing_with_a_note():
    mask = np.zeros(X.shape, bool)
    mask[1, 0] = mask[3, 2] = True
    source = open_source((np.ma.masked_array(np.where(mask, -9999.0, X), mask=mask), Y))
    np.testing.assert_array_equal(source.arrays.inputs, np.where(mask, np.nan, X))
    assert "masked values count as missing: 2 of 12" in source.notes
    whole = np.ma.masked_array(X.astype(int), mask=mask)
    np.testing.assert_array_equal(open_source(whole).arrays.inputs, np.where(mask, np.nan, X))
    nothing = np.ma.masked_array(X.astype(int), mask=False)
    assert open_source(nothing).arrays.inputs.dtype == int


def test_masked_targets_are_missing():
    arrays = open_source((X, np.ma.masked_array([1.5, -9999, 2, 3], mask=[0, 1, 0, 0]))).arrays
    np.testing.assert_array_equal(arrays.targets, [1.5, np.nan, 2, 3])
    words = np.ma.masked_array(["a", "b", "c", "d"], mask=[0, 0, 1, 0])
    assert open_source((X, words)).arrays.targets.tolist() == ["a", "b", None, "d"]


def test_masked_pictures_are_refused():
    with pytest.raises(DataError, match="1 pixel of the pictures are masked"):
        open_source((np.ma.masked_equal(np.arange(32).reshape(2, 4, 4), 7), [0, 1]))


class Items(torch.utils.data.Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_the_type_of_the_first_item_does_not_bind_the_others(make):
    rows = [[1, 0, 1], [0.25, 0.5, 0.75], [2, 2, 2.5]]
    source = open_source(Items([(make(row), i) for i, row in enumerate(rows)]))
    np.testing.assert_array_equal(source.arrays.inputs, rows)
    assert "items have several types" in source.notes[0]


def test_pictures_of_bytes_among_pictures_of_floats_are_refused():
    pictures = [np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.float32)]
    with pytest.raises(DataError, match=r"bytes and floating-point numbers among them: uint8 \(item 0\) and float32"):
        open_source(Items([(picture, 0) for picture in pictures]))


@pytest.mark.parametrize(("items", "what"), [
    ([{"x": 1}], "item 0 is a dict"), ([(X[0], 0, "a.png")], "item 0 is a tuple of 3"),
    ([(X[0], 0), (X[1], np.array([0, 1]))], "the targets have several shapes"),
    ([(X[0], 0), (X[1], "a")], r"several types: '0' \(int\) for example 0, 'a' \(str\) for example 1"),
    ([(np.array(["a"]), 0)], "item 0 is 1 of type <U1"),
])  # fmt: skip
def test_odd_items_are_named(items, what):
    with pytest.raises(DataError, match=what):
        open_source(Items(items))


def test_targets_of_items_may_be_one_hot():
    arrays = open_source(Items([(X[i], torch.eye(2)[i % 2]) for i in range(4)])).arrays
    np.testing.assert_array_equal(arrays.targets, np.eye(2)[[0, 1, 0, 1]])


def test_a_dataset_without_a_length_is_refused():
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            yield X[0], 0

    with pytest.raises(UsageError, match=r"cannot read a|has no length"):
        open_source(Stream())


@pytest.mark.parametrize(("targets", "expected"), [
    (pd.Series([1, None, 2, 3], dtype="Int64"), [1, np.nan, 2, 3]),
    (pd.Series([1, 2, 3, 4], dtype="Int64"), [1, 2, 3, 4]),
    (pd.Series(["a", None, "b", "a"]), ["a", None, "b", "a"]),
    (pd.Series(["u", "v", "u", "v"], dtype="category"), ["u", "v", "u", "v"]),
    (pd.Series([True, None, False, True], dtype="boolean"), [True, None, False, True]),
    (pl.Series([1, None, 2, 3]), [1, np.nan, 2, 3]),
    (pl.Series([1, 2, 3, 4], dtype=pl.Int128), [1, 2, 3, 4]),
    (pl.Series([2**70, 2, 3, 4], dtype=pl.Int128), [str(2**70), "2", "3", "4"]),
    (pl.Series(["a", "b", "a", "b"], dtype=pl.Categorical), ["a", "b", "a", "b"]),
    (pl.Series([1.5, None, 2.0, 3.0]), [1.5, np.nan, 2.0, 3.0]),
    (np.array([1, 2.5, None, 3], object), [1, 2.5, np.nan, 3]),
    (np.array([True, False, True, False], object), [True, False, True, False]),
    (np.array([2**64, 1, 2, 3], object), [str(2**64), "1", "2", "3"]),
    ([0, 1, 0, 1], [0, 1, 0, 1]),
    (["a", "b", "a", "b"], ["a", "b", "a", "b"]),
    (np.array([1, 2, 3, 4], ">i4"), [1, 2, 3, 4]),
])  # fmt: skip
def test_targets_of_every_kind_become_plain_ones(targets, expected):
    found = open_source((X, targets)).arrays.targets
    assert found.dtype.isnative
    assert [None if one is None else one for one in found.tolist()] == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(("targets", "what"), [
    (np.array([1, "a", 2, 3], object), r"several types: '1' \(int\) for example 0, 'a' \(str\) for example 1"),
    (np.array([True, 2, 3, 4], object), "several types: 'True'"),
    (np.array([1 + 2j] * 4), "type complex128 are neither classes nor numbers"),
    (np.array(["2020"] * 4, "M8[D]"), "neither classes nor numbers"),
    (np.array(5), "shape a single value"), (np.zeros((4, 2, 2)), "shape 4x2x2"),
    (np.array([None] * 4, object), "all targets are missing"), ([[1], [2, 3], [4], [5]], "is not an array"),
    (np.array([{}, {}, {}, {}], object), "a type that cannot be a class"),
])  # fmt: skip
def test_things_that_are_not_targets_are_refused_with_an_example(targets, what):
    with pytest.raises(DataError, match=what):
        open_source((X, targets))


@pytest.mark.parametrize("inputs", [
    X.astype(">f8"), X.astype(np.longdouble), X[::-1][::-1], np.asfortranarray(X), X.tolist(),
    torch.tensor(X).to_sparse(),
])  # fmt: skip
def test_arrays_with_unusual_memory_layout_are_read(inputs):
    found = open_source((inputs, Y)).arrays.inputs
    np.testing.assert_array_equal(found, X)
    assert found.dtype.isnative
    assert found.dtype == np.float64


def test_indexes_that_differ_are_reported():
    frame = pd.DataFrame(X, index=[3, 2, 1, 0])
    assert any("paired by position" in note for note in open_source((frame, pd.Series(Y))).notes)
    paired = open_source((frame, pd.Series(Y, index=[3, 2, 1, 0])))
    assert not any("paired by position" in note for note in paired.notes)


def test_the_index_inside_an_arrow_table_is_left_out_with_a_note():
    table = pa.Table.from_pandas(pd.DataFrame({"a": [1, 2]}, index=[5, 9]))
    assert "__index_level_0__" in table.column_names
    source = open_source(table)
    assert source.frame.columns == ["a"]
    assert "its index (__index_level_0__) is not used" in source.notes[0]
