"""Evidence for a change, by pencil; and how often a run of them keeps something that is nothing."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.metrics.intervals import wilson
from gnomon.strategy.improve import (
    ALPHA,
    LARGE_DEV,
    Evidence,
    SeedScatter,
    can_be_halved,
    compare,
    decide,
    half_of_dev,
    is_settled,
    links_at_fault,
    seed_average,
)
from gnomon.strategy.ladder import diagnose_rates


def dev(errors, group=None) -> Evaluation:
    table = pl.DataFrame(
        {
            "id": [str(i) for i in range(len(errors))],
            "target": ["a"] * len(errors),
            "error": np.asarray(errors, dtype=float),
            "weight": 1.0,
            "group": pl.Series(group or [None] * len(errors), dtype=pl.String),
        }
    )
    return Evaluation("dev", SHARE, table)


def wrong(*places, total=100):
    errors = np.zeros(total)
    errors[list(places)] = 1
    return dev(errors)


def test_six_errors_fixed_and_none_made_is_one_in_64_by_chance():
    found = compare([wrong(*range(10))], [wrong(6, 7, 8, 9)])
    assert found.gain == pytest.approx(0.06)
    assert found.p_value == pytest.approx(0.5**6)
    assert found.low > 0


def test_a_change_for_the_worse_has_a_gain_below_nothing():
    found = compare([wrong(1, 2)], [wrong(1, 2, 3, 4, 5)])
    assert found.gain == pytest.approx(-0.03)
    assert found.p_value > 0.5


def test_seeds_are_averaged_example_by_example():
    average = seed_average([wrong(0, 1), wrong(1, 2)])
    assert average.table["error"].head(4).to_list() == [0.5, 1.0, 0.5, 0.0]


def test_seeds_that_disagree_as_wholes_weaken_the_evidence():
    """Every seed errs on other examples, so examples say little about the spread of whole runs."""
    before = [wrong(*range(20)), wrong(*range(20, 40)), wrong(*range(40, 60))]
    alike = compare(before, [wrong(*range(10)), wrong(*range(20, 30)), wrong(*range(40, 50))])
    apart = compare(before, [wrong(), wrong(*range(20, 40)), wrong(*range(40, 50))])
    assert alike.gain == pytest.approx(apart.gain)
    assert apart.p_value > alike.p_value
    assert apart.high - apart.low > alike.high - alike.low


def test_scatter_of_earlier_pairs_counts():
    before, after = [wrong(*range(10)), wrong(*range(10))], [wrong(*range(4)), wrong(*range(4))]
    alone = compare(before, after)
    warned = compare(before, after, scatters=[SeedScatter(squares=0.02, freedom=4, explained=0.0)])
    assert warned.p_value > alone.p_value


def test_a_metric_of_the_whole_split_is_averaged_over_seeds():
    whole = Evaluation("dev", SHARE, wrong(0).table, lambda counts: float(counts[0] / counts.sum()))
    other = Evaluation("dev", SHARE, wrong(0).table, lambda counts: 0.5)
    assert seed_average([whole, other]).split_error(np.ones(100)) == pytest.approx((0.01 + 0.5) / 2)


def test_what_is_enough_for_the_first_change_is_not_for_the_tenth():
    evidence = Evidence(gain=0.02, low=0.001, high=0.04, p_value=0.02, seeds=3)
    assert decide(evidence, number_tried=1, unit=SHARE).is_kept
    later = decide(evidence, number_tried=10, unit=SHARE)
    assert not later.is_kept
    assert "0.005 = 0.05 / 10 changes tried" in later.why


def test_only_a_large_dev_set_without_groups_is_halved():
    large = dev(np.zeros(LARGE_DEV))
    assert can_be_halved(large)
    assert not can_be_halved(dev(np.zeros(LARGE_DEV - 1)))
    assert not can_be_halved(dev(np.zeros(LARGE_DEV), group=["p"] * LARGE_DEV))
    halves = [half_of_dev(large, confirming=confirming).table["id"].to_list() for confirming in (False, True)]
    assert sorted(halves[0] + halves[1]) == sorted(large.table["id"].to_list())


@pytest.mark.parametrize(
    ("errors", "links"),
    [
        ({"human": 0.01, "train": (0.08, 10_000), "dev": (0.10, 10_000)}, ("fit-train",)),
        ({"human": 0.075, "train": (0.08, 10_000), "dev": (0.10, 10_000)}, ("fit-dev",)),
        ({"human": 0.01, "train": (0.02, 10_000), "dev": (0.02, 10_000)}, ("fit-train",)),
    ],
)
def test_the_gap_that_is_named_says_whose_knobs_are_turned(errors, links):
    assert links_at_fault(diagnose_rates(errors))[0] == links


def test_where_no_gap_is_sure_the_largest_as_measured_comes_first():
    links, reason = links_at_fault(diagnose_rates({"human": 0.0, "train": (0.01, 200), "dev": (0.04, 50)}))
    assert links[0] == "fit-dev"
    assert reason.startswith("no gap is sure")


# --- many changes, none of which is one -----------------------------------------------------------------------------
def a_run_that_keeps(rng, *, gains=(), tries=12, num_dev=400, seeds=3) -> list[bool]:
    """Whether each of so many changes was kept; change i takes away gains[i] of the errors, the others nothing."""
    difficulty, scatters, kept = rng.beta(0.25, 2.2, size=num_dev), [], []
    before = [dev(rng.random(num_dev) < difficulty) for _ in range(seeds)]
    for number in range(tries):
        rate = difficulty * (1 - (gains[number] if number < len(gains) else 0.0))
        after = []
        for place in range(seeds):
            after.append(dev(rng.random(num_dev) < rate))
            evidence = compare(before[: place + 1], after, scatters=scatters)
            if is_settled(evidence, number_tried=number + 1):
                break
        if evidence.scatter.freedom:
            scatters.append(evidence.scatter)
        kept.append(decide(evidence, number_tried=number + 1, unit=SHARE).is_kept)
    return kept


def test_a_change_that_halves_the_errors_is_kept():
    rng = np.random.default_rng(3)
    assert sum(a_run_that_keeps(rng, gains=(0.5,), tries=1)[0] for _ in range(6)) >= 5


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_runs_of_twelve_changes_that_are_none_seldom_keep_one():
    """Bonferroni over the tries so far lets a little more than ALPHA through a whole run: at most twice as much."""
    rng = np.random.default_rng(5)
    false = [any(a_run_that_keeps(rng)) for _ in range(200)]
    share = wilson(sum(false), len(false))
    print(f"\nruns that kept something that is nothing: {share.value:.3f} [{share.low:.3f}, {share.high:.3f}]")
    assert share.value <= 2 * ALPHA


def test_no_seed_is_spent_where_there_is_no_hope_or_no_doubt():
    def evidence(gain, p_value):
        return Evidence(gain=gain, low=gain - 0.01, high=gain + 0.01, p_value=p_value, seeds=1)

    assert is_settled(evidence(-0.01, 0.8), number_tried=1)
    assert is_settled(evidence(0.01, 0.4), number_tried=1)
    assert not is_settled(evidence(0.01, 0.04), number_tried=1)
    assert is_settled(evidence(0.2, 5e-4), number_tried=1)
    assert not is_settled(evidence(0.2, 5e-4), number_tried=10)
