"""Max and average pooling, each channel separately."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gnomon.reference import Array
from gnomon.reference.convolution import output_size, pad, unpad


def max_pool2d_forward(
    X: Array, size: tuple[int, int], *, stride: tuple[int, int], padding: tuple[int, int] = (0, 0)
) -> Array:
    """The largest entry of each window. X (B, C, H, W) -> (B, C, H', W'), sizes by `convolution.output_size`.

    Padded cells are never the largest (they count as minus infinity); padding must be at most half the window.
    """
    padded = pad(X, padding, -np.inf)
    Z = np.empty(_output_shape(X, size, stride, padding))
    for i, j, rows, columns in _windows(Z, size, stride):
        Z[:, :, i, j] = padded[:, :, rows, columns].max(axis=(2, 3))
    return Z


def max_pool2d_backward(
    dZ: Array,
    X: Array,
    size: tuple[int, int],
    *,
    stride: tuple[int, int],
    padding: tuple[int, int] = (0, 0),
) -> Array:
    """dX: each window's gradient goes to its largest entry; among equal ones to the first, row by row, as in torch."""
    padded = pad(X, padding, -np.inf)
    dpadded = np.zeros_like(padded)
    for i, j, rows, columns in _windows(dZ, size, stride):
        window = padded[:, :, rows, columns]
        flat = window.reshape(*window.shape[:2], -1)  # (B, C, f_H f_W)
        is_chosen = np.arange(flat.shape[2]) == flat.argmax(axis=2)[:, :, np.newaxis]
        dpadded[:, :, rows, columns] += dZ[:, :, i, j, np.newaxis, np.newaxis] * is_chosen.reshape(window.shape)
    return unpad(dpadded, padding)


def average_pool2d_forward(
    X: Array, size: tuple[int, int], *, stride: tuple[int, int], padding: tuple[int, int] = (0, 0)
) -> Array:
    """The mean of each window, padded cells counted as zeros. X (B, C, H, W) -> (B, C, H', W')."""
    padded = pad(X, padding)
    Z = np.empty(_output_shape(X, size, stride, padding))
    for i, j, rows, columns in _windows(Z, size, stride):
        Z[:, :, i, j] = padded[:, :, rows, columns].mean(axis=(2, 3))
    return Z


def average_pool2d_backward(
    dZ: Array,
    X: Array,
    size: tuple[int, int],
    *,
    stride: tuple[int, int],
    padding: tuple[int, int] = (0, 0),
) -> Array:
    """dX: each window's gradient shared equally by its f_H f_W entries."""
    dpadded = np.zeros_like(pad(X, padding))
    for i, j, rows, columns in _windows(dZ, size, stride):
        dpadded[:, :, rows, columns] += dZ[:, :, i, j, np.newaxis, np.newaxis] / (size[0] * size[1])
    return unpad(dpadded, padding)


def _output_shape(
    X: Array, size: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> tuple[int, int, int, int]:
    height = output_size(X.shape[2], size[0], stride[0], padding[0])
    width = output_size(X.shape[3], size[1], stride[1], padding[1])
    return X.shape[0], X.shape[1], height, width


def _windows(Z: Array, size: tuple[int, int], stride: tuple[int, int]) -> Iterator[tuple[int, int, slice, slice]]:
    """For each position (i, j) of the output, the rows and columns of the padded input it depends on."""
    for i in range(Z.shape[2]):
        for j in range(Z.shape[3]):
            top, left = i * stride[0], j * stride[1]
            yield i, j, slice(top, top + size[0]), slice(left, left + size[1])
