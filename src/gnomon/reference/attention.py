"""Multi-head attention within a sequence.

X is (B, T, D), with h heads of d = D / h numbers. W_in (3 D, D) and b_in (3 D,) are the projections of queries, keys
and values, one below the other; W_out (D, D) and b_out (D,) that of what the heads found. `mask` (T, T) is True where
row t may look at column s. Source: Vaswani et al. 2017, section 3.2.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gnomon.reference import Array
from gnomon.reference.activations import softmax

Mask = NDArray[np.bool_]


def causal_mask(places: int) -> Mask:
    """(T, T): each place looks at itself and at those before it."""
    return np.tri(places, dtype=bool)


def attention_forward(Q: Array, K: Array, V: Array, mask: Mask) -> Array:
    """softmax(Q K^T / sqrt(d)) V over the last two axes, (..., T, d); where `mask` is False, the weight is 0."""
    return _weights(Q, K, mask) @ V


def attention_backward(dZ: Array, Q: Array, K: Array, V: Array, mask: Mask) -> tuple[Array, Array, Array]:
    """Returns (dQ, dK, dV).

    With A the weights and dA = dZ V^T, the gradient of the scores is dS = A (dA - the sum of A dA over the row), which
    is 0 where A is; then dQ = dS K / sqrt(d), dK = dS^T Q / sqrt(d), dV = A^T dZ.
    """
    A = _weights(Q, K, mask)
    dA = dZ @ _turned(V)
    dS = A * (dA - (A * dA).sum(axis=-1, keepdims=True)) / math.sqrt(Q.shape[-1])
    return dS @ K, _turned(dS) @ Q, _turned(A) @ dZ


def multi_head_forward(
    X: Array, W_in: Array, b_in: Array, W_out: Array, b_out: Array, *, heads: int, mask: Mask
) -> Array:
    """The attention of each head on its own d numbers of queries, keys and values; joined, then projected."""
    return _joined(attention_forward(*_divided(X @ W_in.T + b_in, heads), mask)) @ W_out.T + b_out


def multi_head_backward(
    dY: Array, X: Array, W_in: Array, b_in: Array, W_out: Array, *, heads: int, mask: Mask
) -> tuple[Array, Array, Array, Array, Array]:
    """Returns (dX, dW_in, db_in, dW_out, db_out)."""
    Q, K, V = _divided(X @ W_in.T + b_in, heads)
    found = _joined(attention_forward(Q, K, V, mask))
    dfound = dY @ W_out
    per_head = _each_head(dfound, heads)
    dQKV = np.concatenate([_joined(part) for part in attention_backward(per_head, Q, K, V, mask)], axis=-1)
    return (
        dQKV @ W_in,
        np.einsum("bto,bti->oi", dQKV, X), dQKV.sum(axis=(0, 1)),
        np.einsum("bto,bti->oi", dY, found), dY.sum(axis=(0, 1)),
    )  # fmt: skip


def _weights(Q: Array, K: Array, mask: Mask) -> Array:
    scores = Q @ _turned(K) / math.sqrt(Q.shape[-1])
    flat = np.where(mask, scores, -np.inf).reshape(-1, scores.shape[-1])
    return softmax(flat).reshape(scores.shape)


def _divided(QKV: Array, heads: int) -> tuple[Array, Array, Array]:
    Q, K, V = (_each_head(part, heads) for part in np.split(QKV, 3, axis=-1))
    return Q, K, V


def _each_head(X: Array, heads: int) -> Array:
    """(B, T, D) -> (B, h, T, d)."""
    return X.reshape(*X.shape[:2], heads, -1).swapaxes(1, 2)


def _joined(Z: Array) -> Array:
    """(B, h, T, d) -> (B, T, D)."""
    return Z.swapaxes(1, 2).reshape(Z.shape[0], Z.shape[2], -1)


def _turned(M: Array) -> Array:
    return M.swapaxes(-1, -2)
