"""Inverted dropout: units are switched off at random in training, and prediction needs no change."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnomon.reference import Array


def dropout_mask(shape: tuple[int, ...], keep_prob: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """True with probability keep_prob, independently for each entry.

    One of the notes compares a *normal* draw (`randn`) with keep_prob, which keeps 79 % at 0.8 and 69 % at 0.5; the
    draw has to be uniform in [0, 1).
    """
    return rng.random(shape) < keep_prob


def dropout_forward(A: Array, mask: NDArray[np.bool_], *, keep_prob: float) -> Array:
    """a * mask / keep_prob. The division keeps the expected activation, so that prediction needs no correction.

    Source: Srivastava et al. 2014, section 10 (scaling at training time).
    """
    return A * mask / keep_prob


def dropout_backward(dD: Array, mask: NDArray[np.bool_], *, keep_prob: float) -> Array:
    """dA = dD * mask / keep_prob: units that were off pass no gradient, the others are scaled."""
    return dD * mask / keep_prob
