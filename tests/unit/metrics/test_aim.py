"""Other aims than the error: the split's error by scikit-learn, thresholds by trying every one."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, precision_recall_curve, recall_score

from gnomon.core.errors import UsageError
from gnomon.metrics.aim import Aim, aim_of, best_factors, split_error

TWO, THREE = ("no", "yes"), ("a", "b", "c")


def made(names, number=400, seed=0, *, rare=0.15):
    """Targets and probabilities that know something of them; the last class is rare."""
    rng = np.random.default_rng(seed)
    shares = np.append(np.full(len(names) - 1, (1 - rare) / (len(names) - 1)), rare)
    target = rng.choice(len(names), number, p=shares)
    logits = rng.normal(size=(number, len(names))) + 1.5 * np.eye(len(names))[target] + np.log(shares)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return target, probabilities


def table_of(names, target, probabilities, factors=()):
    chosen = (probabilities * (np.array(factors) if len(factors) else 1)).argmax(axis=1)
    columns = {f"p.{name}": probabilities[:, k] for k, name in enumerate(names)}
    return pl.DataFrame(
        {"target": np.array(names)[target], "prediction": np.array(names)[chosen], "weight": 1.0, **columns}
    )


def error_of(aim, names, table, counts=None):
    error = split_error(aim, names, table)
    assert error is not None
    return error(np.ones(len(table)) if counts is None else counts)


@pytest.mark.parametrize("names", [TWO, THREE])
def test_errors_are_scikit_learns_also_for_rows_that_count_several_times(names):
    target, probabilities = made(names)
    table = table_of(names, target, probabilities)
    counts = np.random.default_rng(1).integers(0, 4, len(table)).astype(float)
    truth, answers = table["target"].to_numpy(), table["prediction"].to_numpy()
    named = {"pos_label": "yes"} if names == TWO else {"average": "macro"}
    aim = Aim("f1", "yes" if names == TWO else "")
    expected = f1_score(truth, answers, sample_weight=counts, **named)
    assert error_of(aim, names, table, counts) == pytest.approx(1 - expected)
    expected = balanced_accuracy_score(truth, answers, sample_weight=counts)
    assert error_of(Aim("balanced_accuracy"), names, table, counts) == pytest.approx(1 - expected)
    costs = np.arange(2.0, 2 + len(names))
    weights = counts * costs[target]
    expected = (weights * (truth != answers)).sum() / weights.sum()
    assert error_of(Aim(costs=tuple(costs)), names, table, counts) == pytest.approx(expected)


def test_the_threshold_of_f1_is_the_best_of_all():
    target, probabilities = made(TWO)
    table = table_of(TWO, target, probabilities)
    found = error_of(Aim("f1", "yes"), TWO, table_of(
        TWO, target, probabilities, best_factors(Aim("f1", "yes"), TWO, table)))  # fmt: skip
    scores = probabilities[:, 1]
    assert found == pytest.approx(1 - max(f1_score(target, scores >= one) for one in np.unique(scores)))
    assert found < error_of(Aim("f1", "yes"), TWO, table) - 0.02  # the usual threshold of a half is not it


@pytest.mark.parametrize("least", [0.6, 0.8])
def test_a_recall_is_the_largest_with_that_precision(least):
    target, probabilities = made(TWO)
    aim = Aim(f"recall@precision>={least}", "yes")
    factors = best_factors(aim, TWO, table_of(TWO, target, probabilities))
    table = table_of(TWO, target, probabilities, factors)
    precision, recall, _ = precision_recall_curve(target, probabilities[:, 1])
    assert error_of(aim, TWO, table) == pytest.approx(1 - recall[precision >= least].max())
    assert recall_score(target, table["prediction"].to_numpy() == "yes") == pytest.approx(1 - error_of(aim, TWO, table))


def test_a_precision_that_no_threshold_reaches_leaves_the_class_unanswered():
    target, probabilities = np.array([0, 0, 1, 0]), np.array([[0.1, 0.9], [0.2, 0.8], [0.4, 0.6], [0.9, 0.1]])
    aim = Aim("recall@precision>=0.9", "yes")
    factors = best_factors(aim, TWO, table_of(TWO, target, probabilities))
    assert set(table_of(TWO, target, probabilities, factors)["prediction"]) == {"no"}


def test_rare_classes_are_answered_more_often_for_balanced_accuracy():
    target, probabilities = made(THREE, 2_000, rare=0.03)
    plain, aim = table_of(THREE, target, probabilities), Aim("balanced_accuracy")
    table = table_of(THREE, target, probabilities, best_factors(aim, THREE, plain))
    assert (table["prediction"] == "c").sum() > 2 * (plain["prediction"] == "c").sum()
    assert error_of(aim, THREE, table) < error_of(aim, THREE, plain) - 0.05


def test_costs_are_the_factors():
    # drawn: p = 0.2 at cost 10 outweighs p = 0.8 at cost 1
    target, probabilities = np.array([1]), np.array([[0.8, 0.2]])
    aim = aim_of(None, None, ("yes:10",), TWO, pl.Series(["no", "yes"]))
    assert aim.costs == (1.0, 10.0)
    factors = best_factors(aim, TWO, table_of(TWO, target, probabilities))
    assert table_of(TWO, target, probabilities, factors)["prediction"][0] == "yes"


def test_the_positive_class_is_the_rarer_of_two_unless_named():
    labels = pl.Series(["no"] * 2 + ["yes"] * 5)
    assert aim_of("f1", None, (), TWO, labels).positive == "no"
    assert aim_of("f1", "yes", (), TWO, labels).error_name == "1 - F1 of yes"
    assert aim_of("f1", None, (), THREE, labels).error_name == "1 - macro F1"
    assert aim_of(None, None, (), TWO, labels) == Aim()
    assert split_error(Aim(), TWO, pl.DataFrame()) is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("F2", None, ()), r"unknown metric 'F2'. Fix: use error, f1"),
        (("f1", "maybe", ()), r"positive=maybe is not a class"),
        (("f1", None, ("yes:2",)), r"metric=f1 and costs are two different goals"),
        ((None, None, ("yes",)), r"'yes' is not a class and the cost"),
        ((None, None, ("yes:-1",)), r"costs=no:10"),
        (("recall@precision>=1.5", None, ()), r"unknown metric"),
    ],
)
def test_what_cannot_be_is_refused(words, message):
    with pytest.raises(UsageError, match=message):
        aim_of(*words, TWO, pl.Series(["no", "yes"]))
