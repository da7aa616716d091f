"""Activations by name."""

from __future__ import annotations

from torch import nn

from gnomon.core.errors import UsageError
from gnomon.core.settings import Activation

LEAK = 0.01  # slope of leaky_relu below zero


def activation(name: Activation) -> nn.Module:
    """A fresh activation layer. All four are non-decreasing, so each commutes exactly with max pooling."""
    match name:
        case "relu":
            return nn.ReLU()
        case "leaky_relu":
            return nn.LeakyReLU(LEAK)
        case "tanh":
            return nn.Tanh()
        case "sigmoid":
            return nn.Sigmoid()
    raise UsageError(f"unknown activation {name!r}.", fix="use relu, leaky_relu, tanh or sigmoid.")
