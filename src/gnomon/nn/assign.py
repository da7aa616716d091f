"""Which place of a detector learns which object: task-aligned assignment."""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from torch import Tensor

from gnomon.nn.boxes import iou

IGNORED = -2  # kind of an object that counts neither way; other negative kinds pad the batch
TOP = 10  # places that learn an object, at most
SCORE_POWER, IOU_POWER = 1.0, 6.0  # of the alignment. Source: Feng et al. 2021, section 4.3


@final
class Assigned(NamedTuple):
    """For each of A places of B pictures: what it is to learn."""

    target: Tensor  # (B, A) int64: the object's place among the picture's M, -1 for background
    quality: Tensor  # (B, A) float in [0, 1]: the score that it is to have for the object's class; 0 for background
    is_spared: Tensor  # (B, A) bool: background that lies on an ignored object, and is not to learn that it is none


@torch.no_grad()
def task_aligned(
    scores: Tensor, boxes: Tensor, places: Tensor, truths: Tensor, kinds: Tensor, *, top: int = TOP
) -> Assigned:
    """Each object is learnt by the `top` places inside it that are most aligned: score x IoU⁶ of what they predict.

    `scores` (B, A, K) in [0, 1] and `boxes` (B, A, 4) are the predictions, `places` (A, 3) the x, y and stride of each,
    `truths` (B, M, 4) and `kinds` (B, M) the objects. A place that several objects want takes the one that its box
    overlaps most. The quality of a place is its alignment, scaled so that the best of each object has its highest IoU.
    An object in which no place lies has the places within half the finest stride of its centre.
    Source: Feng et al. 2021, section 4.3 (TOOD); on the sum of alignments the published code agrees.
    """
    batch, objects, count = *kinds.shape, len(places)
    if not objects:
        none = kinds.new_full((batch, count), -1)
        return Assigned(none, scores.new_zeros(batch, count), none == 0)
    is_real = kinds >= 0
    overlap = iou(truths[:, :, None], boxes[:, None])  # (B, M, A)
    of_class = scores.mT.gather(1, kinds.clamp(min=0)[:, :, None].expand(-1, -1, count))  # (B, M, A)
    is_inside = _inside(truths, places)
    aligned = (of_class**SCORE_POWER * overlap**IOU_POWER).masked_fill_(~(is_inside & is_real[:, :, None]), -1)
    best, at = aligned.topk(min(top, count), dim=2)
    wants = torch.zeros_like(is_inside).scatter_(2, at, best >= 0)  # (B, M, A)
    wanted = overlap.masked_fill(~wants, -1)
    most, target = wanted.max(1)  # (B, A)
    is_object = most >= 0
    holds = torch.zeros_like(wants).scatter_(1, target[:, None], is_object[:, None])  # each place one object at most
    aligned = aligned.masked_fill_(~holds, 0)
    scale = overlap.masked_fill(~holds, 0).amax(2) / aligned.amax(2).clamp(min=1e-12)  # (B, M)
    quality = (aligned * scale[:, :, None]).amax(1).clamp_(max=1)
    is_spared = (is_inside & (kinds == IGNORED)[:, :, None]).any(1) & ~is_object
    return Assigned(target.masked_fill(~is_object, -1), quality, is_spared)


def _inside(truths: Tensor, places: Tensor) -> Tensor:
    """(B, M, A) bool: which places lie in each box, made no smaller than a cell of the finest stride."""
    centre = (truths[..., :2] + truths[..., 2:]) / 2
    half = ((truths[..., 2:] - truths[..., :2]) / 2).clamp(min=float(places[:, 2].min()) / 2)
    across, down = ((places[:, i] - centre[:, :, i, None]).abs() <= half[:, :, i, None] for i in range(2))
    return across & down
