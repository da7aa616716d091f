"""Two-dimensional convolution as networks use it (cross-correlation), with stride and zero padding.

One dimension is the case H = 1: kernels of height 1, stride (1, s), padding (0, p).
"""

from __future__ import annotations

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


def flip(W: Array) -> Array:
    """The kernel turned by half a turn in its last two axes: cross-correlation with that is true convolution."""
    return W[..., ::-1, ::-1]


def pad(X: Array, padding: tuple[int, int], value: float = 0.0) -> Array:
    """(B, C, H, W) -> (B, C, H + 2 p_H, W + 2 p_W)."""
    return np.pad(X, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2), constant_values=value)


def unpad(X: Array, padding: tuple[int, int]) -> Array:
    """What `pad` was given."""
    height, width = X.shape[2:]
    return X[:, :, padding[0] : height - padding[0], padding[1] : width - padding[1]]


def conv2d_forward(
    X: Array, W: Array, b: Array, *, stride: tuple[int, int] = (1, 1), padding: tuple[int, int] = (0, 0)
) -> Array:
    """z[k, i, j] = b_k + sum over c, u, v of w[k, c, u, v] x[c, i s_H + u, j s_W + v].

    X (B, C, H, W), W (K, C, f_H, f_W), b (K,) -> (B, K, H', W'), sizes by `output_size`. The kernel is not flipped:
    this is cross-correlation, which the field calls convolution. Source: Goodfellow et al. 2016, equation 9.6.
    """
    kernel_height, kernel_width = W.shape[2:]
    height = output_size(X.shape[2], kernel_height, stride[0], padding[0])
    width = output_size(X.shape[3], kernel_width, stride[1], padding[1])
    padded = pad(X, padding)
    Z = np.empty((len(X), len(W), height, width))
    for i in range(height):
        for j in range(width):
            top, left = i * stride[0], j * stride[1]
            patch = padded[:, :, top : top + kernel_height, left : left + kernel_width]  # (B, C, f_H, f_W)
            Z[:, :, i, j] = np.einsum("bcuv,kcuv->bk", patch, W) + b
    return Z


def conv2d_backward(
    dZ: Array,
    X: Array,
    W: Array,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
) -> tuple[Array, Array, Array]:
    """Each output hands its gradient to the patch and to the kernel that made it. Returns (dX, dW, db).

    dX over the patch of (i, j) gathers sum_k dz[k, i, j] w_k; dW gathers dz[k, i, j] times that patch; db_k sums dz_k.
    """
    kernel_height, kernel_width = W.shape[2:]
    padded = pad(X, padding)
    dpadded, dW = np.zeros_like(padded), np.zeros_like(W)
    for i in range(dZ.shape[2]):
        for j in range(dZ.shape[3]):
            top, left = i * stride[0], j * stride[1]
            rows, columns = slice(top, top + kernel_height), slice(left, left + kernel_width)
            dpadded[:, :, rows, columns] += np.einsum("bk,kcuv->bcuv", dZ[:, :, i, j], W)
            dW += np.einsum("bk,bcuv->kcuv", dZ[:, :, i, j], padded[:, :, rows, columns])
    return unpad(dpadded, padding), dW, dZ.sum(axis=(0, 2, 3))
