"""Distance: how far inputs are from those that a net's batch norms got their running statistics from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gnomon.training.evaluate import judging

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def distance_from_training(net: nn.Module, forward: Callable[[], Any]) -> float | None:
    """How far what the batch norms of `net` see in one call of `forward` is from their running statistics; 0: equal.

    Of each channel, the difference of the means in running standard deviations, plus the absolute log of the ratio of
    the standard deviations; the mean over a layer's channels, then over layers. Evaluation mode, nothing is changed.
    None for a net without running statistics.
    """
    found: list[Tensor] = []

    def look(norm: Any, arguments: tuple[Tensor, ...]) -> None:
        x = arguments[0].double().transpose(0, 1).flatten(1)  # (C, values)
        deviation = (norm.running_var.double() + norm.eps).sqrt()
        shift = (x.mean(dim=1) - norm.running_mean.double()).abs() / deviation
        ratio = (x.var(dim=1, correction=0) + norm.eps).sqrt() / deviation
        found.append((shift + ratio.log().abs()).mean())

    norms = [module for module in net.modules() if isinstance(module, NORMS) and module.running_mean is not None]
    handles = [norm.register_forward_pre_hook(look) for norm in norms]
    try:
        with judging(net):
            forward()
    finally:
        for handle in handles:
            handle.remove()
    return float(torch.stack(found).mean()) if found else None
