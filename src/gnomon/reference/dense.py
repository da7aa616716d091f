"""The dense (fully connected) layer."""

from __future__ import annotations

from gnomon.reference import Array


def dense_forward(A: Array, W: Array, b: Array) -> Array:
    """Z = A W^T + b.

    A (B, n_in), W (n_out, n_in), b (n_out,) -> (B, n_out). The course writes examples as columns: Z = W A + b, with
    everything transposed. Source: Goodfellow et al. 2016, section 6.5.
    """
    return A @ W.T + b


def dense_backward(dZ: Array, A: Array, W: Array) -> tuple[Array, Array, Array]:
    """dA = dZ W, dW = dZ^T A, db = the sum of dZ over examples. Returns (dA, dW, db).

    The course's factor 1/m is not here: it belongs to the loss and is already in dZ.
    """
    return dZ @ W, dZ.T @ A, dZ.sum(axis=0)
