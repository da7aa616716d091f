"""From maps to places: where in a picture each channel sees what it looks for, as numbers with a gradient."""

from __future__ import annotations

import torch
from torch import Tensor, nn

PER_CHANNEL = 5  # numbers that SpatialSoftmax gives


class SpatialSoftmax(nn.Module):
    """(B, C, H, W) -> (B, 5 C): of each channel where it is active along x and y, how widely along each, how much.

    The softmax over the places of a channel, sharpened by a learned factor, is a distribution; its mean and standard
    deviation are places in [-1, 1] from one edge of the picture to the other. Last is the mean of the channel itself.
    Source: Levine et al. 2016, section 5.1 (the means); Sun et al. 2018 (integral regression).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.ones(channels))

    def forward(self, maps: Tensor) -> Tensor:
        shares = (maps * self.sharpness[:, None, None]).flatten(2).softmax(dim=2).view(maps.shape)
        found = []
        for dim in (3, 2):
            along = shares.sum(dim=5 - dim)  # (B, C, W), (B, C, H)
            places = (2 * torch.arange(maps.shape[dim], device=maps.device, dtype=maps.dtype) + 1) / maps.shape[dim] - 1
            mean = along @ places
            variance = (along @ places.square() - mean.square()).clamp(min=1e-6)  # the root has no slope at 0
            found += [mean, variance.sqrt()]
        return torch.cat([*found, maps.mean(dim=(2, 3))], dim=1)
