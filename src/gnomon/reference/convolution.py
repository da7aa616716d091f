"""Convolution as networks use it (cross-correlation), in one, two or three dimensions, with stride and zero padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gnomon.reference import Array


def output_size(size: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """floor((n + 2p - f) / s) + 1: how many positions a kernel of f takes on n cells padded by p on both sides.

    One of the notes gives (n - 2p + 1)/s + 1 for volumes, where the sign of p is wrong and f is missing.
    Source: Dumoulin and Visin 2016, relationship 6.
    """
    if kernel > size + 2 * padding:
        raise ValueError(f"a kernel of {kernel} does not fit on {size} cells padded by {padding} on both sides")
    return (size + 2 * padding - kernel) // stride + 1


def same_padding(kernel: int) -> int:
    """p = (f - 1) / 2 keeps the size at stride 1; f must be odd."""
    if kernel % 2 == 0:
        raise ValueError(f"no padding on both sides keeps the size with an even kernel, got {kernel}")
    return (kernel - 1) // 2


def flip(W: Array, num_dims: int = 2) -> Array:
    """The kernel reversed along its last axes: cross-correlation with that is true convolution."""
    return np.flip(W, axis=tuple(range(-num_dims, 0)))


def convolve(X: Array, W: Array) -> Array:
    """True convolution of two arrays of one number of dimensions, wherever they overlap: n + f - 1 cells per axis.

    (x * w)[i] = sum_u x[i - u] w[u]. Unlike cross-correlation it is commutative and associative.
    Source: Goodfellow et al. 2016, equations 9.4 to 9.6.
    """
    padding = [size - 1 for size in W.shape]
    kernel = flip(W, W.ndim)[np.newaxis, np.newaxis]
    one = (1,) * X.ndim
    return conv_forward(X[np.newaxis, np.newaxis], kernel, np.zeros(1), stride=one, padding=padding)[0, 0]


def pad(X: Array, padding: Sequence[int], value: float = 0.0) -> Array:
    """(B, C, H, W) -> (B, C, H + 2 p_H, W + 2 p_W), and likewise in other numbers of dimensions."""
    return np.pad(X, ((0, 0), (0, 0), *((p, p) for p in padding)), constant_values=value)


def unpad(X: Array, padding: Sequence[int]) -> Array:
    """The inverse of `pad`."""
    kept = [slice(p, size - p) for p, size in zip(padding, X.shape[2:], strict=True)]
    return X[(slice(None), slice(None), *kept)]


def conv_forward(X: Array, W: Array, b: Array, *, stride: Sequence[int], padding: Sequence[int]) -> Array:
    """z[k, i, j] = b_k + sum over c, u, v of w[k, c, u, v] x[c, i s_H + u, j s_W + v].

    X (B, C, H, W), W (K, C, f_H, f_W), b (K,) -> (B, K, H', W'), sizes by `output_size`, one stride and padding per
    axis; (B, C, L) with W (K, C, f) in one dimension, (B, C, D, H, W) with W (K, C, f_D, f_H, f_W) in three. The kernel
    is not flipped: this is cross-correlation, which the field calls convolution.
    Source: Goodfellow et al. 2016, equation 9.6.
    """
    kernel = W.shape[2:]
    sizes = map(output_size, X.shape[2:], kernel, stride, padding)
    padded = pad(X, padding)
    Z = np.empty((len(X), len(W), *sizes))
    for position in np.ndindex(*Z.shape[2:]):
        patch = padded[_window(position, kernel, stride)]  # (B, C, f_H, f_W)
        Z[(..., *position)] = patch.reshape(len(X), -1) @ W.reshape(len(W), -1).T + b
    return Z


def conv_backward(
    dZ: Array, X: Array, W: Array, *, stride: Sequence[int], padding: Sequence[int]
) -> tuple[Array, Array, Array]:
    """Each output passes its gradient to the patch and the kernel that made it. Returns (dX, dW, db).

    dX over the patch of (i, j) gathers sum_k dz[k, i, j] w_k; dW gathers dz[k, i, j] times that patch; db_k sums dz_k.
    """
    padded = pad(X, padding)
    dpadded, dW = np.zeros_like(padded), np.zeros_like(W)
    for position in np.ndindex(*dZ.shape[2:]):
        window, dz = _window(position, W.shape[2:], stride), dZ[(..., *position)]  # dz (B, K)
        dpadded[window] += np.tensordot(dz, W, axes=1)
        dW += np.tensordot(dz.T, padded[window], axes=1)
    return unpad(dpadded, padding), dW, dZ.sum(axis=(0, *range(2, dZ.ndim)))


def _window(position: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> tuple[slice, ...]:
    """The cells of the padded input that the output at `position` depends on, in all examples and channels."""
    starts = [i * s for i, s in zip(position, stride, strict=True)]
    return (slice(None), slice(None), *(slice(start, start + f) for start, f in zip(starts, kernel, strict=True)))
