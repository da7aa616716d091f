"""Initialisation: the five schemes of the settings, drawn from one generator."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from gnomon.core.errors import UsageError

Scheme = Literal["zeros", "small", "xavier", "glorot", "he"]

SMALL = 0.01  # standard deviation of the scheme "small"

HEAD_SCALE = 0.03  # shrinks the last layer, so that the initial loss is that of a uniform guess: docs/log.md

_WEIGHTED = (nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm)


@torch.no_grad()
def initialise(model: nn.Module, scheme: Scheme, generator: torch.Generator, *, scale: float = 1.0) -> None:
    """Draw the weights of every Linear, Conv and Embedding from N(0, std²); biases 0, normalisations scale 1, shift 0.

    With n_in and n_out the inputs and outputs of one unit (for a filter, its channels times its area; an embedding
    row is selected by a one-hot input with a single 1: n_in = 1), std is

        zeros 0 · small 0.01 · xavier sqrt(1/n_in) · glorot sqrt(2/(n_in + n_out)) · he sqrt(2/n_in)

    The layer that a model calls `head` gives the answer: xavier, glorot and he scale it by HEAD_SCALE, which puts the
    initial softmax loss at ln K. `scale` multiplies std everywhere else. Raises UsageError for another scheme.
    Source: Glorot & Bengio 2010, equation 12 (glorot); He et al. 2015, equation 10 (he); LeCun et al. 1998 (xavier).
    """
    head = getattr(model, "head", None)
    for module in model.modules():
        if isinstance(module, _WEIGHTED):
            is_shrunk = module is head and scheme in ("xavier", "glorot", "he")
            factor = HEAD_SCALE if is_shrunk else 1.0 if module is head else scale
            _draw(module.weight, factor * _std(scheme, *_fans(module)), generator)
        elif isinstance(module, _NORMALISATIONS) and module.weight is not None:
            module.weight.fill_(1.0)
        bias = getattr(module, "bias", None)
        if isinstance(bias, Tensor):
            bias.zero_()


def _fans(module: nn.Module) -> tuple[int, int]:
    weight = module.weight
    assert isinstance(weight, Tensor)
    if isinstance(module, nn.Embedding):
        return 1, weight.shape[1]
    area = math.prod(weight.shape[2:])
    groups = getattr(module, "groups", 1)
    return weight.shape[1] * area, weight.shape[0] // groups * area


def _std(scheme: Scheme, fan_in: int, fan_out: int) -> float:
    match scheme:
        case "zeros":
            return 0.0
        case "small":
            return SMALL
        case "xavier":
            return math.sqrt(1 / fan_in)
        case "glorot":
            return math.sqrt(2 / (fan_in + fan_out))
        case "he":
            return math.sqrt(2 / fan_in)
    raise UsageError(f"unknown initialisation {scheme!r}.", fix="use zeros, small, xavier, glorot or he.")


def _draw(weight: Tensor, std: float, generator: torch.Generator) -> None:
    # Drawn in float32 on the generator's device and copied: the same numbers on every device and in every layout.
    weight.copy_(torch.randn(weight.shape, generator=generator, device=generator.device).mul_(std))
