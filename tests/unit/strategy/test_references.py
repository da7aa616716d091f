"""Cheap references: what they answer is what scikit-learn's own models answer, and they stay cheap."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from gnomon.strategy.references import (
    Inputs,
    boosted_trees,
    guess,
    linear_model,
    nearest_neighbours,
    random_forest,
)


def iris(step=3):
    """Standardised iris: two thirds to fit, one third to answer."""
    values, target = datasets.load_iris(return_X_y=True)
    values = ((values - values.mean(axis=0)) / values.std(axis=0)).astype(np.float32)
    held = np.arange(len(target)) % step == 0
    return inputs(values[~held]), target[~held], inputs(values[held]), target[held]


def inputs(values, codes=None):
    return Inputs(values, np.empty((len(values), 0), np.int64) if codes is None else codes)


def test_the_guess_is_the_commonest_class_or_the_median():
    assert guess(np.array([2, 0, 2, 1]), 3) == 2
    assert guess(np.array([1.0, 2.0, 90.0]), None) == 2.0


def test_neighbours_answer_as_scikit_learns_do():
    train, targets, dev, _ = iris()
    found = nearest_neighbours(train, targets, dev, 3).values
    peers = [KNeighborsClassifier(k).fit(train.numbers, targets).predict(dev.numbers) for k in (1, 5, 15)]
    assert max(np.mean(found == peer) for peer in peers) == 1.0


def test_neighbours_predict_the_mean_of_numbers():
    rng = np.random.default_rng(0)
    train, dev = (rng.normal(size=(n, 2)).astype(np.float32) for n in (300, 50))
    targets = train @ [1.0, 2.0]
    found = nearest_neighbours(inputs(train), targets, inputs(dev), None).values
    peers = [
        KNeighborsRegressor(k).fit(np.clip(train, -4, 4), targets).predict(np.clip(dev, -4, 4)) for k in (1, 5, 15)
    ]
    assert min(np.abs(found - peer).max() for peer in peers) < 1e-6


def test_the_linear_model_is_logistic_regression():
    train, targets, dev, _ = iris()
    peer = LogisticRegression(max_iter=100).fit(train.numbers, targets).predict(dev.numbers)
    assert (linear_model(train, targets, dev, 3).values == peer).all()


@pytest.mark.parametrize("model", [linear_model, boosted_trees, nearest_neighbours, random_forest])
def test_training_examples_of_one_class_alone_have_that_class_for_an_answer_or_none(model):
    train, targets, dev, _ = iris()
    found = model(train, np.full_like(targets, 2), dev, 3)
    answers = found[0] if isinstance(found, tuple) else found
    assert answers is None or set(answers.values.tolist()) == {2}


def test_the_linear_model_sees_categories():
    rng = np.random.default_rng(0)
    codes = rng.integers(1, 5, size=(400, 1))
    targets = np.array([0, 1, 0, 1])[codes[:, 0] - 1]  # no line through the codes says this
    whole = inputs(np.empty((400, 0), np.float32), codes)
    found = linear_model(whole.take(np.arange(300)), targets[:300], whole.take(np.arange(300, 400)), 2)
    assert (found.values == targets[300:]).all()


@pytest.mark.parametrize("model", [boosted_trees, lambda *arguments: random_forest(*arguments)[0]])
def test_trees_learn_what_no_line_can(model):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(900, 4)).astype(np.float32)
    targets = ((values[:, 0] > 0) ^ (values[:, 1] > 0)).astype(np.int64)
    found = model(inputs(values[:600]), targets[:600], inputs(values[600:]), 2).values
    assert np.mean(found != targets[600:]) < 0.1
    assert np.mean(linear_model(inputs(values[:600]), targets[:600], inputs(values[600:]), 2).values
                   != targets[600:]) > 0.35  # fmt: skip


def test_out_of_bag_answers_are_of_trees_that_did_not_see_the_example():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 3)).astype(np.float32)
    targets = rng.integers(2, size=400)  # nothing to learn: whoever has seen an example would know it
    _, forest = random_forest(inputs(values), targets, inputs(values[:5]), 2)
    assert 0.4 < np.mean(forest.out_of_bag.argmax(axis=1) != targets) < 0.6


def test_a_class_that_the_sample_lacks_gets_probability_0():
    train, targets, dev, _ = iris()
    _, forest = random_forest(train, np.where(targets == 1, 0, targets), dev, 3)
    assert forest.dev.shape == (50, 3)
    assert (forest.dev[:, 1] == 0).all()


def test_the_same_data_gives_the_same_answers():
    first, again = (boosted_trees(*iris()[:3], 3).values for _ in range(2))
    assert (first == again).all()


def test_with_very_many_classes_boosting_is_left_to_the_forest():
    rng = np.random.default_rng(0)
    values, targets = rng.normal(size=(3000, 10)).astype(np.float32), rng.integers(300, size=3000)
    assert boosted_trees(inputs(values), targets, inputs(values[:5]), 300) is None
