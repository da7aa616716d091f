"""The ladder from tables of predictions: rungs, gaps, floors, leaks, looks, missing rungs, edges."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from gnomon.core.errors import DataError, UsageError
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.metrics.intervals import newcombe, wilson
from gnomon.strategy.floor import Floor, Reference
from gnomon.strategy.ladder import copies_left_out, diagnose, diagnose_rates


def split(name, wrong, total, *, unit=SHARE, groups=None) -> Evaluation:
    """`wrong` of `total` examples are wrong; ids dev-0, dev-1 ... with the wrong ones first."""
    return given(name, [1.0] * wrong + [0.0] * (total - wrong), unit=unit, groups=groups)


def given(name, errors, *, unit=SHARE, groups=None, split_error=None) -> Evaluation:
    table = pl.DataFrame(
        {
            "id": [f"{name}-{i}" for i in range(len(errors))],
            "error": np.asarray(errors, dtype=float),
            "weight": np.ones(len(errors)),
            "group": pl.Series([None if groups is None else str(group) for group in groups or errors], dtype=pl.String),
        }
    )
    return Evaluation(name, unit, table, split_error)


def ladder(*evaluations, **options):
    return diagnose({one.split: one for one in evaluations}, **options)


def gap(found, name):
    return next(one for one in found.gaps if one.name == name)


def rung(found, name):
    return next(one for one in found.rungs if one.name == name)


# --- rungs and gaps -----------------------------------------------------------------------------------------------


def test_every_rung_gives_its_gap():
    found = ladder(
        split("train", 100, 1000),
        split("train_dev", 150, 1000),
        split("dev", 250, 1000),
        split("test", 300, 1000),
        human=[0.02],
    )
    assert [(one.name, one.below, one.above) for one in found.gaps] == [
        ("avoidable bias", "human", "train"),
        ("variance", "train", "train_dev"),
        ("data mismatch", "train_dev", "dev"),
        ("overfitting to dev", "dev", "test"),
    ]
    assert [one.size for one in found.gaps] == pytest.approx([0.08, 0.05, 0.10, 0.05])


def test_without_train_dev_variance_runs_from_train_to_dev():
    found = ladder(split("train", 10, 1000), split("dev", 100, 1000))
    assert (gap(found, "variance").below, gap(found, "variance").above) == ("train", "dev")
    assert [one.name for one in found.gaps] == ["avoidable bias", "variance"]


def test_without_dev_the_test_split_takes_its_place():
    found = ladder(split("train", 10, 1000), split("test", 100, 1000))
    assert (gap(found, "variance").below, gap(found, "variance").above) == ("train", "test")
    assert found.verdict.gap == "variance"


def test_one_rung_alone_has_no_gaps():
    found = ladder(split("dev", 10, 100))
    assert found.gaps == ()
    assert "give the errors of train and dev" in found.verdict.text


def test_rungs_have_wilson_and_gaps_newcombe_intervals():
    found = ladder(split("train", 30, 1000), split("dev", 80, 500), human=[0.01])
    assert (rung(found, "dev").low, rung(found, "dev").high) == (wilson(80, 500).low, wilson(80, 500).high)
    expected = newcombe(80, 500, 30, 1000)
    assert (gap(found, "variance").low, gap(found, "variance").high) == (expected.low, expected.high)
    assert gap(found, "avoidable bias").low == pytest.approx(wilson(30, 1000).low - 0.01)


def test_splits_come_in_the_order_of_the_ladder():
    found = ladder(split("test", 1, 50), split("dev", 1, 50), split("train", 1, 50))
    assert [one.name for one in found.rungs] == ["human", "train", "dev", "test"]


def test_plain_rates_equal_the_same_counts_from_tables():
    tables = ladder(split("train", 30, 1000), split("dev", 80, 500), human=[0.01])
    rates = diagnose_rates({"human": 0.01, "train": (0.03, 1000), "dev": (0.16, 500)})
    assert [(one.size, one.low, one.high) for one in rates.gaps] == [
        pytest.approx((one.size, one.low, one.high)) for one in tables.gaps
    ]
    assert rates.verdict.gap == tables.verdict.gap


# --- floors -------------------------------------------------------------------------------------------------------


def test_a_gap_below_a_tenth_of_the_dev_error_is_not_clear():
    # variance 1.5 points [1.06, 1.94] of a dev error of 30 %: real, but not what holds it back
    found = diagnose_rates({"human": 0.0, "train": (0.285, 100_000), "dev": (0.30, 100_000)})
    variance = gap(found, "variance")
    assert variance.low > 0
    assert variance.floor == pytest.approx(0.03)
    assert not variance.is_there
    assert variance.examples_to_settle is None  # decided: not there


def test_the_floor_of_shares_is_never_below_a_tenth_of_a_point():
    found = diagnose_rates({"human": 0.0, "train": (0.0, 10_000), "dev": (0.002, 10_000)})
    assert gap(found, "variance").floor == 0.001


def test_the_floor_in_another_unit_is_a_tenth_of_the_dev_error():
    rng = np.random.default_rng(0)
    found = ladder(
        given("train", rng.exponential(2, 500), unit="mg/dl"),
        given("dev", rng.exponential(4, 500), unit="mg/dl"),
        human=[1.0],
    )
    assert gap(found, "variance").floor == pytest.approx(rung(found, "dev").error / 10)
    assert found.verdict.gap == "variance"
    assert "mg/dl" in found.verdict.text
    assert not found.verdict.is_low


# --- the human level ----------------------------------------------------------------------------------------------


def test_of_several_human_levels_the_best_counts():
    # the notes: typical 3 %, doctor 1 %, expert 0.7 %, team 0.5 %
    found = ladder(split("train", 100, 1000), split("dev", 110, 1000), human=[0.03, 0.01, 0.007, 0.005])
    assert rung(found, "human").error == 0.005
    assert rung(found, "human").note == "given; the lowest of 4: figures have no interval"


def test_people_may_be_measured_like_a_model():
    found = ladder(split("human", 5, 400), split("train", 100, 1000), split("dev", 110, 1000), human=[0.05])
    assert rung(found, "human").error == 5 / 400
    assert rung(found, "human").note == "measured on 400 examples"
    expected = newcombe(100, 1000, 5, 400)
    assert gap(found, "avoidable bias").low == expected.low
    better = ladder(split("human", 5, 400), split("train", 100, 1000), split("dev", 110, 1000), human=[0.001])
    assert rung(better, "human").error == 0.001


def test_an_unknown_human_level_only_bounds_the_bias():
    found = ladder(split("train", 200, 1000), split("dev", 210, 1000))
    bias = gap(found, "avoidable bias")
    assert (bias.is_bound, bias.is_there) == (True, False)
    assert (bias.size, bias.low) == (0.2, 0.0)
    assert found.verdict.gap is None
    assert "not measured (the human level is unknown): it could be up to 20.0 points" in found.verdict.text
    assert any("human=" in one.action for one in found.advice)


def test_a_train_error_of_0_bounds_the_bias_by_its_interval():
    found = ladder(split("train", 0, 36), split("dev", 0, 12))
    # Wilson's interval of 0 of 36 ends at z^2 / (36 + z^2) = 9.64 %
    assert "the train error is 0, so it is at most 9.6 points" in found.verdict.text
    assert "up to 0.0 points" not in found.verdict.text


def test_variance_beyond_the_whole_train_error_needs_no_human_level():
    found = ladder(split("train", 5, 1000), split("dev", 100, 1000))
    assert found.verdict.contenders == ("variance",)
    assert all("human" not in one.action for one in found.advice)


def test_a_bound_larger_than_the_variance_is_named_too():
    found = ladder(split("train", 200, 1000), split("dev", 300, 1000))
    assert found.verdict.gap == "variance"
    assert found.verdict.contenders == ("variance", "avoidable bias")
    assert found.advice[0].settings == ("goal.human",)


def test_train_clearly_below_the_human_level_leaves_the_bias_unknown():
    found = ladder(split("train", 0, 1000), split("dev", 50, 1000), human=[0.02])
    assert gap(found, "avoidable bias").is_bound
    assert found.verdict.contenders == ("variance",)
    assert "below the human level (2.0 %)" in found.notes[0]


def test_train_a_little_below_the_human_level_is_noise():
    found = ladder(split("train", 19, 1000), split("dev", 50, 1000), human=[0.02])
    assert not gap(found, "avoidable bias").is_bound
    assert found.notes == ()


@pytest.mark.parametrize("figure", [1.5, -0.1, math.nan])
def test_an_impossible_human_level_is_refused(figure):
    with pytest.raises(UsageError, match="not possible"):
        ladder(split("train", 1, 10), split("dev", 1, 10), human=[0.1, figure])


# --- what is undecided --------------------------------------------------------------------------------------------


def test_a_small_dev_set_comes_with_the_number_of_examples_needed():
    found = ladder(split("train", 200, 5000), split("dev", 5, 80), human=[0.04])
    variance = gap(found, "variance")
    assert not variance.is_there
    assert variance.examples_to_settle > 80
    assert found.verdict.gap is None
    assert "No gap is statistically clear; variance could be as large as" in found.verdict.text
    assert found.advice[0].action.startswith("get more dev examples: about")
    assert "(now 80)" in found.advice[0].action


def test_that_many_examples_settle_it_four_times_out_of_five():
    errors = {"human": 0.05, "train": (0.05, 1_000_000), "dev": (0.065, 500)}
    count = gap(diagnose_rates(errors), "variance").examples_to_settle
    assert not gap(diagnose_rates(errors), "variance").settle_needs_below
    rng = np.random.default_rng(0)
    decided = 0
    for _ in range(400):
        wrong = rng.binomial(count, 0.065)
        found = gap(diagnose_rates({**errors, "dev": (wrong / count, count)}), "variance")
        decided += found.is_there
    assert 0.78 <= decided / 400 <= 0.92  # at least as planned; the floor moves with the dev error, which helps


def test_where_train_is_too_small_both_must_grow():
    errors = {"human": 0.05, "train": (0.05, 300), "dev": (0.07, 300)}
    variance = gap(diagnose_rates(errors), "variance")
    assert variance.settle_needs_below
    factor = variance.examples_to_settle / 300
    grown = {"human": 0.05, "train": (0.05, round(300 * factor)), "dev": (0.07, variance.examples_to_settle)}
    assert gap(diagnose_rates(grown), "variance").is_there


def test_a_clean_ladder_is_silent_and_says_so():
    found = diagnose_rates({"human": 0.10, "train": (0.10, 100_000), "dev": (0.102, 100_000)})
    assert found.verdict.gap is None
    assert found.verdict.certainty > 0.99
    assert "the dev error is 0.2 points above the human level, and no gap exceeds 1.0 points" in found.verdict.text
    assert {one.link for one in found.advice} == {"real-world"}


def test_certainty_is_the_chance_that_the_named_gap_is_the_largest():
    # bias 6 +- 0.75, variance 5 +- 1.22, correlated by train: P(bias > variance) by normal arithmetic
    found = diagnose_rates({"human": 0.0, "train": (0.06, 1000), "dev": (0.11, 1000)})
    train, dev = 0.06 * 0.94 / 1000, 0.11 * 0.89 / 1000
    z = (2 * 0.06 - 0.11) / math.sqrt(4 * train + dev)
    assert found.verdict.certainty == pytest.approx(0.5 * math.erfc(-z / math.sqrt(2)), abs=0.03)
    assert found.verdict.contenders == ("avoidable bias", "variance")


# --- leaks, looks, order ------------------------------------------------------------------------------------------


def test_copies_of_training_examples_are_measured_without_and_named_first():
    dev = split("dev", 30, 130)  # the last 100 are right
    copies = [f"dev-{i}" for i in range(118, 130)]
    found = ladder(split("train", 0, 1000), dev, leaked={"dev": copies, "test": ["unknown"]})
    assert rung(found, "dev").examples == 118
    assert rung(found, "dev").error == 30 / 118
    assert rung(found, "dev").note == "without 12 copies of training examples"
    assert found.notes[0] == "leak: 12 examples of dev are in train as well; measured without them"
    assert found.advice[0].settings == ("split.duplicates",)
    assert found.advice[0].link == "fit-test"
    assert "12 of dev" in found.advice[0].action


def test_one_copy_is_one_copy():
    found = ladder(split("train", 0, 100), split("dev", 30, 130), leaked={"dev": ["dev-129"]})
    assert found.notes[0] == "leak: 1 example of dev is in train as well; measured without it"


def test_ids_that_are_numbers_leak_too():
    table = pl.DataFrame({"id": np.arange(50, dtype=np.uint64), "error": [0.0] * 25 + [1.0] * 25})
    found = diagnose(
        {"train": split("train", 0, 100), "dev": Evaluation("dev", SHARE, table)}, leaked={"dev": list(range(25))}
    )
    assert rung(found, "dev").error == 1.0


def test_a_dev_set_of_only_copies_has_no_rung():
    found = ladder(split("train", 0, 100), split("dev", 0, 3), leaked={"dev": ["dev-0", "dev-1", "dev-2"]})
    assert [one.name for one in found.rungs] == ["human", "train"]
    assert "this rung is omitted" in found.notes[0]


def test_no_leak_is_no_note():
    assert ladder(split("train", 0, 100), split("dev", 30, 130), leaked={"dev": []}).notes == ()


def test_copies_are_left_out_of_whole_split_errors_as_well():
    errors = np.array([1.0] * 10 + [0.0] * 10)
    whole = given("dev", errors, split_error=lambda counts: float((counts * errors).sum() / counts.sum()))
    found = ladder(split("train", 0, 100), whole, leaked={"dev": [f"dev-{i}" for i in range(10, 20)]})
    assert rung(found, "dev").error == 1.0


def test_looks_at_dev_are_noted():
    # sigma sqrt(2 ln k) = sqrt(0.1 x 0.9 / 1000) x sqrt(2 ln 20) = 2.3 points
    found = ladder(split("train", 0, 1000), split("dev", 100, 1000), dev_looks=20)
    assert rung(found, "dev").note == "best of 20 looks: optimistic by up to about 2.3 points"
    assert rung(ladder(split("train", 0, 9), split("dev", 1, 9), dev_looks=1), "dev").note == ""


def test_openings_of_test_are_kept_and_shown():
    splits = (split("train", 10, 1000), split("dev", 100, 1000))
    assert ladder(*splits, test_openings=0).test_openings == 0
    opened = ladder(*splits, split("test", 100, 1000), test_openings=3)
    assert rung(opened, "test").note == "opened 3 times: no longer unseen"
    assert rung(ladder(*splits, split("test", 100, 1000), test_openings=1), "test").note == ""


def test_train_above_dev_is_explained():
    found = ladder(split("train", 300, 1000), split("dev", 200, 1000), human=[0.0])
    assert found.notes[0].startswith("train is clearly above dev: there is no variance to reduce")
    assert not gap(found, "variance").is_there
    assert found.verdict.contenders == ("avoidable bias",)


def test_an_easier_dev_set_is_not_a_mismatch():
    found = ladder(split("train", 100, 1000), split("train_dev", 200, 1000), split("dev", 100, 1000), human=[0.1])
    assert found.notes == ("dev is clearly easier than train-dev: the change of source does no harm",)


def test_overfitting_to_dev_is_named():
    found = ladder(split("train", 10, 1000), split("dev", 20, 1000), split("test", 120, 1000), human=[0.01])
    assert found.verdict.contenders == ("overfitting to dev",)
    assert {one.link for one in found.advice} == {"fit-test"}


# --- groups, units, edges -----------------------------------------------------------------------------------------


def test_groups_widen_the_gap():
    errors = [1.0] * 100 + [0.0] * 400
    apart = ladder(split("train", 10, 1000), given("dev", errors))
    together = ladder(split("train", 10, 1000), given("dev", errors, groups=[i // 50 for i in range(500)]))
    widths = [gap(found, "variance").high - gap(found, "variance").low for found in (apart, together)]
    assert widths[1] > 3 * widths[0]


def test_errors_without_absolute_meaning_have_no_gaps():
    found = ladder(given("train", [1.0, 2.0], unit=None), given("dev", [5.0, 6.0], unit=None))
    assert found.gaps == ()
    assert found.verdict.gap is None
    assert "no absolute meaning" in found.verdict.text
    assert [one.name for one in found.rungs] == ["human", "train", "dev"]


def test_two_units_on_one_ladder_are_refused():
    with pytest.raises(DataError, match="different error units"):
        ladder(given("train", [1.0], unit="m"), given("dev", [1.0], unit="s"))


def test_no_splits_are_refused():
    with pytest.raises(DataError, match="no split is given"):
        diagnose({})


def test_an_empty_split_is_refused_by_name():
    with pytest.raises(DataError, match="dev: no example"):
        ladder(split("train", 1, 10), split("dev", 0, 0))


def test_one_example_per_split_works_in_any_unit():
    for unit in (SHARE, "m"):
        found = ladder(given("train", [0.0], unit=unit), given("dev", [1.0], unit=unit))
        assert found.verdict.gap is None


def test_perfect_everywhere_is_silent():
    for unit in (SHARE, "m"):
        found = ladder(given("train", [0.0] * 5000, unit=unit), given("dev", [0.0] * 5000, unit=unit), human=[0.0])
        assert found.verdict.gap is None


def test_the_same_seed_gives_the_same_diagnosis():
    rng = np.random.default_rng(0)
    splits = given("train", rng.exponential(1, 300), unit="m"), given("dev", rng.exponential(1.4, 200), unit="m")
    assert ladder(*splits, seed=3) == ladder(*splits, seed=3)
    assert ladder(*splits, seed=3) != ladder(*splits, seed=4)


@pytest.mark.parametrize(
    "errors", [{"train": 0.1}, {"train": (1.2, 10)}, {"train": (0.1, 0)}, {"validation": (0.1, 10)}]
)
def test_plain_rates_are_checked(errors):
    with pytest.raises(UsageError, match="not an error with a number of examples"):
        diagnose_rates(errors)


# --- the floor ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("error", "says"),
    [(2 / 30, "; a cheap reference may do better (linear model 6.7 % on dev)"),
     (6 / 30, ", though no cheap reference does better (linear model 20.0 % on dev)")],
)  # fmt: skip
def test_a_reference_with_fewer_errors_on_dev_is_never_said_to_do_no_better(error, says):
    # the system errs on 4 of 30; neither difference is significant on 30 examples
    def reference(name, errs):
        return Reference(name, errs, 0.0, 1.0, 4 / 30 - errs, -0.2, 0.2, 0.5)

    floor = Floor(reference("always 'a'", 0.6), (reference("linear model", error),), 1.0)
    found = ladder(split("train", 14, 90), split("dev", 4, 30), floor=floor)
    assert says in found.verdict.text


def test_what_is_small_is_not_judged_by_a_dev_set_without_an_error():
    # a tenth of the train error, 1.1 points, is what matters; bias is 1 point, and dev has 0 errors by luck
    found = ladder(split("train", 660, 6000), split("dev", 0, 30), human=[0.10])
    assert gap(found, "avoidable bias").floor == pytest.approx(0.011)
    assert found.verdict.gap is None


@pytest.mark.parametrize(("repeats", "is_left_out"), [(0.11, False), (0.0, True)])
def test_repeats_as_frequent_as_inside_train_that_hide_a_fifth_of_a_point_are_no_copies(repeats, is_left_out):
    # 44 of 400 dev rows equal a row of train, all of them right: 7 of 356 others are wrong, 1.97 % against 1.75 %
    table = pl.DataFrame({"id": [str(i) for i in range(400)], "error": [1.0] * 7 + [0.0] * 393, "weight": [1.0] * 400})
    dev = Evaluation("dev", SHARE, table)
    assert copies_left_out(dev, [str(i) for i in range(100, 144)], repeats).any() == is_left_out
