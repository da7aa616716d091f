"""Initialisation: the variance of the weights in each scheme. Biases start at zero."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from gnomon.reference import Array

Scheme = Literal["zeros", "small", "xavier", "glorot", "he"]


def weight_variance(scheme: Scheme, n_in: int, n_out: int) -> float:
    """The variance of one weight of a layer with n_in inputs and n_out outputs per unit.

    zeros    0: all units of a layer stay identical for ever, shown in the gallery
    small    0.01^2
    xavier   1/n_in, for tanh: keeps the variance of activations. Source: LeCun et al. 1998, section 4.6
    glorot   2/(n_in + n_out): a compromise for activations and gradients. Source: Glorot and Bengio 2010, equation 12
    he       2/n_in, for ReLU, which lets half of the variance through. Source: He et al. 2015, equation 10
    """
    match scheme:
        case "zeros":
            return 0.0
        case "small":
            return 0.01**2
        case "xavier":
            return 1 / n_in
        case "glorot":
            return 2 / (n_in + n_out)
        case "he":
            return 2 / n_in


def fan_in_and_out(shape: tuple[int, ...]) -> tuple[int, int]:
    """(n_in, n_out) of a dense weight (n_out, n_in), or of a kernel (K, C, f_H, f_W): C f_H f_W and K f_H f_W."""
    positions = math.prod(shape[2:])
    return shape[1] * positions, shape[0] * positions


def draw_weights(shape: tuple[int, ...], scheme: Scheme, rng: np.random.Generator) -> Array:
    """Normal with mean 0 and the scheme's variance."""
    deviation = math.sqrt(weight_variance(scheme, *fan_in_and_out(shape)))
    return deviation * rng.standard_normal(shape)
