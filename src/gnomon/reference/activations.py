"""Activation functions and their derivatives."""

from __future__ import annotations

import numpy as np

from gnomon.reference import Array


def sigmoid(Z: Array) -> Array:
    """g(z) = 1 / (1 + e^-z), in (0, 1)."""
    small = np.exp(-np.abs(Z))  # e^-z overflows at z = -746; this does not
    return np.where(Z >= 0, 1 / (1 + small), small / (1 + small))


def sigmoid_derivative(Z: Array) -> Array:
    """g'(z) = g(z) (1 - g(z)) = g(z) g(-z)."""
    return sigmoid(Z) * sigmoid(-Z)  # 1 - g(z) would round to 0 from z = 37 on


def tanh(Z: Array) -> Array:
    """g(z) = (e^z - e^-z) / (e^z + e^-z), in (-1, 1): one of the notes says between 0 and 1, which is the sigmoid."""
    return np.tanh(Z)


def tanh_derivative(Z: Array) -> Array:
    """g'(z) = 1 - g(z)^2."""
    return 1 - np.tanh(Z) ** 2


def relu(Z: Array) -> Array:
    """g(z) = max(0, z). Source: Nair and Hinton 2010."""
    return np.maximum(0.0, Z)


def relu_derivative(Z: Array) -> Array:
    """g'(z) = 1 for z > 0, 0 for z < 0. Undefined at z = 0; any value in [0, 1] works, torch and we use 0."""
    return np.where(Z > 0, 1.0, 0.0)


def leaky_relu(Z: Array, slope: float = 0.01) -> Array:
    """g(z) = z for z > 0, slope * z otherwise; max(slope * z, z) as long as slope <= 1. Source: Maas et al. 2013."""
    return np.where(Z > 0, Z, slope * Z)


def leaky_relu_derivative(Z: Array, slope: float = 0.01) -> Array:
    """g'(z) = 1 for z > 0, slope otherwise (undefined at z = 0; slope is used here and in torch)."""
    return np.where(Z > 0, 1.0, slope)


def softmax(Z: Array) -> Array:
    """a_k = e^(z_k) / sum_j e^(z_j) over the last axis. Z (..., K) -> (..., K), positive, each row summing to 1.

    One of the notes leaves out the exponential in the denominator, and sums over examples; the sum is over the classes
    of one example. Source: Bridle 1990.
    """
    powers: Array = np.exp(Z - Z.max(axis=-1, keepdims=True))  # e^710 overflows; the shift cancels in the quotient
    total: Array = powers.sum(axis=-1, keepdims=True)
    return powers / total


def softmax_backward(dA: Array, Z: Array) -> Array:
    """dZ_k = a_k (dA_k - sum_j a_j dA_j), from da_j/dz_k = a_j ([j = k] - a_k). Every output depends on every input."""
    A = softmax(Z)
    mean: Array = (A * dA).sum(axis=-1, keepdims=True)
    return A * (dA - mean)
