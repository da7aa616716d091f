"""RoI align: a piece of a map, of a fixed size, for each box of the picture, without rounding the box to the grid.

Bilinear interpolation weighs the rows and the columns of a map on their own, so a box is two small matrices: its piece
is rows @ map @ columns. The rows of all boxes of a picture are one matrix product.
"""

from __future__ import annotations

import torch
from torch import Tensor


def roi_align(maps: Tensor, boxes: Tensor, *, stride: int, size: int, samples: int = 2) -> Tensor:
    """(B, C, H, W) maps and P boxes (B, P, 4) of each, in pixels -> (B, P, C, size, size).

    Each of the size x size bins of a box is the mean over `samples` x `samples` points, evenly spread. The value of a
    place of the map is that of the middle of its `stride` pixels; up to one place beyond the border counts as the
    border, further out is 0. Gradients reach the maps, not the boxes. Source: He et al. 2017, section 3.
    """
    batch, channels, height, width = maps.shape
    number = boxes.shape[1]
    down = _weights(boxes[..., 1::2] / stride - 0.5, size, samples, height).to(maps.dtype)  # (B, P, size, H)
    across = _weights(boxes[..., 0::2] / stride - 0.5, size, samples, width).to(maps.dtype)  # (B, P, size, W)
    rows = down.flatten(1, 2) @ maps.permute(0, 2, 3, 1).flatten(2)  # (B, P size, W C)
    rows = rows.view(batch, number, size, width, channels)
    return (across[:, :, None] @ rows).permute(0, 1, 4, 2, 3)


@torch.no_grad()
def _weights(ends: Tensor, size: int, samples: int, length: int) -> Tensor:
    """Ends (..., 2) in places of a map -> (..., size, length): how much each place counts in each bin."""
    share = (torch.arange(size * samples, device=ends.device, dtype=ends.dtype) + 0.5) / (size * samples)
    points = ends[..., :1] + (ends[..., 1:] - ends[..., :1]) * share  # (..., size samples)
    is_inside = (points >= -1) & (points <= length)
    apart = points.clamp(0, length - 1)[..., None] - torch.arange(length, device=ends.device)
    weights = (1 - apart.abs()).clamp(min=0) * is_inside[..., None]  # of two neighbours, or of one
    return weights.unflatten(-2, (size, samples)).mean(-2)
