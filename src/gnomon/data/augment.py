"""Random changes to training pictures and targets, a whole batch at a time on its own device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def shift(images: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """Shift every picture by its own -pixels..pixels down and across; the border is repeated.

    (B, C, H, W) of any dtype in, the same shape, dtype and memory format (channels last) out. Source: the padded
    random crop of He et al. 2016, section 4.2.
    """
    count, channels, height, width = images.shape
    rows = torch.randint(-pixels, pixels + 1, (count, 1), generator=generator, device=images.device)
    columns = torch.randint(-pixels, pixels + 1, (count, 1), generator=generator, device=images.device)
    row_at = (torch.arange(height, device=images.device) + rows).clamp_(0, height - 1)  # (B, H)
    column_at = (torch.arange(width, device=images.device) + columns).clamp_(0, width - 1)  # (B, W)
    start = torch.arange(count, device=images.device)[:, None] * (height * width)
    at = ((start + row_at * width)[:, :, None] + column_at[:, None, :]).reshape(-1)  # (B H W,)
    pixels_flat = images.permute(0, 2, 3, 1).reshape(-1, channels)
    moved = pixels_flat.index_select(0, at)
    return moved.view(count, height, width, channels).permute(0, 3, 1, 2)


def mirror(images: Tensor, generator: torch.Generator) -> Tensor:
    """Swap left and right in about half of the pictures. (B, C, H, W) in and out."""
    chosen = torch.rand(len(images), generator=generator, device=images.device) < 0.5
    return torch.where(chosen[:, None, None, None], images.flip(3), images)


def cutout(images: Tensor, pixels: int, fill: Sequence[float], generator: torch.Generator) -> Tensor:
    """Hide a square of each picture, `pixels` wide, its centre anywhere: at a border, less of it is hidden.

    (B, C, H, W) in and out; `fill` per channel, on the scale of the pictures. Source: DeVries and Taylor 2017.
    """
    count, channels, height, width = images.shape
    hidden = []
    for length in (height, width):
        centre = torch.randint(0, length, (count, 1), generator=generator, device=images.device)
        first = centre - pixels // 2
        places = torch.arange(length, device=images.device)
        hidden.append((places >= first) & (places < first + pixels))  # (B, length)
    square = hidden[0][:, None, :, None] & hidden[1][:, None, None, :]
    colour = torch.tensor(fill, device=images.device).to(images.dtype).view(1, channels, 1, 1)
    return torch.where(square, colour, images)


def smooth(target: Tensor, num_classes: int, amount: float) -> Tensor:
    """(B,) class indices -> (B, K) probabilities: 1 - amount on the class, amount spread evenly over all K.

    Source: Szegedy et al. 2016, section 7.
    """
    spread = torch.full((len(target), num_classes), amount / num_classes, device=target.device)
    return spread.scatter_add_(1, target[:, None], torch.full_like(spread[:, :1], 1.0 - amount))
