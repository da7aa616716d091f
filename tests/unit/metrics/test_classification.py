"""Scores of classifiers equal scikit-learn's, with weights too; their intervals behave."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sklearn_metrics
from sklearn.calibration import calibration_curve

from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.metrics.classification import calibration, confusion, scores
from gnomon.metrics.ranking import auc, macro_auc

NAMES = ["cat", "dog", "eel", "fox"]


def random_table(seed: int, *, num: int = 300, weighted: bool = False, classes=NAMES, groups: bool = False):
    rng = np.random.default_rng(seed)
    target = rng.choice(classes, num)
    logits = rng.normal(size=(num, len(classes))) + 1.5 * (target[:, None] == np.array(classes))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    prediction = np.array(classes)[probabilities.argmax(axis=1)]
    return pl.DataFrame(
        {
            "target": target,
            "prediction": prediction,
            "error": (target != prediction).astype(float),
            "weight": rng.choice([1.0, 2.0, 10.0], num) if weighted else np.ones(num),
            "confidence": probabilities.max(axis=1),
            "loss": np.full(num, 0.25),
            "group": pl.Series([str(i // 5) if groups else None for i in range(num)], dtype=pl.String),
            **{f"p.{name}": probabilities[:, place] for place, name in enumerate(classes)},
        }
    )


def of(table) -> Evaluation:
    return Evaluation("dev", SHARE, table)


def test_confusion_counts_rows_by_target_and_columns_by_prediction():
    table = pl.DataFrame({"target": ["b", "a", "a", "a"], "prediction": ["a", "a", "b", "b"], "weight": [1.0] * 4})
    found = confusion(table)
    assert found.class_names == ("a", "b")
    assert found.counts.tolist() == [[1, 2], [1, 0]]


def test_confusion_keeps_the_order_of_classes_given_and_adds_unknown_ones():
    table = pl.DataFrame({"target": ["b"], "prediction": ["z"], "weight": [1.0]})
    found = confusion(table, ["c", "b", "a"])
    assert found.class_names == ("c", "b", "a", "z")
    assert found.counts.sum() == found.counts[1, 3] == 1


def test_confusion_equals_scikit_learn():
    table = random_table(0)
    expected = sklearn_metrics.confusion_matrix(table["target"], table["prediction"])
    assert (confusion(table).counts == expected).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_equal_scikit_learn(weighted):
    table = random_table(1, weighted=weighted)
    target, prediction, weight = (table[name].to_numpy() for name in ("target", "prediction", "weight"))
    probabilities = table.select(f"p.{name}" for name in NAMES).to_numpy()
    found = scores(of(table))
    macro = {"average": "macro", "sample_weight": weight, "zero_division": 0}
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(target, prediction, sample_weight=weight),
        "balanced accuracy": sklearn_metrics.balanced_accuracy_score(target, prediction, sample_weight=weight),
        "macro precision": sklearn_metrics.precision_score(target, prediction, **macro),
        "macro recall": sklearn_metrics.recall_score(target, prediction, **macro),
        "macro F1": sklearn_metrics.f1_score(target, prediction, **macro),
        "log loss": sklearn_metrics.log_loss(target, probabilities, sample_weight=weight, labels=NAMES),
    }
    assert {name: found[name].value for name in expected} == pytest.approx(expected)


def test_scores_equal_scikit_learn_with_missing_classes():
    target, prediction = ["a", "a", "b", "c"], ["a", "b", "b", "d"]  # d is never true, c never said
    table = pl.DataFrame({"target": target, "prediction": prediction, "error": [0.0, 1, 0, 1], "weight": [1.0] * 4})
    found = scores(of(table))
    macro = {"average": "macro", "zero_division": 0}
    assert found["macro precision"].value == pytest.approx(
        sklearn_metrics.precision_score(target, prediction, **macro))  # fmt: skip
    assert found["macro F1"].value == pytest.approx(sklearn_metrics.f1_score(target, prediction, **macro))
    with pytest.warns(UserWarning, match="not in y_true"):
        expected = sklearn_metrics.balanced_accuracy_score(target, prediction)
    assert found["balanced accuracy"].value == pytest.approx(expected)
    assert "log loss" not in found
    assert "calibration error" not in found


def test_log_loss_falls_back_on_the_loss_column():
    table = random_table(0).drop([f"p.{name}" for name in NAMES])
    assert scores(of(table))["log loss"].value == pytest.approx(0.25)


def test_examples_of_weight_zero_are_not_scored():
    table = random_table(2)
    extra = table.head(5).with_columns(pl.lit("cat").alias("target"), pl.lit(0.0).alias("weight"))
    assert scores(of(pl.concat([table, extra]))) == scores(of(table))
    assert scores(of(extra)) == {}


@pytest.mark.parametrize("weighted", [False, True])
def test_auc_equals_scikit_learn(weighted):
    table = random_table(3, weighted=weighted, classes=["no", "yes"])
    expected = sklearn_metrics.roc_auc_score(table["target"] == "yes", table["p.yes"], sample_weight=table["weight"])
    assert scores(of(table))["AUC"].value == pytest.approx(expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_two_classes_have_scikit_learns_precision_recall_and_f1_of_the_second(weighted):
    table = random_table(4, weighted=weighted, classes=["no", "yes"])
    target, prediction, weight = (table[name].to_numpy() for name in ("target", "prediction", "weight"))
    found = scores(of(table))
    how = {"pos_label": "yes", "sample_weight": weight}
    assert found["precision of yes"].value == pytest.approx(sklearn_metrics.precision_score(target, prediction, **how))
    assert found["recall of yes"].value == pytest.approx(sklearn_metrics.recall_score(target, prediction, **how))
    assert found["F1 of yes"].value == pytest.approx(sklearn_metrics.f1_score(target, prediction, **how))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_auc_of_each_class_against_the_rest_averages_to_scikit_learns(weighted):
    table = random_table(5, weighted=weighted)
    probabilities = table.select(f"p.{name}" for name in NAMES).to_numpy()
    target, weight = table["target"].to_numpy(), table["weight"].to_numpy()
    each = [sklearn_metrics.roc_auc_score(target == name, probabilities[:, k], sample_weight=weight)
            for k, name in enumerate(NAMES)]  # fmt: skip
    found = scores(of(table))
    assert found["macro AUC"].value == pytest.approx(np.mean(each))
    if not weighted:
        whole = sklearn_metrics.roc_auc_score(target, probabilities, multi_class="ovr", labels=NAMES)
        assert found["macro AUC"].value == pytest.approx(whole)
    assert "AUC" not in found


def test_a_class_that_is_never_the_target_leaves_no_macro_auc():
    table = random_table(5).filter(pl.col("target") != NAMES[0])
    assert "macro AUC" not in scores(of(table))


def test_macro_auc_interval_covers_about_95_percent():
    rng, covered = np.random.default_rng(0), 0
    truth = 0.760250  # of N(1, 1) over N(0, 1): Phi(1 / sqrt 2)
    for _ in range(400):
        target = np.arange(150) % 3
        scores_of = rng.standard_normal((150, 3)) + np.eye(3)[target]
        found = macro_auc(scores_of, target)
        covered += found.low <= truth <= found.high
    assert 0.92 <= covered / 400 <= 0.98


def test_tied_scores_count_half():
    assert auc(np.array([1.0, 1, 1, 1]), np.array([True, False, True, False])).value == 0.5


def test_auc_needs_both_kinds():
    assert auc(np.array([0.1, 0.9]), np.array([True, True])) is None


def test_auc_interval_covers_about_95_percent():
    rng = np.random.default_rng(0)
    truth, hits = 0.7602499389065234, 0  # normal distribution function of 1 / sqrt 2
    for _ in range(300):
        positive = rng.random(120) < 0.4
        found = auc(rng.normal(size=120) + positive, positive)
        hits += found.low <= truth <= found.high
    assert 0.92 <= hits / 300 <= 0.98


def test_auc_of_repeated_groups_is_as_wide_as_without_the_copies():
    rng = np.random.default_rng(0)
    positive = rng.random(60) < 0.5
    values = rng.normal(size=60) + positive
    alone = auc(values, positive)
    copied = auc(np.repeat(values, 10), np.repeat(positive, 10), groups=np.repeat(np.arange(60), 10))
    assert copied.value == pytest.approx(alone.value)
    assert copied.high - copied.low == pytest.approx(alone.high - alone.low, rel=0.05)


def test_calibration_of_an_overconfident_coin():
    # 100 answers at confidence 0.95, half of them right: off by 0.45, by definition
    table = pl.DataFrame({"error": [0.0, 1.0] * 50, "confidence": [0.95] * 100, "weight": [1.0] * 100})
    found = calibration(of(table))
    assert found.error.value == pytest.approx(0.45)
    assert found.counts.tolist() == [0] * 9 + [100]
    assert found.accuracy[9] == 0.5
    assert math.isnan(found.accuracy[0])
    assert found.error.low < 0.45 < found.error.high


def test_a_calibration_error_due_to_chance_has_an_interval_down_to_zero():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 200)
    sound = pl.DataFrame({"error": (rng.random(200) > confidence).astype(float), "confidence": confidence,
                          "weight": np.ones(200)})  # fmt: skip
    found = calibration(of(sound)).error
    assert found.value > 0.03  # all of it chance
    assert found.low == 0
    too_sure = sound.with_columns(error=(pl.Series(rng.random(200)) > confidence - 0.2).cast(float))
    assert calibration(of(too_sure)).error.low > 0.05


def test_balanced_accuracy_of_one_example_per_class_has_a_wide_interval():
    # by hand: Wilson's interval of 1 of 1 reaches down to 1 / (1 + z^2) = 0.2065; two of them joined: 0.7935 / sqrt 2
    table = pl.DataFrame({"target": ["a", "b"], "prediction": ["a", "b"], "error": [0.0, 0.0], "weight": [1.0, 1.0]})
    found = scores(of(table))["balanced accuracy"]
    assert (found.low, found.high) == pytest.approx((1 - 0.79345 / np.sqrt(2), 1.0), abs=1e-4)


def test_calibration_bins_by_hand():
    # bins (0.1, 0.2] and (0.8, 0.9] with weights 3 and 1: (3 |1 - 0.2| + |0 - 0.85|) / 4
    table = pl.DataFrame({"error": [0.0, 1.0], "confidence": [0.2, 0.85], "weight": [3.0, 1.0]})
    found = calibration(of(table))
    assert found.error.value == pytest.approx((3 * 0.8 + 0.85) / 4)
    assert found.counts.tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]


def test_calibration_bins_equal_scikit_learns():
    table = random_table(6, num=2_000)
    found = calibration(of(table))
    right, confidence = 1 - table["error"].to_numpy(), table["confidence"].to_numpy()
    share_right, mean_confidence = calibration_curve(right, confidence, n_bins=10)
    filled = found.counts > 0
    np.testing.assert_allclose(found.accuracy[filled], share_right)
    np.testing.assert_allclose(found.confidence[filled], mean_confidence)


def test_calibration_needs_confidence_and_shares():
    table = pl.DataFrame({"error": [0.0], "confidence": pl.Series([None], dtype=pl.Float64), "weight": [1.0]})
    assert calibration(of(table)) is None
    assert calibration(Evaluation("dev", "m", table.with_columns(confidence=0.5))) is None


def test_groups_widen_every_interval():
    few = random_table(5, num=60)
    copied = pl.concat([few] * 10).with_columns(pl.Series("group", [str(i) for i in range(60)] * 10))
    alone, grouped = scores(of(few)), scores(of(copied))
    for name in ("accuracy", "macro F1", "log loss", "calibration error"):
        assert grouped[name].value == pytest.approx(alone[name].value)
        widths = [found[name].high - found[name].low for found in (grouped, alone)]
        assert widths[0] == pytest.approx(widths[1], rel=0.25), name


def test_macro_f1_interval_covers_about_95_percent():
    truth, hits = 0.8, 0  # symmetric confusion at 0.8 for each of two equally likely classes
    rng = np.random.default_rng(1)
    for _ in range(30):
        target = rng.integers(2, size=150)
        table = pl.DataFrame(
            {
                "target": target,
                "prediction": np.where(rng.random(150) < 0.8, target, 1 - target),
                "error": np.zeros(150),
                "weight": np.ones(150),
            }
        )
        found = scores(of(table))["macro F1"]
        hits += found.low <= truth <= found.high
    assert hits >= 25  # binomial(30, 0.95) falls below this 1 time in 100
