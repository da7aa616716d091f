"""Boxes in torch: how much two overlap, and which of many that overlap are kept.

A box is left, top, right, bottom, in one unit, pixels as a rule (see data/geometry.py). A box whose right is left of
its left, or whose bottom is above its top, has no area. Two boxes of no area have an IoU of 0, even with themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

PAIRS = 1 << 17  # boxes compared at once on a CPU: what is computed of them stays in the cache of one core
PAIRS_ELSEWHERE = 1 << 24  # on a GPU, where a call costs more than the memory
HEAD = 1024  # boxes of highest score that are settled together
TILE = 64  # boxes beside one another that are compared with the same stretch of the others


def area(boxes: Tensor) -> Tensor:
    """(..., 4) -> (...)."""
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of boxes that broadcast: (..., 4) and (..., 4) -> (...) in [0, 1], with gradients.

    For all pairs of many boxes without gradients use `pairwise_iou`, which is several times faster.
    """
    first, second = _floats(first, second)
    return _ratio(*_shared_and_union(first, second))


def giou(first: Tensor, second: Tensor) -> Tensor:
    """IoU less the share of the enclosing box that neither covers: (..., 4) and (..., 4) -> (...) in [-1, 1].

    1 - giou is a loss with a gradient also where boxes do not touch. Source: Rezatofighi et al. 2019.
    """
    first, second = _floats(first, second)
    shared, union = _shared_and_union(first, second)
    enclosing = area(_enclosing(first, second))
    return _ratio(shared, union) - _ratio(enclosing - union, enclosing)


def diou(first: Tensor, second: Tensor) -> Tensor:
    """IoU less (distance of the centres / diagonal of the enclosing box)²: (..., 4) and (..., 4) -> (...) in [-1, 1].

    1 - diou is a loss. Source: Zheng et al. 2020, equation 7.
    """
    first, second = _floats(first, second)
    return iou(first, second) - _centres_apart(first, second)


def ciou(first: Tensor, second: Tensor) -> Tensor:
    """`diou` less a penalty for another ratio of width to height: (..., 4) and (..., 4) -> (...) in [-1.5, 1].

    1 - ciou is a loss; the weight of the penalty has no gradient, as published. Source: Zheng et al. 2020, equations 8
    to 11; the penalty is at most 1/2 where boxes do not overlap, and smaller where they do.
    """
    first, second = _floats(first, second)
    overlap = iou(first, second)
    apart = 4 / math.pi**2 * (_angle(first) - _angle(second)).square()
    with torch.no_grad():
        weight = _ratio(apart, 1 - overlap + apart)
    return overlap - _centres_apart(first, second) - weight * apart


def covered(first: Tensor, second: Tensor) -> Tensor:
    """The share of the first's area that lies in the second: (..., 4) and (..., 4) that broadcast -> (...) in [0, 1].

    Of a crowd, one box around many objects, each object is covered though its IoU with the crowd is small.
    """
    first, second = _floats(first, second)
    return _ratio(_shared_and_union(first, second)[0], area(first))


@torch.no_grad()
def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """(N, 4) and (M, 4) -> (N, M) in [0, 1], without gradients; beside the result it needs little memory."""
    first, second = _floats(first, second)
    found = first.new_empty(len(first), len(second))
    rows = _rows_at_once(found)
    sides, low = first.new_empty(2, 2, min(rows, len(first)), len(second))
    one, other = first.T.contiguous()[:, :, None], second.T.contiguous()[:, None, :]  # (4, N, 1), (4, 1, M)
    areas, other_areas = area(first), area(second)
    for start in range(0, len(first), rows):
        block = one[:, start : start + rows]
        shared = found[start : start + rows]
        high, corner = sides[:, : len(shared)], low[:, : len(shared)]
        torch.minimum(block[2:], other[2:], out=high)
        torch.maximum(block[:2], other[:2], out=corner)
        high.sub_(corner).clamp_(min=0)
        torch.mul(high[0], high[1], out=shared)
        union = torch.add(areas[start : start + rows, None], other_areas, out=corner[0])
        shared.div_(union.sub_(shared))
    if (areas == 0).any() and (other_areas == 0).any():
        found.masked_fill_((areas == 0)[:, None] & (other_areas == 0), 0)  # 0 / 0
    return found


@torch.no_grad()
def pairwise(measure: Callable[[Tensor, Tensor], Tensor], first: Tensor, second: Tensor) -> Tensor:
    """`giou`, `diou` or `ciou` of all pairs: (N, 4) and (M, 4) -> (N, M), without gradients, a few rows at a time."""
    first, second = _floats(first, second)
    found = first.new_empty(len(first), len(second))
    rows = _rows_at_once(found)
    for start in range(0, len(first), rows):
        found[start : start + rows] = measure(first[start : start + rows, None], second)
    return found


@torch.no_grad()
def nms(boxes: Tensor, scores: Tensor, *, threshold: float, groups: Tensor | None = None) -> Tensor:
    """Non-maximum suppression: the indices of the boxes (N, 4) that are kept, highest score (N,) first.

    Box by box from the highest score, one is kept unless its IoU with a kept box of its group is above `threshold`, in
    [0, 1]. Of equal scores the first comes first. `groups` (N,) integers: one for each class of each picture; without
    them all boxes are of one. The result is that of the plain loop, exactly.
    """
    _check(scores, threshold)
    order = scores.argsort(descending=True, stable=True)
    boxes, _ = _floats(boxes[order], boxes)
    groups = torch.zeros_like(order) if groups is None else torch.unique(groups, return_inverse=True)[1][order]
    kept = []
    waiting = torch.arange(len(order), device=order.device)
    while len(waiting):
        head, waiting = waiting[:HEAD], waiting[HEAD:]
        head = head[_settled(boxes[head], groups[head], threshold)]
        kept.append(head)
        if len(waiting):
            covered = _are_covered(boxes[waiting], groups[waiting], boxes[head], groups[head], threshold)
            waiting = waiting[~covered]
    return order[torch.cat(kept)] if kept else order


@torch.no_grad()
def soft_nms(
    boxes: Tensor, scores: Tensor, *, sigma: float = 0.5, lowest: float = 0.001, groups: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Indices of the boxes (N, 4) that are kept, and their lowered scores, highest first.

    Box by box from the highest score (N,), each kept box multiplies the scores of the others of its group (N,) by
    exp(-IoU² / sigma); boxes that fall under `lowest` are dropped. Of equal scores the first comes first.
    Source: Bodla et al. 2017, the Gaussian penalty.
    """
    _check(scores, 0)
    boxes, _ = _floats(boxes, boxes)
    groups = torch.zeros_like(scores, dtype=torch.long) if groups is None else groups
    _, group, sizes = torch.unique(groups, return_inverse=True, return_counts=True)
    by_group = group.argsort(stable=True)
    place = torch.arange(len(group), device=group.device) - (sizes.cumsum(0) - sizes)[group[by_group]]
    row, most = group[by_group], int(sizes.max()) if len(sizes) else 0
    index = group.new_zeros(len(sizes), most).index_put((row, place), by_group)  # (G, M), padded
    left = scores.new_full(index.shape, -torch.inf).index_put((row, place), scores[by_group])
    placed, every = boxes[index], torch.arange(len(sizes), device=group.device)
    found, lowered = [], []
    for _ in range(most):  # the best of every group at once
        best = left.argmax(1)
        score = left[every, best]
        is_kept = score >= lowest
        if not is_kept.any():
            break
        found.append(index[every, best][is_kept])
        lowered.append(score[is_kept])
        left[every, best] = -torch.inf
        left *= (-iou(placed[every, best][:, None], placed).square() / sigma).exp()
    if not found:
        return by_group[:0], scores[:0]
    kept, lowered_scores = torch.cat(found), torch.cat(lowered)
    first = kept.argsort()
    order = first[lowered_scores[first].argsort(descending=True, stable=True)]
    return kept[order], lowered_scores[order]


def _floats(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Both in one dtype of at least 32 bits: areas in half precision overflow from 256 pixels on."""
    dtype = torch.promote_types(torch.promote_types(first.dtype, second.dtype), torch.float32)
    return first.to(dtype), second.to(dtype)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """part / whole; 0, with no gradient, where the whole is not above 0."""
    is_some = whole > 0
    return torch.where(is_some, part / torch.where(is_some, whole, 1.0), 0.0)


def _shared_and_union(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    low, high = torch.maximum(first[..., :2], second[..., :2]), torch.minimum(first[..., 2:], second[..., 2:])
    sides = (high - low).clamp(min=0)
    shared = sides[..., 0] * sides[..., 1]
    return shared, area(first) + area(second) - shared


def _enclosing(first: Tensor, second: Tensor) -> Tensor:
    low, high = torch.minimum(first[..., :2], second[..., :2]), torch.maximum(first[..., 2:], second[..., 2:])
    return torch.cat([low, high], -1)


def _centres_apart(first: Tensor, second: Tensor) -> Tensor:
    """(distance of the centres / diagonal of the enclosing box)²."""
    enclosing = _enclosing(first, second)
    diagonal = (enclosing[..., 2:] - enclosing[..., :2]).square().sum(-1)
    apart = (first[..., :2] + first[..., 2:] - second[..., :2] - second[..., 2:]) / 2
    return _ratio(apart.square().sum(-1), diagonal)


def _angle(boxes: Tensor) -> Tensor:
    """atan(width / height), 0 for a point."""
    width, height = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).unbind(-1)
    return torch.atan2(width, torch.where((width > 0) | (height > 0), height, 1.0))  # at (0, 0) it has no gradient


def _rows_at_once(found: Tensor) -> int:
    pairs = PAIRS if found.device.type == "cpu" else PAIRS_ELSEWHERE
    return max(1, pairs // max(1, found.shape[1]))


def _check(scores: Tensor, threshold: float) -> None:
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be between 0 and 1, got {threshold}.")
    if bool(scores.isnan().any()):
        row = int(scores.isnan().nonzero()[0, 0])
        raise ValueError(f"the score of box {row} is not a number; boxes are ranked by their scores.")


def _settled(boxes: Tensor, groups: Tensor, threshold: float) -> Tensor:
    """(N,) bool: which of a few boxes, highest score first, the plain loop keeps.

    A box is kept where no kept box before it covers it. Starting from all, the rule is applied to all at once until
    nothing changes: after i rounds at least the first i are as in the loop.
    """
    covers = (pairwise_iou(boxes, boxes) > threshold) & (groups[:, None] == groups)
    weights = covers.triu_(1).float()  # row covers column
    kept = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    while True:
        now = kept.float() @ weights == 0
        if torch.equal(now, kept):
            return kept
        kept = now


def _are_covered(boxes: Tensor, groups: Tensor, by: Tensor, by_groups: Tensor, threshold: float) -> Tensor:
    """(M,) bool: which of `boxes` (M, 4) have an IoU above `threshold` with one of `by` (K, 4) of their group.

    On a CPU only boxes that may meet are compared: both lie sorted along x, one group after the other, and each tile
    of `by` is compared with the stretch of boxes between its leftmost and its rightmost end.
    """
    if boxes.device.type != "cpu":
        rows = max(1, PAIRS_ELSEWHERE // len(by)) if len(by) else len(boxes)
        parts = zip(boxes.split(rows), groups.split(rows), strict=True)
        return torch.cat([_any_above(part, of, by, by_groups, threshold) for part, of in parts])
    both = torch.cat([boxes, by]).double()
    low, high = both[:, 0].min(), both[:, [0, 2]].max()
    step, slack = (high - low) * 1.001 + 1, (high - low + 1) * 1e-9 * (int(groups.max()) + 1)
    begin, end = boxes[:, 0] + step * groups, boxes[:, 2] + step * groups  # float64
    order = begin.argsort()
    begin, furthest, along = begin[order], end[order].cummax(0).values, boxes[order]
    start, stop = by[:, 0] + step * by_groups, by[:, 2] + step * by_groups
    by_order = start.argsort()
    tiles = range(0, len(by), TILE)
    first = torch.searchsorted(furthest, start[by_order][::TILE] - slack).tolist()
    last = torch.stack([part.max() for part in stop[by_order].split(TILE)]) + slack
    covered = torch.zeros(len(boxes), dtype=torch.bool)
    for tile, begins, ends in zip(tiles, first, torch.searchsorted(begin, last).tolist(), strict=True):
        if begins < ends:
            chosen, stretch = by_order[tile : tile + TILE], order[begins:ends]
            covered[stretch] |= _any_above(
                along[begins:ends], groups[stretch], by[chosen], by_groups[chosen], threshold
            )
    return covered


def _any_above(boxes: Tensor, groups: Tensor, by: Tensor, by_groups: Tensor, threshold: float) -> Tensor:
    """`_are_covered`, of each box with each."""
    return ((pairwise_iou(by, boxes) > threshold) & (by_groups[:, None] == groups)).any(0)
