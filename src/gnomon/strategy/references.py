"""Cheap references: models that take seconds, fitted to the same training examples as the system they stand beside.

Every size is capped by counts, never by a clock, so that the same data gives the same references on any day.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_ROWS = 20_000  # training examples that a reference is fitted to
LINEAR_WORK = 1e8  # rows x columns x classes: about two seconds of one core
TREE_WORK = 2.5e5  # rows x trees in each class's ensemble: about a second and a half
FOREST_ROWS = 5_000
FOREST_TREES = 100
MOST_TREES, FEWEST_TREES = 100, 15  # boosting steps; with room for fewer, the forest stands alone
NEIGHBOURS = (1, 5, 15)
NEIGHBOUR_WORK = 2e10  # rows x rows x columns of distances
QUERIES = 2_000  # training examples on which the number of neighbours is chosen, each without itself
MOST_LEVELS = 32  # of a category that get a column of their own; rarer ones share one


@dataclass(frozen=True)
class Inputs:
    """N examples as plain numbers."""

    numbers: np.ndarray  # (N, D) float32, about standardised
    codes: np.ndarray  # (N, C) int64 categories
    presence: Any = None  # of texts: a sparse (N, V) array, 1 where a text has a word

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: np.ndarray) -> Inputs:
        return Inputs(self.numbers[rows], self.codes[rows], None if self.presence is None else self.presence[rows])


@dataclass(frozen=True)
class Answers:
    """What one reference answers on dev: (M,) class indices or numbers."""

    name: str
    values: np.ndarray


@dataclass(frozen=True)
class Forest:
    """A random forest's view of examples it was not fitted to: classes as probabilities (n, K), numbers as (n,)."""

    rows: np.ndarray  # (n,) positions in train of the examples it was fitted to
    out_of_bag: np.ndarray  # what the trees that did not see an example say of it
    dev: np.ndarray


def sampled(count: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most `most` of `count` positions, in order."""
    return np.arange(count) if count <= most else np.sort(rng.choice(count, most, replace=False))


def guess(targets: np.ndarray, num_classes: int | None) -> Any:
    """The one answer with the lowest error: the commonest class, the median; of (N, D) numbers, the mean of each."""
    if targets.ndim > 1:
        return targets.mean(axis=0)
    if num_classes is None:
        return float(np.median(targets))
    return int(np.bincount(targets, minlength=num_classes).argmax())


def without_gaps(targets: np.ndarray) -> np.ndarray:
    """(N, D) numbers with the mean of its column for each that is NaN; anything else as it is."""
    if targets.ndim < 2:
        return targets
    known = ~np.isnan(targets)
    means = np.where(known, targets, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known, targets, means)


def _has_one_class(targets: np.ndarray, num_classes: int | None) -> bool:
    """Whether all examples are of one class, as groups on one side of a split may be: no line separates that."""
    return num_classes is not None and len(np.unique(targets)) < 2


def linear_model(train: Inputs, targets: np.ndarray, dev: Inputs, num_classes: int | None) -> Answers | None:
    """Logistic or ridge regression on all columns, categories as indicators."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge

    levels = _levels(train)
    first = _wide(train.take(np.arange(1)), levels)
    most = int(LINEAR_WORK / max(first.shape[1] * (num_classes or 1), 1))
    if most < min(len(train), 500):
        return None
    rows = sampled(len(train), min(most, MOST_ROWS), np.random.default_rng(0))
    values, wanted = _wide(train.take(rows), levels), targets[rows]
    if _has_one_class(wanted, num_classes):
        return None
    model: Any = Ridge() if num_classes is None else LogisticRegression(max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a hundred steps are a reference, whatever is left
        model.fit(values, wanted)
    return Answers("linear model", model.predict(_wide(dev, levels)))


def naive_bayes(train: Inputs, targets: np.ndarray, dev: Inputs, num_classes: int | None) -> Answers | None:
    """Naive Bayes of which words a text has, each counted once. Source: Pang et al. 2002; Wang and Manning 2012."""
    from sklearn.naive_bayes import MultinomialNB

    if _has_one_class(targets, num_classes):
        return None
    return Answers("naive Bayes", MultinomialNB().fit(train.presence, targets).predict(dev.presence))


def word_regression(train: Inputs, targets: np.ndarray, dev: Inputs, num_classes: int | None) -> Answers | None:
    """Logistic regression on which words a text has."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if _has_one_class(targets, num_classes):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a hundred steps are a reference, whatever is left
        model = LogisticRegression(max_iter=100).fit(train.presence, targets)
    return Answers("logistic regression", model.predict(dev.presence))


def nearest_neighbours(train: Inputs, targets: np.ndarray, dev: Inputs, num_classes: int | None) -> Answers | None:
    """The vote (the mean) of 1, 5 or 15 neighbours: whichever does best on training examples left out."""
    levels = _levels(train)
    width = _wide(train.take(np.arange(1)), levels).shape[1]
    most = int(NEIGHBOUR_WORK / max(width * (len(dev) + QUERIES), 1))
    if most < min(len(train), 500):
        return None
    rng = np.random.default_rng(0)
    rows = sampled(len(train), min(most, MOST_ROWS), rng)
    known, wanted = _wide(train.take(rows), levels), targets[rows]
    largest = min(max(NEIGHBOURS), len(rows) - 1)
    asked = sampled(len(rows), QUERIES, rng)
    near = _nearest(known, known[asked], largest + 1, without=asked)
    sizes = [size for size in NEIGHBOURS if size <= largest]
    losses = [_loss(_vote(wanted[near[:, :size]], num_classes), wanted[asked], num_classes) for size in sizes]
    best = sizes[int(np.argmin(losses))]
    return Answers("nearest neighbours", _vote(wanted[_nearest(known, _wide(dev, levels), best)], num_classes))


def boosted_trees(train: Inputs, targets: np.ndarray, dev: Inputs, num_classes: int | None) -> Answers | None:
    """Histogram gradient boosting, with as many trees as there is room for."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    each = num_classes if num_classes is not None and num_classes > 2 else 1
    rows = sampled(len(train), MOST_ROWS, np.random.default_rng(0))
    width = max(train.numbers.shape[1] + train.codes.shape[1], 1)
    trees = min(MOST_TREES, int(TREE_WORK * 40 / (each * (len(rows) + 2_000) * max(width / 16, 1))))
    if trees < FEWEST_TREES or _has_one_class(targets[rows], num_classes):
        return None
    kind: Any = HistGradientBoostingRegressor if num_classes is None else HistGradientBoostingClassifier
    least = int(np.clip(len(rows) // 40, 5, 20))
    model = kind(max_iter=trees, min_samples_leaf=least, early_stopping=False, random_state=0)
    model.fit(_narrow(train.take(rows)), targets[rows])
    return Answers("boosted trees", model.predict(_narrow(dev)))


def random_forest(
    train: Inputs, targets: np.ndarray, dev: Inputs, num_classes: int | None
) -> tuple[Answers, Forest] | None:
    """A forest, and what it says of training examples by the trees that did not see them."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    if len(train) < 2 * FEWEST_TREES:
        return None
    rows = sampled(len(train), FOREST_ROWS, np.random.default_rng(0))
    settings: dict[str, Any] = {"n_estimators": FOREST_TREES, "oob_score": True, "random_state": 0, "n_jobs": 1}
    values, wanted, asked = _narrow(train.take(rows)), targets[rows], _narrow(dev)
    if num_classes is None:
        regressor = RandomForestRegressor(max_features=1 / 3, min_samples_leaf=2, **settings).fit(values, wanted)
        found = regressor.predict(asked)
        return Answers("random forest", found), Forest(rows, regressor.oob_prediction_, found)
    classifier = RandomForestClassifier(**settings).fit(values, wanted)
    held_out, said = (_of_all_classes(part, classifier.classes_, num_classes)
                      for part in (classifier.oob_decision_function_, classifier.predict_proba(asked)))  # fmt: skip
    return Answers("random forest", said.argmax(axis=1)), Forest(rows, held_out, said)


def _of_all_classes(probabilities: np.ndarray, classes: np.ndarray, num_classes: int) -> np.ndarray:
    """(n, K): a class that the forest never saw has probability 0; an example that every tree saw has none at all."""
    found = np.zeros((len(probabilities), num_classes))
    found[:, classes] = np.nan_to_num(probabilities)
    return found


def _levels(train: Inputs) -> list[np.ndarray]:
    """The commonest categories of each column of codes, which get indicators."""
    found = []
    for column in train.codes.T:
        counts = np.bincount(column)
        found.append(np.argsort(-counts, kind="stable")[: min(MOST_LEVELS, int((counts > 0).sum()))])
    return found


def _wide(inputs: Inputs, levels: list[np.ndarray]) -> np.ndarray:
    """(N, D + indicators) float32; numbers beyond four standard deviations are pulled in."""
    numbers = np.clip(inputs.numbers, -4, 4)
    columns = [(inputs.codes[:, [i]] == some[None, :]).astype(np.float32) for i, some in enumerate(levels)]
    return np.hstack([numbers, *columns]) if columns else numbers


def _narrow(inputs: Inputs) -> np.ndarray:
    """(N, D + C) float32: trees split codes as they split numbers."""
    return np.hstack([inputs.numbers, inputs.codes.astype(np.float32)])


def _nearest(known: np.ndarray, asked: np.ndarray, count: int, without: np.ndarray | None = None) -> np.ndarray:
    """(M, count) positions of the nearest, nearest first; `without` (M,) is a position that may not be among them."""
    squares = (known**2).sum(axis=1)
    count = min(count, len(known))
    found = np.empty((len(asked), count), np.int64)
    for start in range(0, len(asked), 512):
        part = slice(start, min(start + 512, len(asked)))
        distance = squares - 2 * asked[part] @ known.T
        if without is not None:
            distance[np.arange(len(distance)), without[part]] = np.inf
        near = np.argpartition(distance, count - 1, axis=1)[:, :count] if count < len(known) else \
            np.broadcast_to(np.arange(len(known)), distance.shape)  # fmt: skip
        order = np.argsort(np.take_along_axis(distance, near, axis=1), axis=1, kind="stable")
        found[part] = np.take_along_axis(near, order, axis=1)
    return found


def _vote(answers: np.ndarray, num_classes: int | None) -> np.ndarray:
    """(M,) from (M, k), nearest first: the mean, or the commonest class; among equals, that of the nearest."""
    if num_classes is None:
        mean: np.ndarray = answers.mean(axis=1)
        return mean
    votes = np.zeros((len(answers), num_classes))
    for place in range(answers.shape[1]):
        votes[np.arange(len(answers)), answers[:, place]] += 1 + 1e-3 * (answers.shape[1] - place)
    most: np.ndarray = votes.argmax(axis=1)
    return most


def _loss(said: np.ndarray, wanted: np.ndarray, num_classes: int | None) -> float:
    return float(np.abs(said - wanted).mean() if num_classes is None else (said != wanted).mean())
