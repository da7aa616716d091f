"""Losses, one value per example, from logits (raw scores); with their gradients.

The backward functions take `weights` (B,): how much each example's loss counts in the total. For the mean loss
J = 1/m * sum of losses this is 1/m everywhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnomon.reference import Array
from gnomon.reference.activations import sigmoid, softmax


def one_hot(labels: NDArray[np.integer], num_classes: int) -> Array:
    """(B,) integers in [0, K) -> (B, K): 1 in the column of the label, 0 elsewhere."""
    rows: Array = np.eye(num_classes)[labels]
    return rows


def smooth_labels(Y: Array, smoothing: float) -> Array:
    """(1 - smoothing) Y + smoothing/K: a share of the probability spread over all K classes.

    Source: Szegedy et al. 2016, section 7.
    """
    num_classes: int = Y.shape[-1]
    return (1 - smoothing) * Y + smoothing / num_classes


def logistic_loss(z: Array, y: Array) -> Array:
    """L = -(y log a + (1 - y) log(1 - a)), a = sigmoid(z); elementwise, any shape, y in [0, 1].

    With log a = -log(1 + e^-z) and log(1 - a) = -z - log(1 + e^-z) it becomes max(z, 0) - y z + log(1 + e^-|z|), which
    neither overflows nor takes the logarithm of 0.
    """
    return np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))


def logistic_loss_backward(weights: Array, z: Array, y: Array) -> Array:
    """dz = weights * (a - y)."""
    return weights * (sigmoid(z) - y)


def softmax_cross_entropy(Z: Array, Y: Array) -> Array:
    """L = -sum_k y_k log a_k, a = softmax(z). Z, Y (B, K), rows of Y summing to 1 -> (B,)."""
    shifted = Z - Z.max(axis=1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    losses: Array = -(Y * log_softmax).sum(axis=1)
    return losses


def softmax_cross_entropy_backward(weights: Array, Z: Array, Y: Array) -> Array:
    """dZ = weights * (a - y); this needs the rows of Y to sum to 1."""
    return weights[:, np.newaxis] * (softmax(Z) - Y)


def one_vs_all_loss(Z: Array, Y: Array) -> Array:
    """L = sum over K of the logistic losses: K yes-or-no questions in one network. Z, Y (B, K) -> (B,).

    The cost of a neural network in the notes before softmax is introduced.
    """
    losses: Array = logistic_loss(Z, Y).sum(axis=1)
    return losses


def one_vs_all_loss_backward(weights: Array, Z: Array, Y: Array) -> Array:
    """dZ = weights * (a - y)."""
    return logistic_loss_backward(weights[:, np.newaxis], Z, Y)


def multi_task_loss(Z: Array, Y: Array) -> Array:
    """L = sum of the logistic losses over the tasks whose label is known; NaN in Y means unknown. Z, Y (B, K) -> (B,).

    Divide by the number of known labels of an example for the mean over them.
    """
    known = ~np.isnan(Y)
    each = logistic_loss(np.where(known, Z, 0.0), np.where(known, Y, 0.0))
    losses: Array = np.where(known, each, 0.0).sum(axis=1)
    return losses


def multi_task_loss_backward(weights: Array, Z: Array, Y: Array) -> Array:
    """dZ = weights * (a - y) where the label is known, exactly 0 where it is not."""
    known = ~np.isnan(Y)
    dZ = logistic_loss_backward(weights[:, np.newaxis], np.where(known, Z, 0.0), np.where(known, Y, 0.0))
    return np.where(known, dZ, 0.0)


def squared_error(Z: Array, Y: Array) -> Array:
    """L = sum_k (z_k - y_k)^2. Z, Y (B, K) -> (B,). Without the factor 1/2 that some put in front."""
    losses: Array = ((Z - Y) ** 2).sum(axis=1)
    return losses


def squared_error_backward(weights: Array, Z: Array, Y: Array) -> Array:
    """dZ = weights * 2 (z - y)."""
    return weights[:, np.newaxis] * 2 * (Z - Y)
