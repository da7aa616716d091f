"""Figures laid out again for a telephone: narrow, panels below one another, no words beyond the edge."""

from __future__ import annotations

import pytest

from gnomon.figures.ladder import draw_ladder
from gnomon.figures.narrow import NARROW, narrow
from gnomon.figures.style import new_figure, styled
from gnomon.strategy.ladder import diagnose_rates


@pytest.mark.parametrize("dev", [0.12, 0.2, 0.9])
def test_the_names_of_gaps_stay_inside(dev):
    figure = draw_ladder(diagnose_rates({"human": 0.01, "train": (0.1, 900), "dev": (dev, 500)}))
    narrow(figure)
    figure.draw_without_rendering()
    assert figure.get_size_inches()[0] == NARROW
    for text in figure.axes[0].texts:
        assert text.get_window_extent().x1 <= figure.bbox.x1


@styled
def panels(rows, columns):
    figure = new_figure(3.0)
    figure.subplots(rows, columns)
    return figure


def test_panels_of_one_row_stand_below_one_another():
    figure = panels(1, 3)
    narrow(figure)
    figure.draw_without_rendering()
    boxes = [axes.get_position() for axes in figure.axes]
    assert boxes[0].y0 > boxes[1].y1 > boxes[1].y0 > boxes[2].y1
    assert all(box.width > 0.7 for box in boxes)


def test_panels_of_several_rows_keep_their_places():
    figure = panels(2, 2)
    narrow(figure)
    figure.draw_without_rendering()
    boxes = [axes.get_position() for axes in figure.axes]
    assert boxes[0].x1 < boxes[1].x0
    assert boxes[0].y0 > boxes[2].y1
