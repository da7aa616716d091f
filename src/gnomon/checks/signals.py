"""Signals: activations, gradients and updates of every layer on one fixed batch, measured without side effects."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gnomon.core.layer_signals import LayerSignal

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
RECTIFIERS = (nn.ReLU, nn.ReLU6)
SQUASHERS = (nn.Tanh, nn.Sigmoid)
ACTIVATIONS = (*RECTIFIERS, *SQUASHERS, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Hardtanh)
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
SATURATED = 0.97  # |tanh|, or |2 sigmoid - 1|, above which the slope is below 6 % of its maximum


@dataclass
class _Seen:
    """A weighted layer, and the activation that followed it."""

    name: str
    module: nn.Module
    output: Tensor
    activation: nn.Module | None = None


def layer_signals(
    model: nn.Module, loss: Callable[[nn.Module], Tensor], update: Callable[[], None], *, device: torch.device
) -> list[LayerSignal]:
    """One entry per Linear or convolution, in the order in which `loss(model)`, a scalar, calls them.

    Measured in training mode with dropout off; `update` applies the optimiser's next step to the current gradients.
    Afterwards parameters, gradients (zero), buffers, modes and random states are as before; restoring the optimiser's
    own state is up to the caller.
    """
    seen: list[_Seen] = []
    with _untouched(model, device), _hooked(model, seen), torch.enable_grad():
        loss(model).backward()  # type: ignore[no-untyped-call]
        measured = [_measured(one) for one in seen]
        before = [_weight(one.module).detach().clone() for one in seen]
        update()
        return [
            LayerSignal(
                one.name,
                **values,
                update_ratio=_norm(_weight(one.module).detach() - weight) / max(_norm(weight), 1e-30),
            )
            for one, values, weight in zip(seen, measured, before, strict=True)
        ]


@contextmanager
def _untouched(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Training mode without dropout inside; afterwards the model is as it was, with gradients zero."""
    modes = {module: module.training for module in model.modules()}
    tensors = [*model.parameters(), *model.buffers()]
    kept = [tensor.detach().clone() for tensor in tensors]
    model.train()
    for module in model.modules():
        if isinstance(module, DROPOUTS):
            module.eval()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(0)
            yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, kept, strict=True):
                tensor.copy_(value)
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.grad.zero_()
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def _hooked(model: nn.Module, seen: list[_Seen]) -> Iterator[None]:
    """Put the first call of every weighted layer, with the activation that follows it, into `seen`."""
    names = {module: name for name, module in model.named_modules()}

    def on_weighted(module: nn.Module, _inputs: Any, output: Tensor) -> None:
        if all(one.module is not module for one in seen) and module.weight.requires_grad:
            seen.append(_Seen(names[module] or type(module).__name__, module, output.detach()))

    def on_activation(module: nn.Module, _inputs: Any, output: Tensor) -> None:
        if seen and seen[-1].activation is None:
            seen[-1].activation, seen[-1].output = module, output.detach()

    handles = [module.register_forward_hook(on_weighted) for module in names if isinstance(module, WEIGHTED)]
    handles += [module.register_forward_hook(on_activation) for module in names if isinstance(module, ACTIVATIONS)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _measured(one: _Seen) -> dict[str, Any]:
    """What is known before the update."""
    output, gradient = one.output.float(), _weight(one.module).grad
    std, mean = torch.std_mean(output, correction=0)
    return {
        "mean": float(mean),
        "std": float(std),
        "gradient": math.nan if gradient is None else _norm(gradient),
        "dead": _dead(one.module, output) if isinstance(one.activation, RECTIFIERS) else None,
        "saturated": _saturated(one.activation, output) if isinstance(one.activation, SQUASHERS) else None,
    }


def _dead(layer: nn.Module, output: Tensor) -> float:
    """The share of units (features of a dense layer, channels of a convolution) that are 0 everywhere."""
    unit = output.dim() - 1 if isinstance(layer, nn.Linear) else 1
    silent: Tensor = output.movedim(unit, 0).flatten(1).amax(dim=1) <= 0
    return float(silent.float().mean())


def _saturated(activation: nn.Module | None, output: Tensor) -> float:
    size = output.abs() if isinstance(activation, nn.Tanh) else (2 * output - 1).abs()
    return float((size > SATURATED).float().mean())


def _weight(module: nn.Module) -> Tensor:
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight


def _norm(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor.float()))
