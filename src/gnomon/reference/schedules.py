"""Learning-rate decay: the rate of an epoch or a step, from the highest rate alpha_0."""

from __future__ import annotations

import math
from collections.abc import Mapping


def inverse_decay(alpha0: float, *, decay: float, epoch: int) -> float:
    """alpha_0 / (1 + decay * epoch)."""
    return alpha0 / (1 + decay * epoch)


def fixed_interval_decay(alpha0: float, *, decay: float, interval: int, epoch: int) -> float:
    """alpha_0 / (1 + decay * floor(epoch / interval)): `inverse_decay` that moves only every `interval` epochs."""
    return alpha0 / (1 + decay * (epoch // interval))


def exponential_decay(alpha0: float, *, decay: float = 0.95, epoch: int) -> float:
    """alpha_0 * decay^epoch."""
    return alpha0 * decay**epoch


def staircase_decay(alpha0: float, *, decay: float, interval: int, epoch: int) -> float:
    """alpha_0 * decay^floor(epoch / interval): halved every `interval` epochs for decay = 1/2."""
    return alpha0 * decay ** (epoch // interval)


def root_decay(alpha0: float, *, k: float = 1.0, epoch: int) -> float:
    """alpha_0 * k / sqrt(epoch), for epoch = 1, 2, ...; some notes drop the root."""
    return alpha0 * k / math.sqrt(epoch)


def discrete_decay(table: Mapping[int, float], *, epoch: int) -> float:
    """The rate of the last entry at or before this epoch."""
    return table[max(first for first in table if first <= epoch)]


def one_cycle(
    alpha0: float, *, step: int, total_steps: int, rising_share: float = 0.3, start: float = 1 / 25, end: float = 4e-6
) -> float:
    """From alpha_0 * start up to alpha_0 and down to alpha_0 * end, each along half a cosine; step = 0, 1, ...

    The peak is step rising_share * total_steps - 1. Source: Smith and Topin 2018, section 3 (straight lines there; the
    cosines, the first step and the last are those of the fastai library, and of torch).
    """
    peak = rising_share * total_steps - 1
    if step <= peak:
        low, high, done = start, 1.0, step / peak
        return alpha0 * (high + (low - high) * (1 + math.cos(math.pi * done)) / 2)
    done = (step - peak) / (total_steps - 1 - peak)
    return alpha0 * (end + (1.0 - end) * (1 + math.cos(math.pi * done)) / 2)


def warmup_cosine(alpha0: float, *, step: int, warmup_steps: int, total_steps: int, lowest: float = 0.0) -> float:
    """A straight rise to alpha_0 over the first steps, then half a cosine down to `lowest`; step = 0, 1, ...

    Step i of the w warm-up steps runs at alpha_0 (i + 1)/w; later ones at lowest + (alpha_0 - lowest) (1 + cos(pi p))/2
    with p in [0, 1] being the share of the remaining steps that is done. Sources: Goyal et al. 2017, section 2.2
    (warm-up); Loshchilov and Hutter 2017, equation 5 (cosine).
    """
    if step < warmup_steps:
        return alpha0 * (step + 1) / warmup_steps
    done = (step - warmup_steps) / (total_steps - warmup_steps)
    return lowest + (alpha0 - lowest) * (1 + math.cos(math.pi * done)) / 2


def inverse_root_warmup(width: int, *, step: int, warmup_steps: int) -> float:
    """width^(-1/2) min(step^(-1/2), step * warmup_steps^(-3/2)); step = 1, 2, ... Vaswani et al. 2017, eq. 3."""
    return width**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)
