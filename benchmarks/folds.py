"""How often the interval of an error over folds covers the expected error of its models: `python -m benchmarks.folds`.

Two classes on normal columns, one of them informative, one of unequal spread; 100 or 300 examples, 5 or 10 folds,
logistic regression, one nearest neighbour and a decision tree. The expected error of a model trained on that many
examples is measured: the mean over all models of a case, each on 4,000 fresh examples.
"""

from __future__ import annotations

import itertools
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from gnomon.metrics.intervals import inflation_of, wilson

MODELS = {
    "logistic regression": lambda: LogisticRegression(max_iter=200),
    "nearest neighbour": lambda: KNeighborsClassifier(1),
    "decision tree": lambda: DecisionTreeClassifier(random_state=0),
}
REPEATS, FRESH = 300, 4_000


def drawn(rng: np.random.Generator, size: int, width: int, apart: float) -> tuple[np.ndarray, np.ndarray]:
    target = rng.integers(0, 2, size)
    inputs = rng.normal(size=(size, width))
    inputs[:, 0] += apart * (2 * target - 1)
    inputs[:, 1] *= 1 + target
    return inputs, target


def coverage(name: str, size: int, folds: int, width: int, apart: float) -> list[float]:
    """For the variance of independent examples, 1.5 times it, and that of `inflation_of`."""
    fresh, truth = drawn(np.random.default_rng(1), FRESH, width, apart)
    wrong, errors = [], []
    for repeat in range(REPEATS):
        rng = np.random.default_rng(1_000 + repeat)
        inputs, target = drawn(rng, size, width, apart)
        fold = rng.permutation(size) % folds
        models = [MODELS[name]().fit(inputs[fold != k], target[fold != k]) for k in range(folds)]
        wrong.append(sum(int((m.predict(inputs[fold == k]) != target[fold == k]).sum()) for k, m in enumerate(models)))
        errors.append(np.mean([np.mean(model.predict(fresh) != truth) for model in models]))
    expected = float(np.mean(errors))
    found = []
    for factor in (1.0, 1.5, inflation_of(folds)):
        ends = [wilson(count / factor, size / factor) for count in wrong]
        found.append(float(np.mean([one.low <= expected <= one.high for one in ends])))
    return found


def main() -> None:
    rows = []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = itertools.product((100, 300), ((5, 1.0), (20, 0.7)), (5, 10), MODELS)
        for size, (width, apart), folds, name in cases:
            rows.append(coverage(name, size, folds, width, apart))
            print(
                f"{name:<20} {size} examples, {width} columns, {folds:>2} folds:", *(f"{one:.1%}" for one in rows[-1])
            )
    for name, column in zip(("independent", "1.5 times", "as gnomon has it"), np.array(rows).T, strict=True):
        print(f"{name:<17} lowest {column.min():.1%}, mean {column.mean():.1%}, highest {column.max():.1%}")


if __name__ == "__main__":
    main()
