"""Batch normalisation: with the batch's own statistics in training, with running averages afterwards; layer norm.

Z is (B, D) or (B, C, H, W). Statistics are per feature or per channel, taken over every other axis, m numbers each.
Source: Ioffe and Szegedy 2015, algorithms 1 and 2. Apply it to Z, before the activation; the layer before it then
needs no bias, because subtracting the mean removes it.
"""

from __future__ import annotations

import numpy as np

from gnomon.reference import Array


def batch_norm_train_forward(
    Z: Array, gamma: Array, beta: Array, *, epsilon: float = 1e-5
) -> tuple[Array, Array, Array]:
    """mu = mean(z); sigma^2 = mean((z - mu)^2); z_norm = (z - mu) / sqrt(sigma^2 + epsilon); gamma z_norm + beta.

    gamma, beta (C,). Returns (output, mu (C,), sigma^2 (C,)).
    """
    axes = _all_but_channels(Z)
    mean, variance = Z.mean(axis=axes), Z.var(axis=axes)
    return batch_norm_eval_forward(Z, gamma, beta, mean, variance, epsilon=epsilon), mean, variance


def batch_norm_train_backward(
    dY: Array, Z: Array, gamma: Array, *, epsilon: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Returns (dZ, dgamma, dbeta); the mean and the variance depend on every z, so their gradients are included.

    With g = gamma dY, the gradient of z_norm:
    dZ = (g - mean(g) - z_norm mean(g z_norm)) / sqrt(sigma^2 + epsilon).
    """
    axes = _all_but_channels(Z)
    mean, variance = Z.mean(axis=axes), Z.var(axis=axes)
    deviation = np.sqrt(_to_axes(variance, Z) + epsilon)
    normed = (Z - _to_axes(mean, Z)) / deviation
    g = _to_axes(gamma, Z) * dY
    dZ = (g - g.mean(axis=axes, keepdims=True) - normed * (g * normed).mean(axis=axes, keepdims=True)) / deviation
    return dZ, (dY * normed).sum(axis=axes), dY.sum(axis=axes)


def running_statistics(
    running_mean: Array,
    running_variance: Array,
    mean: Array,
    variance: Array,
    *,
    count: int,
    momentum: float = 0.1,
) -> tuple[Array, Array]:
    """Exponentially weighted averages of the batches' statistics, where new ones weigh `momentum`: (mean, variance).

    `count` is m. The batch's variance enters as sigma^2 m/(m - 1), the unbiased estimate that algorithm 2 asks for.
    `momentum` is 1 - beta of an exponentially weighted average, in torch's sense.
    """
    unbiased = variance * count / (count - 1)
    return (
        (1 - momentum) * running_mean + momentum * mean,
        (1 - momentum) * running_variance + momentum * unbiased,
    )


def batch_norm_eval_forward(
    Z: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    variance: Array,
    *,
    epsilon: float = 1e-5,
) -> Array:
    """gamma (z - mean) / sqrt(variance + epsilon) + beta with given statistics: no batch needed."""
    normed = (Z - _to_axes(mean, Z)) / np.sqrt(_to_axes(variance, Z) + epsilon)
    return _to_axes(gamma, Z) * normed + _to_axes(beta, Z)


def batch_norm_eval_backward(
    dY: Array,
    Z: Array,
    gamma: Array,
    mean: Array,
    variance: Array,
    *,
    epsilon: float = 1e-5,
) -> tuple[Array, Array, Array]:
    """Returns (dZ, dgamma, dbeta); mean and variance are constants: dZ = gamma dY / sqrt(variance + epsilon)."""
    axes = _all_but_channels(Z)
    deviation = np.sqrt(_to_axes(variance, Z) + epsilon)
    normed = (Z - _to_axes(mean, Z)) / deviation
    return _to_axes(gamma, Z) * dY / deviation, (dY * normed).sum(axis=axes), dY.sum(axis=axes)


def layer_norm_forward(Z: Array, gamma: Array, beta: Array, *, epsilon: float = 1e-5) -> Array:
    """As batch norm, but over the units of each example separately, so training and prediction are the same function.

    Z (B, D) with gamma, beta (D,); Z (B, C, H, W) is normalised over C, H and W, with gamma, beta (C,) per channel.
    Source: Ba et al. 2016, equations 3 and 4.
    """
    axes = tuple(range(1, Z.ndim))
    mean, variance = Z.mean(axis=axes, keepdims=True), Z.var(axis=axes, keepdims=True)
    return _to_axes(gamma, Z) * (Z - mean) / np.sqrt(variance + epsilon) + _to_axes(beta, Z)


def layer_norm_backward(dY: Array, Z: Array, gamma: Array, *, epsilon: float = 1e-5) -> tuple[Array, Array, Array]:
    """Returns (dZ, dgamma, dbeta): dZ as in batch norm, with the means taken over each example."""
    axes = tuple(range(1, Z.ndim))
    deviation = np.sqrt(Z.var(axis=axes, keepdims=True) + epsilon)
    normed = (Z - Z.mean(axis=axes, keepdims=True)) / deviation
    g = _to_axes(gamma, Z) * dY
    dZ = (g - g.mean(axis=axes, keepdims=True) - normed * (g * normed).mean(axis=axes, keepdims=True)) / deviation
    shared = _all_but_channels(Z)
    return dZ, (dY * normed).sum(axis=shared), dY.sum(axis=shared)


def _all_but_channels(Z: Array) -> tuple[int, ...]:
    return tuple(axis for axis in range(Z.ndim) if axis != 1)


def _to_axes(per_channel: Array, Z: Array) -> Array:
    """(C,) -> (1, C, 1, 1), or (1, C) for a Z of two axes."""
    return per_channel.reshape(1, -1, *[1] * (Z.ndim - 2))
