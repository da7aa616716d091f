"""The two layers that every classic net is built from: dense and convolutional, with norm, activation and dropout."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal, TypeVar

from torch import nn

from gnomon.core.errors import UsageError
from gnomon.nn.activations import Activation, activation

Normalisation = Literal["batch", "layer", "none"]
T = TypeVar("T")


def dense_block(
    num_inputs: int, num_units: int, *, activation_name: Activation, dropout: float, normalisation: Normalisation
) -> nn.Sequential:
    """(B, num_inputs) -> (B, num_units): linear, norm, activation, dropout; norm and dropout only if asked for.

    Before batch norm there is no bias: subtracting the mean would remove it.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["linear"] = nn.Linear(num_inputs, num_units, bias=normalisation != "batch")
    if normalisation == "batch":
        layers["norm"] = nn.BatchNorm1d(num_units)
    elif normalisation == "layer":
        layers["norm"] = nn.LayerNorm(num_units)
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
    """(B, num_inputs, H, W) -> (B, num_filters, H', W'): convolution size x size, max pool, norm, activation.

    The pool (1: none) comes first. The result is the same as after the activation, because no activation here ever
    decreases, at a quarter of the work; and the norm standardises what the activation actually gets. Layer norm is
    over C, H and W of each example, with one scale and shift per channel.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = nn.Conv2d(num_inputs, num_filters, size, padding=padding, bias=normalisation != "batch")
    if pool > 1:
        layers["pool"] = nn.MaxPool2d(pool)
    if normalisation == "batch":
        layers["norm"] = nn.BatchNorm2d(num_filters)
    elif normalisation == "layer":
        layers["norm"] = nn.GroupNorm(1, num_filters)
    layers["activation"] = activation(activation_name)
    return nn.Sequential(layers)


def one_each(dropout: Sequence[float], num_layers: int) -> tuple[float, ...]:
    """The dropout of each of `num_layers` hidden layers: none means 0, one value is for all. Raises UsageError."""
    return _spread(dropout or (0.0,), num_layers, "dropout")


def activation_each(names: Activation | Sequence[Activation], num_layers: int) -> tuple[Activation, ...]:
    """The activation of each of `num_layers` hidden layers: one value is for all. Raises UsageError."""
    return _spread((names,) if isinstance(names, str) else names, num_layers, "activation")


def _spread(values: Sequence[T], num_layers: int, what: str) -> tuple[T, ...]:
    if len(values) == 1:
        return (values[0],) * num_layers
    if len(values) != num_layers:
        raise UsageError(
            f"{what} has {len(values)} values for {num_layers} hidden layers.",
            fix="give one value, or one per hidden layer.",
        )
    return tuple(values)
