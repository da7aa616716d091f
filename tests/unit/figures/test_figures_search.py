"""Pictures of a search: every trial is there, whatever came of it, and names are only text."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from gnomon.core.evaluation import SHARE
from gnomon.figures.encode import svg
from gnomon.figures.search_history import draw_search_history
from gnomon.figures.search_importance import draw_search_importance
from gnomon.figures.search_parallel import draw_search_parallel
from gnomon.figures.search_slices import draw_search_slices
from gnomon.search.results import DIVERGED, FINISHED, STOPPED, Result
from gnomon.search.rounds import Zoom
from gnomon.search.space import Dimension, Space

SPACE = Space((
    Dimension("learning_rate", "optimiser.learning_rate", "log", 1, 1e-3, 1e-4, 0.1),
    Dimension("<b>$x$", "model.activation", "choice", 2, "a<script>", choices=("a<script>", "$b$")),
    Dimension("layers", "model.hidden", "whole", 3, 1, 1, 4),
))  # fmt: skip


def trial(number, error, status=FINISHED, unmet=()):
    rng = np.random.default_rng(number)
    point = {one.name: one.at(rng.random()) for one in SPACE}
    return Result(number, min(number - 1, 2), point, status, error=error, unmet=unmet)


MIXED = [
    trial(1, 0.3), trial(2, 0.2), trial(3, math.inf, DIVERGED), trial(4, 0.1, unmet=("latency_ms <= 1: it has 3",)),
    trial(5, 0.4, STOPPED), trial(6, 0.15), trial(7, 30.0),
]  # fmt: skip


def texts(figure) -> str:
    return re.sub(r"<!--.*?-->", "", svg(figure).decode(), flags=re.DOTALL)


@pytest.mark.parametrize("results", [MIXED, MIXED[:1], MIXED[2:4]], ids=["mixed", "one", "no best"])
@pytest.mark.parametrize("unit", [SHARE, "mg/dl", None])
def test_a_search_is_drawn_whatever_its_trials_returned(results, unit):
    for figure in (
        draw_search_history(results, error_name="error", unit=unit),
        draw_search_slices(SPACE, results, error_name="error", unit=unit),
        draw_search_parallel(SPACE, results),
    ):
        assert svg(figure).startswith(b"<?xml")


def test_the_best_is_named_and_what_lies_above_the_frame_is_counted():
    drawn = texts(draw_search_history(MIXED, error_name="error", unit=SHARE))
    assert "best: trial 6, 15.0" in drawn
    assert "(2 above the frame)" in drawn  # the diverged one and the one of 30


def test_the_zoomed_range_is_shaded():
    zooms = [Zoom(2, "learning_rate", (1e-4, 0.1), (1e-3, 1e-2), (1, 2, 6)),
             Zoom(2, "<b>$x$", ("a<script>", "$b$"), ("$b$",), (1, 2, 6))]  # fmt: skip
    figure = draw_search_slices(SPACE, MIXED, zooms, error_name="error", unit=SHARE)
    shaded = [[patch.get_extents() for patch in axes.patches] for axes in figure.axes]
    assert [len(each) for each in shaded] == [1, 0, 0]
    ends = figure.axes[0].transData.inverted().transform(shaded[0][0].get_points())[:, 0]
    np.testing.assert_allclose(ends, [1 / 3, 2 / 3], atol=1e-9)  # on a log scale from 1e-4 to 1e-1


def test_names_and_choices_are_text_not_markup_and_not_mathematics():
    drawn = texts(draw_search_parallel(SPACE, MIXED))
    assert "&lt;b&gt;$x$" in drawn
    assert "<script" not in drawn


def test_a_bar_is_labelled_with_its_share():
    drawn = texts(draw_search_importance({"learning_rate": 0.62, "layers": 0.0}))
    assert "62 %" in drawn
    assert "learning_rate" in drawn
