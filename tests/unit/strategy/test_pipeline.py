"""Ceiling analysis: the published examples, stages as functions, and who is to blame for an error."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.core.errors import DataError, UsageError
from gnomon.strategy.pipeline import Stage, blame, ceilings, run_ceilings


def nested(accuracies: list[float], size: int = 1000) -> np.ndarray:
    """(S + 1, N) errors of 0 and 1: what a stage solves stays solved."""
    return np.array([np.arange(size) >= round(accuracy * size) for accuracy in accuracies]).astype(float)


def test_the_photo_ocr_example():
    # Ng 2011, Machine Learning course, lecture 18: 72 %, text detection 89 %, segmentation 90 %, recognition 100 %
    found = ceilings(nested([0.72, 0.89, 0.90, 1.00]), ["text detection", "segmentation", "recognition"])
    assert [one.gain.value for one in found.ceilings] == pytest.approx([0.17, 0.01, 0.10])
    assert found.first == "text detection"
    assert "a perfect text detection takes 17.0 points off the error of 28.0 %" in found.text


def test_the_face_recognition_example():
    # the same lecture: overall 85 %; background removed 85.1, face 91, eyes 95, nose 96, mouth 97, classifier 100
    stages = ["background", "face detection", "eyes", "nose", "mouth", "classifier"]
    found = ceilings(nested([0.85, 0.851, 0.91, 0.95, 0.96, 0.97, 1.0]), stages)
    assert [round(100 * one.gain.value, 1) for one in found.ceilings] == [0.1, 5.9, 4.0, 1.0, 1.0, 3.0]
    assert found.ceilings[0].gain.low <= 0.001 < found.ceilings[1].gain.low
    assert found.first == "face detection"


def test_too_few_examples_leave_the_first_stage_open():
    found = ceilings(nested([0.80, 0.88, 0.95], 60), ["find", "name"])
    assert found.first is None
    assert "too few examples to say which" in found.text


def test_a_gain_of_zero_is_not_advice():
    found = ceilings(nested([0.9, 0.9, 0.9], 100), ["find", "name"])
    assert found.first is None
    assert "No stage's gain is statistically clear" in found.text


def test_two_stages_as_functions():
    # a detector that cuts the wrong window for every fifth picture, a recogniser that fails for every tenth window
    pictures = list(range(500))
    detect = Stage("detector", lambda picture: picture if picture % 5 else -1, truth=pictures)
    name = Stage("recogniser", lambda window: window if window % 10 != 3 else -2, truth=pictures)
    found = run_ceilings([detect, name], pictures, lambda answer, position: float(answer != pictures[position]))
    assert found.error.value == pytest.approx(0.2 + 0.1)
    assert [one.gain.value for one in found.ceilings] == pytest.approx([0.2, 0.1])
    assert found.first == "detector"


def test_gains_are_paired():
    # the same 2 points in one case and in the other: the pairing knows that nothing else changed
    size = 2000
    base = (np.arange(size) % 2).astype(float)
    better = base.copy()
    better[1:80:2] = 0
    found = ceilings(np.array([base, better, np.zeros(size)]), ["small", "rest"])
    small = found.ceilings[0].gain
    assert small.value == pytest.approx(0.02)
    assert small.low > 0
    assert small.high - small.low < 0.015  # two separate intervals would leave 0.06


def test_an_error_is_attributed_to_the_first_wrong_stage():
    # by hand: 4 wrong at the end; 2 begin in the detector (one of them wrong in both), 1 in the recogniser, 1 nowhere
    outputs = np.array([[False, False, True, True, True], [True, False, False, True, True]])
    found = blame(outputs, np.array([True, True, True, True, False]), ["detector", "recogniser"])
    assert [(one.stage, one.count) for one in found.blames] == [("detector", 2), ("recogniser", 1), ("", 1)]


def test_right_stages_with_a_wrong_final_answer_blame_the_pipeline():
    # Ng 2018, chapter 57: every component as good as people, the whole is not
    found = blame(np.ones((2, 100), dtype=bool), np.arange(100) < 40, ["cars", "pedestrians"])
    assert found.first is None
    assert "the pipeline itself loses something that is needed" in found.text


def test_odd_input_is_refused():
    with pytest.raises(UsageError, match="at least two stages"):
        run_ceilings([], [1], lambda answer, position: 0.0)
    stages = [Stage("a", lambda one: one, [1]), Stage("b", lambda one: one, [1, 2])]
    with pytest.raises(DataError, match="1 truths for 2 inputs"):
        run_ceilings(stages, [1, 2], lambda answer, position: 0.0)
    with pytest.raises(DataError, match="at least 0"):
        ceilings(np.array([[0.0, np.nan], [0, 0]]), ["a"])
