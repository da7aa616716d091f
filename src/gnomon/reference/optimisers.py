"""One step of each optimiser: parameters and state in, parameters and state out. Every state starts at zero."""

from __future__ import annotations

import numpy as np

from gnomon.reference import Array


def sgd_step(W: Array, dW: Array, *, learning_rate: float) -> Array:
    """W := W - alpha dW."""
    return W - learning_rate * dW


def momentum_step(
    W: Array, dW: Array, v: Array, *, learning_rate: float, beta: float = 0.9, dampening: float = 0.0
) -> tuple[Array, Array]:
    """v := beta v + (1 - dampening) dW; W := W - alpha v. Returns (W, v).

    dampening = 0 is Polyak 1964 and torch; dampening = beta makes v the exponentially weighted average of the
    gradients, as in the notes. The paths are the same when the notes' learning rate is 1/(1 - beta) times as high.
    """
    v = beta * v + (1 - dampening) * dW
    return W - learning_rate * v, v


def nesterov_step(W: Array, dW: Array, v: Array, *, learning_rate: float, beta: float = 0.9) -> tuple[Array, Array]:
    """v := beta v + dW; W := W - alpha (dW + beta v): the step that momentum would make next, made now. Returns (W, v).

    Written in the position where the gradient is taken, as in torch; the paper looks ahead by beta v instead.
    Source: Nesterov 1983; Sutskever et al. 2013, equation 4 (in the form of Bengio et al. 2013, equation 7).
    """
    v = beta * v + dW
    return W - learning_rate * (dW + beta * v), v


def rmsprop_step(
    W: Array, dW: Array, s: Array, *, learning_rate: float, beta: float = 0.9, epsilon: float = 1e-8
) -> tuple[Array, Array]:
    """s := beta s + (1 - beta) dW^2; W := W - alpha dW / (sqrt(s) + epsilon). Returns (W, s).

    The notes leave out epsilon; without it a parameter that never got a gradient divides 0 by 0. A small dW gives a
    *small* s, which is why its step is enlarged. Source: Tieleman and Hinton 2012, lecture 6.5.
    """
    s = beta * s + (1 - beta) * dW**2
    return W - learning_rate * dW / (np.sqrt(s) + epsilon), s


def adam_step(
    W: Array,
    dW: Array,
    v: Array,
    s: Array,
    t: int,
    *,
    learning_rate: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[Array, Array, Array]:
    """Momentum over RMSprop, both corrected for their start at zero; t = 1 for the first step. Returns (W, v, s).

    v := beta1 v + (1 - beta1) dW; s := beta2 s + (1 - beta2) dW^2;
    W := W - alpha (v / (1 - beta1^t)) / (sqrt(s / (1 - beta2^t)) + epsilon).
    One of the notes gives epsilon = 1e-9; the paper and the course say 1e-8. Source: Kingma and Ba 2015, algorithm 1.
    """
    v = beta1 * v + (1 - beta1) * dW
    s = beta2 * s + (1 - beta2) * dW**2
    corrected_v, corrected_s = v / (1 - beta1**t), s / (1 - beta2**t)
    return W - learning_rate * corrected_v / (np.sqrt(corrected_s) + epsilon), v, s


def adamw_step(
    W: Array,
    dW: Array,
    v: Array,
    s: Array,
    t: int,
    *,
    learning_rate: float,
    weight_decay: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[Array, Array, Array]:
    """W shrinks by (1 - alpha weight_decay), then moves as in Adam. Returns (W, v, s).

    An L2 term inside dW would be divided by sqrt(s) and so weigh least where gradients are large; this decay is
    decoupled from them. Source: Loshchilov and Hutter 2019, algorithm 2 (in torch's form: the rate scales the decay).
    """
    shrunk = (1 - learning_rate * weight_decay) * W
    return adam_step(shrunk, dW, v, s, t, learning_rate=learning_rate, beta1=beta1, beta2=beta2, epsilon=epsilon)
