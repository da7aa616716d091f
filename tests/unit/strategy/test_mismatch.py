"""Two samples told apart: planted shifts are found and named, halves of one source are not told apart."""

from __future__ import annotations

import functools

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from gnomon.core.errors import DataError
from gnomon.metrics.ranking import area, auc
from gnomon.strategy.appearance import Appearance, of_pictures, of_rows, of_texts
from gnomon.strategy.diagnosis import Diagnosis, Gap, Verdict
from gnomon.strategy.mismatch import (
    beyond_dev_text,
    effect,
    extra_error_where_dev_like,
    shifted_columns,
    shifted_tags,
    two_sample,
)


def blobs(count: int, rng: np.random.Generator, *, camera: bool = False) -> list[np.ndarray]:
    """Gray pictures of soft spots; the second camera is brighter and out of focus."""
    yy, xx = np.mgrid[0:16, 0:16]
    pictures = []
    for _ in range(count):
        x, y, size = rng.uniform(3, 13), rng.uniform(3, 13), rng.uniform(1.5, 3)
        picture = 160 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * size**2)) + rng.normal(40, 12, (16, 16))
        if camera:
            picture = (picture + np.roll(picture, 1, 0) + np.roll(picture, 1, 1)) / 3 + 15
        pictures.append(picture.clip(0, 255).astype(np.uint8))
    return pictures


def ladder(gaps: tuple[Gap, ...] = ()) -> Diagnosis:
    return Diagnosis("share", "error", (), gaps, Verdict(None, (), 1.0, ""), ())


def test_the_area_equals_scikit_learns():
    rng = np.random.default_rng(0)
    scores, positive = rng.random(200).round(1), rng.random(200) < 0.4
    found = area(scores, positive)
    assert found is not None
    assert found.value == pytest.approx(roc_auc_score(positive, scores))
    interval = auc(scores, positive)
    assert interval is not None
    assert interval.low < found.value < interval.high


def test_two_cameras_differ_in_sharpness_and_brightness():
    rng = np.random.default_rng(0)
    train, dev = of_pictures(blobs(150, rng)), of_pictures(blobs(100, rng, camera=True))
    shift = two_sample(train.values, dev.values)
    assert shift.is_there
    assert shift.auc.value > 0.95
    names = [one.name for one in shifted_columns(train, dev)]
    assert {"sharpness", "grain", "edges"} & set(names[:4])
    assert "brightness" in names
    assert shift.dev_scores.mean() > 0.8 > 0.2 > shift.train_scores.mean()


def test_two_corpora_differ_in_their_words():
    # what people type to a help desk, and what its handbook says of the same things
    rng = np.random.default_rng(0)
    things = ["printer", "screen", "cable", "account", "password", "update"]
    typed = ["hi my {} is broken pls help", "why does the {} not work??", "{} again... same problem as last week"]
    printed = ["To replace the {}, switch off the device first.", "The {} is supported until further notice.",
               "Check that the {} is connected as described in section 3."]  # fmt: skip
    both = of_texts(
        [str(rng.choice(printed)).format(rng.choice(things)) for _ in range(200)]
        + [str(rng.choice(typed)).format(rng.choice(things)) for _ in range(120)]
    )
    train, dev = (Appearance(both.names, part) for part in (both.values[:200], both.values[200:]))
    shift = two_sample(train.values, dev.values)
    assert shift.is_there
    assert shift.auc.value > 0.95
    assert "has 'the'" in [one.name for one in shifted_columns(train, dev)]


def test_a_column_that_alone_separates_the_sides_comes_first():
    rng = np.random.default_rng(0)
    train, dev = rng.normal(size=(300, 4)), rng.normal(size=(300, 4))
    dev[:, 2] += 1.5
    names = ("a", "b", "c", "d")
    found = shifted_columns(Appearance(names, train), Appearance(names, dev))
    assert [one.name for one in found] == ["c"]
    assert found[0].auc.value == pytest.approx(0.856, abs=0.03)  # Phi(1.5 / sqrt 2)


def test_the_most_dev_like_training_examples_are_those_from_dev():
    rng = np.random.default_rng(0)
    train, dev = rng.normal(size=(400, 3)), rng.normal(size=(200, 3)) + 2
    train[:20] += 2  # planted among the training examples
    order = np.argsort(-two_sample(train, dev).train_scores)
    assert np.isin(np.arange(20), order[:60]).mean() > 0.8


def test_missing_values_count_as_a_difference():
    rng = np.random.default_rng(0)
    train, dev = rng.normal(size=(200, 2)), rng.normal(size=(200, 2))
    dev[rng.random(200) < 0.5, 0] = np.nan
    assert two_sample(train, dev).is_there


def test_groups_keep_one_patient_from_separating_the_sides():
    # each patient has a number of their own: frames are told apart, patients are not
    rng = np.random.default_rng(0)
    of_frame = np.repeat(np.arange(24), 20)
    mark = rng.normal(size=24)[of_frame] + rng.normal(size=480) * 0.01
    train, dev = mark[:240, None], mark[240:, None]
    assert two_sample(train, dev).is_there
    groups = of_frame[:240], of_frame[240:]
    assert not two_sample(train, dev, train_groups=groups[0], dev_groups=groups[1]).is_there


def test_five_copies_of_everything_are_no_more_evidence_than_one():
    rng = np.random.default_rng(0)
    train, dev = rng.normal(size=(80, 2)), rng.normal(size=(80, 2)) + 0.8
    once = two_sample(train, dev).auc
    groups = np.repeat(np.arange(80), 5)
    copied = two_sample(
        np.repeat(train, 5, axis=0), np.repeat(dev, 5, axis=0), train_groups=groups, dev_groups=groups
    ).auc
    assert copied.high - copied.low == pytest.approx(once.high - once.low, rel=0.35)  # a factor of 2.2 if each counted


def test_too_few_examples_are_refused():
    with pytest.raises(DataError, match="at least 20 of each"):
        two_sample(np.zeros((5, 2)), np.zeros((100, 2)))


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "sizes"), [(3, (60, 60)), (4, (150, 50))])
def test_halves_of_one_source_raise_at_most_5_percent_false_alarms(columns, sizes):
    rng = np.random.default_rng(0)
    alarms, rounds = 0, 200
    for seed in range(rounds):
        both = rng.normal(size=(sum(sizes), columns)) ** 3
        found = two_sample(both[: sizes[0]], both[sizes[0] :], seed=seed).auc
        alarms += not found.low <= 0.5 <= found.high
    assert alarms / rounds <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / rounds)


def test_tags_whose_share_differs_are_named():
    train = {"camera": ["studio"] * 90 + ["phone"] * 10, "day": ["mon", "tue"] * 50}
    dev = {"camera": ["phone"] * 80 + ["studio"] * 20, "day": ["mon", "tue"] * 50}
    found = shifted_tags(train, dev)
    assert {(one.tag, one.value) for one in found} == {("camera", "phone"), ("camera", "studio")}
    assert abs(found[0].difference.value) == pytest.approx(0.7)


def test_rows_texts_and_levels_become_columns():
    frame = pl.DataFrame(
        {"n": [1, 2, None], "colour": ["red", "red", "blue"], "old": [True, False, None], "text": ["1.5", "2", None]}
    )
    found = of_rows(frame)
    assert found.names == ("n", "colour = red", "colour = blue", "old", "text")
    assert np.isnan(found.values[2, 0])
    assert found.values[:, 1].tolist() == [1, 1, 0]
    assert found.values[:2, 4].tolist() == [1.5, 2]
    words = of_texts(["Good day", "good NIGHT 7!", "bad"])
    assert "has 'good'" in words.names
    assert words.values[:, words.names.index("has 'good'")].tolist() == [1, 1, 0]
    assert words.values[1, words.names.index("digits")] == pytest.approx(1 / 13)


@functools.cache
def shifted():
    rng = np.random.default_rng(0)
    return two_sample(rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + 3)


def test_a_shift_without_an_error_gap_is_harmless():
    gap = Gap("data mismatch", "train_dev", "dev", 0.001, -0.004, 0.006, False, 0.01)
    found = effect(shifted(), ladder((gap,)), None)
    assert found.is_harmful is False
    assert found.text.startswith("The shift is harmless so far")


def test_a_shift_with_an_error_gap_hurts():
    gap = Gap("data mismatch", "train_dev", "dev", 0.08, 0.05, 0.11, True, 0.01)
    found = effect(shifted(), ladder((gap,)), None)
    assert found.is_harmful is True
    assert "from train-dev to dev the error rises by 8.0 points [5.0, 11.0]" in found.text


def test_a_gap_of_unknown_size_leaves_the_effect_open():
    gap = Gap("data mismatch", "train_dev", "dev", 0.02, -0.01, 0.05, False, 0.01)
    assert effect(shifted(), ladder((gap,)), None).is_harmful is None


def test_a_wide_interval_that_is_surely_above_zero_still_hurts():
    gap = Gap("data mismatch", "train_dev", "dev", 0.246, 0.024, 0.425, False, 0.05)
    found = effect(shifted(), ladder((gap,)), None)
    assert found.is_harmful is True
    assert found.text == "The shift hurts: from train-dev to dev the error rises by 24.6 points [2.4, 42.5]."


def test_a_gap_from_dev_to_test_may_come_from_their_sources():
    gap = Gap("overfitting to dev", "dev", "test", 0.06, 0.03, 0.09, True, 0.01)
    text = beyond_dev_text(shifted(), ladder((gap,)))
    assert "the 6.0 points from dev to test may be due to where they come from, not to overfitting" in text


def test_without_train_dev_the_less_train_like_half_of_dev_decides():
    shift = shifted()
    rng = np.random.default_rng(1)
    hard = (rng.random(200) < np.where(shift.dev_scores > np.median(shift.dev_scores), 0.5, 0.1)).astype(float)
    assert effect(shift, ladder(), hard).is_harmful is True
    assert effect(shift, ladder(), None).is_harmful is None


def test_without_a_shift_there_is_no_effect():
    rng = np.random.default_rng(3)
    same = two_sample(rng.normal(size=(200, 2)), rng.normal(size=(200, 2)))
    assert "look alike" in effect(same, ladder(), None).text


def test_the_difference_of_the_halves_equals_scipys():
    from scipy import stats

    rng = np.random.default_rng(0)
    scores, errors = rng.random(100), rng.exponential(1.0, 100)
    order = np.argsort(scores)
    expected = stats.ttest_ind(errors[order[50:]], errors[order[:50]], equal_var=False).confidence_interval()
    found = extra_error_where_dev_like(scores, errors)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
