"""Rates of pairs against scikit-learn and counts on paper; intervals that resample identities, by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from gnomon.metrics.verification import (
    Compared,
    area,
    equal_error,
    half_error,
    identity_weights,
    over_identities,
    pairs_needed,
    rank_one,
    threshold_among,
    threshold_for,
    true_accepts,
)


def drawn(seed: int, count: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    is_same = rng.random(count) < 0.4
    is_same[:2] = True, False
    distances = np.round(rng.normal(np.where(is_same, 0.0, 1.0), 0.8), 1)  # rounded: there are ties
    return distances, is_same, rng.integers(0, 3, count).astype(float) + 0.5


@pytest.mark.parametrize("seed", range(8))
def test_rates_are_the_roc_curve_of_scikit_learn(seed):
    distances, is_same, weights = drawn(seed)
    _, far, frr = Compared.of(distances, is_same, weights).rates()
    far_there, tar_there, _ = roc_curve(is_same, -distances, sample_weight=weights, drop_intermediate=False)
    np.testing.assert_allclose(far, far_there, atol=1e-12)
    np.testing.assert_allclose(1 - frr, tar_there, atol=1e-12)
    expected = roc_auc_score(is_same, -distances, sample_weight=weights)
    assert area(Compared.of(distances, is_same, weights)) == pytest.approx(expected)


def test_the_equal_error_on_paper():
    # same: 1 2 3 6, different: 4 5 7 8. Between 4 and 5: FAR 1/4 = FRR 1/4
    pairs = Compared.of(np.array([1, 2, 3, 6, 4, 5, 7, 8.0]), np.array([True] * 4 + [False] * 4))
    assert equal_error(pairs) == pytest.approx(0.25)
    assert 4 < threshold_for(pairs, None) < 5
    assert true_accepts(pairs, 0.0) == pytest.approx(0.75)
    assert 3 < threshold_for(pairs, 0.0) < 4
    assert true_accepts(pairs, 0.5) == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(8))
def test_the_equal_error_lies_between_the_rates_around_it(seed):
    distances, is_same, weights = drawn(seed)
    pairs = Compared.of(distances, is_same, weights)
    _, far, frr = pairs.rates()
    value = equal_error(pairs)
    assert np.max(np.minimum(far, frr)) - 1e-12 <= value <= np.min(np.maximum(far, frr)) + 1e-12


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_stretching_distances_changes_no_rate(seed):
    distances, is_same, weights = drawn(seed)
    one, two = (Compared.of(each, is_same, weights) for each in (distances, np.exp(distances) * 3 + 1))
    assert equal_error(one) == pytest.approx(equal_error(two))
    assert area(one) == pytest.approx(area(two))
    assert true_accepts(one, 0.1) == pytest.approx(true_accepts(two, 0.1))


def test_perfect_pairs_have_no_error_and_swapped_ones_nothing_else():
    distances, is_same = np.arange(10.0), np.arange(10) < 4
    assert equal_error(Compared.of(distances, is_same)) == 0
    assert equal_error(Compared.of(-distances, is_same)) == 1
    assert np.isnan(equal_error(Compared.of(distances, np.ones(10, bool))))


def test_a_false_accept_rate_needs_three_times_as_many_pairs_as_one_accept():
    # 0.999 ^ 3000 = 0.05: with no false accept among 3,000 pairs the rate is below 0.1 % with 95 % confidence
    assert pairs_needed(0.001) == 3000
    assert pytest.approx(0.05, abs=0.002) == 0.999**3000


def test_both_kinds_of_pairs_count_alike():
    wrong, is_same = np.array([1, 0, 1, 0, 0, 0.0]), np.array([True, True, False, False, False, False])
    assert half_error(wrong, is_same, np.ones(6)) == pytest.approx((1 / 2 + 1 / 4) / 2)


def test_identities_drawn_twice_count_their_own_pairs_twice_and_those_with_another_by_the_product():
    first, second = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0])
    assert identity_weights(first, second, np.array([2, 3, 0])).tolist() == [2, 6, 3, 0]


def test_rank_one_is_the_mean_over_all_galleries_of_one_picture_each():
    """Against drawing every gallery: three people with two pictures each."""
    rng = np.random.default_rng(5)
    person = np.array([0, 0, 1, 1, 2, 2])
    left, right = np.triu_indices(6, k=1)
    matrix = rng.random((6, 6))
    matrix = matrix + matrix.T
    distances = matrix[left, right]
    probes, chance = rank_one(distances, np.stack([left, right], 1), np.stack([person[left], person[right]], 1))
    expected = []
    for probe in range(6):
        own = next(i for i in range(6) if i != probe and person[i] == person[probe])
        others = [one for one in range(3) if one != person[probe]]
        wins = [
            matrix[probe, own] < min(matrix[probe, a], matrix[probe, b])
            for a in np.flatnonzero(person == others[0])
            for b in np.flatnonzero(person == others[1])
        ]
        expected.append(np.mean(wins))
    assert probes.tolist() == person.tolist()
    np.testing.assert_allclose(chance, expected)


def test_intervals_over_identities_cover_the_truth_where_intervals_over_pairs_do_not():
    """People differ in how hard they are: the share of wrong pairs of new people, 200 times."""
    rng = np.random.default_rng(0)
    people, pairs_each, covered, covered_by_pairs = 20, 30, 0, 0
    for _ in range(200):
        hard = rng.beta(0.5, 4.5, people)  # mean 0.1
        wrong = (rng.random((people, pairs_each)) < hard[:, None]).ravel()
        who = np.repeat(np.arange(people), pairs_each)
        found = over_identities(who, who, lambda w, wrong=wrong: np.array([w @ wrong / w.sum()]), rng)[0]
        covered += found.low <= 0.1 <= found.high
        half = 1.96 * np.sqrt(wrong.mean() * (1 - wrong.mean()) / len(wrong))
        covered_by_pairs += abs(wrong.mean() - 0.1) <= half
    assert covered / 200 > 0.88  # a percentile bootstrap of 20 skewed people reaches about 0.9
    assert covered_by_pairs / 200 < 0.7


# --- one of N ---------------------------------------------------------------------------------------------------------
def test_the_threshold_among_many_accepts_as_many_strangers_as_the_share_for_each_allows():
    strangers = np.arange(1, 6001) / 6000  # on paper: 0.05 / 10 of 6,000 pairs are 30
    found = threshold_among(strangers, np.array([0.001, 0.002, 0.5]), 10, 0.05, 1.0)
    assert (found.is_shown, found.needed, found.pairs) == (True, 600, 6000)
    assert int((strangers < found.threshold).sum()) == 30
    assert (found.far, found.fpir, found.tar) == (pytest.approx(0.005), 0.05, pytest.approx(2 / 3))


def test_with_too_few_pairs_it_lies_below_all_of_them_and_says_what_is_known():
    strangers = np.array([0.9, 0.3, 0.5, 0.7])
    found = threshold_among(strangers, np.array([0.1]), 2, 0.01, 1.0)
    assert (found.is_shown, found.needed, found.threshold, found.far) == (False, 600, 0.3, 0.0)
    assert found.fpir == 1.0  # the rule of three: 2 times 3 / 4 is no bound


def test_nobody_is_named_whom_the_threshold_for_one_pair_would_refuse():
    found = threshold_among(np.linspace(0.5, 1, 5000), np.array([0.1]), 1, 0.5, 0.4)
    assert (found.threshold, found.far) == (0.4, 0.0)


@pytest.mark.parametrize("enrolled", [1, 10, 100])
def test_no_more_strangers_than_asked_for_are_taken_for_one_of_many(enrolled):
    """By simulation, where some strangers look like everybody, so that their comparisons depend on each other."""
    rng = np.random.default_rng(enrolled)

    def apart(people: int, others: int) -> np.ndarray:
        return np.exp(rng.normal(0, 0.3, (people, 1)) + rng.normal(0, 0.3, (people, others)))

    known = threshold_among(apart(60_000, 1).ravel(), np.array([0.1]), enrolled, 0.05, 9.0)
    assert known.is_shown
    named = (apart(4000, enrolled) < known.threshold).any(axis=1).mean()
    assert 0 < named < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)
