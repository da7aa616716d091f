"""The nearest-neighbour bound: the formula by hand, and mixtures whose Bayes error is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from gnomon.core.errors import DataError
from gnomon.strategy.bayes import nearest_neighbour_bound


def test_one_neighbour_in_four_of_another_class_matches_the_hand_calculation():
    # pairs of points far from each other; in every fourth pair the two differ: e = 1/4, (1 - sqrt(1/2)) / 2 = 0.1464
    places = np.repeat(np.arange(400.0) * 10, 2)[:, None] + np.tile([0.0, 1.0], 400)[:, None]
    labels = np.repeat(np.arange(400) % 2, 2)
    labels[1::8] = 1 - labels[1::8]
    found = nearest_neighbour_bound(places, labels, 2)
    assert found.value == pytest.approx((1 - np.sqrt(0.5)) / 2)
    assert found.low < found.value < found.high


@pytest.mark.parametrize("distance", [1.0, 2.0, 3.0])
def test_two_normal_classes_lie_between_the_bound_and_the_neighbours_error(distance):
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=4000)
    points = rng.normal(size=(4000, 2)) + distance * labels[:, None] * [1, 0]
    bayes = norm.cdf(-distance / 2)
    found = nearest_neighbour_bound(points, labels, 2)
    assert found.low <= bayes
    assert found.value > 0.5 * bayes


def test_pure_noise_over_ten_classes_is_known_to_be_hopeless():
    rng = np.random.default_rng(0)
    found = nearest_neighbour_bound(rng.normal(size=(3000, 3)), rng.integers(10, size=3000), 10)
    assert found.low > 0.75
    assert found.high <= 0.9 + 1e-12


def test_a_neighbour_of_the_same_patient_does_not_count():
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(100), 5)
    points = rng.normal(size=(100, 2))[patient] + 0.001 * rng.normal(size=(500, 2))
    labels = rng.integers(2, size=100)[patient]  # nothing to learn but the patient
    assert nearest_neighbour_bound(points, labels, 2).value == 0
    assert nearest_neighbour_bound(points, labels, 2, groups=patient).value > 0.2


def test_odd_features_are_refused():
    with pytest.raises(DataError, match="at least two examples"):
        nearest_neighbour_bound(np.zeros((3, 1)), np.zeros(2, dtype=int), 2)
    with pytest.raises(DataError, match="not finite numbers"):
        nearest_neighbour_bound(np.array([[np.nan], [1.0]]), np.array([0, 1]), 2)
