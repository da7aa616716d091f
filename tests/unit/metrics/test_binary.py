"""Finding one class: the same numbers as scikit-learn, the notes' F1, and rates at a threshold by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn import metrics

from gnomon.core.errors import UsageError
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.metrics.binary import scores_of_class
from gnomon.metrics.intervals import wilson


def judged(target, said, weights=None, groups=None) -> Evaluation:
    table = pl.DataFrame(
        {
            "target": target, "prediction": said, "error": (np.asarray(target) != np.asarray(said)).astype(float),
            "weight": np.ones(len(target)) if weights is None else weights,
            "group": pl.Series([None] * len(target) if groups is None else groups, dtype=pl.String),
        }
    )  # fmt: skip
    return Evaluation("dev", SHARE, table)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_metrics_of_a_class_equal_scikit_learns(beta):
    rng = np.random.default_rng(0)
    target, weights = np.where(rng.random(300) < 0.3, "cat", "dog"), rng.random(300) + 0.1
    said = np.where(rng.random(300) < 0.8, target, np.where(target == "cat", "dog", "cat"))
    found = scores_of_class(judged(target, said, weights), "cat", beta=beta)
    options = {"pos_label": "cat", "sample_weight": weights}
    assert found["precision"].value == pytest.approx(metrics.precision_score(target, said, **options))
    assert found["recall"].value == pytest.approx(metrics.recall_score(target, said, **options))
    assert found[f"F{beta:g}"].value == pytest.approx(metrics.fbeta_score(target, said, beta=beta, **options))
    other = metrics.recall_score(target, said, pos_label="dog", sample_weight=weights)
    assert found["specificity"].value == pytest.approx(other)
    assert all(one.low <= one.value <= one.high for one in found.values())


def test_f1_chooses_between_the_two_classifiers_of_the_notes():
    # notes: A has precision 95 % and recall 90 %, B 98 % and 85 %; F1 92.4 % and 91.0 %
    def classifier(hits: int, said: int, true: int) -> Evaluation:
        target = ["cat"] * true + ["dog"] * 2000
        prediction = ["cat"] * hits + ["dog"] * (true - hits) + ["cat"] * (said - hits) + ["dog"] * (2000 - said + hits)
        return judged(target, prediction)

    a = scores_of_class(classifier(1710, 1800, 1900), "cat")
    b = scores_of_class(classifier(1666, 1700, 1960), "cat")
    assert (round(a["precision"].value, 3), round(a["recall"].value, 3), round(a["F1"].value, 3)) == (0.95, 0.9, 0.924)
    assert (round(b["precision"].value, 3), round(b["recall"].value, 3), round(b["F1"].value, 3)) == (0.98, 0.85, 0.910)


def test_the_interval_of_f1_is_that_of_a_share_of_hits():
    # 8 hits, 2 misses, 2 false alarms: F1 = 16/20, and the variance of the ratio 2 h / (2 h + m + f), linearised,
    # is ((2 * 0.2)^2 * 8 + 0.8^2 * 4) / 20^2 * 12/11; by the t quantile for Kish's 20^2 / 36 = 11.1 examples
    target, prediction = ["y"] * 10 + ["n"] * 12, ["y"] * 8 + ["n"] * 2 + ["y"] * 2 + ["n"] * 10
    table = judged(np.array(target), np.array(prediction))
    variance = ((0.4**2) * 8 + (0.8**2) * 4) / 400 * 12 / 11
    size = 0.8 * 0.2 / variance * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 400 / 36 - 1)) ** 2
    low, high = 1 - wilson(0.2 * size, size).high, 1 - wilson(0.2 * size, size).low
    found = scores_of_class(table, "y")["F1"]
    assert (found.low, found.value, found.high) == pytest.approx((low, 0.8, high))


def test_a_class_never_predicted_has_no_precision():
    found = scores_of_class(judged(["cat", "dog"], ["dog", "dog"]), "cat")
    assert "precision" not in found
    assert found["recall"].value == 0
    assert found["F1"].value == 0


@pytest.mark.slow
def test_intervals_of_f1_cover_about_95_percent():
    rng = np.random.default_rng(0)

    def draw(size):
        positive = rng.random(size) < 0.3
        return positive, rng.normal(size=size) + 1.2 * positive

    positive, scores = draw(400_000)
    true = metrics.f1_score(positive, scores > 0.8)
    held, rounds = 0, 400
    for seed in range(rounds):
        positive, scores = draw(300)
        found = scores_of_class(judged(positive.astype(str), (scores > 0.8).astype(str)), "True", seed=seed)["F1"]
        held += found.low <= true <= found.high
    assert 0.92 <= held / rounds <= 0.98


def test_odd_arguments_are_refused():
    with pytest.raises(UsageError, match="beta=0"):
        scores_of_class(judged(["a"], ["a"]), "a", beta=0)
