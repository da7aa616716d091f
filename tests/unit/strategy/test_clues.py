"""Planted here: inputs that give the target away, wrong labels, shifted columns; and their clean twins."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import datasets

from gnomon.metrics.interval import Interval
from gnomon.strategy.clues import cost_by_forest, find_giveaway, find_wrong_labels, shift_of, shifted
from gnomon.strategy.references import Inputs, random_forest

NAMES = ("ant", "bee", "cat", "dog")


def inputs(values, codes=None):
    values = np.asarray(values, np.float32)
    return Inputs(values, np.empty((len(values), 0), np.int64) if codes is None else codes)


def blobs(seed, *, spread=0.6, number=1500):
    """Four classes around the corners of a square."""
    rng = np.random.default_rng(seed)
    true = rng.integers(4, size=number)
    corners = 1.5 * np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]])
    return corners[true] + spread * rng.normal(size=(number, 2)), true, rng


def wrong_labels(values, labels):
    cut = 4 * len(labels) // 5
    train, dev = inputs(values[:cut]), inputs(values[cut:])
    _, forest = random_forest(train, labels[:cut], dev, 4)
    return find_wrong_labels(forest, labels[:cut], labels[cut:], NAMES)


# --- labels -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("rate", [0.1, 0.2, 0.35])
def test_the_share_of_labels_flipped_at_random_is_estimated(rate):
    values, true, rng = blobs(0)
    found = wrong_labels(
        values, np.where(rng.random(len(true)) < rate, (true + rng.integers(1, 4, len(true))) % 4, true)
    )
    assert abs(found.share - rate) < 0.05
    assert (found.given, found.likely) == ("", "")


@pytest.mark.parametrize("seed", range(5))
def test_a_flipped_pair_is_named_with_its_share(seed):
    values, true, rng = blobs(seed)
    found = wrong_labels(values, np.where((true == 2) & (rng.random(len(true)) < 0.3), 3, true))
    assert (found.likely, found.given) == ("cat", "dog")
    assert abs(found.pair_share - 0.3) < 0.1


@pytest.mark.parametrize("seed", range(5))
def test_hard_classes_with_right_labels_are_not_called_wrong(seed):
    values, true, _ = blobs(seed, spread=1.2)  # a fifth lie on the other side of a border
    found = wrong_labels(values, true)
    assert found is None or (found.given == "" and found.low < 0.1)


def test_labels_that_inputs_do_not_determine_look_like_wrong_ones():
    values, true, rng = blobs(0)
    assert wrong_labels(values, rng.permutation(true)).share > 0.5


# --- giveaways --------------------------------------------------------------------------------------------------------
def halves(values, targets):
    cut = 2 * len(values) // 3
    return inputs(values[:cut]), targets[:cut], inputs(values[cut:]), targets[cut:]


def test_a_column_that_tells_the_class_of_97_rows_in_100_is_named():
    values, true, rng = blobs(0)
    told = np.where(rng.random(len(true)) < 0.97, true, rng.integers(4, size=len(true)))
    found = find_giveaway(*halves(np.column_stack([values, told]), true), 4, ("x", "y", "told"))
    assert found.name == "told"
    assert 0.01 < found.error < 0.05  # 0.03 x 3/4 in expectation
    assert found.next_best > 0.2


def test_a_column_that_tells_a_number_is_named():
    rng = np.random.default_rng(0)
    targets = rng.gamma(2, 10, size=1200)
    told = np.where(rng.random(1200) < 0.97, targets, rng.permutation(targets))
    assert (
        find_giveaway(*halves(np.column_stack([rng.normal(size=1200), told]), targets), None, ("x", "told")).name
        == "told"
    )


def test_a_category_that_tells_the_class_is_named():
    values, true, _ = blobs(0)
    cut = 1000
    codes = 1 + true[:, None]
    train, dev = inputs(values[:cut], codes[:cut]), inputs(values[cut:], codes[cut:])
    found = find_giveaway(train, true[:cut], dev, true[cut:], 4, ("x", "y", "code"))
    assert found.name == "code"


@pytest.mark.parametrize(
    "load", [datasets.load_iris, datasets.load_breast_cancer, datasets.load_wine, datasets.load_digits]
)
def test_the_best_columns_of_honest_sets_give_nothing_away(load):
    values, target = load(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(target))
    names = tuple(map(str, range(values.shape[1])))
    assert find_giveaway(*halves(values[order], target[order]), int(target.max()) + 1, names) is None


# --- shift ------------------------------------------------------------------------------------------------------------
def test_shifted_columns_are_found_with_their_size_and_no_others():
    rng = np.random.default_rng(0)
    train, dev = rng.normal(size=(1200, 12)), rng.normal(size=(400, 12))
    dev[:, [2, 5]] += [1.5, -0.5]
    found = shifted(inputs(train), inputs(dev))
    assert set(found) == {2, 5}
    assert found[2] == pytest.approx(1.5, abs=0.15)
    assert found[5] == pytest.approx(-0.5, abs=0.15)


def test_two_samples_of_one_source_are_hardly_ever_called_shifted():
    rng = np.random.default_rng(0)
    alarms = sum(
        bool(shifted(inputs(rng.normal(size=(300, 20))), inputs(rng.normal(size=(60, 20))))) for _ in range(200)
    )
    assert alarms <= 2


def test_a_category_with_other_shares_is_shifted():
    rng = np.random.default_rng(0)
    ours, theirs = rng.choice(4, 900, p=[0.7, 0.1, 0.1, 0.1]), rng.choice(4, 300, p=[0.1, 0.7, 0.1, 0.1])
    none = np.empty((1, 0), np.float32)
    found = shifted(Inputs(none.repeat(900, 0), ours[:, None]), Inputs(none.repeat(300, 0), theirs[:, None]))
    assert found[0] == pytest.approx(0.6, abs=0.08)


def test_a_cost_that_may_be_zero_does_not_hurt():
    cost = Interval(0.02, -0.01, 0.05)
    assert not shift_of({1: 0.5}, ("a", "b"), "moved back", 0.1, 0.12, cost, is_share=True).hurts
    assert shift_of({1: 0.5}, ("a", "b"), "moved back", 0.1, 0.12, Interval(0.02, 0.01, 0.05), is_share=True).hurts


def test_the_most_shifted_column_comes_first():
    found = shift_of({0: 0.4, 1: -2.0}, ("a", "b"), "forest", 0.1, 0.3, Interval(0.2, 0.1, 0.3), is_share=True)
    assert found.columns == ("b", "a")


def test_the_cost_by_a_forest_is_newcombes_interval():
    # 40 of 100 against 20 of 100: R's and Newcombe's 1998 method 10 give [0.073, 0.317]
    found = cost_by_forest(np.r_[np.ones(40), np.zeros(60)], np.r_[np.ones(20), np.zeros(80)], is_share=True)
    assert (found.low, found.high) == (pytest.approx(0.073, abs=0.002), pytest.approx(0.317, abs=0.002))
