"""A feature pyramid: the maps of a backbone made alike in channels, each knowing of what the coarser and finer saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.nn.depthwise import ConvNorm

SIZE = 5  # of the depthwise filters: a wider view for 2 % of the arithmetic of the mixing that follows


@final
class Separable(nn.Module):
    """(B, num_inputs, H, W) -> (B, num_outputs, H / stride, W / stride), rounded up: one filter a channel, a mixing."""

    def __init__(self, num_inputs: int, num_outputs: int, *, size: int = SIZE, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = ConvNorm(
            num_inputs, num_inputs, size=size, stride=stride, groups=num_inputs, activation="silu"
        )
        self.pointwise = ConvNorm(num_inputs, num_outputs, activation="silu")

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.pointwise(self.depthwise(x))
        return result


@final
class FeaturePyramid(nn.Module):
    """Maps (B, channels[i], H_i, W_i), the finest first -> as many maps of `width` channels, the same sides.

    First each coarser map is enlarged and joined to the next finer one, then each finer one is halved and joined to the
    next coarser one. Sources: Lin et al. 2017 (the way down), Liu et al. 2018 (the way up); depthwise filters of 5x5:
    NanoDet-Plus.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        steps = len(channels) - 1
        self.lateral = nn.ModuleList(ConvNorm(one, width, activation="silu") for one in channels)
        self.down = nn.ModuleList(Separable(2 * width, width) for _ in range(steps))
        self.halve = nn.ModuleList(Separable(width, width, stride=2) for _ in range(steps))
        self.up = nn.ModuleList(Separable(2 * width, width) for _ in range(steps))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        found = [lateral(x) for lateral, x in zip(self.lateral, maps, strict=True)]
        for i in range(len(found) - 2, -1, -1):
            coarser = functional.interpolate(found[i + 1], size=found[i].shape[2:], mode="nearest")
            found[i] = self.down[i](torch.cat([found[i], coarser], 1))
        for i in range(1, len(found)):
            finer = self.halve[i - 1](found[i - 1])
            if finer.shape[2:] != found[i].shape[2:]:  # a backbone that does not pad every layer
                finer = functional.interpolate(finer, size=found[i].shape[2:], mode="nearest")
            found[i] = self.up[i - 1](torch.cat([finer, found[i]], 1))
        return found
