"""Polygons, run lengths and pixels are the same thing said three ways."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from gnomon.data.annotations.model import Polygons, Runs
from gnomon.data.annotations.outlines import box_of, mask_of, packed, polygons_of, runs_of, unpacked

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9))


@given(MASKS)
@settings(deadline=None)
def test_pixels_to_outlines_and_back_are_the_same_pixels(mask: np.ndarray) -> None:
    assert (mask_of(polygons_of(mask), *mask.shape) == mask).all()


@given(MASKS)
@settings(deadline=None)
def test_pixels_to_run_lengths_and_back_are_the_same_pixels(mask: np.ndarray) -> None:
    runs = runs_of(mask)
    assert runs.counts.sum() == mask.size
    assert (mask_of(runs, *mask.shape) == mask).all()


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=30))
def test_packed_run_lengths_come_back(counts: list[int]) -> None:
    found = unpacked(packed(np.array(counts)))
    assert found is not None
    assert found.tolist() == counts


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        # worked out on paper from the format: five bits a character from "0", 32 says that more follow
        ([0], "0"), ([15], "?"), ([16], "`0"), ([31], "o0"), ([32], "P1"), ([3, 4, 5], "345"),
        ([3, 4, 5, 4], "3450"), ([3, 4, 5, 3], "345O"),
    ],
)  # fmt: skip
def test_run_lengths_are_packed_as_the_format_says(counts: list[int], text: str) -> None:
    assert packed(np.array(counts)) == text


@pytest.mark.parametrize("text", ["", "\x00", "é", "P", "p" * 100, "O"])
def test_text_that_packs_no_run_lengths_is_refused(text: str) -> None:
    assert unpacked(text) is None


def test_a_ring_has_one_part_with_one_hole_and_an_island_inside_is_another_part() -> None:
    mask = np.ones((7, 7), bool)
    mask[1:6, 1:6] = False
    mask[3, 3] = True
    found = polygons_of(mask)
    assert [len(holes) for holes in found.holes] == [1, 0]
    assert sorted(len(part) for part in found.parts) == [4, 4]  # squares: no points on straight stretches


def test_a_pixel_is_inside_if_its_centre_is() -> None:
    triangle = Polygons((np.array([[0.0, 0], [4, 0], [0, 4]]),))
    # centres (c + .5, r + .5) with c + r + 1 < 4: rows of 3, 2, 1 and 0
    assert mask_of(triangle, 4, 4).sum(1).tolist() == [3, 2, 1, 0]


def test_what_reaches_out_of_the_picture_is_cut() -> None:
    assert mask_of(Polygons((np.array([[-5.0, -5], [2, -5], [2, 2], [-5, 2]]),)), 4, 4).sum() == 4


def test_the_box_around_run_lengths_is_that_of_their_pixels() -> None:
    assert box_of(Runs(3, 4, np.array([4, 2, 6]))) == (1, 1, 2, 3)  # column 1, rows 1 and 2
