"""Losses over pixels, forward and backward, pixel by pixel, in float64."""

from __future__ import annotations

import numpy as np

NOT_SCORED = -1


def cross_entropy(logits: np.ndarray, target: np.ndarray, focus: float = 0.0) -> tuple[float, np.ndarray]:
    """(K, H, W) logits and (H, W) classes of one picture: the loss, and its gradient (K, H, W).

    The mean over scored pixels of -(1 - p)^focus ln p, p the probability of the pixel's class; with focus 0, cross
    entropy. Source: Lin et al. 2017, equation 4.
    """
    loss, gradient = 0.0, np.zeros_like(logits)
    scored = [(row, column) for row, column in np.ndindex(*target.shape) if target[row, column] != NOT_SCORED]
    for row, column in scored:
        right, z = target[row, column], logits[:, row, column]
        shares = np.exp(z - z.max())
        shares = shares / shares.sum()
        p = shares[right]
        loss += -((1 - p) ** focus) * np.log(p) / len(scored)
        by_p = focus * (1 - p) ** (focus - 1) * np.log(p) - (1 - p) ** focus / p if focus else -1 / p
        p_by_z = -p * shares  # of a softmax: p (1 where it is the class itself, else 0) - p shares
        p_by_z[right] += p
        gradient[:, row, column] = by_p * p_by_z / len(scored)
    return float(loss), gradient


def dice(logits: np.ndarray, target: np.ndarray, smooth: float) -> tuple[float, np.ndarray]:
    """As `cross_entropy`: 1 - the mean over the classes that are there of (2 Σ p t + s) / (Σ p + Σ t + s).

    Source: Milletari et al. 2016, section 3, with p in place of its square.
    """
    known = target != NOT_SCORED
    shares = np.exp(logits - logits.max(axis=0))
    shares = shares / shares.sum(axis=0)
    classes = [k for k in range(len(logits)) if (target == k).any()]
    by_share, loss = np.zeros_like(logits), 0.0
    for k in classes:
        truth = (target == k).astype(float)
        both, area = (shares[k] * truth).sum(), shares[k][known].sum() + truth.sum() + smooth
        loss += (1 - (2 * both + smooth) / area) / len(classes)
        by_share[k] = -(2 * truth / area - (2 * both + smooth) / area**2) / len(classes)
    by_share[:, ~known] = 0.0
    gradient = shares * (by_share - (by_share * shares).sum(axis=0))
    return float(loss), gradient
