"""Anchors: a few widths and heights that stand for all boxes of a set, found by k-means on 1 - IoU.

Only sizes are compared: of two sizes the IoU is that of two boxes with the same top left corner. Euclidean distance
would let large boxes decide, whose errors are many pixels but a small share. Source: Redmon & Farhadi 2017, section 2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gnomon.core.seeds import derive

RESTARTS = 5  # k-means ends where it begins well; the best of these is kept
MOST_ROUNDS = 100
MOST_SIZES = 20_000  # more are thinned out evenly: the anchors of 20,000 boxes are those of a million


def size_iou(sizes: Tensor, anchors: Tensor) -> Tensor:
    """(..., 2) and (A, 2) widths and heights -> (..., A) in [0, 1]; 0 where neither has an area."""
    shared = torch.minimum(sizes[..., None, :], anchors).prod(-1)
    union = sizes.prod(-1)[..., None] + anchors.prod(-1) - shared
    return shared / torch.where(union > 0, union, 1.0)


def find_anchors(sizes: Tensor, count: int, *, seed: int = 0) -> Tensor:
    """`count` anchors (count, 2) for boxes of these widths and heights (M, 2), the smallest area first.

    Sizes without area are left out. Of fewer different sizes than anchors, each is an anchor and the rest repeat them.
    Raises ValueError where no size has an area.
    """
    sizes = sizes.double()
    sizes = sizes[(sizes > 0).all(dim=1)]
    if not len(sizes):
        raise ValueError("anchors need at least one box with an area.")
    if len(sizes) > MOST_SIZES:
        by_area = sizes[sizes.prod(1).argsort(stable=True)]
        sizes = by_area[torch.linspace(0, len(sizes) - 1, MOST_SIZES).round().long()]
    different = torch.unique(sizes, dim=0)
    if len(different) <= count:
        found = different.repeat(-(-count // len(different)), 1)[:count]
    else:
        tries = [_descend(sizes, _begin(sizes, count, derive(seed, f"anchors {i}"))) for i in range(RESTARTS)]
        found = min(tries, key=lambda anchors: mean_distance(sizes, anchors))
    return found[found.prod(1).argsort(stable=True)]


def mean_distance(sizes: Tensor, anchors: Tensor) -> float:
    """What k-means lowers: the mean over sizes (M, 2) of 1 - IoU with the anchor (A, 2) that fits best."""
    return float(1 - size_iou(sizes, anchors).amax(1).mean())


def anchor_recall(sizes: Tensor, anchors: Tensor, *, threshold: float = 0.5) -> float:
    """The share of sizes (M, 2) of which some anchor (A, 2) has an IoU of at least `threshold`."""
    return float((size_iou(sizes, anchors).amax(1) >= threshold).double().mean())


def _begin(sizes: Tensor, count: int, seed: int) -> Tensor:
    """Sizes drawn one by one, each with a chance that grows with its distance from those drawn before.

    Source: Arthur & Vassilvitskii 2007 (k-means++).
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = [int(torch.randint(len(sizes), (1,), generator=generator))]
    while len(chosen) < count:
        distance = 1 - size_iou(sizes, sizes[chosen]).amax(1)
        chosen.append(int(torch.multinomial(distance.clamp(min=0).square(), 1, generator=generator)))
    return sizes[chosen]


def _descend(sizes: Tensor, anchors: Tensor) -> Tensor:
    """k-means from these anchors on; no round makes `mean_distance` larger.

    The mean of a cluster need not be nearer to its members in IoU than the anchor before, so the nearest of the two
    and of the median is taken. A cluster without members takes the size that is covered worst.
    """
    for _ in range(MOST_ROUNDS):
        fit = size_iou(sizes, anchors)
        nearest = fit.argmax(1)
        moved = anchors.clone()
        for k in range(len(anchors)):
            members = sizes[nearest == k]
            if not len(members):
                moved[k] = sizes[fit.amax(1).argmin()]
                continue
            tried = torch.stack([anchors[k], members.mean(0), members.median(0).values])
            moved[k] = tried[size_iou(members, tried).sum(0).argmax()]
        if torch.equal(moved, anchors):
            break
        anchors = moved
    return anchors
