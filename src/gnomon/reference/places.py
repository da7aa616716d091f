"""Losses of places in a picture, one value per example: one object with its box and class, and points.

NaN in Y is an entry that is ignored: it adds nothing to the loss, and its gradient is exactly 0. The backward functions
take `weights` (B,) as those of losses.py do.
"""

from __future__ import annotations

import numpy as np

from gnomon.reference import Array
from gnomon.reference.losses import (
    logistic_loss,
    logistic_loss_backward,
    softmax_cross_entropy,
    softmax_cross_entropy_backward,
)

FIRST_CLASS = 5  # in y = [p_c, b_x, b_y, b_h, b_w, c_1, c_2, ...]


def localisation_loss(Z: Array, Y: Array) -> Array:
    """Whether there is an object, where, and of which class. Z, Y (B, 5 + K) -> (B,); K may be 0.

    With y = [p_c, b_x, b_y, b_h, b_w, c_1, ...]: the logistic loss of p_c, and, where p_c = 1, the squared errors of
    the box and the cross entropy of the classes. Where p_c = 0 the other entries of y are ignored.

    The notes first write squared errors for everything, then this.
    """
    losses = np.zeros(len(Z))
    for i, (z, y) in enumerate(zip(Z, Y, strict=True)):
        if np.isnan(y[0]):
            continue  # nobody knows whether there is an object
        losses[i] = logistic_loss(z[0], y[0])
        if y[0] == 1:
            losses[i] += ((z[1:FIRST_CLASS] - y[1:FIRST_CLASS]) ** 2).sum()
            if len(y) > FIRST_CLASS:
                losses[i] += softmax_cross_entropy(z[np.newaxis, FIRST_CLASS:], y[np.newaxis, FIRST_CLASS:])[0]
    return losses


def localisation_loss_backward(weights: Array, Z: Array, Y: Array) -> Array:
    """dZ = weights * [a - p_c, 2 (z - b), softmax(z) - c]; exactly 0 for the entries that are ignored."""
    dZ = np.zeros_like(Z)
    for i, (z, y) in enumerate(zip(Z, Y, strict=True)):
        if np.isnan(y[0]):
            continue
        dZ[i, 0] = logistic_loss_backward(weights[i], z[0], y[0])
        if y[0] == 1:
            dZ[i, 1:FIRST_CLASS] = weights[i] * 2 * (z[1:FIRST_CLASS] - y[1:FIRST_CLASS])
            if len(y) > FIRST_CLASS:
                classes = np.s_[i : i + 1, FIRST_CLASS:]
                dZ[classes] = softmax_cross_entropy_backward(weights[i : i + 1], Z[classes], Y[classes])
    return dZ


def landmark_loss(Z: Array, Y: Array, *, softening: float) -> Array:
    """The mean distance of the points that are known, (B, P, 2) -> (B,); 0 where none is.

    Distances are sqrt(dx² + dy² + s²) - s: what they are on paper far beyond s, and smooth at 0.
    """
    losses = np.zeros(len(Z))
    for i, (z, y) in enumerate(zip(Z, Y, strict=True)):
        known = ~np.isnan(y).any(axis=1)
        if known.any():
            apart = ((z[known] - y[known]) ** 2).sum(axis=1)
            losses[i] = (np.sqrt(apart + softening**2) - softening).mean()
    return losses


def landmark_loss_backward(weights: Array, Z: Array, Y: Array, *, softening: float) -> Array:
    """dZ = weights (z - y) / (n sqrt(dx² + dy² + s²)), n the number of known points; exactly 0 for the others."""
    dZ = np.zeros_like(Z)
    for i, (z, y) in enumerate(zip(Z, Y, strict=True)):
        known = ~np.isnan(y).any(axis=1)
        away = z[known] - y[known]
        distance = np.sqrt((away**2).sum(axis=1, keepdims=True) + softening**2)
        dZ[i, known] = weights[i] * away / (distance * max(int(known.sum()), 1))
    return dZ
