"""Losses of one box and of points: numbers worked out by hand."""

import numpy as np
import pytest

from gnomon.reference import places

NAN = np.nan


def test_an_object_costs_its_presence_its_box_and_its_class():
    # sigmoid(ln 3) = 3/4; the box is off by 1, 2, 0, 3; softmax(ln 1, ln 2, ln 5) = 1/8, 2/8, 5/8
    z = np.array([[np.log(3), 1, 2, 0, 3, np.log(1), np.log(2), np.log(5)]])
    y = np.array([[1.0, 0, 0, 0, 0, 0, 1, 0]])
    assert places.localisation_loss(z, y) == pytest.approx([-np.log(3 / 4) + (1 + 4 + 0 + 9) + np.log(4)])


def test_where_nothing_is_only_the_presence_counts():
    z = np.array([[np.log(3), 100.0, -5, 7, 9, 3, 4, 5]])
    for rest in (0.0, NAN):
        y = np.array([[0.0, *[rest] * 7]])
        assert places.localisation_loss(z, y) == pytest.approx([-np.log(1 / 4)])


def test_an_example_that_nobody_knows_costs_nothing():
    assert places.localisation_loss(np.ones((1, 7)), np.full((1, 7), NAN)).tolist() == [0]


def test_points_cost_their_mean_distance():
    # 3-4-5 and 5-12-13 triangles: sqrt(25 + 144) - 12 = 1, and with s = 12 on the second sqrt(25 + 144) too
    z, y = np.array([[[3.0, 4.0], [9.0, 9.0], [0.0, 5.0]]]), np.array([[[0.0, 0.0], [NAN, NAN], [0.0, 0.0]]])
    assert places.landmark_loss(z, y, softening=12) == pytest.approx([1.0])
    assert places.landmark_loss(z, np.full((1, 3, 2), NAN), softening=12).tolist() == [0]
