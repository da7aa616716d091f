"""Kinds of false boxes and what repairing each leaves: by pencil, and whatever the boxes."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core.errors import DataError
from gnomon.metrics import box_table
from gnomon.strategy import box_errors
from gnomon.strategy.box_errors import BACKGROUND, BADLY_PLACED, BOTH, DUPLICATE, KINDS, MISSED, WRONG_CLASS

few = settings(max_examples=30, deadline=None)


def pictures(*rows, size=(100, 100), threshold=0.3):
    """A table of (labels, answers) per picture."""
    return pl.DataFrame(
        {
            "id": [f"{place}.png" for place in range(len(rows))],
            "target": [json.dumps(labels) for labels, _ in rows],
            "prediction": [json.dumps(answers) for _, answers in rows],
            "width": [float(size[0])] * len(rows),
            "height": [float(size[1])] * len(rows),
        }
        | ({} if threshold is None else {"threshold": [threshold] * len(rows)})
    )


def errors_in(*rows, **given):
    return box_errors.find_errors(box_table.read(pictures(*rows, **given)))


def cat(left, top, right, bottom, flags=""):
    return [left, top, right, bottom, "cat", flags]


LABEL = [10, 10, 50, 50, "cat", ""]
SHIFTED = [30, 10, 70, 50]  # half beside LABEL: an IoU of 1/3


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([[10, 10, 50, 50, "cat", 0.9]], {}),
        ([], {MISSED: 1}),
        ([[*SHIFTED, "cat", 0.9]], {BADLY_PLACED: 1}),
        ([[10, 10, 50, 50, "dog", 0.9]], {WRONG_CLASS: 1}),
        ([[*SHIFTED, "dog", 0.9]], {BOTH: 1, MISSED: 1}),
        ([[10, 10, 50, 50, "cat", 0.9], [11, 10, 50, 50, "cat", 0.8]], {DUPLICATE: 1}),
        ([[10, 10, 50, 50, "cat", 0.9], [80, 80, 90, 90, "cat", 0.8]], {BACKGROUND: 1}),
        ([[10, 10, 50, 50, "cat", 0.2]], {MISSED: 1}),  # no answer at a threshold of 0.3
        ([[80, 80, 90, 90, "dog", 0.9]], {BACKGROUND: 1, MISSED: 1}),
    ],
)  # fmt: skip
def test_each_false_answer_has_its_kind(answers, expected):
    found = errors_in(([LABEL], answers))
    assert {kind: found.count(kind) for kind in KINDS if found.count(kind)} == expected


@pytest.mark.parametrize("flags", ["crowd", "difficult"])
def test_what_need_not_be_found_is_neither_missed_nor_a_duplicate(flags):
    found = errors_in(
        ([[10, 10, 50, 50, "cat", flags]], [[10, 10, 50, 50, "cat", 0.9], [11, 10, 50, 50, "cat", 0.8]])
    )  # fmt: skip
    assert found.num_false == 0


def test_repairing_a_badly_placed_box_makes_it_right():
    # Two labels of one class; the better box is half beside its label, the other is right. By pencil: precision at
    # recall 1/2 is 1/2 (the wrong box comes first), so AP = 1/2 * 1/2 = 1/4; with the wrong box right, AP = 1.
    found = errors_in(
        ([LABEL, [60, 60, 90, 90, "cat", ""]], [[*SHIFTED, "cat", 0.9], [60, 60, 90, 90, "cat", 0.8]])
    )  # fmt: skip
    assert box_errors.error_of(found.table.matches) == pytest.approx(0.75)
    left = box_errors.errors_without_kinds(found)
    assert left[BADLY_PLACED] == 0
    assert left[BACKGROUND] == left[WRONG_CLASS] == left[DUPLICATE] == left[MISSED] == pytest.approx(0.75)


def test_without_background_what_is_left_is_the_missed_object():
    # A false alarm first, then one of two labels: AP = 1/2 * 1/2; without the alarm 1/2, without the missed label 1/2.
    found = errors_in(
        ([LABEL, [60, 60, 90, 90, "cat", ""]], [[60, 10, 90, 40, "cat", 0.9], [60, 60, 90, 90, "cat", 0.8]])
    )  # fmt: skip
    left = box_errors.errors_without_kinds(found)
    assert box_errors.error_of(found.table.matches) == pytest.approx(0.75)
    assert left[BACKGROUND] == pytest.approx(0.5)
    assert left[MISSED] == pytest.approx(0.5)


def test_a_box_of_the_wrong_class_moves_to_its_class():
    # "dog" has no label: its class is not judged. The cat is found only once the box is called a cat.
    found = errors_in(([LABEL], [[10, 10, 50, 50, "dog", 0.9]]))
    assert box_errors.error_of(found.table.matches) == 1
    assert box_errors.errors_without_kinds(found)[WRONG_CLASS] == 0


def test_what_lies_on_another_class_is_of_the_wrong_class_even_if_it_touches_its_own():
    own, other = [10, 10, 50, 50, "cat", ""], [40, 10, 80, 50, "dog", ""]  # the answer on the dog touches the cat
    found = errors_in(([own, other], [[38, 10, 78, 50, "cat", 0.9]]))
    assert {kind: found.count(kind) for kind in KINDS if found.count(kind)} == {WRONG_CLASS: 1, MISSED: 1}


def test_a_box_of_the_wrong_class_goes_where_its_object_is_found_already():
    # two boxes on one cat: called dog first, cat second. Another dog is found below a score of the false one.
    labels = [LABEL, [60, 60, 90, 90, "dog", ""]]
    answers = [[10, 10, 50, 50, "dog", 0.9], [10, 10, 50, 50, "cat", 0.8], [60, 60, 90, 90, "dog", 0.7]]
    found = errors_in((labels, answers))
    assert box_errors.error_of(found.table.matches) == pytest.approx(0.25)  # AP of cats 1, of dogs 1/2
    assert box_errors.errors_without_kinds(found)[WRONG_CLASS] == 0


def test_only_the_better_of_two_badly_placed_boxes_becomes_right():
    found = errors_in(([LABEL], [[*SHIFTED, "cat", 0.9], [10, 30, 50, 70, "cat", 0.8]]))
    assert found.count(BADLY_PLACED) == 2
    assert box_errors.errors_without_kinds(found)[BADLY_PLACED] == 0  # the other one goes: no false alarm is left


def test_small_crowded_and_cut_off_objects_are_told_by_their_boxes():
    labels = [
        [40, 40, 44, 44, "cat", ""],  # 4 pixels of 100
        [10, 10, 30, 30, "cat", ""],
        [15, 10, 35, 30, "dog", ""],  # overlaps the one before with an IoU of 3/5
        [0, 60, 30, 90, "cat", ""],
        [60, 60, 80, 80, "cat", "truncated"],
        [60, 10, 80, 30, "cat", ""],
    ]
    found = box_errors.properties(box_table.read(pictures((labels, []))))
    assert found["small object"].tolist() == [True, False, False, False, False, False]
    assert found["crowded object"].tolist() == [False, True, True, False, False, False]
    assert found["cut-off object"].tolist() == [False, False, False, True, True, False]


def test_without_a_threshold_the_one_of_the_best_f1_is_taken():
    rows = ([LABEL], [[10, 10, 50, 50, "cat", 0.6], [80, 80, 90, 90, "cat", 0.5]])
    assert box_table.read(pictures(rows, threshold=None)).threshold == 0.55  # half way down to the wrong one


def test_a_cell_that_holds_no_boxes_is_named():
    table = pictures(([LABEL], [])).with_columns(pl.lit("[[1, 2, 3]]").alias("prediction"))
    with pytest.raises(DataError, match=r"column prediction, picture 0\.png"):
        box_table.read(table)


# --- whatever the boxes ------------------------------------------------------------------
@st.composite
def tables(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    noise = draw(st.sampled_from([0.0, 2.0, 8.0, 30.0]))
    rows = []
    for _ in range(draw(st.integers(1, 5))):
        labels, answers = [], []
        for _ in range(draw(st.integers(0, 5))):
            corner, side = rng.uniform(0, 60, 2), rng.uniform(8, 35, 2)
            box = np.r_[corner, corner + side]
            flags = rng.choice(["", "", "", "difficult", "crowd", "truncated"])
            labels.append([*box.tolist(), str(rng.choice(["a", "b", "c"])), str(flags)])
            for _ in range(rng.integers(0, 3)):
                said = labels[-1][4] if rng.random() < 0.7 else "b"
                answers.append([*(box + rng.normal(0, noise + 1e-3, 4)).tolist(), said, rng.uniform(0.01, 1)])
        for _ in range(rng.integers(0, 3)):
            corner = rng.uniform(0, 60, 2)
            answers.append([*corner.tolist(), *(corner + rng.uniform(5, 30, 2)).tolist(), "a", rng.uniform(0.01, 1)])
        rows.append((labels, answers))
    return rows


@few
@given(tables())
def test_the_kinds_of_wrong_boxes_partition_them(rows):
    found = errors_in(*rows)
    matches, became = found.table.matches, np.zeros(len(found.kind), int)
    became[matches.index] = matches.found[0, 0]
    assert ((found.kind >= 0) == (became == 0)).all()  # every wrong box has one kind, no other box has any
    assert sum(found.count(kind) for kind in KINDS[1:]) == ((became == 0) & found.is_answer).sum()


@few
@given(tables())
def test_repairing_everything_leaves_no_error_and_no_repair_adds_any(rows):
    found = errors_in(*rows)
    error = box_errors.error_of(found.table.matches)
    everything = np.ones(len(found.kind), bool), np.ones(len(found.is_missed), bool)
    assert box_errors.error_without(found, *everything) == pytest.approx(0)
    nothing = np.zeros(len(found.kind), bool), np.zeros(len(found.is_missed), bool)
    assert box_errors.error_without(found, *nothing) == pytest.approx(error)
    left = box_errors.errors_without_kinds(found)
    assert all(-1e-12 <= one <= error + 1e-12 for one in left.values())
    for has in box_errors.properties(found.table).values():
        assert -1e-12 <= box_errors.error_without_objects(found, has) <= error + 1e-12


@few
@given(tables(), st.randoms(use_true_random=False))
def test_neither_the_order_of_pictures_nor_of_boxes_matters(rows, random):
    other = [(random.sample(labels, len(labels)), random.sample(said, len(said))) for labels, said in rows]
    random.shuffle(other)
    one, two = errors_in(*rows), errors_in(*other)
    assert [one.count(kind) for kind in KINDS] == [two.count(kind) for kind in KINDS]
    left, right = box_errors.errors_without_kinds(one), box_errors.errors_without_kinds(two)
    assert list(left.values()) == pytest.approx(list(right.values()))


@few
@given(tables())
def test_perfect_answers_have_no_error_of_any_kind(rows):
    perfect = [(labels, [[*one[:5], 0.9] for one in labels]) for labels, _ in rows]
    found = errors_in(*perfect)
    assert found.num_false == 0
    assert box_errors.error_of(found.table.matches) == 0
