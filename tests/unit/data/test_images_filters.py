"""Edge filters against pencil, scipy.ndimage and scikit-image; strips that leave no seam."""

from pathlib import Path

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from scipy import ndimage

from gnomon.data.images import filters
from gnomon.data.images.filters import KINDS, canny, correlate, filtered, kernels

FLOWER = Path(sklearn.__file__).parent / "datasets" / "images" / "flower.jpg"
GOLDEN = Path(__file__).parents[2] / "golden"
SINGLE = [kind for kind in KINDS if kind not in ("canny", "sobel", "scharr")]

pictures = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1)).map(
    lambda drawn: np.random.default_rng(drawn[2]).integers(0, 256, drawn[:2]).astype(np.uint8)
)


@pytest.fixture(scope="module")
def flower():
    with Image.open(FLOWER) as image:
        return np.asarray(image)


# --- by hand ----------------------------------------------------------------------------------------------------------
def test_light_beside_dark_gives_30_and_dark_beside_light_minus_30():
    # course 4, week 1: 6x6, the left half 10, the right half 0 -> 4x4 of 0 30 30 0
    light_left = np.array([[10, 10, 10, 0, 0, 0]] * 6)
    found = filtered(light_left, kernels("vertical"), padding="valid")
    assert_array_equal(found, [[0, 30, 30, 0]] * 4)
    assert_array_equal(filtered(light_left[:, ::-1], kernels("vertical"), padding="valid"), -found)
    assert_array_equal(filtered(light_left.T, kernels("horizontal"), padding="valid"), found.T)


def test_the_checkerboard_of_the_course_gives_30_10_minus_10_minus_30():
    # course 4, week 1, more edge detection: 10 at top left and bottom right, the horizontal filter
    board = np.kron([[10, 0], [0, 10]], np.ones((3, 3)))
    rows = filtered(board, kernels("horizontal"), padding="valid")
    assert_array_equal(rows, [[0, 0, 0, 0], [30, 10, -10, -30], [30, 10, -10, -30], [0, 0, 0, 0]])


@pytest.mark.parametrize("angle", [0, 20, 45, 90, 135, 180, -30])
def test_an_edge_at_the_angle_of_the_filter_gives_the_strongest_answer(angle):
    # a straight edge through the middle of 3x3, light on the left of its direction
    along = np.deg2rad(angle)
    rows, columns = np.mgrid[1:-2:-1, -1:2]
    plane = rows * np.cos(along) - columns * np.sin(along)  # rises at right angles to the edge
    answers = {each: filtered(plane, kernels(each), padding="valid").item() for each in range(-180, 180)}
    assert max(answers, key=answers.__getitem__) in (angle, angle - 360)
    assert answers[(angle + 270) % 360 - 180] == pytest.approx(0, abs=1e-5)  # across it: nothing


def test_gray_is_the_weighted_sum_of_the_three_colours():
    # Rec. 601: 0.299 * 100 + 0.587 * 50 + 0.114 * 200 = 82.05
    assert filters.gray(np.array([[[100, 50, 200]]], dtype=np.uint8)).item() == pytest.approx(82.05, rel=1e-6)


def test_no_filter_answers_a_picture_of_one_colour():
    for kind in (*KINDS[:-1], 30.0):
        assert abs(filtered(np.full((7, 5), 200, np.uint8), kernels(kind), padding="same")).max() < 1e-3
    assert not canny(np.full((9, 9), 200, np.uint8), white=255, low=0.1, high=0.2).any()


# --- against other libraries ------------------------------------------------------------------------------------------
@settings(deadline=None)
@given(pixels=pictures)
def test_sobel_and_laplace_equal_scipys(pixels):
    exact = pixels.astype(np.float64)
    x, y = (ndimage.sobel(exact, axis=axis, mode="nearest") for axis in (1, 0))
    assert_allclose(filtered(pixels, kernels("sobel"), padding="same"), np.hypot(x, y), rtol=1e-5, atol=1e-3)
    laplace = ndimage.laplace(exact, mode="nearest")
    assert_allclose(filtered(pixels, kernels("laplace"), padding="same"), laplace, rtol=1e-5, atol=1e-3)


@settings(deadline=None)
@given(pixels=pictures, angle=st.floats(-360, 360))
def test_every_single_filter_equals_scipys_correlation(pixels, angle):
    for kind in (*SINGLE, angle):
        (kernel,) = kernels(kind).by_name.values()
        theirs = ndimage.correlate(pixels.astype(np.float64), kernel, mode="nearest")
        assert_allclose(filtered(pixels, kernels(kind), padding="same"), theirs, rtol=1e-5, atol=2e-3)


def test_scharr_is_his_filter_both_ways(flower):
    across = np.outer([3, 10, 3], [1, 0, -1])  # Scharr 2000, table 4.3 (times 32): smoothing and central difference
    gray = flower.astype(np.float64) @ filters.GRAY
    theirs = np.hypot(*(ndimage.correlate(gray, kernel, mode="nearest") for kernel in (across, across.T)))
    assert_allclose(filtered(flower, kernels("scharr"), padding="same"), theirs, rtol=1e-4, atol=1e-2)


def test_canny_equals_scikit_images(flower):
    with Image.open(GOLDEN / "canny.png") as image:  # by tests/golden/make_canny.py
        theirs = np.asarray(image)
    ours = canny(flower, white=255, low=0.1, high=0.2)
    inside = np.s_[2:-2, 2:-2]  # it extends the smoothed picture differently
    assert theirs[inside].mean() > 0.04
    assert_array_equal(ours[inside], theirs[inside])


def test_weak_edges_count_where_they_lead_to_a_strong_one():
    across = np.zeros(60)
    across[20], across[21:40], across[40] = 0.5, 1.0, 0.9  # a step up at 20; a small one down at 40
    across[41:] = 0.8
    contrast = np.linspace(0.15, 1.0, 40)[:, np.newaxis]  # the step up is weak at the top, strong at the bottom
    found = canny(np.where(np.arange(60) < 30, contrast * across, across), white=1, low=0.1, high=1.0)
    assert_array_equal(np.flatnonzero(found[1:-1].all(axis=0)), [20])  # one pixel wide, along its whole length
    assert not found[:, 36:44].any()  # never strong, and connected to nothing that is
    alone = canny(np.tile(across, (40, 1)), white=1, low=0.1, high=0.25)
    assert_array_equal(np.flatnonzero(alone[1:-1].all(axis=0)), [20, 40])  # now it is strong itself


# --- sizes and strips -------------------------------------------------------------------------------------------------
@settings(deadline=None)
@given(pixels=pictures.filter(lambda pixels: min(pixels.shape) >= 3))
def test_valid_is_same_without_its_border(pixels):
    for kind in ("sobel", "horizontal"):
        same = filtered(pixels, kernels(kind), padding="same")
        assert same.shape == pixels.shape
        assert_array_equal(filtered(pixels, kernels(kind), padding="valid"), same[1:-1, 1:-1])


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_strips_leave_no_seam(flower, monkeypatch, rows):
    whole = filtered(flower, kernels("sobel"), padding="same"), canny(flower, white=255, low=0.1, high=0.2)
    valid = filtered(flower, kernels(20), padding="valid")
    monkeypatch.setattr(filters, "STRIP", rows * flower.shape[1])
    assert_array_equal(filtered(flower, kernels("sobel"), padding="same"), whole[0])
    assert_array_equal(canny(flower, white=255, low=0.1, high=0.2), whole[1])
    assert_array_equal(filtered(flower, kernels(20), padding="valid"), valid)


def test_memory_beside_the_picture_does_not_grow_with_it():
    import tracemalloc

    peaks = []
    for height in (1_000, 3_000):
        pixels = np.zeros((height, 1_000), np.uint8)
        tracemalloc.start()
        filtered(pixels, kernels("sobel"), padding="same")
        peaks.append(tracemalloc.get_traced_memory()[1] - 4 * pixels.size)  # without the result
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_correlation_is_not_flipped():
    corner = np.zeros((3, 3))
    corner[0, 2] = 1
    assert correlate(np.arange(9.0).reshape(3, 3), corner).item() == 2
