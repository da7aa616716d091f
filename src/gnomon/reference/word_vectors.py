"""Losses of word vectors pair by pair, and their gradients: skip-gram and CBOW with negatives or a tree, GloVe.

Letters: v (D,) the vector of an input word, u (D,) that of a predicted word or an inner node, k negatives per pair.
Sources: Mikolov et al. 2013b, equations 3 and 4; Pennington et al. 2014, equation 8.
"""

from __future__ import annotations

import numpy as np

from gnomon.reference import Array
from gnomon.reference.activations import sigmoid


def negative_sampling(v: Array, u: Array, others: Array, k: float) -> tuple[float, Array, Array, Array]:
    """-log s(u v) - k mean log s(-u' v) over `others` (N, D): the loss, and its gradients by v, u and `others`."""
    right, wrong = sigmoid(u @ v), sigmoid(others @ v)
    share = k / len(others)
    loss = -np.log(right) - share * np.log(1 - wrong).sum()
    return float(loss), (right - 1) * u + share * wrong @ others, (right - 1) * v, share * np.outer(wrong, v)


def tree(v: Array, nodes: Array, turns: Array) -> tuple[float, Array, Array]:
    """-log of the product of s(turn u v) over the nodes (L, D) passed: the loss, and its gradients by v and nodes."""
    taken = sigmoid(turns * (nodes @ v))
    slope = (taken - 1) * turns
    return float(-np.log(taken).sum()), slope @ nodes, np.outer(slope, v)


def glove(
    w: Array, u: Array, b: float, c: float, x: float, *, enough: float, power: float
) -> tuple[float, Array, Array]:
    """f(x) (w u + b + c - log x)^2: the loss, and its gradients by (w, b) and (u, c), end to end."""
    weight = min(1.0, (x / enough) ** power)
    miss = w @ u + b + c - np.log(x)
    return float(weight * miss**2), 2 * weight * miss * np.append(u, 1), 2 * weight * miss * np.append(w, 1)


def blocks(
    method: str, inputs: Array, outputs: Array, words: Array, near: Array, *,
    others: Array | None = None, k: float = 0, nodes: Array | None = None, turns: Array | None = None,
) -> tuple[float, Array, Array]:  # fmt: skip
    """The loss of one block, pair by pair, and its gradients by both tables.

    `words` (C,) ids, `near` (B, C) of 0 and 1; position i is words[(C - B) // 2 + i]. Either `others` (N,) ids of
    negatives, k per pair, or `nodes` and `turns` (B, L) of the way to each position's word.
    """
    total, d_inputs, d_outputs = 0.0, np.zeros_like(inputs), np.zeros_like(outputs)
    size, width = near.shape
    for i in range(size):
        centre, around = words[(width - size) // 2 + i], words[near[i] > 0]
        if not len(around):
            continue
        if method == "cbow":  # the mean of the words around is the input
            pairs = [(inputs[around].mean(0), around, 1 / len(around), centre)]
        elif nodes is not None:
            pairs = [(inputs[one], np.array([one]), 1.0, centre) for one in around]
        else:
            pairs = [(inputs[centre], np.array([centre]), 1.0, one) for one in around]
        for v, sources, share, target in pairs:
            if nodes is not None and turns is not None:
                there = turns[i] != 0
                loss, d_v, d_nodes = tree(v, outputs[nodes[i][there]], turns[i][there])
                _add(d_outputs, nodes[i][there], d_nodes)
            else:
                assert others is not None
                loss, d_v, d_u, d_others = negative_sampling(v, outputs[target], outputs[others], k)
                d_outputs[target] += d_u
                _add(d_outputs, others, d_others)
            _add(d_inputs, sources, np.tile(share * d_v, (len(sources), 1)))
            total += loss
    return total, d_inputs, d_outputs


def _add(table: Array, rows: Array, changes: Array) -> None:
    """Row by row: one may come several times."""
    for row, change in zip(rows.astype(int), changes, strict=True):
        table[row] += change
