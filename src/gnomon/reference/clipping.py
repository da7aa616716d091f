"""Gradient clipping, against gradients that explode."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gnomon.reference import Array


def clip_by_norm(gradients: Sequence[Array], max_norm: float) -> tuple[list[Array], float]:
    """g := g * max_norm / ||g|| where ||g|| > max_norm, one norm over all gradients together: direction kept.

    Returns (gradients, ||g|| before). torch divides by ||g|| + 1e-6. Source: Pascanu et al. 2013, algorithm 1.
    """
    norm = float(np.sqrt(sum((gradient**2).sum() for gradient in gradients)))
    scale = max_norm / norm if norm > max_norm else 1.0
    return [scale * gradient for gradient in gradients], norm


def clip_by_value(gradients: Sequence[Array], limit: float) -> list[Array]:
    """Every entry clipped to [-limit, limit]; the direction may change."""
    return [np.clip(gradient, -limit, limit) for gradient in gradients]
