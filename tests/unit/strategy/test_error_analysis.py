"""Shares and ceilings of tags: the worked examples by hand, intervals against another formula, overlaps by union."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.strategy.error_analysis import (
    Errors,
    Tag,
    chosen_by_hand,
    errors_of,
    in_order_of_gain,
    sampled_share,
    share_of_errors,
    shares_of_errors,
    union,
)

Z = 1.959963984540054


def errors(count: int, wrong: int) -> Errors:
    """The first `wrong` of `count` examples are errors."""
    return Errors((np.arange(count) < wrong).astype(float), float(count), wrong / count)


def tag(name: str, tagged, reviewed=None, count: int = 1000) -> Tag:
    rows = np.zeros(count, dtype=bool)
    rows[list(tagged)] = True
    known = np.ones(count, dtype=bool)
    if reviewed is not None:
        known[:] = False
        known[list(reviewed)] = True
    return Tag(name, "yours", rows, known)


@pytest.mark.parametrize(("dogs", "left"), [(5, 0.095), (50, 0.05)])
def test_five_dogs_of_a_hundred_errors_leave_nine_and_a_half_of_ten_percent_and_fifty_leave_five(dogs, left):
    # Ng, Machine Learning Yearning, chapter 14: 100 mislabelled dev examples at 10 % error
    found = share_of_errors(errors(1000, 100), tag("dog", range(dogs)))
    assert found.share.value == pytest.approx(dogs / 100)
    assert found.ceiling.value == pytest.approx(0.1 - left)
    assert found.left.value == pytest.approx(left)
    assert (found.tagged, found.reviewed, found.errors) == (dogs, 100, 100)


def test_reviewing_all_errors_leaves_no_uncertainty_about_this_split():
    found = share_of_errors(errors(1000, 100), tag("dog", range(5)))
    assert found.share.low == found.share.value == found.share.high


def test_a_sample_has_wilsons_interval_with_the_finite_population_correction():
    # 8 of 20, drawn of 100: by hand, n' = 20 * 99 / 80 = 24.75 in Wilson's formula
    found = sampled_share(np.ones(20), np.arange(20) < 8, population=100)
    n, p = 24.75, 0.4
    middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    assert found.low == pytest.approx(middle - half, abs=1e-12)
    assert found.high == pytest.approx(middle + half, abs=1e-12)


def test_the_ends_of_the_ceiling_are_those_of_the_share_times_the_error():
    found = share_of_errors(errors(1000, 100), tag("dog", range(8), reviewed=range(20)))
    assert found.ceiling.low == pytest.approx(0.1 * found.share.low)
    assert found.left.high == pytest.approx(0.1 * (1 - found.share.low))


def test_a_tag_added_midway_counts_only_rows_reviewed_since():
    found = share_of_errors(errors(1000, 100), tag("dog", [0, 30, 31], reviewed=range(30, 40)))
    assert (found.tagged, found.reviewed) == (2, 10)
    assert found.share.value == pytest.approx(0.2)


def test_a_tag_nobody_reviewed_has_no_share():
    assert shares_of_errors(errors(1000, 100), [tag("dog", [], reviewed=[])]) == ()
    with pytest.raises(ValueError, match="no error was reviewed"):
        share_of_errors(errors(1000, 100), tag("dog", [], reviewed=[500]))


def test_overlapping_tags_remove_their_union_not_their_sum():
    dogs, blurred = tag("dog", range(50)), tag("blurred", range(40, 60))
    both = share_of_errors(errors(1000, 100), union([dogs, blurred]))
    assert both.share.value == pytest.approx(0.6)  # 50 + 20 - 10 in both


def test_a_union_knows_only_rows_that_each_tag_knows():
    both = union([tag("dog", [1], reviewed=range(10)), tag("blurred", [1, 20], reviewed=range(5, 30))])
    assert int(both.reviewed.sum()) == 5
    assert int(both.tagged.sum()) == 0


def test_what_to_work_on_is_ordered_by_what_each_adds_to_those_before():
    most, within, other = tag("most", range(50)), tag("within", range(10, 50)), tag("other", range(50, 70))
    found = in_order_of_gain(errors(1000, 100), [within, other, most])
    assert [(one.name, round(together.share.value, 6)) for one, together in found] == [("most", 0.5), ("other", 0.7)]


def test_tags_come_by_ceiling():
    found = shares_of_errors(errors(1000, 100), [tag("few", range(5)), tag("many", range(50)), tag("some", range(20))])
    assert [one.name for one in found] == ["many", "some", "few"]


def test_tags_come_by_gain_per_cost():
    # by hand, error 10 %: many could remove 5 points at a cost of 10, some 2 points at 1, few 0.5 points at 0.1
    tags = [tag("few", range(5)), tag("many", range(50)), tag("some", range(20))]
    found = shares_of_errors(errors(1000, 100), tags, {"many": 10.0, "few": 0.1})
    assert [(one.name, round(one.gain_per_cost, 6)) for one in found] == [
        ("few", 0.05),
        ("some", 0.02),
        ("many", 0.005),
    ]


def test_what_to_work_on_weighs_what_each_adds_against_its_cost():
    # by hand: other adds 20 errors for 1, most 50 for 5; within adds nothing more
    most, within, other = tag("most", range(50)), tag("within", range(10, 50)), tag("other", range(50, 70))
    found = in_order_of_gain(errors(1000, 100), [within, other, most], costs={"most": 5.0, "within": 5.0})
    assert [(one.name, one.cost) for one, _ in found] == [("other", 1.0), ("most", 5.0)]


def test_heavier_errors_hold_more_of_the_share():
    # two errors of weight 3 and 1: the heavy one is three quarters of the error
    table = pl.DataFrame({"error": [1.0, 1.0, 0.0], "weight": [3.0, 1.0, 4.0]})
    found = share_of_errors(errors_of(table, 0.5), tag("heavy", [0], count=3))
    assert found.share.value == pytest.approx(0.75)
    assert found.left.value == pytest.approx(0.125)


def test_a_tag_equally_common_among_right_examples_is_ordinary():
    rows = [*range(10), *range(100, 190)]  # 10 of 100 errors, and 90 of 900 right examples
    assert share_of_errors(errors(1000, 100), tag("camera", rows)).is_ordinary
    assert not share_of_errors(errors(1000, 100), tag("dog", range(10))).is_ordinary


def test_a_tag_explained_by_chance_is_ordinary_unless_a_person_set_it():
    # 4 of 10 errors against 27 of 90 right examples: Fisher's exact test gives p = 0.37 for as much or more
    rows = [*range(4), *range(10, 37)]
    found = tag("camera", rows, count=100)
    assert share_of_errors(errors(100, 10), replace(found, kind="slice")).is_ordinary
    assert not share_of_errors(errors(100, 10), replace(found, kind="yours")).is_ordinary
    # 9 of 10 against 27 of 90: p = 0.0004
    rows = [*range(9), *range(10, 37)]
    assert not share_of_errors(errors(100, 10), replace(tag("camera", rows, count=100), kind="slice")).is_ordinary


def test_errors_of_one_group_count_as_one():
    masses, tagged = np.ones(40), np.arange(40) < 20
    alone = sampled_share(masses, tagged, population=400)
    grouped = sampled_share(masses, tagged, population=400, groups=np.arange(40) // 10)
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_rows_out_of_the_random_order_are_counted():
    order = np.arange(100)
    reviewed = np.zeros(100, dtype=bool)
    reviewed[:30] = True
    assert chosen_by_hand(order, reviewed) == 0
    reviewed[80:95] = True
    assert chosen_by_hand(order, reviewed) == 15


@given(st.integers(1, 60), st.data())
def test_an_interval_contains_its_share_and_narrows_to_zero_width(num_reviewed, data):
    tagged = np.array(data.draw(st.lists(st.booleans(), min_size=num_reviewed, max_size=num_reviewed)))
    some = sampled_share(np.ones(num_reviewed), tagged, population=2 * num_reviewed)
    every = sampled_share(np.ones(num_reviewed), tagged, population=num_reviewed)
    assert 0 <= some.low <= some.value <= some.high <= 1
    assert every.low == every.high == pytest.approx(tagged.mean())


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6])
def test_the_interval_covers_in_samples_without_replacement(share):
    population, n, rounds = 200, 60, 1500
    rng = np.random.default_rng(7)
    truth = np.arange(population) < share * population
    covered = 0
    for _ in range(rounds):
        found = sampled_share(np.ones(n), rng.permutation(truth)[:n], population=population)
        covered += found.low <= share <= found.high
    assert 0.93 <= covered / rounds <= 0.995
