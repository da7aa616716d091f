"""Labels and answers on one picture: where the lines are, what has a caption, and that each can be left out."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.core.parts import View
from gnomon.figures.compared import ANSWER, LABEL, compared, legend_of

GREY = np.full((400, 400, 3), 90, np.uint8)


def boxes(*rows, label=(), captions=()):
    return View(
        image=GREY, boxes=np.array(rows, float).reshape(-1, 4), labels=np.array(label, np.int64), captions=captions
    )  # fmt: skip


def has(picture, colour, where=np.s_[:, :]):
    return bool((picture[where] == colour).all(axis=-1).any())


TRUE = boxes([50, 50, 150, 150], [250, 250, 350, 350], label=[0, 1], captions=["cat", "dog"])
SAID = boxes([60, 50, 160, 150], [20, 300, 80, 390], label=[0, 0], captions=["cat 0.90", "cat 0.40"])


@pytest.mark.parametrize(
    ("shown", "blue", "orange"), [("both", True, True), ("label", True, False), ("answer", False, True)]
)
def test_labels_are_blue_answers_orange_and_each_can_be_left_out(shown, blue, orange):
    picture = compared(TRUE, SAID, shown)
    assert (has(picture, LABEL), has(picture, ANSWER)) == (blue, orange)
    assert (picture[0, 0] == GREY[0, 0]).all()


def test_lines_lie_inside_their_boxes_and_only_labels_are_dashed():
    picture = compared(TRUE, SAID)
    side = picture[250:350, 250]  # of the label of the dog
    assert 0.3 < (side == LABEL).all(axis=-1).mean() < 0.7
    assert (picture[300:390, 20] == ANSWER).all()
    assert not has(picture, LABEL, np.s_[150:249, 160:249])


def test_with_both_shown_only_what_is_wrong_has_a_caption():
    picture, answers = compared(TRUE, SAID), compared(TRUE, SAID, "answer")
    above = {
        "right answer": np.s_[35:48, 62:110],
        "false alarm": np.s_[284:298, 22:70],
        "missed": np.s_[352:364, 252:280],
    }
    found = {name: has(picture, ANSWER, where) or has(picture, LABEL, where) for name, where in above.items()}
    assert found == {"right answer": False, "false alarm": True, "missed": True}
    assert has(answers, ANSWER, above["right answer"])


def test_a_mask_is_tinted_by_the_answer_and_outlined_by_the_label():
    true, said = np.zeros((400, 400), np.int64), np.zeros((400, 400), np.int64)
    true[100:200, 100:200] = said[150:250, 100:200] = 1
    picture = compared(View(image=GREY, mask=true), View(image=GREY, mask=said))
    assert (picture[100, 100:200] == 255).all()
    assert (picture[99, 101:199] < 30).all()  # a dark line beside it
    assert (picture[120, 150] == GREY[0, 0]).all()  # missed
    assert (picture[230, 150] != GREY[0, 0]).any()  # too much


def test_points_that_are_not_there_are_not_drawn():
    true = View(image=GREY, points=np.array([[100.0, 100.0], [np.nan, np.nan]]))
    said = View(image=GREY, points=np.array([[120.0, 100.0], [300.0, 300.0]]))
    picture = compared(true, said)
    assert has(picture, LABEL, np.s_[90:110, 90:110])
    assert has(picture, ANSWER, np.s_[95:105, 105:116])  # the line between them
    assert has(picture, ANSWER, np.s_[290:310, 290:310])
    assert not has(picture, LABEL, np.s_[200:, 200:])


def test_small_pictures_are_enlarged_and_large_ones_reduced():
    small = View(image=np.zeros((48, 48), np.uint8), boxes=np.array([[4.0, 4, 20, 20]]))
    picture = compared(small, small)
    assert picture.shape == (336, 336, 3)
    assert has(picture, ANSWER, np.s_[28:30, 28:140])
    assert compared(TRUE, SAID, most=200).shape == (200, 200, 3)


def test_the_legend_names_the_tints_of_a_mask_and_otherwise_label_and_answer():
    mask = View(image=GREY, mask=np.zeros((400, 400), np.int64))
    assert legend_of(mask, ("ground", "cell", "core")).colours == (("cell", "#e69f00"), ("core", "#56b4e9"))
    assert [name for name, _ in legend_of(TRUE).colours] == ["label", "answer"]
    assert "Dashed" in legend_of(TRUE).text
    assert "Circles" in legend_of(View(image=GREY, points=np.zeros((1, 2)))).text
