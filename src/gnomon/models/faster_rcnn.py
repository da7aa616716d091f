"""Faster R-CNN: a small net proposes regions that hold something, a second one says of each region what it is.

Both look at one map of the picture, made once. The first compares anchors around every place of the map with what is
there; the best of them, moved and stretched as it says, are the proposals. Of each proposal RoI align cuts a piece of
fixed size out of the map, from which the second stage tells the class and, for each class, a better box.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.family import Family, PictureInputs, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, HIDDEN_LAYERS
from gnomon.core.settings import OwnSettings, setting
from gnomon.models._detectors import (
    FROM_WEIGHTS,
    OneMap,
    anchors_for,
    backbone_of,
    backbone_setting,
    centres,
    first_anchors,
    maps_from,
    recipe,
)
from gnomon.nn.boxes import area, covered, iou
from gnomon.nn.deltas import clipped, from_deltas, to_deltas
from gnomon.nn.depthwise import ConvNorm
from gnomon.nn.detections import best_detections
from gnomon.nn.roi_align import roi_align

WIDTH = 128  # channels of the map; 256 to 1,024 in the papers
HIDDEN = 256  # units of the second stage; 1,024 to 4,096 in the papers, which take most of the time on a CPU
PIECE = 7  # places per side that a region is cut to
SMALL = 0.03  # scale of the first weights of what says where objects are: at first all stays where the anchors are
ANCHOR_OBJECT, ANCHOR_EMPTY = 0.7, 0.3  # IoU with an object from which, and below which, an anchor holds one, or none
REGION_OBJECT = 0.5  # IoU from which a region is of an object's class
PROPOSED_OVERLAP, OVERLAP = 0.7, 0.5  # IoU above which the less likely of two proposals, or of two answers, goes
ANCHORS_LEARNED, ANCHOR_SHARE = 128, 0.5  # of a picture per step, and at most how many of them with an object
REGIONS_LEARNED, REGION_SHARE = 64, 0.25
SCALES = (10.0, 10.0, 5.0, 5.0)  # brings the second stage's numbers for a box to a spread of about 1
PROPOSAL_BETA = 1 / 9  # where smooth L1 turns from squares to lines
CROWDED = 0.5  # of a region's area in an object that does not count: nothing is asked of that region
OBJECT, IGNORED = 0, -2  # kinds from OBJECT on are classes


@final
class Outputs(NamedTuple):
    """What the first stage says of B pictures."""

    map: Tensor  # (B, WIDTH, rows, columns)
    objectness: Tensor  # (B, N) logits, of every anchor
    moves: Tensor  # (B, N, 4): see nn/deltas.py
    proposals: Tensor  # (B, P, 4) pixels, best first; boxes without area fill up


@dataclass(frozen=True)
class Matched:
    """N regions of B pictures compared with the objects."""

    overlap: Tensor  # (B, N): IoU with the object that fits best, -1 where there is none
    which: Tensor  # (B, N): that object
    is_best: Tensor  # (B, N): no other region fits some object better; `which` is then that object
    is_excused: Tensor  # (B, N): lies in an object that does not count


@final
class FasterRCNN(nn.Module):
    """(B, C, H, W) pictures -> Outputs. `anchors` are widths and heights in pixels, around the middle of each place."""

    anchors: Tensor  # (A, 2)
    scales: Tensor  # (4,)

    def __init__(
        self, inputs: PictureInputs, num_classes: int, *, backbone: str, stride: int, num_anchors: int,
        num_proposals: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.backbone, self.backbone_name = backbone_of(backbone, inputs, skips_blocks=False), backbone
        maps = maps_from(self.backbone, stride)
        self.stride, self.num_classes, self.num_proposals = maps[0].stride, num_classes, num_proposals
        self.neck = OneMap(maps, WIDTH)
        self.look = ConvNorm(WIDTH, WIDTH, size=3)
        self.objectness = nn.Conv2d(WIDTH, num_anchors, 1)
        self.moves = nn.Conv2d(WIDTH, 4 * num_anchors, 1)
        self.dense = nn.Sequential(
            nn.Flatten(), nn.Linear(WIDTH * PIECE**2, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU()
        )
        self.head = nn.Linear(HIDDEN, num_classes + 1)  # the last class is background
        self.places = nn.Linear(HIDDEN, 4 * num_classes)
        self.register_buffer("anchors", first_anchors(num_anchors))
        self.register_buffer("scales", torch.tensor(SCALES))

    def prepare(self, sizes: Tensor) -> None:
        """Choose the anchors for the boxes of train: widths and heights (M, 2) in pixels."""
        self.anchors.copy_(anchors_for(sizes, len(self.anchors)))

    @torch.no_grad()
    def start(self, _generator: torch.Generator) -> None:
        for layer in (self.objectness, self.moves, self.places):
            layer.weight.mul_(SMALL)

    def forward(self, pictures: Tensor) -> Outputs:
        maps: OrderedDict[str, Tensor] = self.backbone(pictures)
        x: Tensor = self.neck(maps)
        looked = self.look(x)
        objectness = self.objectness(looked).permute(0, 2, 3, 1).flatten(1).float()
        moves = self.moves(looked).permute(0, 2, 3, 1).unflatten(3, (-1, 4)).flatten(1, 3).float()
        with torch.no_grad():
            said = self._clipped(from_deltas(moves, self._anchors_of(x)), x)
            proposals, _, _ = best_detections(
                said, objectness.sigmoid()[..., None], overlap=PROPOSED_OVERLAP, least=0.0, most=self.num_proposals
            )
        return Outputs(x, objectness, moves, proposals)

    def losses(self, outputs: Outputs, boxes: Tensor, kinds: Tensor) -> Tensor:
        """(B,): both stages' losses, each of what is there (cross entropy) and where (smooth L1), all of one weight.

        Boxes (B, M, 4) in pixels, kinds (B, M). Which anchors and regions are learned from is drawn in training mode,
        from torch's own generator; in evaluation mode it is always the same.
        """
        boxes = boxes.float()
        if not boxes.shape[1]:
            boxes, kinds = boxes.new_zeros(len(boxes), 1, 4), kinds.new_full((len(kinds), 1), -1)
        return self._proposal_losses(outputs, boxes, kinds) + self._region_losses(outputs, boxes, kinds)

    def detections(self, outputs: Outputs) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (B, 100, 4) in pixels, scores (B, 100) and kinds (B, 100) after suppression, best first."""
        regions = outputs.proposals
        logits, moves = self._answers(outputs.map, regions)
        found = self._clipped(from_deltas(moves / self.scales, regions[:, :, None]), outputs.map)
        scores = logits.softmax(-1)[..., : self.num_classes] * (area(regions) > 0)[..., None]
        return best_detections(found, scores, overlap=OVERLAP)

    def _answers(self, maps: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
        """Of R regions (B, R, 4) of each picture: logits (B, R, K + 1) and, of each class, moves (B, R, K, 4)."""
        pieces = roi_align(maps, regions, stride=self.stride, size=PIECE)
        vectors = self.dense(pieces.flatten(0, 1))
        logits = self.head(vectors).float().unflatten(0, regions.shape[:2])
        moves = self.places(vectors).float().unflatten(0, regions.shape[:2]).unflatten(2, (-1, 4))
        return logits, moves

    def _anchors_of(self, x: Tensor) -> Tensor:
        """(rows * columns * A, 4) in pixels."""
        middle = centres(x.shape[2], x.shape[3], self.stride, self.anchors)[:, None]
        return torch.cat([middle - self.anchors / 2, middle + self.anchors / 2], -1).flatten(0, 1)

    def _clipped(self, boxes: Tensor, x: Tensor) -> Tensor:
        return clipped(boxes, x.shape[3] * self.stride, x.shape[2] * self.stride)

    def _proposal_losses(self, outputs: Outputs, boxes: Tensor, kinds: Tensor) -> Tensor:
        anchors = self._anchors_of(outputs.map).expand(len(boxes), -1, -1)
        its = matched(anchors, boxes, kinds)
        is_object = (its.overlap >= ANCHOR_OBJECT) | its.is_best
        is_empty = (its.overlap < ANCHOR_EMPTY) & ~is_object & ~its.is_excused
        index, is_chosen = self._chosen(is_object, is_empty, ANCHORS_LEARNED, ANCHOR_SHARE)
        target = is_object.gather(1, index)
        given = outputs.objectness.gather(1, index)
        there = functional.binary_cross_entropy_with_logits(given, target.float(), reduction="none")
        wanted = to_deltas(_rows(boxes, its.which.gather(1, index)), _rows(anchors, index))
        off = functional.smooth_l1_loss(_rows(outputs.moves, index), wanted, reduction="none", beta=PROPOSAL_BETA)
        return _mean(there + off.sum(-1).where(target & is_chosen, 0), is_chosen)

    def _region_losses(self, outputs: Outputs, boxes: Tensor, kinds: Tensor) -> Tensor:
        # the objects themselves are regions, too: before the first stage proposes anything good, the second can learn
        truths = boxes * (kinds >= OBJECT)[..., None]
        regions = torch.cat([outputs.proposals, truths], 1)
        its = matched(regions, boxes, kinds)
        is_real = area(regions) > 0
        is_object = is_real & (its.overlap >= REGION_OBJECT)
        is_empty = is_real & ~is_object & ~its.is_excused
        index, is_chosen = self._chosen(is_object, is_empty, REGIONS_LEARNED, REGION_SHARE)
        chosen, target = _rows(regions, index), is_object.gather(1, index)
        which = its.which.gather(1, index)
        kind = kinds.gather(1, which).where(target, self.num_classes)
        logits, moves = self._answers(outputs.map, chosen)
        what = functional.cross_entropy(logits.flatten(0, 1), kind.flatten(), reduction="none").view_as(kind)
        own = kind.clamp(max=self.num_classes - 1)[..., None, None].expand(-1, -1, 1, 4)
        some = torch.where(is_chosen[..., None] & target[..., None], chosen, chosen.new_tensor([0.0, 0, 1, 1]))
        wanted = to_deltas(_rows(boxes, which).where(target[..., None], some), some) * self.scales
        off = functional.smooth_l1_loss(moves.gather(2, own)[:, :, 0], wanted, reduction="none").sum(-1)
        return _mean(what + off.where(target & is_chosen, 0), is_chosen)

    @torch.no_grad()
    def _chosen(self, is_object: Tensor, is_empty: Tensor, number: int, share: float) -> tuple[Tensor, Tensor]:
        """Of N regions (B, N): the indices (B, n) to learn from, at most `number`; and which of these are any (B, n).

        At most `share` of `number` hold an object; so many that are empty as then are missing.
        """
        keys = torch.rand(is_object.shape, device=is_object.device) if self.training else _spread(is_object)
        rank = keys.masked_fill(~is_object, -1).argsort(1, descending=True).argsort(1)
        is_taken = is_object & (rank < int(number * share))
        order = torch.where(is_taken, keys + 2, torch.where(is_empty, keys, -1.0))
        value, index = order.topk(min(number, order.shape[1]), dim=1)
        return index, value >= 0


@torch.no_grad()
def matched(regions: Tensor, boxes: Tensor, kinds: Tensor) -> Matched:
    """Regions (B, N, 4) against objects (B, M, 4) of kinds (B, M), M at least 1."""
    is_object = (kinds >= OBJECT)[:, None]  # (B, 1, M)
    every = iou(regions[:, :, None], boxes[:, None]).masked_fill(~is_object, -1)  # (B, N, M)
    overlap, which = every.max(2)
    most = every.amax(1, keepdim=True)  # (B, 1, M)
    fits_best = (every == most) & (most > 0)
    is_best = fits_best.any(2)
    inside = covered(regions[:, :, None], boxes[:, None]) > CROWDED
    is_excused = (inside & (kinds == IGNORED)[:, None]).any(2)
    return Matched(overlap, torch.where(is_best, fits_best.int().argmax(2), which), is_best, is_excused)


def _spread(like: Tensor) -> Tensor:
    """(B, N) different numbers in [0, 1), the same in each row, that leave no stretch of the row out.

    Multiples of the golden ratio without their whole part: neighbours lie far apart.
    """
    keys = torch.arange(like.shape[1], device=like.device, dtype=torch.float64) * 0.6180339887498949 % 1
    return keys.float().expand(like.shape)


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """(B, N, 4) and (B, n) -> (B, n, 4)."""
    return values.gather(1, index[..., None].expand(-1, -1, 4))


def _mean(values: Tensor, is_chosen: Tensor) -> Tensor:
    """(B, n) -> (B,)."""
    return values.where(is_chosen, 0).sum(1) / is_chosen.sum(1).clamp(min=1)


@final
class FasterRCNNSettings(OwnSettings):
    """Of the two-stage detector."""

    backbone: str = backbone_setting()
    stride: Literal[8, 16, 32] = setting(16, "pixels of the picture from one place of the map to the next")
    anchors: int = setting(9, "shapes of box that are compared with every place of the map", ge=1, le=30)
    proposals: int = setting(100, "regions of a picture that the second stage looks at", ge=10, le=1_000)


def build(wanted: Wanted) -> nn.Module:
    own: Any = wanted.own
    return FasterRCNN(
        wanted.inputs, wanted.num_outputs or 0, backbone=own.backbone, stride=own.stride, num_anchors=own.anchors,
        num_proposals=own.proposals,
    )  # fmt: skip


FAMILY = Family(
    names=("faster-rcnn",),
    title="detection in two stages: regions are proposed, then named",
    source="Ren et al. 2015; RoI align: He et al. 2017",
    takes=("picture",),
    build=build,
    settings=FasterRCNNSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS}),
    defaults=lambda _name, _inputs, num_train: recipe(num_train),
    gives=("detections",),
    backbone=lambda own: str(own.backbone),
    start=FROM_WEIGHTS,
    keeps_statistics=False,
)
