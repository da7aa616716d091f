"""What holds for every measured number, whatever the data."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.metrics import classification, regression
from gnomon.metrics.intervals import difference, measure, newcombe, split_error, wilson
from gnomon.strategy.ladder import WITHIN_REACH, diagnose, diagnose_rates
from gnomon.strategy.saved import from_json, to_json
from gnomon.strategy.wording import ladder_text

sizes = st.integers(1, 10**7)
shares = st.floats(0, 1)
errors_in_unit = st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=40)
weights = st.sampled_from([0.0, 0.5, 1.0, 10.0])
few = settings(max_examples=60, deadline=None)
fewer = settings(max_examples=15, deadline=None)  # a bootstrap in each


@st.composite
def evaluations(draw, *, split="dev", unit=None):
    unit = draw(st.sampled_from([SHARE, "m"])) if unit is None else unit
    kind = draw(st.sampled_from(["0/1", "between"])) if unit == SHARE else "free"
    value = {"0/1": st.sampled_from([0.0, 1.0]), "between": shares, "free": st.floats(0, 1e6)}[kind]
    errors = draw(st.lists(value, min_size=1, max_size=40))
    table = pl.DataFrame(
        {
            "id": [str(i) for i in range(len(errors))],
            "error": errors,
            "weight": [1.0, *(draw(weights) for _ in errors[1:])],
            "group": pl.Series([draw(st.sampled_from([None, "a", "b", "c"])) for _ in errors], dtype=pl.String),
        }
    )
    return Evaluation(split, unit, table)


@given(sizes, shares)
def test_wilson_contains_its_value_and_stays_a_share(total, share):
    found = wilson(share * total, total)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


@given(sizes, shares, st.integers(2, 1000))
def test_more_examples_narrow_wilson(total, share, factor):
    one, many = wilson(share * total, total), wilson(share * total * factor, total * factor)
    assert many.high - many.low < one.high - one.low


@given(sizes, shares, sizes, shares)
def test_a_difference_contains_its_value_and_stays_between_minus_one_and_one(total, share, other_total, other_share):
    found = newcombe(share * total, total, other_share * other_total, other_total)
    assert -1 - 1e-12 <= found.low <= found.value <= found.high <= 1 + 1e-12


@given(sizes, shares, sizes, shares)
def test_a_difference_is_wider_than_either_side_and_narrower_than_both(total, share, other_total, other_share):
    one, other = wilson(share * total, total), wilson(other_share * other_total, other_total)
    found = difference(one, other)
    widths = one.high - one.low, other.high - other.low
    assert max(widths) - 1e-9 <= found.high - found.low <= sum(widths) + 1e-9


@few
@given(evaluations())
def test_every_interval_contains_its_value_and_no_error_is_negative(evaluation):
    found = split_error(evaluation)
    assert 0 <= found.low <= found.value <= found.high
    if evaluation.unit == SHARE:
        assert found.high <= 1


@few
@given(evaluations(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(evaluation, random):
    order = list(range(evaluation.table.height))
    random.shuffle(order)
    shuffled = Evaluation("dev", evaluation.unit, evaluation.table[order])
    one, other = split_error(evaluation), split_error(shuffled)
    for name in ("value", "low", "high"):
        assert math.isclose(getattr(one, name), getattr(other, name), rel_tol=1e-9, abs_tol=1e-12)


@few
@given(evaluations())
def test_draws_scatter_around_the_value_within_the_range_of_errors(evaluation):
    found = measure(evaluation)
    scored = evaluation.table.filter(evaluation.table["weight"] > 0)["error"]
    assert found.draws.shape == (2000,)
    assert np.isfinite(found.draws).all()
    if evaluation.unit != SHARE:
        slack = 1e-9 * (1 + abs(scored.max()))
        assert scored.min() - slack <= found.draws.min() <= found.draws.max() <= scored.max() + slack


@few
@given(errors_in_unit, st.floats(1e-3, 1e3))
def test_errors_in_another_unit_scale_the_interval(errors, factor):
    def of(values):
        return split_error(Evaluation("dev", "m", pl.DataFrame({"error": values})))

    one, scaled = of(errors), of([factor * error for error in errors])
    scale = max(errors) * factor
    for name in ("value", "low", "high"):
        expected = factor * getattr(one, name)
        assert expected == getattr(scaled, name) or abs(expected - getattr(scaled, name)) <= 1e-6 * scale


@fewer
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=40))
def test_scores_of_perfect_predictions_are_at_their_best_and_all_stay_in_range(pairs):
    table = pl.DataFrame(
        {
            "target": [target for target, _ in pairs],
            "prediction": [prediction for _, prediction in pairs],
            "error": [float(target != prediction) for target, prediction in pairs],
            "weight": [1.0] * len(pairs),
        }
    )
    for name, found in classification.scores(Evaluation("dev", SHARE, table)).items():
        assert 0 <= found.value <= 1, name
        assert found.low <= found.value <= found.high, name
    perfect = table.with_columns(prediction=table["target"], error=pl.lit(0.0))
    assert {found.value for found in classification.scores(Evaluation("dev", SHARE, perfect)).values()} == {1.0}
    assert classification.confusion(table).counts.sum() == len(pairs)


@fewer
@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=2, max_size=40))
def test_mean_absolute_error_never_exceeds_the_root_mean_square(pairs):
    table = pl.DataFrame({"target": [one for one, _ in pairs], "prediction": [other for _, other in pairs]})
    found = regression.scores(Evaluation("dev", "m", table))
    assert found["mean absolute error"].value <= found["root mean squared error"].value * (1 + 1e-9) + 1e-12


rates = st.tuples(st.floats(0, 1), st.integers(1, 100_000))


@few
@given(st.none() | st.floats(0, 1), rates, st.none() | rates, rates, st.none() | rates, st.integers(0, 1000))
def test_every_ladder_gets_a_verdict_that_can_be_saved_and_shown(human, train, train_dev, dev, test, looks):
    given_rates = {"human": human, "train": train, "train_dev": train_dev, "dev": dev, "test": test}
    found = diagnose_rates({name: rate for name, rate in given_rates.items() if rate is not None}, dev_looks=looks)
    verdict = found.verdict
    assert 0 <= verdict.certainty <= 1
    assert (verdict.gap is None) == (not any(gap.is_there for gap in found.gaps))
    assert len(verdict.contenders) <= 2
    assert (verdict.gap is None and verdict.contenders == ()) or verdict.contenders[0] == verdict.gap
    assert (len(verdict.contenders) == 2) == (verdict.gap is not None and verdict.certainty < 0.9)
    assert verdict.text.endswith(".")
    assert len(found.advice) <= 4
    assert all(gap.low <= gap.size + 1e-12 and gap.size - 1e-12 <= gap.high for gap in found.gaps)
    undecided = [gap for gap in found.gaps if not gap.is_bound and gap.low <= gap.floor < gap.high]
    sizes = {rung.name: rung.examples for rung in found.rungs}
    assert all(gap.examples_to_settle is None or gap.examples_to_settle > sizes[gap.above] for gap in undecided)
    reachable = [gap for gap in found.gaps if gap.examples_to_settle is not None]
    assert all(gap.examples_to_settle <= WITHIN_REACH * sizes[gap.above] for gap in reachable)
    assert from_json(to_json(found)) == found
    assert ladder_text(found)


@fewer
@given(evaluations(split="train", unit="m"), evaluations(split="dev", unit="m"))
def test_every_ladder_from_tables_gets_a_verdict(train, dev):
    found = diagnose({"train": train, "dev": dev}, human=[0.5])
    assert from_json(to_json(found)) == found
    assert "nan" not in ladder_text(found)
