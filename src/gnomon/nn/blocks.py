"""The two layers every classic net is stacked from: a dense one and a convolutional one, with what goes around them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

from torch import nn

from gnomon.core.errors import UsageError
from gnomon.nn.activations import Activation, activation

Normalisation = Literal["batch", "none"]


def dense_block(
    num_inputs: int, num_units: int, *, activation_name: Activation, dropout: float, normalisation: Normalisation
) -> nn.Sequential:
    """(B, num_inputs) -> (B, num_units): linear, batch norm, activation, dropout; the last two where asked for.

    A bias before batch norm would be subtracted again with the mean: it is left out.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["linear"] = nn.Linear(num_inputs, num_units, bias=normalisation == "none")
    if normalisation == "batch":
        layers["norm"] = nn.BatchNorm1d(num_units)
    layers["activation"] = activation(activation_name)
    if dropout > 0:
        layers["dropout"] = nn.Dropout(dropout)
    return nn.Sequential(layers)


def conv_block(
    num_inputs: int,
    num_filters: int,
    *,
    size: int,
    padding: int,
    pool: int,
    activation_name: Activation,
    normalisation: Normalisation,
) -> nn.Sequential:
    """(B, num_inputs, H, W) -> (B, num_filters, H', W'): convolution size x size, max pool, batch norm, activation.

    The pool (1: none) comes first. Before the activation it is the same function, since no activation here ever
    decreases, on a quarter of the numbers; batch norm then standardises what the activation really sees.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = nn.Conv2d(num_inputs, num_filters, size, padding=padding, bias=normalisation == "none")
    if pool > 1:
        layers["pool"] = nn.MaxPool2d(pool)
    if normalisation == "batch":
        layers["norm"] = nn.BatchNorm2d(num_filters)
    layers["activation"] = activation(activation_name)
    return nn.Sequential(layers)


def one_each(dropout: Sequence[float], num_layers: int) -> tuple[float, ...]:
    """Dropout of each of `num_layers` layers: none given means 0, one given counts for all. Raises UsageError."""
    if len(dropout) == num_layers:
        return tuple(dropout)
    if len(dropout) > 1:
        raise UsageError(
            f"dropout has {len(dropout)} values for {num_layers} hidden layers.",
            fix="give one value, or one a hidden layer.",
        )
    return (dropout[0] if dropout else 0.0,) * num_layers
