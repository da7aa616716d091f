"""From scores of many boxes to the few that are kept: candidates, suppression for each class, the best of a picture."""

from __future__ import annotations

import torch
from torch import Tensor

from gnomon.nn.boxes import nms

LEAST_SCORE = 0.01  # below it nothing is shown, and little of the average precision is decided
MOST_CANDIDATES = 1_000  # of a picture, that suppression looks at
MOST_KEPT = 100  # of a picture, as COCO counts them
NONE = -1  # the kind of a place that holds no detection


@torch.no_grad()
def best_detections(
    boxes: Tensor, scores: Tensor, *, overlap: float, least: float = LEAST_SCORE, most: int = MOST_KEPT
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (B, K, 4), scores (B, K) and kinds (B, K), best first, after suppression within each class.

    `scores` (B, N, C): of each box for each class, in [0, 1]. `boxes` (B, N, 4), or (B, N, C, 4) where each class has
    its own. A box may be kept for several classes. `overlap`: the IoU above which the box of lower score goes. Fewer
    than K = `most` are filled up with boxes, scores and kinds of 0, 0 and -1.
    """
    batch, number, classes = scores.shape
    flat, where = scores.float().flatten(1).topk(min(MOST_CANDIDATES, number * classes), dim=1)  # (B, M)
    kind = where % classes
    index = where if boxes.dim() == 4 else where // classes
    placed = boxes.float().flatten(1, -2).gather(1, index[..., None].expand(-1, -1, 4))
    picture, place = (flat >= least).nonzero(as_tuple=True)
    chosen, score, label = placed[picture, place], flat[picture, place], kind[picture, place]
    kept = nms(chosen, score, threshold=overlap, groups=picture * classes + label)
    kept = kept[picture[kept].argsort(stable=True)]  # by picture, best first in each
    picture, chosen, score, label = picture[kept], chosen[kept], score[kept], label[kept]
    counts = torch.bincount(picture, minlength=batch)
    rank = torch.arange(len(kept), device=kept.device) - (counts.cumsum(0) - counts)[picture]
    few = rank < most
    at = (picture[few], rank[few])
    return (
        placed.new_zeros(batch, most, 4).index_put(at, chosen[few]),
        flat.new_zeros(batch, most).index_put(at, score[few]),
        label.new_full((batch, most), NONE).index_put(at, label[few]),
    )
