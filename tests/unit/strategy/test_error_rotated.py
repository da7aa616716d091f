"""Pictures that stand rotated: found among scikit-learn's digits, and nowhere where there is no up and down."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from gnomon.strategy.error_rotated import SIDE, rotated, small

USUAL = 600


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """(1797, SIDE, SIDE) and the class of each, shuffled; the first 600 are what training pictures look like."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.images))
    return np.array([small(255 / 16 * image) for image in data.images[order]]), data.target[order].astype(str)


def found(pictures, classes, digits) -> np.ndarray:
    return rotated(pictures, classes, digits[0][:USUAL], digits[1][:USUAL])


# measured on 600 digits never seen: 100 %, 80 % (0, 1, 8 look the same on their head), 100 %
@pytest.mark.parametrize(("turns", "least"), [(1, 0.97), (2, 0.7), (3, 0.97)])
def test_rotated_digits_are_found(digits, turns, least):
    pictures, classes = digits[0][USUAL:1200], digits[1][USUAL:1200]
    assert found(np.rot90(pictures, turns, axes=(1, 2)), classes, digits).mean() > least


def test_upright_digits_are_not(digits):
    assert found(digits[0][USUAL:], digits[1][USUAL:], digits).mean() < 0.01


def test_a_rotated_digit_among_upright_ones_is_the_one_that_is_found(digits):
    pictures, classes = digits[0][USUAL : USUAL + 40].copy(), digits[1][USUAL : USUAL + 40]
    four = int(np.flatnonzero(classes == "4")[0])
    pictures[four] = np.rot90(pictures[four])
    assert np.flatnonzero(found(pictures, classes, digits)).tolist() == [four]


def test_pictures_without_an_up_and_down_are_never_rotated():
    rng = np.random.default_rng(0)
    grain = rng.uniform(0, 255, (800, SIDE, SIDE))
    rings = 128 + 100 * np.cos(np.hypot(*np.indices((SIDE, SIDE)) - (SIDE - 1) / 2)) * rng.uniform(0, 1, (800, 1, 1))
    one = np.zeros(400)
    for pictures in (grain, rings + 0.1 * grain):
        assert rotated(pictures[400:], one, pictures[:400], one).mean() <= 0.02


def test_training_pictures_of_which_one_in_ten_is_rotated_do_not_hide_it(digits):
    pictures, classes = digits[0].copy(), digits[1]
    rng = np.random.default_rng(1)
    turned = rng.random(len(pictures)) < 0.1
    for place in np.flatnonzero(turned):
        pictures[place] = np.rot90(pictures[place], rng.integers(1, 4))
    marked = rotated(pictures[USUAL:], classes[USUAL:], pictures[:USUAL], classes[:USUAL])
    assert marked[turned[USUAL:]].mean() > 0.5
    assert marked[~turned[USUAL:]].mean() < 0.01


def test_a_class_too_small_to_compare_with_is_compared_with_all(digits):
    classes = digits[1].copy()
    classes[USUAL:1200] = "never seen"
    assert found(digits[0][USUAL:1200], classes[USUAL:1200], digits).mean() < 0.02


def test_too_few_training_pictures_find_nothing(digits):
    assert not rotated(np.rot90(digits[0][:9], 1, axes=(1, 2)), digits[1][:9], digits[0][9:12], digits[1][9:12]).any()


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (16, 16), (500, 30)])
def test_a_picture_of_any_shape_is_shrunk(shape):
    assert small(np.full(shape, 200.0)).shape == (SIDE, SIDE)
