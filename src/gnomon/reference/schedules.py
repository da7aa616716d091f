"""Learning-rate decay: the rate of an epoch or a step, from the highest rate alpha_0."""

from __future__ import annotations

import math


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
