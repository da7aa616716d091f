"""Evidence for a change, by pencil; and how often a run of them keeps something that is nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import wilson
from gnomon.strategy.improve import (
    LARGE_DEV,
    Evidence,
    can_be_halved,
    compare,
    decide,
    half_of_dev,
    is_settled,
    links_at_fault,
)
from gnomon.strategy.ladder import diagnose_rates
from gnomon.strategy.paired import PairedTest, SeedScatter, seed_average


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


def evidence_of(gain, p_value, *, lean=0.0, lean_p=1.0):
    """Of a test with this difference and two-sided p value."""
    return Evidence(
        PairedTest(Interval(gain, gain - 0.02, gain + 0.02, "by hand"), p_value, "by hand", 100), lean, lean_p
    )


def test_six_errors_fixed_and_none_made_or_the_other_way_round_has_a_chance_of_one_in_32():
    found = compare([wrong(*range(10))], [wrong(6, 7, 8, 9)])
    assert found.gain == pytest.approx(0.06)
    assert found.p_value == pytest.approx(2 * 0.5**6)
    assert found.chance == pytest.approx(0.5**6)
    assert found.test.difference.low > 0


def test_a_change_for_the_worse_has_a_negative_gain():
    found = compare([wrong(1, 2)], [wrong(1, 2, 3, 4, 5)])
    assert found.gain == pytest.approx(-0.03)
    assert found.chance > 0.5


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
    widths = [one.test.difference.high - one.test.difference.low for one in (apart, alike)]
    assert widths[0] > widths[1]


def test_scatter_of_earlier_pairs_counts():
    before, after = [wrong(*range(10)), wrong(*range(10))], [wrong(*range(4)), wrong(*range(4))]
    alone = compare(before, after)
    warned = compare(before, after, scatters=[SeedScatter(squares=0.02, freedom=4, explained=0.0)])
    assert warned.p_value > alone.p_value


def test_a_metric_of_the_whole_split_is_averaged_over_seeds():
    whole = Evaluation("dev", SHARE, wrong(0).table, lambda counts: float(counts[0] / counts.sum()))
    other = Evaluation("dev", SHARE, wrong(0).table, lambda counts: 0.5)
    assert seed_average([whole, other]).split_error(np.ones(100)) == pytest.approx((0.01 + 0.5) / 2)


def test_evidence_that_proves_the_first_change_does_not_prove_the_tenth():
    evidence = evidence_of(0.02, 0.02)
    assert decide(evidence, number_tried=1, unit=SHARE).is_proven
    later = decide(evidence, number_tried=10, unit=SHARE)
    assert not later.is_proven
    assert later.level == pytest.approx(0.05 / 10)
    assert "(p = 0.2, corrected for 10 changes tried)" in later.why


@pytest.mark.parametrize(
    ("gain", "p_value", "lean", "lean_p", "becomes"),
    [
        (0.02, 0.001, 0.1, 0.01, "proven"),
        (0.02, 0.3, 0.1, 0.15, "on trial"),
        (0.0, 0.5, 0.1, 0.01, "on trial"),  # as many errors, but smaller losses
        (0.02, 0.3, 0.1, 0.4, "undone"),
        (0.02, 0.3, -0.1, 0.9, "undone"),
        (-0.1, 0.9, -0.1, 0.9, "undone"),
    ],
)
def test_a_change_is_proven_or_on_trial_or_undone(gain, p_value, lean, lean_p, becomes):
    evidence = evidence_of(gain, p_value, lean=lean, lean_p=lean_p)
    found = decide(evidence, number_tried=5, unit=SHARE)
    assert (found.is_proven, found.is_on_trial) == (becomes == "proven", becomes == "on trial")
    assert found.is_kept == (becomes != "undone")


def with_loss(errors: Evaluation, losses) -> Evaluation:
    return replace(errors, table=errors.table.with_columns(loss=pl.Series(losses, dtype=pl.Float64)))


def test_the_lean_uses_losses_where_errors_say_nothing():
    """100 examples, 10 errors before and after; every loss is a tenth smaller: half of 0 % and half of 10 %."""
    rng = np.random.default_rng(0)
    losses = rng.exponential(size=100)
    before, after = with_loss(wrong(*range(10)), losses), with_loss(wrong(*range(10)), 0.9 * losses)
    found = compare([before], [after])
    assert (found.gain, found.p_value, found.chance) == (0, 1.0, 0.5)
    assert found.lean == pytest.approx(0.05)
    assert found.lean_p < 0.001
    assert compare([after], [before]).lean < 0
    assert compare([before], [after], by_loss=False).lean == 0


def test_the_lean_uses_errors_where_there_are_no_losses():
    found = compare([wrong(*range(10))], [wrong(6, 7, 8, 9)])
    assert found.lean == pytest.approx(0.6)
    assert found.lean_p == found.chance


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
def test_the_named_gap_decides_whose_knobs_are_turned(errors, links):
    assert links_at_fault(diagnose_rates(errors))[0] == links


def test_without_a_clear_gap_the_largest_measured_one_comes_first():
    links, reason = links_at_fault(diagnose_rates({"human": 0.0, "train": (0.01, 200), "dev": (0.04, 50)}))
    assert links[0] == "fit-dev"
    assert reason.startswith("no gap is statistically clear")


# --- many changes, of which most or all are none ----------------------------------------------------------------------
def a_run(rng, *, gains=(), tries=12, num_dev=400, seeds=3, on_trial=True) -> tuple[float, bool]:
    """The errors that are left, as a share of those at the start, and whether anything was called proven.

    Change i takes away gains[i] of the errors (0 beyond them, below 0: it adds some). What is on trial stays, and is
    tested together at the end, as `improve` does; without `on_trial` only what is proven stays.
    """
    difficulty, scatters = rng.beta(0.25, 2.2, size=num_dev), []
    known: dict[tuple[float, int], Evaluation] = {}

    def trained(left, seed):
        return known.setdefault((left, seed), dev(rng.random(num_dev) < difficulty * left))

    left, proven, is_proven, number = 1.0, 1.0, False, 0
    for place in range(tries):
        after_this = left * (1 - (gains[place] if place < len(gains) else 1e-9 * (place + 1)))
        number += 1
        evidence = compare([trained(left, 0)], [trained(after_this, 0)], scatters=scatters)
        decision = decide(evidence, number_tried=number, unit=SHARE)
        is_proven |= decision.is_proven
        if decision.is_proven and left == proven:
            proven = after_this
        if decision.is_proven or (on_trial and decision.is_on_trial):
            left = after_this
    if left != proven:
        evidence = together(trained, proven, left, seeds, scatters, number + 1)
        is_proven |= decide(evidence, number_tried=number + 1, unit=SHARE).is_proven
        left = left if evidence.gain > 0 else proven
    return left, is_proven


def together(trained, proven, left, seeds, scatters, number) -> Evidence:
    before, after = [], []
    for seed in range(seeds):
        before.append(trained(proven, seed))
        after.append(trained(left, seed))
        evidence = compare(before, after, scatters=scatters)
        if is_settled(evidence, number_tried=number):
            break
    return evidence


def test_a_change_that_halves_the_errors_is_kept():
    rng = np.random.default_rng(3)
    assert sum(a_run(rng, gains=(0.5,), tries=1)[0] == 0.5 for _ in range(6)) >= 5


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twelve_changes_that_do_nothing_rarely_prove_anything():
    """Bonferroni over the tries so far; a two-sided test finds an improvement in nothing half as often as its level."""
    rng = np.random.default_rng(5)
    false = [a_run(rng)[1] for _ in range(300)]
    share = wilson(sum(false), len(false))
    print(f"\nruns that proved something that is nothing: {share.value:.3f} [{share.low:.3f}, {share.high:.3f}]")
    assert share.value <= 0.05


def gains_of(kind: str, rng) -> tuple[float, ...]:
    """What twelve knobs may be worth: some harmful, some good, some very good; or hardly one any good."""
    if kind == "poor":
        return tuple(rng.normal(-0.03, 0.06, 12))
    draw, worse, fair, good = (
        rng.random(12), rng.normal(-0.05, 0.08, 12), rng.uniform(0, 0.15, 12), rng.uniform(0.15, 0.5, 12)
    )  # fmt: skip
    return tuple(np.where(draw < 0.5, worse, np.where(draw < 0.8, fair, good)))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_keeping_changes_on_trial_errs_less_than_keeping_only_proven_ones():
    """The reason for trials: on dev sets of usual size hardly any single change can be proven."""
    for kind, num_dev in (("mixed", 100), ("mixed", 400), ("poor", 100), ("poor", 400)):
        left = {True: [], False: []}
        for on_trial, found in left.items():
            for number in range(40):
                rng = np.random.default_rng([number, num_dev])
                found.append(a_run(rng, gains=gains_of(kind, rng), num_dev=num_dev, on_trial=on_trial)[0])
        strict, trials = np.mean(left[False]), np.mean(left[True])
        print(
            f"\n{kind} knobs, {num_dev} dev examples: errors left {strict:.3f} proven alone, {trials:.3f} with trials"
        )
        if kind == "mixed":
            assert trials < strict - 0.03
        else:
            assert trials < strict + 0.02  # where nothing helps, what is taken by mistake costs next to nothing


def test_no_seed_is_spent_on_a_hopeless_or_finished_proof():
    assert is_settled(evidence_of(-0.01, 0.4), number_tried=1)
    assert is_settled(evidence_of(0.01, 0.8), number_tried=1)
    assert is_settled(evidence_of(0.01, 0.04), number_tried=1)
    assert not is_settled(evidence_of(0.01, 0.04), number_tried=10)
