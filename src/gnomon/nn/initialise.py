"""Initialisation: the five schemes of the settings, drawn from one generator."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from gnomon.core.errors import UsageError
from gnomon.nn.recurrent import SteppedCell

Scheme = Literal["zeros", "small", "xavier", "glorot", "he"]

SMALL = 0.01  # standard deviation of the scheme "small"

HEAD_SCALE = 0.03  # shrinks the last layer, so that the initial loss is that of a uniform guess: docs/log.md

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_WEIGHTED = (nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Conv3d, *_TRANSPOSED)
_NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm)


@torch.no_grad()
def initialise(model: nn.Module, scheme: Scheme, generator: torch.Generator, *, scale: float = 1.0) -> None:
    """Draw the weights of every Linear, Conv and Embedding from N(0, std²); biases 0, normalisations scale 1, shift 0.

    With n_in and n_out the inputs and outputs of one unit (for a filter, its channels times its area; an embedding
    row is selected by a one-hot input with a single 1: n_in = 1; of a transposed convolution, its inputs times the part
    of a filter that meets in one place), std is

        zeros 0 · small 0.01 · xavier sqrt(1/n_in) · glorot sqrt(2/(n_in + n_out)) · he sqrt(2/n_in)

    The layer that a model calls `head` gives the answer: xavier, glorot and he scale it by HEAD_SCALE, which puts the
    initial softmax loss at ln K. `scale` multiplies std everywhere else. The gates of a recurrent layer and the
    projections of attention are drawn one by one; recurrent weights are orthogonal (except with zeros and small), and
    the forget gate of an LSTM starts open, with bias 1. Afterwards, a module with a method `start(generator)` may set
    its own subtree, inner modules first: a prior bias, a residual branch that starts at zero, loaded weights.
    Raises UsageError for another scheme.
    Source: Glorot & Bengio 2010, equation 12 (glorot); He et al. 2015, equation 10 (he); LeCun et al. 1998 (xavier);
    Saxe et al. 2014 (orthogonal); Jozefowicz et al. 2015 (forget gate).
    """
    head = getattr(model, "head", None)
    for module in model.modules():
        if isinstance(module, nn.RNNBase | SteppedCell):
            _recurrent(module, scheme, generator, scale)
        elif isinstance(module, nn.MultiheadAttention):
            _attention(module, scheme, generator, scale)
        elif isinstance(module, _WEIGHTED):
            is_shrunk = module is head and scheme in ("xavier", "glorot", "he")
            factor = HEAD_SCALE if is_shrunk else 1.0 if module is head else scale
            _draw(module.weight, factor * _std(scheme, *_fans(module)), generator)
        elif isinstance(module, _NORMALISATIONS) and module.weight is not None:
            module.weight.fill_(1.0)
        bias = getattr(module, "bias", None)
        if isinstance(bias, Tensor):
            bias.zero_()
    for module in reversed(list(model.modules())):
        start = getattr(module, "start", None)
        if callable(start):
            start(generator)


def _recurrent(module: nn.RNNBase | SteppedCell, scheme: Scheme, generator: torch.Generator, scale: float) -> None:
    """Each gate's weights as a layer's of their own."""
    is_plain = scheme in ("zeros", "small")
    for name, parameter in module.named_parameters():
        if name.startswith(("bias", "peephole")):
            parameter.zero_()
            is_lstm = isinstance(module, nn.LSTM) or getattr(module, "is_lstm", False)
            if is_lstm and name.startswith("bias_ih"):
                parameter[module.hidden_size : 2 * module.hidden_size] = 0.0 if scheme == "zeros" else 1.0
            continue
        for gate in parameter.split(module.hidden_size):
            if name.startswith("weight_hh") and not is_plain and gate.shape[0] == gate.shape[1]:
                _draw_orthogonal(gate, generator)
            else:
                _draw(gate, scale * _std(scheme, gate.shape[1], gate.shape[0]), generator)


def _attention(module: nn.MultiheadAttention, scheme: Scheme, generator: torch.Generator, scale: float) -> None:
    """The projections of queries, keys and values; that of the result is a Linear of its own."""
    if module.in_proj_weight is not None:
        projections = list(module.in_proj_weight.chunk(3))
    else:
        projections = [module.q_proj_weight, module.k_proj_weight, module.v_proj_weight]
    for weight in projections:
        _draw(weight, scale * _std(scheme, weight.shape[1], weight.shape[0]), generator)
    for bias in (module.in_proj_bias, module.bias_k, module.bias_v):
        if bias is not None:
            bias.zero_()


def _fans(module: nn.Module) -> tuple[int, int]:
    weight = module.weight
    assert isinstance(weight, Tensor)
    if isinstance(module, nn.Embedding):
        return 1, weight.shape[1]
    area = math.prod(weight.shape[2:])
    groups = getattr(module, "groups", 1)
    if isinstance(module, _TRANSPOSED):  # (inputs, outputs / groups, ...); a place gets 1 / stride of a filter's sides
        seen = max(1, area // math.prod(module.stride))
        return weight.shape[0] // groups * seen, weight.shape[1] * area
    return weight.shape[1] * area, weight.shape[0] // groups * area


def _std(scheme: Scheme, fan_in: int, fan_out: int) -> float:
    match scheme:
        case "zeros":
            return 0.0
        case "small":
            return SMALL
        case "xavier":
            return math.sqrt(1 / max(fan_in, 1))  # a table of categories alone has a layer without inputs
        case "glorot":
            return math.sqrt(2 / max(fan_in + fan_out, 1))
        case "he":
            return math.sqrt(2 / max(fan_in, 1))
    raise UsageError(f"unknown initialisation {scheme!r}.", fix="use zeros, small, xavier, glorot or he.")


def _draw(weight: Tensor, std: float, generator: torch.Generator) -> None:
    # Drawn in float32 on the generator's device and copied: the same numbers on every device and in every layout.
    weight.copy_(torch.randn(weight.shape, generator=generator, device=generator.device).mul_(std))


def _draw_orthogonal(weight: Tensor, generator: torch.Generator) -> None:
    """(D, D) with orthonormal rows, evenly drawn: the Q of a QR decomposition, signs by R's diagonal."""
    drawn = torch.randn(weight.shape, generator=generator, device=generator.device)
    q, r = torch.linalg.qr(drawn)
    weight.copy_(q * r.diagonal().sign())
