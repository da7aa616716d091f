import numpy as np
import pytest
from numpy.testing import assert_allclose

from gnomon.core.errors import DataError
from gnomon.metrics import landmarks

EYES = np.array([[[0.0, 0.0], [10.0, 0.0], [5.0, 5.0]], [[0.0, 0.0], [0.0, 20.0], [3.0, 4.0]]])  # (2, 3, 2)


def test_errors_are_in_distances_between_the_eyes():
    unit = landmarks.between_points(EYES, 0, 1)
    assert unit.tolist() == [10, 20]
    moved = EYES.copy()
    moved[:, 2] += [3, 4]  # 5 pixels, of one point in three
    assert_allclose(landmarks.normalised_errors(EYES, moved, unit), [5 / 3 / 10, 5 / 3 / 20])


def test_points_that_nobody_set_do_not_count():
    moved, known = EYES.copy(), np.array([[True, True, False], [False, False, False]])
    moved[:, 2] = np.nan
    moved[0, 0] += [0, 1]
    found = landmarks.normalised_errors(EYES, moved, np.array([10.0, 20.0]), is_known=known)
    assert_allclose(found, [0.05, np.nan])
    assert landmarks.normalised_mean_error(found).value == pytest.approx(0.05)
    assert landmarks.normalised_mean_error(found[1:]) is None
    assert landmarks.failure_rate(np.array([0.05, 0.2, 0.3, np.nan])) == pytest.approx(2 / 3)


def test_a_face_without_a_size_is_refused():
    with pytest.raises(DataError, match="the unit of 1 pictures is not above 0") as failure:
        landmarks.normalised_errors(EYES, EYES, np.array([10.0, 0.0]))
    assert "picture 1" in str(failure.value)


def test_the_interval_is_that_of_a_mean_over_pictures():
    errors = np.random.default_rng(0).gamma(4, 0.01, 300)
    found = landmarks.normalised_mean_error(errors)
    assert found.high - found.low == pytest.approx(2 * 1.96 * errors.std() / np.sqrt(300), rel=0.15)
