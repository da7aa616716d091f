"""Attention: with several heads within a sequence and from one to another, and by a small network; sinusoids.

X is (B, T, D), with h heads of d = D / h numbers. W_in (3 D, D) and b_in (3 D,) are the projections of queries, keys
and values, one below the other; W_out (D, D) and b_out (D,) that of what the heads found. `mask` (T, T) is True where
row t may look at column s. From X to another sequence M (B, S, D) it is (T, S) or (B, 1, 1, S). Source: Vaswani et al.
2017, section 3.2.
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


def across_forward(
    X: Array, M: Array, W_q: Array, b_q: Array, W_kv: Array, b_kv: Array, W_out: Array, b_out: Array, *, heads: int,
    mask: Mask,
) -> Array:  # fmt: skip
    """Queries from X, keys and values from M: W_kv (2 D, D) has their projections, one below the other."""
    Q, K, V = _asked(X, M, W_q, b_q, W_kv, b_kv, heads)
    return _joined(attention_forward(Q, K, V, mask)) @ W_out.T + b_out


def across_backward(
    dY: Array, X: Array, M: Array, W_q: Array, b_q: Array, W_kv: Array, b_kv: Array, W_out: Array, *, heads: int,
    mask: Mask,
) -> tuple[Array, ...]:  # fmt: skip
    """Returns (dX, dM, dW_q, db_q, dW_kv, db_kv, dW_out, db_out)."""
    Q, K, V = _asked(X, M, W_q, b_q, W_kv, b_kv, heads)
    found = _joined(attention_forward(Q, K, V, mask))
    per_head = _each_head(dY @ W_out, heads)
    dQ, dK, dV = (_joined(part) for part in attention_backward(per_head, Q, K, V, mask))
    dKV = np.concatenate([dK, dV], axis=-1)
    return (
        dQ @ W_q, dKV @ W_kv,
        np.einsum("bto,bti->oi", dQ, X), dQ.sum(axis=(0, 1)),
        np.einsum("bso,bsi->oi", dKV, M), dKV.sum(axis=(0, 1)),
        np.einsum("bto,bti->oi", dY, found), dY.sum(axis=(0, 1)),
    )  # fmt: skip


def additive_forward(Q: Array, M: Array, W: Array, U: Array, b: Array, v: Array, is_there: Mask) -> tuple[Array, Array]:
    """What each of Q (B, T, n_q) finds in M (B, S, n_m), and its weights A (B, T, S).

    A is the softmax over s of v . tanh(W q_t + U m_s + b), with W (n, n_q), U (n, n_m), b (n,), v (n,); it is 0 where
    `is_there` (B, S) is False. Found is A M. Source: Bahdanau et al. 2015, appendix A.1.2, without a bias there.
    """
    A = _additive_weights(_tried(Q, M, W, U, b), v, is_there)
    return A @ M, A


def additive_backward(
    dZ: Array, Q: Array, M: Array, W: Array, U: Array, b: Array, v: Array, is_there: Mask
) -> tuple[Array, ...]:
    """Returns (dQ, dM, dW, dU, db, dv) for dZ of what was found.

    With H = tanh(W q_t + U m_s + b) and dA = dZ M^T, the gradient of the scores is dS = A (dA - the sum of A dA over
    the row), of H it is dS v, and of what tanh takes dS v (1 - H^2).
    """
    H = _tried(Q, M, W, U, b)
    A = _additive_weights(H, v, is_there)
    dA = dZ @ _turned(M)
    dS = A * (dA - (A * dA).sum(axis=-1, keepdims=True))
    dG = dS[..., None] * v * (1 - H**2)  # (B, T, S, n)
    return (
        dG.sum(axis=2) @ W,
        _turned(A) @ dZ + dG.sum(axis=1) @ U,
        np.einsum("btsn,bti->ni", dG, Q), np.einsum("btsn,bsi->ni", dG, M), dG.sum(axis=(0, 1, 2)),
        np.einsum("bts,btsn->n", dS, H),
    )  # fmt: skip


def sinusoids(places: int, width: int) -> Array:
    """(T, D): sin(t / 10000^(2i/D)) in column 2i, cos of the same in column 2i + 1. Source: as above, section 3.5."""
    P = np.zeros((places, width))
    for t in range(places):
        for i in range(width):
            angle = t / 10_000 ** ((i - i % 2) / width)
            P[t, i] = math.cos(angle) if i % 2 else math.sin(angle)
    return P


def _tried(Q: Array, M: Array, W: Array, U: Array, b: Array) -> Array:
    return np.tanh((Q @ W.T)[:, :, None] + (M @ U.T)[:, None] + b)


def _additive_weights(H: Array, v: Array, is_there: Mask) -> Array:
    scores = np.where(is_there[:, None], H @ v, -np.inf)
    return softmax(scores.reshape(-1, scores.shape[-1])).reshape(scores.shape)


def _asked(
    X: Array, M: Array, W_q: Array, b_q: Array, W_kv: Array, b_kv: Array, heads: int
) -> tuple[Array, Array, Array]:
    K, V = np.split(M @ W_kv.T + b_kv, 2, axis=-1)
    return _each_head(X @ W_q.T + b_q, heads), _each_head(K, heads), _each_head(V, heads)


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
