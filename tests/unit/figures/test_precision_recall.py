"""Precision-recall curves: of every class with something to find, with the point at the threshold."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from gnomon.figures.encode import svg
from gnomon.figures.precision_recall import MOST_CURVES, draw_precision_recall
from gnomon.metrics.box_scores import Curve, curves
from gnomon.parts.boxes import DetectionJudge


def table():
    """Two discs, of which one is found first and then comes a false alarm; a square that nobody finds; no ring."""
    drawn = [[0, 0, 9, 9, "disc", ""], [50, 0, 59, 9, "disc", ""], [0, 50, 9, 59, "square", ""]]
    found = [[0, 0, 9, 9, "disc", 0.9], [80, 80, 89, 89, "disc", 0.6], [0, 90, 9, 99, "ring", 0.8]]
    return pl.DataFrame(
        {"id": ["a"], "target": [json.dumps(drawn)], "prediction": [json.dumps(found)], "width": [100], "height": [100]}
    )


def test_the_curve_of_a_class_is_that_of_its_boxes_by_falling_score():
    disc, square = curves(table(), 0.7)
    assert (disc.class_name, square.class_name) == ("disc", "square")
    assert (disc.recall.tolist(), disc.precision.tolist()) == ([0.5, 0.5], [1.0, 0.5])
    assert disc.average_precision == pytest.approx(0.5)
    assert disc.at_threshold == (0.5, 1.0)
    assert curves(table(), 0.5)[0].at_threshold == (0.5, 0.5)
    assert (square.average_precision, square.at_threshold, len(square.recall)) == (0.0, None, 0)


def test_the_figure_has_a_line_for_each_class_and_a_dot_at_the_threshold():
    figure = draw_precision_recall(curves(table(), 0.7))
    (axes,) = figure.axes
    lines = [line for line in axes.lines if line.get_marker() == "None"]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["square  AP 0.000", "disc  AP 0.500"]
    assert len(lines) == 2
    assert [tuple(map(float, dot.get_xydata()[0])) for dot in dots] == [(0.5, 1.0)]
    assert svg(figure).startswith(b"<?xml")


def test_of_many_classes_the_worst_are_shown():
    many = [Curve(f"class {k}", np.array([1.0]), np.array([k / 20]), k / 20, None) for k in range(20)]
    (axes,) = draw_precision_recall(many).axes
    assert len(axes.lines) == MOST_CURVES
    assert axes.get_legend().get_texts()[0].get_text() == "class 0  AP 0.000"
    assert "of 20" in axes.get_title(loc="left")


def test_a_judge_draws_it_for_a_split_with_objects():
    from gnomon.core.evaluation import SHARE, Evaluation

    judge = DetectionJudge(("disc", "square", "ring"))
    assert list(judge.figures(Evaluation("dev", SHARE, table()))) == ["Precision and recall at IoU 0.5"]
    empty = table().with_columns(target=pl.lit("[]"))
    assert judge.figures(Evaluation("dev", SHARE, empty)) == {}
