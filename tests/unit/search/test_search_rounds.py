"""From coarse to fine: rounds by tier, zooms to where good trials lie, points that depend on the seed alone."""

from __future__ import annotations

import math

import pytest

from gnomon.search.results import FINISHED, STOPPED, Result
from gnomon.search.rounds import Round, draws, grid, plan, whole, zoom
from gnomon.search.space import Dimension, Space

RATE = Dimension("learning_rate", "optimiser.learning_rate", "log", 1, 1e-3, 1e-4, 0.1)
UNITS = Dimension("units", "model.hidden", "whole, log", 2, 64, 8, 512)
DROP = Dimension("dropout", "regularise.dropout", "linear", 3, 0.2, 0.0, 0.5)
SPACE = Space((RATE, UNITS, DROP))


def results_of(points, error):
    return [Result(number, 1, point, FINISHED, error=error(point), loss=0.0) for number, point in points.items()]


def test_forty_trials_are_the_defaults_and_four_rounds_by_tier():
    rounds = plan(40, (1, 2, 3))
    assert [one.tier for one in rounds] == [1, 2, 3, 3]
    assert [number for one in rounds for number in one.trials] == list(range(2, 41))


@pytest.mark.parametrize("trials", range(2, 60))
@pytest.mark.parametrize("tiers", [(1,), (2, 3), (1, 2, 3)])
def test_every_trial_belongs_to_one_round(trials, tiers):
    rounds = plan(trials, tiers)
    assert [number for one in rounds for number in one.trials] == list(range(2, trials + 1))


def test_few_trials_are_spent_on_the_learning_rate():
    assert [one.tier for one in plan(6, (1, 2, 3))] == [1]


def test_a_round_varies_its_tiers_and_leaves_the_others_at_their_defaults():
    points = draws(SPACE, whole(SPACE), Round(1, 2, 8, 1), seed=0)
    assert all(point["units"] == 64 and point["dropout"] == 0.2 for point in points.values())
    assert len({point["learning_rate"] for point in points.values()}) == 8


def test_each_part_of_a_range_is_drawn_from_once():
    points = draws(SPACE, whole(SPACE), Round(1, 2, 10, 3), seed=3)
    for one in (RATE, DROP):
        assert sorted(int(10 * one.place(point[one.name])) for point in points.values()) == list(range(10))


def test_a_round_depends_on_the_seed_alone():
    what = Round(1, 2, 10, 3)
    assert draws(SPACE, whole(SPACE), what, seed=1) == draws(SPACE, whole(SPACE), what, seed=1)
    assert draws(SPACE, whole(SPACE), what, seed=1) != draws(SPACE, whole(SPACE), what, seed=2)


@pytest.mark.parametrize("seed", range(20))
def test_a_zoom_contains_a_planted_optimum_and_less_of_the_range(seed):
    best = 10 ** (-4 + 3 * (0.1 + 0.04 * seed))

    def error(point):
        return abs(math.log(point["learning_rate"] / best))

    what = Round(1, 2, 8, 1)
    region, changes = zoom(SPACE, whole(SPACE), results_of(draws(SPACE, whole(SPACE), what, seed), error), what)
    low, high = region.ranges["learning_rate"]
    assert low <= RATE.place(best) <= high
    assert high - low < 0.7
    assert [one.name for one in changes] == ["learning_rate"]
    assert len(changes[0].trials) == 3


def test_a_zoom_may_leave_the_last_region_where_the_best_lies_at_its_end():
    what = Round(2, 2, 8, 1)
    first = whole(SPACE)
    narrow, _ = zoom(
        SPACE, first, results_of(draws(SPACE, first, what, 0), lambda p: abs(math.log(p["learning_rate"] / 1e-3))), what
    )
    rising = results_of(draws(SPACE, narrow, what, 1), lambda p: -p["learning_rate"])
    moved, _ = zoom(SPACE, narrow, rising, what)
    assert moved.ranges["learning_rate"][1] > narrow.ranges["learning_rate"][1]


def test_trials_that_fail_a_condition_or_stopped_early_do_not_guide_the_zoom():
    points = {number: {"learning_rate": RATE.at(number / 10), "units": 64, "dropout": 0.2} for number in range(10)}
    results = [
        Result(number, 1, point, STOPPED if number < 2 else FINISHED, error=number / 10,
               unmet=("latency_ms <= 1",) if number < 5 else ())
        for number, point in points.items()
    ]  # fmt: skip
    _, changes = zoom(SPACE, whole(SPACE), results, Round(1, 0, 10, 1))
    assert changes[0].trials == (5, 6, 7)


def test_two_trials_that_meet_the_conditions_guide_the_zoom_alone():
    points = {number: {"learning_rate": RATE.at(number / 10), "units": 64, "dropout": 0.2} for number in range(10)}
    results = [
        Result(number, 1, point, FINISHED, error=number / 10, unmet=() if number in (6, 7) else ("size_mb <= 1",))
        for number, point in points.items()
    ]
    _, changes = zoom(SPACE, whole(SPACE), results, Round(1, 0, 10, 1))
    assert changes[0].trials == (6, 7)


def test_choices_without_a_good_trial_are_dropped():
    kind = Dimension("schedule", "schedule.name", "choice", 1, "a", choices=("a", "b", "c"))
    space = Space((kind,))
    results = [Result(i, 1, {"schedule": "abc"[i % 3]}, FINISHED, error=float(i % 3 == 2)) for i in range(12)]
    region, changes = zoom(space, whole(space), results, Round(1, 0, 12, 1))
    assert region.choices["schedule"] == (0, 1)
    assert (changes[0].before, changes[0].after) == (("a", "b", "c"), ("a", "b"))


def test_a_grid_of_27_is_three_by_three_by_three_middles():
    points = grid(SPACE, 27)
    assert len(points) == 27
    # thirds of 1e-4 .. 1e-1: the middles are 10^-3.5, 10^-2.5, 10^-1.5
    assert sorted({point["learning_rate"] for point in points}) == pytest.approx(
        [10**-3.5, 10**-2.5, 10**-1.5], rel=5e-3
    )
    assert sorted({point["dropout"] for point in points}) == pytest.approx([0.5 / 6, 0.25, 2.5 / 6], rel=5e-3)


@pytest.mark.parametrize("trials", [1, 5, 12, 39, 64])
def test_a_grid_never_exceeds_its_number_of_points(trials):
    assert 1 <= len(grid(SPACE, trials)) <= trials
