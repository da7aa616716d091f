"""Marks in the pixels of a picture: boxes where they are, captions that stay inside, masks and points."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.core.parts import View
from gnomon.figures.marks import EDGE, PALETTE, READABLE, colour_of, marked

DARK = np.full((400, 600), 30, np.uint8)


def drawn(**marks):
    return marked(View(image=DARK, **marks))


def is_colour(pixels, colour):
    return (pixels == np.array(colour, np.uint8)).all(axis=-1)


def test_a_picture_without_marks_is_as_it_was():
    assert np.array_equal(drawn(), np.repeat(DARK[..., None], 3, axis=2))


def test_a_box_is_drawn_along_the_inside_of_its_edges_in_the_colour_of_its_class():
    pixels = drawn(boxes=np.array([[100, 50, 300, 250]]), labels=np.array([2]))
    line = is_colour(pixels, colour_of(2))
    down, across = np.nonzero(line)
    assert (across.min(), down.min(), across.max() + 1, down.max() + 1) == (100, 50, 300, 250)
    assert line[150, 100]
    assert line[50, 200]
    assert not line[150, 200]  # only the edge
    assert (is_colour(pixels, EDGE) | line | is_colour(pixels, (30, 30, 30))).all()


def test_classes_have_colours_of_their_own():
    pixels = drawn(boxes=np.array([[10, 10, 90, 90], [110, 10, 190, 90]]), labels=np.array([0, 1]))
    assert tuple(pixels[50, 10]) == PALETTE[0]
    assert tuple(pixels[50, 110]) == PALETTE[1]


@pytest.mark.parametrize("box", [[0, 0, 50, 50], [550, 350, 600, 400], [-40, -40, 700, 500], [595, 0, 600, 5]])
def test_captions_and_boxes_at_the_edges_stay_in_the_picture(box):
    pixels = drawn(boxes=np.array([box], float), captions=["a class with a very long name indeed 0.99"])
    assert pixels.shape == (400, 600, 3)
    assert is_colour(pixels, colour_of(0)).sum() > 1_000  # the ground of the caption


def test_a_small_picture_is_enlarged_until_captions_are_readable():
    pixels = marked(View(image=np.zeros((48, 48), np.uint8), boxes=np.array([[12, 12, 24, 24]])))
    assert pixels.shape == (336, 336, 3)
    assert len(pixels) >= READABLE
    assert tuple(pixels[12 * 7 + 40, 12 * 7]) == colour_of(0)


def test_a_large_picture_is_reduced_where_that_is_asked_for():
    view = View(image=np.zeros((1000, 2000, 3), np.uint8), boxes=np.array([[400, 200, 800, 600]]))
    assert marked(view, most=500).shape == (250, 500, 3)
    assert tuple(marked(view, most=500)[100, 100]) == colour_of(0)
    assert marked(view).shape == (1000, 2000, 3)


def test_a_mask_colours_the_pixels_of_its_classes_and_no_others():
    mask = np.zeros(DARK.shape, int)
    mask[:100], mask[300:] = 1, 3
    pixels = drawn(mask=mask)
    mixed = [(0.55 * 30 + 0.45 * np.array(colour_of(k))).round() for k in (0, 2)]
    assert (pixels[:100] == mixed[0]).all()
    assert (pixels[300:] == mixed[1]).all()
    assert (pixels[100:300] == 30).all()


def test_points_are_drawn_where_they_are_and_not_where_they_are_unknown():
    pixels = drawn(points=np.array([[50.0, 60.0], [np.nan, np.nan]]))
    changed = np.argwhere((pixels != 30).any(axis=2))
    assert changed.mean(axis=0) == pytest.approx([60, 50], abs=1)
    assert (np.abs(changed - [60, 50]) < 12).all()
