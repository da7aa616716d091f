"""A box as what moves and stretches another one: the four numbers that two-stage detectors learn.

Source: Girshick et al. 2014, appendix C.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LARGEST = math.log(1000 / 16)  # of a stretch before exp: no picture has a larger box from a smaller anchor


def to_deltas(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Boxes and anchors (..., 4), both with an area -> (..., 4): x, y by the anchor's size; ln of width and height."""
    middle, size = _middle_and_size(boxes)
    old_middle, old_size = _middle_and_size(anchors)
    return torch.cat([(middle - old_middle) / old_size, (size / old_size).log()], -1)


def from_deltas(deltas: Tensor, anchors: Tensor) -> Tensor:
    """(..., 4) and anchors that broadcast -> boxes (..., 4). A stretch of more than 62.5 counts as that."""
    old_middle, old_size = _middle_and_size(anchors)
    middle = old_middle + deltas[..., :2] * old_size
    half = old_size * deltas[..., 2:].clamp(max=LARGEST).exp() / 2
    return torch.cat([middle - half, middle + half], -1)


def clipped(boxes: Tensor, width: float, height: float) -> Tensor:
    """The part of each box (..., 4) that lies in the picture."""
    limits = boxes.new_tensor([width, height, width, height])
    return torch.minimum(boxes.clamp(min=0), limits)


def _middle_and_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
