"""Exponentially weighted averages."""

from __future__ import annotations

import numpy as np

from gnomon.reference import Array


def average_step(v: Array, theta: Array, *, beta: float) -> Array:
    """v_t = beta v_(t-1) + (1 - beta) theta_t: an average over about the last 1/(1 - beta) values; v_0 = 0."""
    return beta * v + (1 - beta) * theta


def bias_corrected(v: Array, *, beta: float, t: int) -> Array:
    """v_t / (1 - beta^t), t = 1, 2, ...: removes the bias of v_0 = 0. Only for use; v itself goes on uncorrected."""
    return v / (1 - beta**t)


def weighted_averages(thetas: Array, *, beta: float, is_corrected: bool = True) -> Array:
    """(T, ...) values -> (T, ...) averages, v_t = (1 - beta) sum over k <= t of beta^(t-k) theta_k."""
    averages = np.empty_like(thetas)
    v = np.zeros_like(thetas[0])
    for t, theta in enumerate(thetas, start=1):
        v = average_step(v, theta, beta=beta)
        averages[t - 1] = bias_corrected(v, beta=beta, t=t) if is_corrected else v
    return averages
