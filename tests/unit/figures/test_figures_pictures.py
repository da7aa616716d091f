"""What each picture says."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import numpy as np
import pytest

from gnomon.core.parts import View
from gnomon.figures import encode
from gnomon.figures.calibration import draw_calibration
from gnomon.figures.confusion import draw_confusion
from gnomon.figures.contact_sheet import draw_contact_sheet
from gnomon.figures.ladder import draw_ladder
from gnomon.figures.learning_curves import draw_learning_curves
from gnomon.figures.regression import draw_regression
from gnomon.metrics.classification import Calibration, Confusion
from gnomon.metrics.interval import Interval
from gnomon.strategy.diagnosis import Diagnosis, Gap, Rung, Verdict


def texts(figure) -> list[str]:
    drawing = ElementTree.fromstring(encode.svg(figure))
    found = ["".join(element.itertext()) for element in drawing.iter() if element.tag.endswith("}text")]
    return [text.replace("\u00a0", " ") for text in found]


def ladder(*contenders: str, human: str = "given", is_bound: bool = False) -> Diagnosis:
    return Diagnosis(
        "share", "error rate",
        (Rung("human", 0.0, 0.0, 0.0, 0, human), Rung("train", 0.08, 0.07, 0.09, 999),
         Rung("train_dev", 0.1, 0.09, 0.11, 99), Rung("dev", math.nan, math.nan, math.nan, 0)),
        (Gap("avoidable bias", "human", "train", 0.08, 0.07, 0.09, True, 0.001, is_bound=is_bound),
         Gap("variance", "train", "train_dev", 0.02, 0.0, 0.04, False, 0.001),
         Gap("data mismatch", "train_dev", "dev", math.nan, math.nan, math.nan, False, 0.001)),
        Verdict(contenders[0] if contenders else None, contenders, 0.9, ""), (),
    )  # fmt: skip


def test_the_ladder_marks_the_gap_that_the_verdict_names():
    shown = texts(draw_ladder(ladder("avoidable bias")))
    assert "avoidable bias: +8.0 points ← largest" in shown
    assert "variance: +2.0 points" in shown
    assert {"human", "train", "train-dev", "8.0 %"} <= set(shown)


def test_the_ladder_marks_no_gap_when_two_contend_or_none_is_clear():
    assert not any("largest" in text for text in texts(draw_ladder(ladder("variance", "avoidable bias"))))
    assert not any("largest" in text for text in texts(draw_ladder(ladder())))


def test_an_unknown_human_level_is_not_drawn_as_a_measured_zero():
    shown = texts(draw_ladder(ladder("variance", human="not known, assumed 0", is_bound=True)))
    assert "unknown" in shown
    assert "0.0 %" not in shown
    assert "avoidable bias: at most 8.0 points" in shown


def test_a_rung_without_a_number_is_left_out():
    assert "dev" not in texts(draw_ladder(ladder("variance")))


def test_a_ladder_without_rungs_is_an_empty_picture():
    texts(draw_ladder(Diagnosis(None, "", (), (), Verdict(None, (), 0.0, ""), ())))


def epoch(number, **values):
    return {"epoch": number, "train_loss": 1 / number, "train_error": 0.5 / number, "dev_error": 0.6 / number,
            "dev_low": 0.5 / number, "dev_high": 0.7 / number, "learning_rate": 0.1,
            "best": False} | values  # fmt: skip


def test_learning_curves_name_the_kept_epoch():
    history = [epoch(1, best=True), epoch(2, best=True), epoch(3, dev_error=0.5)]
    shown = texts(draw_learning_curves(history, error_name="error rate", unit="share", human=0.01))
    assert "kept: epoch 2, dev 30.0 %" in shown
    assert {"train", "dev", "human"} <= set(shown)
    assert "train-dev" not in shown


def test_learning_curves_draw_train_dev_where_it_was_measured():
    history = [epoch(1, train_dev_error=None), epoch(2, train_dev_error=0.3)]
    assert "train-dev" in texts(draw_learning_curves(history, error_name="error", unit="share"))


def test_learning_curves_count_what_lies_above_the_frame():
    history = [epoch(1, dev_error=0.9), *(epoch(number, dev_error=0.02, train_error=0.01) for number in range(2, 9))]
    assert "error by epoch (1 early epoch above the frame)" in texts(
        draw_learning_curves(history, error_name="error", unit="share")
    )


@pytest.mark.parametrize(
    "history",
    [
        [epoch(1)],
        [epoch(1, dev_error=None, dev_low=None, dev_high=None), epoch(2, dev_error=None, dev_low=None, dev_high=None)],
        [epoch(1, train_loss=math.nan, dev_error=math.nan), epoch(2, train_loss=math.inf, dev_error=math.inf)],
        [epoch(number, train_loss=-3.0 * number, train_error=0.0, dev_error=0.0) for number in (1, 2)],
        [{"epoch": 1}],
        [epoch(number) for number in range(1, 5001)],
    ],
    ids=["one epoch", "no dev", "not finite", "zero and below", "nothing", "many"],
)  # fmt: skip
def test_learning_curves_handle_any_history(history):
    assert "epoch" in texts(draw_learning_curves(history, error_name="error", unit="share"))


def test_a_confusion_matrix_writes_its_counts_and_names():
    counts = np.array([[30, 0, 4], [0, 20, 0], [1, 0, 9]])
    shown = texts(draw_confusion(Confusion(("cat", "$dog$", "猫"), counts)))
    assert {"30", "20", "9", "4", "1", "cat", "$dog$", "猫", "truth", "prediction"} <= set(shown)
    assert "0" not in shown


@pytest.mark.parametrize("num_classes", [1, 2, 20, 21, 50])
def test_a_confusion_matrix_of_up_to_fifty_classes_names_every_class_twice(num_classes):
    names = tuple(f"class {place}" for place in range(num_classes))
    shown = texts(draw_confusion(Confusion(names, np.eye(num_classes, dtype=int))))
    assert all(shown.count(name) == 2 for name in names)


def test_above_fifty_classes_the_most_confused_pairs_are_shown_instead():
    counts = np.eye(1000, dtype=int) * 500
    counts[7, 9], counts[9, 7], counts[3, 4] = 5, 80, 6
    shown = texts(draw_confusion(Confusion(tuple(f"c{place}" for place in range(1000)), counts)))
    assert [text for text in shown if "→" in text] == ["mistakes (truth → prediction)", "c9 → c7", "c3 → c4", "c7 → c9"]
    assert counts[7, 7] == 500  # the caller's numbers are left alone


def test_no_mistakes_among_many_classes_are_stated():
    shown = texts(draw_confusion(Confusion(tuple(map(str, range(60))), np.eye(60, dtype=int))))
    assert "no mistakes" in shown


def test_a_class_without_examples_has_an_empty_row():
    draw = draw_confusion(Confusion(("a", "b"), np.array([[3, 0], [0, 0]])))
    assert "3" in texts(draw)


def test_calibration_leaves_empty_bins_out():
    nothing = np.full(10, np.nan)
    empty = Calibration(np.linspace(0, 1, 11), nothing, nothing, np.zeros(10, dtype=int), Interval(0, 0, 0))
    assert "share right" in texts(draw_calibration(empty))
    one = Calibration(np.linspace(0, 1, 11), np.r_[nothing[:9], 0.97], np.r_[nothing[:9], 0.9],
                      np.r_[np.zeros(9, dtype=int), 1234], Interval(0.07, 0.05, 0.09))  # fmt: skip
    assert "confidence" in texts(draw_calibration(one))


def test_regression_leaves_out_non_finite_values():
    figure = draw_regression(
        np.array([1.0, np.nan, 3.0, 4.0]), np.array([1.5, 2.0, np.inf, 4.0]), name="price", unit="$"
    )
    dots = figure.axes[0].collections[0].get_offsets()
    assert np.array_equal(dots, [[1.0, 1.5], [4.0, 4.0]])
    residuals = figure.axes[1].collections[0].get_offsets()
    assert np.array_equal(residuals, [[1.0, 0.5], [4.0, 0.0]])
    assert "predicted ($)" in texts(figure)


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_regression_handles_any_number_of_examples(size):
    rng = np.random.default_rng(0)
    figure = draw_regression(rng.normal(size=size), rng.normal(size=size), name="y")
    assert len(encode.best(figure)[0]) < 1_000_000


def test_a_contact_sheet_shows_pictures_texts_and_fields_with_captions():
    views = [
        ("a $cat$", View(image=np.zeros((500, 300, 3), dtype=np.uint8))),
        ("a text", View(text="once upon a time\x00 " * 50)),
        ("a row", View(fields={f"column {place}": "1" for place in range(40)})),
        ("nothing", View()),
    ]
    figure = draw_contact_sheet(views)
    shown = texts(figure)
    assert {"a $cat$", "a text", "a row", "nothing"} <= set(shown)
    assert any("and 32 more" in text for text in shown)
    assert any(r"once upon a time\x00" in text for text in shown)
    assert encode.has_pictures(figure)


def test_a_contact_sheet_of_nothing_is_empty():
    assert encode.png(draw_contact_sheet([])).startswith(b"\x89PNG")
