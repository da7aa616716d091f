"""Weighted errors and averages over groups: the notes' pictures, and numbers by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn.metrics import zero_one_loss

from gnomon.core.errors import DataError, UsageError
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.metrics.costs import average_over, with_costs
from gnomon.metrics.intervals import split_error


def judged(target, error, **columns) -> Evaluation:
    table = pl.DataFrame({"target": target, "error": error, **columns}, schema_overrides={"error": pl.Float64})
    return Evaluation("dev", SHARE, table)


def test_a_weight_of_ten_changes_which_classifier_wins():
    # the notes: A errs on 3 % but lets some pornographic pictures through as cats, B errs on 5 % and lets none through
    target = ["cat"] * 960 + ["porn"] * 40
    first = judged(target, [1] * 10 + [0] * 950 + [1] * 20 + [0] * 20)
    second = judged(target, [1] * 50 + [0] * 910 + [0] * 40)
    assert (split_error(first).value, split_error(second).value) == (pytest.approx(0.03), pytest.approx(0.05))
    heavy = [split_error(with_costs(one, {"porn": 10})).value for one in (first, second)]
    assert heavy == pytest.approx([(10 + 200) / (960 + 400), 50 / (960 + 400)])  # by hand; normalised by the weights
    assert heavy[1] < heavy[0]


def test_weighted_errors_equal_scikit_learns():
    rng = np.random.default_rng(0)
    target = rng.choice(["a", "b", "c"], 200)
    said = np.where(rng.random(200) < 0.7, target, "a")
    found = split_error(with_costs(judged(target, (target != said).astype(float)), {"a": 3.0, "c": 0.5})).value
    weights = np.select([target == "a", target == "c"], [3.0, 0.5], 1.0)
    assert found == pytest.approx(zero_one_loss(target, said, sample_weight=weights))


def test_existing_weights_are_multiplied():
    found = with_costs(judged(["a", "b"], [1, 0], weight=[2.0, 6.0]), {"a": 3.0})
    assert found.table["weight"].to_list() == [6.0, 6.0]


def test_unknown_classes_and_impossible_costs_are_refused():
    with pytest.raises(UsageError, match="unknown class 'x'"):
        with_costs(judged(["a"], [0]), {"x": 2})
    with pytest.raises(UsageError, match="cost of -1"):
        with_costs(judged(["a"], [0]), {"a": -1})


def test_every_group_counts_alike():
    # the notes' countries: errors 3, 7, 5, 9 % average 6 %, whatever their sizes
    sizes, errors = (1000, 100, 200, 400), (30, 7, 10, 36)
    country = [name for name, size in zip(("US", "China", "India", "other"), sizes, strict=True) for _ in range(size)]
    error = [float(i < wrong) for wrong, size in zip(errors, sizes, strict=True) for i in range(size)]
    found = average_over(judged(["x"] * 1700, error, **{"tag.country": country}), "tag.country")
    assert found["average"].value == pytest.approx(0.06)
    assert found["worst"].value == pytest.approx(0.09)
    assert found["average"].low < 0.06 < found["average"].high


def test_the_worst_of_equal_values_is_no_worse_than_each():
    # by hand: five times 20 of 100; low is Wilson's at 1 - 0.025/5 (z = 2.5758), high is Wilson's at 97.5 %
    found = average_over(judged(["x"] * 500, [1.0] * 20 + [0.0] * 80 + ([1.0] * 20 + [0.0] * 80) * 4,
                                **{"tag.c": [str(i // 100) for i in range(500)]}), "tag.c")["worst"]  # fmt: skip
    low = stats.binomtest(20, 100).proportion_ci(confidence_level=0.99, method="wilson").low
    high = stats.binomtest(20, 100).proportion_ci(method="wilson").high
    assert (found.low, found.value, found.high) == pytest.approx((low, 0.2, high))


def test_rows_without_a_value_are_left_out():
    found = average_over(judged(["x"] * 3, [1, 0, 1], **{"tag.day": ["a", "b", None]}), "tag.day")
    assert found["average"].value == pytest.approx(0.5)
    with pytest.raises(DataError, match=r"no example has a tag\.day"):
        average_over(judged(["x"], [1], **{"tag.day": pl.Series([None], dtype=pl.String)}), "tag.day")


@pytest.mark.slow
def test_the_average_over_groups_covers_about_95_percent():
    rng = np.random.default_rng(0)
    rates, sizes = np.array([0.05, 0.1, 0.2, 0.3]), np.array([200, 60, 60, 40])
    held, rounds = 0, 600
    country = np.repeat(np.arange(4).astype(str), sizes)
    for seed in range(rounds):
        error = (rng.random(sizes.sum()) < np.repeat(rates, sizes)).astype(float)
        one = average_over(judged(["x"] * len(error), error, **{"tag.c": country}), "tag.c", seed=seed)["average"]
        held += one.low <= rates.mean() <= one.high
    assert 0.925 <= held / rounds <= 0.975
