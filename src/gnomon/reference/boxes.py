"""Boxes one at a time: overlap and its variants, non-maximum suppression as the plain loop.

A box is left, top, right, bottom, with left <= right and top <= bottom.
"""

from __future__ import annotations

import numpy as np

from gnomon.reference import Array


def iou(a: Array, b: Array) -> float:
    """Intersection over union of two boxes (4,), in [0, 1]; 0 where neither has an area."""
    shared = intersection(a, b)
    union = area(a) + area(b) - shared
    return shared / union if union > 0 else 0.0


def giou(a: Array, b: Array) -> float:
    """IoU less the share of the enclosing box that neither covers, in [-1, 1]. Source: Rezatofighi et al. 2019."""
    around = area(enclosing(a, b))
    if around == 0:
        return iou(a, b)
    union = area(a) + area(b) - intersection(a, b)
    return iou(a, b) - (around - union) / around


def diou(a: Array, b: Array) -> float:
    """IoU less (distance of the centres / diagonal of the enclosing box)². Source: Zheng et al. 2020, equation 7."""
    around = enclosing(a, b)
    diagonal = (around[2] - around[0]) ** 2 + (around[3] - around[1]) ** 2
    if diagonal == 0:
        return iou(a, b)
    x, y = (a[0] + a[2] - b[0] - b[2]) / 2, (a[1] + a[3] - b[1] - b[3]) / 2
    return iou(a, b) - (x**2 + y**2) / diagonal


def ciou(a: Array, b: Array) -> float:
    """DIoU less alpha v, for different ratios of width to height. Source: Zheng et al. 2020, equations 8 to 11."""
    angles = [np.arctan2(box[2] - box[0], box[3] - box[1]) for box in (a, b)]  # of width / height
    v = 4 / np.pi**2 * (angles[0] - angles[1]) ** 2
    alpha = v / (1 - iou(a, b) + v) if v > 0 else 0.0
    return float(diou(a, b) - alpha * v)


def nms(boxes: Array, scores: Array, *, threshold: float) -> list[int]:
    """Indices of the boxes (N, 4) that are kept, highest score (N,) first; of equal scores the first.

    A box is dropped if its IoU with one that was kept before is above the threshold.
    """
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if all(iou(boxes[i], boxes[j]) <= threshold for j in kept):
            kept.append(int(i))
    return kept


def soft_nms(boxes: Array, scores: Array, *, sigma: float, lowest: float) -> list[tuple[int, float]]:
    """(index, lowered score) of each box that is kept, in the order in which they are chosen.

    Each chosen box multiplies the scores of those left by exp(-IoU² / sigma). Source: Bodla et al. 2017.
    """
    left = {i: float(score) for i, score in enumerate(scores)}
    chosen: list[tuple[int, float]] = []
    while left:
        best = max(left, key=lambda i: left[i])  # the first of equal ones
        score = left.pop(best)
        if score < lowest:
            break
        chosen.append((best, score))
        for i in left:
            left[i] *= float(np.exp(-(iou(boxes[best], boxes[i]) ** 2) / sigma))
    return chosen


def area(box: Array) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def intersection(a: Array, b: Array) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return float(max(width, 0.0) * max(height, 0.0))


def enclosing(a: Array, b: Array) -> Array:
    return np.array([min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])])
