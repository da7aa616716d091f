"""Tags of pictures with boxes and masks: what they count, which pictures have them, what the screen says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.metrics import box_table, mask_table
from gnomon.strategy import box_tags, error_tags
from gnomon.strategy.box_errors import find_errors
from gnomon.strategy.cell_wording import in_words
from gnomon.strategy.error_analysis import errors_of, in_order_of_gain, shares_of_errors

CAT = [10.0, 10.0, 50.0, 50.0, "cat"]


def table(*rows):
    """(labels, answers) of pictures of 100 x 100 pixels; the error 1 where anything is wrong."""
    return pl.DataFrame(
        {
            "id": [f"{place}.png" for place in range(len(rows))],
            "target": [json.dumps([[*one, ""] for one in labels]) for labels, _ in rows],
            "prediction": [json.dumps(answers) for _, answers in rows],
            "error": [float([one[:5] for one in answers] != list(labels)) for labels, answers in rows],
            "weight": [1.0] * len(rows), "confidence": [None] * len(rows),
            "group": pl.Series([None] * len(rows), dtype=pl.String),
            "width": [100] * len(rows), "height": [100] * len(rows), "threshold": [0.5] * len(rows),
        }
    )  # fmt: skip


TINY = [70.0, 70.0, 73.0, 73.0, "cat"]
ROWS = table(
    ([CAT, TINY], [[*CAT, 0.9]]),  # the tiny one is missed
    ([CAT], [[*CAT, 0.8]]),
    ([CAT], [[*CAT, 0.7], [60.0, 60.0, 90.0, 90.0, "cat", 0.6]]),  # a false alarm
    ([CAT, TINY], [[*CAT, 0.85]]),
)


def test_tags_count_answers_and_objects_and_pictures_have_them():
    tags = {tag.name: tag for tag in error_tags.from_predictions(Evaluation("dev", SHARE, ROWS))}
    assert {name: tag.tagged.tolist() for name, tag in tags.items()} == {
        "missed": [True, False, False, True],
        "background": [False, False, True, False],
        "small object": [True, False, False, True],
    }
    # by pencil: precision is 1 up to a recall of 4/6, so 1 - mAP = 1/3; without the missed objects 0
    errors = errors_of(ROWS, 1 / 3)
    shares = {one.name: one for one in shares_of_errors(errors, tags.values())}
    missed, small = shares["missed"], shares["small object"]
    assert (missed.tagged, missed.reviewed, missed.what) == (2, 3, "false answers")
    assert (missed.left.value, shares["background"].left.value) == pytest.approx((0, 1 / 3))
    assert (small.tagged, small.reviewed, small.among_right, small.what) == (2, 2, 0.0, "objects not found")
    assert small.left.value == pytest.approx(0)
    [(first, together)] = in_order_of_gain(errors, list(tags.values()))
    assert first == together
    assert first.left.value == pytest.approx(0)


def test_where_a_picture_has_one_object_tags_count_pictures():
    rows = table(([CAT], [[*CAT, 0.9]]), ([CAT], []), ([TINY], [[*CAT, 0.2]]), ([], [])).drop("threshold")
    tags = {tag.name: tag for tag in error_tags.from_predictions(Evaluation("dev", SHARE, rows))}
    assert {name: tag.tagged.tolist() for name, tag in tags.items()} == {
        "missed": [False, True, True, False],
        "background": [False, False, True, False],
        "small object": [False, False, True, False],
    }
    shares = shares_of_errors(errors_of(rows, 0.5), tags.values())
    assert (shares[0].name, shares[0].left.value, shares[0].what) == ("missed", 0.0, "")


def test_perfect_answers_have_no_tag():
    assert error_tags.from_predictions(Evaluation("dev", SHARE, table(([CAT], [[*CAT, 0.9]])))) == []


def test_dark_objects_are_those_that_are_darker_than_nearly_all_of_training():
    found = find_errors(box_table.read(ROWS))
    brightness = np.array([90.0, 10.0, 90.0, 90.0, np.nan, np.nan])  # the last picture was not looked at
    [tag] = box_tags.of_brightness(found, brightness, np.linspace(50, 200, 100))
    assert (tag.name, tag.tagged.tolist()) == ("dark object", [True, False, False, False])
    assert tag.reviewed.tolist() == [True, True, True, False]
    assert (tag.inside.tagged, tag.inside.reviewed, tag.inside.errors) == (1, 1, 2)
    assert tag.inside.right == 3
    assert box_tags.of_brightness(found, brightness, np.zeros(0)) == []


def test_brightness_is_the_mean_inside_the_box_and_of_a_pixel_for_a_sliver():
    gray = np.zeros((10, 10))
    gray[2:4, 4:8] = 100
    boxes = np.array([[4.0, 2, 8, 4], [4, 2, 8, 6], [9.9, 9.9, 12, 12], [-3, -3, -1, -1]])
    assert box_tags.brightness_of(gray, boxes).tolist() == [100, 50, 0, 0]


def test_the_most_frequent_confusions_come_first():
    dog = [*CAT[:4], "dog", 0.9]
    rows = table(([CAT], [dog]), ([CAT], [dog]), ([[*CAT[:4], "owl"]], [dog]))
    assert box_tags.confusions(find_errors(box_table.read(rows))) == {("cat", "dog"): 2, ("owl", "dog"): 1}


def test_cells_are_put_in_words_and_what_holds_no_places_stays():
    row = ROWS.row(2, named=True)
    assert in_words(row, "target") == "1 cat"
    assert in_words(row, "prediction") == "2 cat"
    assert in_words(row | {"threshold": 0.65}, "prediction") == "1 cat"
    assert in_words(row | {"target": "[]"}, "target") == "nothing"
    assert in_words(row | {"target": "[[1, 2]]"}, "target") == "[[1, 2]]"
    assert in_words({"target": 7}, "target") == 7
    mask = np.zeros((10, 10), np.int64)
    mask[:2] = 1
    mask[9] = -1
    cell = {"target": mask_table.encode(mask), "class_names": '["ground", "cell"]'}
    assert in_words(cell, "target") == "ground: 77.8 %, cell: 22.2 %"
    assert in_words(cell | {"class_names": None}, "target") == "class 0: 77.8 %, class 1: 22.2 %"


def test_the_screen_says_what_is_counted_in_groups(capsys):
    from gnomon.cli.errors import print_errors
    from gnomon.strategy.diagnosis import Diagnosis, Rung, Verdict
    from gnomon.workflow.judge.errors import Found
    from gnomon.workflow.sheet import Sheet

    rung = Rung("dev", 1 / 3, 0.2, 0.5, 4)
    diagnosis = Diagnosis(SHARE, "1 - mAP@0.5", (rung,), (), Verdict(None, (), 0.5, ""), ())
    sheet = Sheet(None, "dev", ROWS, diagnosis, ())
    sheet = replace(sheet, tags=tuple(error_tags.from_predictions(Evaluation("dev", SHARE, ROWS))))
    print_errors(Found(sheet, shares_of_errors(sheet.errors, sheet.tags), ""))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "  dev error 33.3 %: 3 false answers (score 0.50 and up) in 3 of 4 pictures"
    heads = [line.split("  ")[1] for line in lines if "could remove" in line]
    assert heads == ["false answers", "objects not found"]
    assert any("start with: missed. Fixing all of it would take dev from 33.3 % to 0" in line for line in lines)
