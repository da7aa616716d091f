"""The boxes that pictures have most often: found where they were planted, scored by how often they are right."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from gnomon.metrics.usual_boxes import usual_boxes


def table(*pictures, sizes=None):
    sizes = sizes or [(100, 100)] * len(pictures)
    return pl.DataFrame(
        {
            "id": [f"{number}.png" for number in range(len(pictures))],
            "target": [json.dumps([[*box, name, flags] for *box, name, flags in drawn]) for drawn in pictures],
            "prediction": ["[]"] * len(pictures),
            "width": [width for width, _ in sizes],
            "height": [height for _, height in sizes],
        }
    )


def test_a_place_that_most_pictures_share_is_the_first_answer():
    shared, rare = (10, 10, 40, 40, "cat", ""), (60, 60, 90, 90, "cat", "")
    found = usual_boxes(table([shared], [shared], [shared], [rare]))
    assert found.places.tolist() == [[0.1, 0.1, 0.4, 0.4], [0.6, 0.6, 0.9, 0.9]]
    assert found.scores.tolist() == [0.75, 0.25]


def test_places_are_shares_of_the_picture_and_classes_are_apart():
    first, second = [(0, 0, 50, 50, "cat", "")], [(0, 0, 100, 25, "cat", ""), (0, 0, 100, 25, "dog", "")]
    found = usual_boxes(table(first, second, sizes=[(100, 100), (200, 50)]))
    assert found.places.tolist() == [[0, 0, 0.5, 0.5]] * 2
    assert dict(zip(found.class_names, found.scores.tolist(), strict=True)) == {"cat": 1.0, "dog": 0.5}


def test_two_objects_at_one_place_of_a_picture_count_once():
    found = usual_boxes(table([(0, 0, 50, 50, "cat", ""), (0, 0, 49, 50, "cat", "")], []))
    assert found.scores.tolist() == [0.5]


def test_crowds_and_difficult_objects_are_no_usual_boxes():
    assert len(usual_boxes(table([(0, 0, 50, 50, "cat", "crowd"), (60, 0, 90, 50, "cat", "difficult")])).scores) == 0


@pytest.mark.parametrize("most", [1, 400])
def test_there_are_at_most_a_hundred_and_each_is_of_some_picture(most):
    rng = np.random.default_rng(0)
    boxes = [(x, y, x + 4, y + 4, "cat", "") for x, y in rng.integers(0, 96, (most, 2)).tolist()]
    found = usual_boxes(table(*[[box] for box in boxes]))
    assert len(found.scores) <= 100
    assert (np.diff(found.scores) <= 0).all()
    assert (found.scores >= 1 / most - 1e-4).all()
