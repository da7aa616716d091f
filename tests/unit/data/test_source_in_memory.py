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


def test_channels_first_pictures_are_turned_and_said():
    source = open_source((torch.zeros(4, 3, 8, 9), Y))
    assert source.arrays.inputs.shape == (4, 8, 9, 3)
    assert "taken for (N, C, H, W)" in source.notes[0]
    assert open_source(np.zeros((4, 8, 9, 3))).notes == ()


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
    with pytest.raises(UsageError, match="target as a column"):
        open_source((pd.DataFrame({"a": ["x"] * 4}), Y))


def test_a_torch_data_set_is_read_item_by_item():
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


def test_a_data_set_of_pillow_pictures_keeps_its_class_names():
    arrays = open_source(Pictures([6, 6, 6])).arrays
    assert arrays.inputs.shape == (3, 5, 6, 3)
    assert arrays.class_names == ("cat", "dog")
    np.testing.assert_array_equal(arrays.inputs[:, 0, 0, 0], [0, 1, 2])


def test_items_of_different_shapes_are_named():
    with pytest.raises(DataError, match="item 2 is 5x7x3"):
        open_source(Pictures([6, 6, 7]))


@pytest.mark.parametrize("thing", [None, 3, {"a": 1}, {1, 2}, object(), [], (X, Y, Y), iter([1]), [1, 2, 3]])
def test_things_that_are_no_source_are_refused_with_what_is_accepted(thing):
    with pytest.raises(UsageError, match="a polars or pandas frame"):
        open_source(thing)


@pytest.mark.parametrize(("thing", "what"), [
    ((X, Y[:3]), "4 inputs but 3 targets"), (np.zeros((0, 3)), "empty"), (np.zeros(5), "one dim"),
    (np.array([["a", "b"]]), "not numbers"), (Pictures([]), "empty"),
])  # fmt: skip
def test_arrays_that_cannot_be_used_are_named(thing, what):
    with pytest.raises(DataError, match=what):
        open_source(thing)
