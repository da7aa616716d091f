from __future__ import annotations

import itertools

import numpy as np
import pytest

from gnomon.core.errors import DataError
from gnomon.metrics.regions import adapted_rand_error, regions_of


def by_pairs(truth, said):
    """The definition, pair by pair, each pixel with itself too."""
    places = np.argwhere(truth > 0)
    both = one = other = 0
    for a, b in itertools.product(range(len(places)), repeat=2):
        first, second = tuple(places[a]), tuple(places[b])
        in_truth = truth[first] == truth[second]
        in_said = a == b or (said[first] == said[second] and said[first] > 0)
        both, one, other = both + (in_truth and in_said), one + in_truth, other + in_said
    return 1 - 2 * both / (one + other)


def test_the_error_is_that_of_all_pairs_of_pixels():
    rng = np.random.default_rng(0)
    for _ in range(10):
        truth, said = rng.integers(0, 4, (6, 7)), rng.integers(0, 5, (6, 7))
        assert adapted_rand_error(truth, said) == pytest.approx(by_pairs(truth, said))


def test_merging_two_equal_regions_halves_the_precision():
    truth = np.array([[1, 1, 0, 2, 2]])
    # 4 true pixels; pairs in one true region: 2² + 2² = 8; said to be in one: 4² = 16; F = 2 * 8 / (8 + 16)
    assert adapted_rand_error(truth, np.array([[1, 1, 1, 1, 1]])) == pytest.approx(1 - 16 / 24)
    assert adapted_rand_error(truth, np.array([[7, 7, 7, 3, 3]])) == 0.0


def test_how_thick_the_border_is_drawn_inside_the_true_border_does_not_matter():
    truth = np.array([[1, 1, 0, 0, 0, 2, 2]])
    for said in ([5, 5, 0, 0, 0, 6, 6], [5, 5, 5, 0, 6, 6, 6]):
        assert adapted_rand_error(truth, np.array([said])) == 0.0


def test_one_lost_pixel_of_membrane_merges_what_it_separated():
    is_border = np.zeros((5, 5), bool)
    is_border[:, 2] = True
    truth = regions_of(is_border)
    assert set(np.unique(truth)) == {0, 1, 2}
    leaking = is_border.copy()
    leaking[2, 2] = False
    # two regions of 10 pixels: 10² + 10² pairs of 20²
    assert adapted_rand_error(truth, regions_of(leaking)) == pytest.approx(1 - 2 * 200 / (200 + 400))


def test_a_diagonal_border_separates():
    assert regions_of(np.eye(3, dtype=bool)).max() == 2


def test_without_a_region_there_is_no_error_and_other_sizes_are_refused():
    nothing = np.zeros((2, 2), int)
    assert np.isnan(adapted_rand_error(nothing, nothing))
    with pytest.raises(DataError, match="4 true pixels and 6 predicted"):
        adapted_rand_error(nothing, np.zeros((2, 3), int))
