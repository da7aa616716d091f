"""Style transfer in NumPy: Gram matrices, relative losses, total variation, each with its gradient.

Source: Gatys et al. 2016, equations 1 to 7, with means in place of sums, over the squared length of what is wanted.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def gram(maps: Array) -> Array:
    """(C, places) -> (C, C): products of channels, averaged over places."""
    return maps @ maps.T / maps.shape[1]


def content_loss(maps: Array, wanted: Array) -> tuple[float, Array]:
    """(C, places) twice -> |maps - wanted|² / |wanted|², and its gradient by `maps`."""
    scale = np.square(wanted).sum()
    return float(np.square(maps - wanted).sum() / scale), 2 * (maps - wanted) / scale


def style_loss(maps: Array, wanted: Array) -> tuple[float, Array]:
    """(C, places) and a Gram matrix (C, C) -> |G - wanted|² / |wanted|², and its gradient by `maps`.

    dL/dG = 2 (G - wanted) / |wanted|², and G = F Fᵀ / n, symmetric, gives dL/dF = 2 dL/dG F / n.
    """
    scale = np.square(wanted).sum()
    off = gram(maps) - wanted
    return float(np.square(off).sum() / scale), 4 * off @ maps / (maps.shape[1] * scale)


def total_variation(picture: Array) -> tuple[float, Array]:
    """(H, W) -> the mean square of differences down plus that of differences across, and its gradient."""
    down, across = np.diff(picture, axis=0), np.diff(picture, axis=1)
    gradient = np.zeros_like(picture)
    for steps, before, after in (
        (down, np.s_[:-1], np.s_[1:]),
        (across, np.s_[:, :-1], np.s_[:, 1:]),
    ):
        gradient[after] += 2 * steps / steps.size
        gradient[before] -= 2 * steps / steps.size
    return float(np.square(down).mean() + np.square(across).mean()), gradient
