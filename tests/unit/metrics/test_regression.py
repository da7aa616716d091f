"""Scores of regressions equal scikit-learn's; their intervals hold the truth."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sklearn_metrics

from gnomon.core.evaluation import Evaluation
from gnomon.metrics.regression import _r2, scores


def table(seed: int, num: int = 200, *, weighted: bool = False):
    rng = np.random.default_rng(seed)
    target = 1000 + rng.normal(size=num)
    return pl.DataFrame(
        {
            "target": target,
            "prediction": target + 0.5 * rng.normal(size=num),
            "weight": rng.uniform(1, 5, num) if weighted else np.ones(num),
        }
    )


def of(rows) -> Evaluation:
    return Evaluation("dev", "m", rows)


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_equal_scikit_learn(weighted):
    rows = table(0, weighted=weighted)
    given = (rows["target"], rows["prediction"])
    weight = {"sample_weight": rows["weight"]}
    expected = {
        "mean absolute error": sklearn_metrics.mean_absolute_error(*given, **weight),
        "root mean squared error": sklearn_metrics.root_mean_squared_error(*given, **weight),
        "R2": sklearn_metrics.r2_score(*given, **weight),
    }
    assert {name: found.value for name, found in scores(of(rows)).items()} == pytest.approx(expected)


def test_intervals_cover_the_truth_about_95_times_in_100():
    truth = {"mean absolute error": 0.5 * np.sqrt(2 / np.pi), "root mean squared error": 0.5, "R2": 0.75}
    hits = dict.fromkeys(truth, 0)
    for seed in range(40):
        for name, found in scores(of(table(seed)), seed=seed).items():
            hits[name] += found.low <= truth[name] <= found.high
    assert min(hits.values()) >= 34  # binomial(40, 0.95) falls below this 1 time in 100


def test_r2_of_a_resample_is_about_its_own_mean():
    # targets 1, 2, 4 drawn with residuals 0.5, 0, 0: sums of w, w t, w t^2, w r^2; spread about 7/3 is 42/9
    assert _r2(np.array([3.0, 7.0, 21.0, 0.25])) == pytest.approx(1 - 0.25 / (42 / 9))


def test_texts_have_no_regression_scores():
    assert scores(of(pl.DataFrame({"target": ["a"], "prediction": ["b"], "weight": [1.0]}))) == {}


def test_missing_targets_are_left_out():
    rows = table(1)
    holes = pl.concat([rows, rows.head(3).with_columns(target=pl.lit(None, dtype=pl.Float64))])
    assert scores(of(holes)) == scores(of(rows))
    assert scores(of(holes.tail(3))) == {}


def test_a_target_that_never_varies_has_no_r2():
    rows = pl.DataFrame({"target": [2.0] * 5, "prediction": [1.0, 2, 3, 2, 2], "weight": [1.0] * 5})
    assert set(scores(of(rows))) == {"mean absolute error", "root mean squared error"}


def test_groups_widen_the_intervals():
    rows = table(2, num=40)
    copied = pl.concat([rows] * 10).with_columns(pl.Series("group", [str(i) for i in range(40)] * 10))
    alone, grouped = scores(of(rows)), scores(of(copied))
    for name in alone:
        assert grouped[name].high - grouped[name].low == pytest.approx(alone[name].high - alone[name].low, rel=0.15)
