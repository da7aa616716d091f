"""Where evidence lies, in numbers and words: counted on paper."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.strategy.evidence import Hidden, areas_text, hidden_text, whereabouts, whereabouts_text


def on(rows, columns, side=8):
    picture = np.zeros((side, side))
    picture[rows, columns] = 1
    return picture


def test_evidence_in_the_middle_square_is_all_in_the_middle():
    found = whereabouts(on(slice(2, 6), slice(2, 6)))  # of 8x8, the 4x4 in the middle
    assert (found.in_middle, found.middle_area) == (1.0, 0.25)
    assert (found.at_border, found.border_area) == (0.0, 28 / 64)
    assert found.half_on == 8 / 64  # half of sixteen equal pixels
    assert found.most_at == "middle"


def test_evidence_in_one_corner_is_at_the_border():
    found = whereabouts(on(slice(0, 2), slice(6, 8)))
    assert found.in_middle == 0
    assert found.at_border == 3 / 4  # the pixel (1, 6) is one away from both edges
    assert found.most_at == "top right"


def test_even_evidence_has_the_shares_of_the_areas():
    found = whereabouts(np.ones((32, 48)))
    assert found.in_middle == pytest.approx(found.middle_area)
    assert found.at_border == pytest.approx(found.border_area)
    assert areas_text(32, 48) == "spread evenly: 25 % in the middle, 44 % at the border"


def test_what_speaks_against_a_class_is_no_evidence_for_it():
    picture = on(slice(3, 4), slice(3, 4))
    assert whereabouts(picture - 5 * on(0, 0)) == whereabouts(picture)
    assert whereabouts(-picture) is None
    assert whereabouts(np.full((4, 4), np.nan)) is None
    assert whereabouts_text(None) == "nothing speaks for it"


def test_a_picture_of_one_pixel_has_all_evidence_in_the_middle():
    assert whereabouts(np.ones((1, 1))).in_middle == 1


@pytest.mark.parametrize(
    ("top", "left", "place"),
    [(0, 0, "at the top left"), (12, 12, "in the middle"), (12, 24, "at the right"), (24, 12, "at the bottom")],
)
def test_a_hidden_square_is_named_by_the_ninth_its_centre_is_in(top, left, place):
    text = hidden_text(Hidden(top, left, top + 8, left + 6, 0.604), 32, 32)
    assert text == f"hiding 6x8 pixels {place} leaves 60.4 %"
    assert hidden_text(None, 32, 32) == "hiding any one part leaves it as it is, or raises it"
