"""What the length of a training and the course of its dev error say."""

from __future__ import annotations

import pytest

from gnomon.strategy.course import Course

FALLING = tuple(0.5 * 0.9**epoch for epoch in range(20))  # a tenth of the error every epoch
FLAT = (0.4, 0.3, 0.25, *(0.2,) * 17)
RISING = (0.4, 0.3, 0.25, 0.24, 0.25, 0.26, 0.27, 0.28, 0.29, 0.3)


@pytest.mark.parametrize(
    ("course", "unfinished", "too_short", "peaked"),
    [
        (Course(20, 0.2, (0.9,), is_cut=True), True, True, False),
        (Course(2, 2.0, (0.5, 0.4)), False, True, False),
        (Course(20, 20.0, FALLING), False, True, False),
        (Course(20, 20.0, FLAT), False, False, False),
        (Course(10, 10.0, RISING), False, False, True),
        (Course(50, 10.0, RISING, is_cut=True), False, False, True),  # more time would make it worse
        (Course(50, 20.0, FLAT, is_cut=True), False, True, False),  # cut at its best
        (Course(20, 0.0, ()), False, False, False),
    ],
)
def test_what_a_course_says(course, unfinished, too_short, peaked):
    assert (course.is_unfinished, course.is_too_short, course.has_peaked) == (unfinished, too_short, peaked)


def test_the_best_epoch_is_the_last_of_the_lowest():
    assert Course(3, 3.0, (0.3, 0.2, 0.2)).best == 3  # as the loop keeps the later of two equal ones
    assert Course(10, 10.0, RISING).best == 4
