"""The figure of an alignment: every piece has a label, dark cells are where the answer looked, long texts are cut."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.figures.alignment import MOST, draw_alignment
from gnomon.figures.encode import png
from gnomon.strategy.alignment import END, Alignment


def aligned(source, answer):
    weights = np.full((len(answer), len(source)), 0.01)
    weights[np.arange(len(answer)), np.arange(len(answer)) % len(source)] = 1
    return Alignment("a", "", "", tuple(source), tuple(answer), weights)


def test_sources_are_along_the_top_and_answers_down_the_side():
    axes = draw_alignment(aligned(["the", "fox", END], ["der", "Fuchs", END])).axes[0]
    assert [one.get_text() for one in axes.get_xticklabels()] == ["the", "fox", END]
    assert [one.get_text() for one in axes.get_yticklabels()] == ["der", "Fuchs", END]
    shown = axes.images[0].get_array()
    assert (shown.shape, shown[0].argmax(), shown[1].argmax()) == ((3, 3), 0, 1)
    assert axes.images[0].get_clim() == (0, 1)  # the same shade is the same share in every figure


def test_characters_stand_upright_and_a_space_can_be_seen():
    axes = draw_alignment(aligned([*"a b", END], [*"ab", END])).axes[0]
    assert [one.get_rotation() for one in axes.get_xticklabels()] == [0, 0, 0, 90]
    assert axes.get_xticklabels()[1].get_text() == "␣"


@pytest.mark.parametrize("number", [1, 5, 60, 200])
def test_texts_of_any_length_are_drawn_at_a_size_that_fits_a_page(number):
    figure = draw_alignment(aligned([f"w{i}" for i in range(number)], [f"v{i}" for i in range(number)]))
    width, height = figure.get_size_inches()
    assert width < 15
    assert height < 20
    assert len(figure.axes[0].get_xticklabels()) == min(number, MOST)
    assert png(figure).startswith(b"\x89PNG")


def test_what_no_font_or_page_may_show_is_written_out():
    axes = draw_alignment(aligned(["\x1b[31m", "$x^2$", "\u202eabc", END], ["a", END])).axes[0]
    shown = [one.get_text() for one in axes.get_xticklabels()]
    assert "\x1b" not in "".join(shown)
    assert "\u202e" not in "".join(shown)
