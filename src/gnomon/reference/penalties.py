"""Regularisation terms of the cost: on weights W only, never on biases."""

from __future__ import annotations

import numpy as np

from gnomon.reference import Array


def l2_penalty(W: Array, *, strength: float, num_examples: int) -> float:
    """lambda/(2m) * ||W||_F^2, the squared Frobenius norm (the sum of w^2).

    One of the notes prints the factor as 2 m lambda for logistic regression; it is lambda/(2m).
    """
    return strength / (2 * num_examples) * float((W**2).sum())


def l2_penalty_backward(W: Array, *, strength: float, num_examples: int) -> Array:
    """dW = lambda/m * W. A step of gradient descent then shrinks W by (1 - alpha lambda/m): weight decay."""
    return strength / num_examples * W


def l1_penalty(W: Array, *, strength: float, num_examples: int) -> float:
    """lambda/m * sum |w|."""
    return strength / num_examples * float(np.abs(W).sum())


def l1_penalty_backward(W: Array, *, strength: float, num_examples: int) -> Array:
    """dW = lambda/m * sign(w); 0 at w = 0, where there is no derivative."""
    return strength / num_examples * np.sign(W)
