"""Softmax regression from the equations (gnomon.reference), for claims about gradient descent on a fixed surface."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gnomon.core.seeds import generator
from gnomon.data.named import open_set
from gnomon.reference import Array
from gnomon.reference.dense import dense_backward, dense_forward
from gnomon.reference.initialisation import draw_weights
from gnomon.reference.losses import one_hot, softmax_cross_entropy, softmax_cross_entropy_backward

SHARE = 0.8  # of the data set that each seed trains on


def bundled(name: str, seed: int, *, is_normalised: bool = True) -> tuple[Array, Array]:
    """(N, D) inputs and (N, K) one-hot targets of a bundled data set: a share of it, drawn with `seed`."""
    arrays = open_set(name).arrays
    if arrays is None or arrays.targets is None:
        raise ValueError(f"{name} is not a set of arrays with targets")
    X = arrays.inputs.reshape(len(arrays.inputs), -1).astype(np.float64)
    rows = generator(seed, "rows").permutation(len(X))[: round(SHARE * len(X))]
    X, labels = X[rows], arrays.targets[rows].astype(np.int64)
    return (normalised(X) if is_normalised else X), one_hot(labels, int(labels.max()) + 1)


def normalised(X: Array) -> Array:
    """(x - mean) / std for each column; a constant column is only centred."""
    std = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(std > 0, std, 1.0)


class Softmax:
    """The cost surface of softmax regression on (N, D) inputs and (N, K) targets; weights (K, D + 1), bias last."""

    def __init__(self, X: Array, Y: Array) -> None:
        self.X, self.Y = np.hstack([X, np.ones((len(X), 1))]), Y
        self.no_bias = np.zeros(Y.shape[1])

    def start(self, seed: int) -> Array:
        """Small random weights, bias 0."""
        shape = (self.Y.shape[1], self.X.shape[1] - 1)
        return np.hstack([draw_weights(shape, "small", generator(seed, "start")), np.zeros((shape[0], 1))])

    def cost(self, W: Array) -> float:
        return float(softmax_cross_entropy(dense_forward(self.X, W, self.no_bias), self.Y).mean())

    def cost_and_gradient(self, W: Array, rows: NDArray[np.int64] | None = None) -> tuple[float, Array]:
        """The mean loss over the examples at `rows` (default: all), before any step, and its gradient."""
        X, Y = (self.X, self.Y) if rows is None else (self.X[rows], self.Y[rows])
        Z = dense_forward(X, W, self.no_bias)
        dZ = softmax_cross_entropy_backward(np.full(len(X), 1 / len(X)), Z, Y)
        return float(softmax_cross_entropy(Z, Y).mean()), dense_backward(dZ, X, W)[1]

    def batches(self, seed: int, size: int, steps: int) -> Iterator[NDArray[np.int64]]:
        """Row indices for `steps` mini-batches, reshuffled every epoch."""
        rng, order = generator(seed, "order"), np.empty(0, dtype=np.int64)
        for _ in range(steps):
            if len(order) < size:
                order = rng.permutation(len(self.X))
            yield order[:size]
            order = order[size:]
