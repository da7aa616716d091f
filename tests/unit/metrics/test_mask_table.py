"""Masks in a cell of a table: what is written is read back, and what is no mask is refused."""

from __future__ import annotations

import itertools
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from gnomon.core.errors import DataError
from gnomon.metrics import box_table, mask_table


@given(arrays(np.int64, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(-1, 3)))
def test_a_mask_is_read_back_as_it_was(classes):
    text = mask_table.encode(classes)
    np.testing.assert_array_equal(mask_table.decode(text), classes)
    runs = json.loads(text)["runs"]
    assert all(one[0] != other[0] for one, other in itertools.pairwise(runs))  # as long as they can be


@pytest.mark.parametrize("text", ["", "[]", '{"size":[2,2],"runs":[[0,3]]}', '{"size":[2,2],"runs":[[0,5],[1,-1]]}'])
def test_what_is_no_mask_is_refused_by_the_name_of_its_picture(text):
    with pytest.raises(DataError, match=r"picture a\.png"):
        mask_table.decode(text, "a.png")


def test_tables_of_masks_boxes_and_classes_are_told_apart():
    empty = mask_table.encode(np.zeros((2, 2)))
    masks = pl.DataFrame({"target": [empty], "prediction": [empty]})
    boxes = pl.DataFrame({"target": ["[]"], "prediction": ['[[0,0,1,1,"a",0.5]]'], "width": [9.0], "height": [9.0]})
    classes = pl.DataFrame({"target": ["[a]"], "prediction": ["b"], "width": [9.0], "height": [9.0]})
    tables = (masks, boxes, classes)
    assert [mask_table.is_masks(one) for one in tables] == [True, False, False]
    assert [box_table.is_boxes(one) for one in tables] == [False, True, False]
