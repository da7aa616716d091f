"""YOLO as the lectures give it: a grid of cells, and for each cell and anchor y = [p_c, b_x, b_y, b_h, b_w, c_1 ...].

The picture is divided into cells. An object belongs to one cell, that of its midpoint, and there to the anchor whose
shape is most like its own. So two objects in one cell are both found if there are two anchors; what is more than that
is lost, which is why cells are small.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Literal, final

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
    first_anchors,
    maps_from,
    recipe,
)
from gnomon.nn.anchors import size_iou
from gnomon.nn.boxes import covered, iou
from gnomon.nn.detections import best_detections

WIDTH = 128  # channels of the map that the answers are read from
PRIOR = 0.01  # p_c before training: nearly every cell is empty, and equal odds would drown the few objects
COORDINATES, NO_OBJECT = 5.0, 0.5  # weights of the parts of the loss. Redmon et al. 2016, section 2.2
NEAR_ENOUGH = 0.6  # IoU from which a box is not told that it is no object. Redmon & Farhadi 2017, the released code
LARGEST = 6.0  # of b_w and b_h before exp: 400 times the anchor, and never infinite
CROWDED = 0.5  # of a box in an object that does not count: nothing is asked of that box
OVERLAP = 0.5  # IoU above which the less likely of two boxes of a class goes
OBJECT, IGNORED = 0, -2  # kinds from OBJECT on are classes


@dataclass(frozen=True)
class Assigned:
    """Which places answer for which objects: n objects that got one, and places that nothing is asked of."""

    picture: Tensor  # (n,)
    place: Tensor  # (n,) of the rows * columns * A of a picture
    box: Tensor  # (n, 4) pixels
    kind: Tensor  # (n,)
    excused: Tensor  # (B, rows * columns * A) bool: answers for an object that does not count


@final
class YoloNotes(nn.Module):
    """(B, C, H, W) pictures -> y (B, rows, columns, A, 5 + K), as numbers without limits; `decode` makes boxes of them.

    The grid has a cell for every `stride` pixels. `anchors` are widths and heights in pixels.
    """

    anchors: Tensor  # (A, 2)

    def __init__(
        self, inputs: PictureInputs, num_classes: int, *, backbone: str, stride: int, num_anchors: int
    ) -> None:
        super().__init__()
        self.backbone, self.backbone_name = backbone_of(backbone, inputs, skips_blocks=False), backbone
        maps = maps_from(self.backbone, stride)
        self.stride, self.num_classes = maps[0].stride, num_classes
        self.neck = OneMap(maps, WIDTH)
        self.head = nn.Conv2d(WIDTH, num_anchors * (5 + num_classes), 1)
        self.register_buffer("anchors", first_anchors(num_anchors))

    def prepare(self, sizes: Tensor) -> None:
        """Choose the anchors for the boxes of train: widths and heights (M, 2) in pixels."""
        self.anchors.copy_(anchors_for(sizes, len(self.anchors)))

    @torch.no_grad()
    def start(self, _generator: torch.Generator) -> None:
        if self.head.bias is not None:
            self.head.bias.view(len(self.anchors), -1)[:, 0] = math.log(PRIOR / (1 - PRIOR))

    def forward(self, pictures: Tensor) -> Tensor:
        maps: OrderedDict[str, Tensor] = self.backbone(pictures)
        y: Tensor = self.head(self.neck(maps))
        return y.permute(0, 2, 3, 1).unflatten(3, (len(self.anchors), 5 + self.num_classes))

    def decode(self, y: Tensor) -> Tensor:
        """The boxes (B, rows, columns, A, 4) of every place, in pixels.

        The midpoint stays in its cell, because a sigmoid is between 0 and 1. The size is a factor on the anchor's, and
        exp keeps it above 0. Source: Redmon & Farhadi 2017, section 2.
        """
        rows, columns = y.shape[1:3]
        across = torch.arange(columns, device=y.device)[None, :, None]
        down = torch.arange(rows, device=y.device)[:, None, None]
        b_x = (across + y[..., 1].sigmoid()) * self.stride
        b_y = (down + y[..., 2].sigmoid()) * self.stride
        b_h = self.anchors[:, 1] * y[..., 3].clamp(max=LARGEST).exp()
        b_w = self.anchors[:, 0] * y[..., 4].clamp(max=LARGEST).exp()
        return torch.stack([b_x - b_w / 2, b_y - b_h / 2, b_x + b_w / 2, b_y + b_h / 2], dim=-1)

    def losses(self, y: Tensor, boxes: Tensor, kinds: Tensor) -> Tensor:
        """(B,): of boxes (B, M, 4) in pixels and their kinds (B, M), over the number of objects in the picture.

        Where an object belongs, all of y is compared: p_c with 1 (logistic loss), the box (squared error), the class
        (cross entropy of a softmax). Everywhere else p_c is compared with 0, and the rest of y does not matter.
        """
        y = y.to(torch.promote_types(y.dtype, torch.float32))
        rows, columns = y.shape[1:3]
        its = assign(boxes.to(y.dtype), kinds, self.anchors, rows, columns, self.stride)
        flat = y.flatten(1, 3)  # (B, places, 5 + K)
        mine = flat[its.picture, its.place]  # (n, 5 + K)
        wanted = self._wanted(its, columns)  # (n, 4)
        given = torch.cat([mine[:, 1:3].sigmoid(), mine[:, 3:5]], dim=1)
        places = (given - wanted).square().sum(1)
        classes = functional.cross_entropy(mine[:, 5:], its.kind, reduction="none")
        present = functional.softplus(-mine[:, 0])  # -ln p_c
        found = y.new_zeros(len(y)).index_add(0, its.picture, COORDINATES * places + classes + present)

        is_empty = ~(its.excused | self._near_an_object(y, boxes.to(y.dtype), kinds))
        is_empty = is_empty.index_put((its.picture, its.place), torch.zeros_like(its.kind, dtype=torch.bool))
        absent = (functional.softplus(flat[..., 0]) * is_empty).sum(1)  # -ln(1 - p_c)
        return (found + NO_OBJECT * absent) / (kinds >= OBJECT).sum(1).clamp(min=1)

    def detections(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (B, 100, 4) in pixels, scores p_c c_k (B, 100) and kinds (B, 100) after suppression, best first."""
        y = y.float()
        scores = y[..., :1].sigmoid() * y[..., 5:].softmax(-1)
        return best_detections(self.decode(y).flatten(1, 3), scores.flatten(1, 3), overlap=OVERLAP)

    def _wanted(self, its: Assigned, columns: int) -> Tensor:
        """(n, 4): what b_x, b_y (of the cell), b_h and b_w (ln of the factor on the anchor) should be."""
        cell, anchor = its.place // len(self.anchors), its.place % len(self.anchors)
        corner = torch.stack([cell % columns, cell // columns], 1)
        middle = (its.box[:, :2] + its.box[:, 2:]) / 2 / self.stride - corner  # in [0, 1]
        width, height = ((its.box[:, 2:] - its.box[:, :2]) / self.anchors[anchor]).log().unbind(1)
        return torch.cat([middle, height[:, None], width[:, None]], dim=1)

    @torch.no_grad()
    def _near_an_object(self, y: Tensor, boxes: Tensor, kinds: Tensor) -> Tensor:
        """(B, places) bool: the box said there is an object's already, or lies in one that does not count."""
        said = self.decode(y).flatten(1, 3)
        near = torch.zeros(said.shape[:2], dtype=torch.bool, device=y.device)
        for m in range(kinds.shape[1]):  # one object of every picture at once
            box, kind = boxes[:, m : m + 1], kinds[:, m : m + 1]
            near |= (iou(said, box) > NEAR_ENOUGH) & (kind >= OBJECT)
            near |= (covered(said, box) > CROWDED) & (kind == IGNORED)
        return near


def assign(boxes: Tensor, kinds: Tensor, anchors: Tensor, rows: int, columns: int, stride: int) -> Assigned:
    """Give each object (boxes (B, M, 4) in pixels, kinds (B, M)) a place: the cell of its midpoint, its best anchor.

    First all objects ask for their best anchor, and of several that ask for one place the first gets it; then those
    left ask for the best anchor that is still free in their cell, until there is none. Boxes without area get no place.
    """
    batch, most = kinds.shape
    middle, size = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    column = (middle[..., 0] / stride).long().clamp(0, columns - 1)
    row = (middle[..., 1] / stride).long().clamp(0, rows - 1)
    picture = torch.arange(batch, device=boxes.device)[:, None]
    cell = ((picture * rows + row) * columns + column).flatten()  # (B M,), of all pictures
    fit = size_iou(size, anchors).flatten(0, 1)  # (B M, A)
    number, asks = len(anchors), ((kinds >= OBJECT) | (kinds == IGNORED)) & (size > 0).all(-1)
    waits, order = asks.flatten(), torch.arange(batch * most, device=boxes.device)
    free = torch.ones(batch * rows * columns, number, dtype=torch.bool, device=boxes.device)
    place = torch.full_like(order, -1)
    for _ in range(number):
        best, anchor = fit.masked_fill(~free[cell], -1).max(dim=1)
        asked, bids = cell * number + anchor, waits & (best >= 0)
        first = torch.full((free.numel(),), batch * most, device=boxes.device).scatter_reduce(
            0, asked, torch.where(bids, order, batch * most), "amin"
        )
        wins = bids & (first[asked] == order)
        place, waits = torch.where(wins, asked, place), waits & ~wins
        free = free.flatten().index_fill(0, asked[wins], False).view_as(free)
    is_placed, flat = place >= 0, kinds.flatten()
    taken = is_placed & (flat >= OBJECT)
    excused = torch.zeros(free.numel(), dtype=torch.bool, device=boxes.device)
    excused = excused.index_fill(0, place[is_placed & (flat == IGNORED)], True).view(batch, -1)
    per_picture = rows * columns * number
    return Assigned(
        place[taken] // per_picture, place[taken] % per_picture, boxes.flatten(0, 1)[taken], flat[taken], excused
    )


@final
class YoloNotesSettings(OwnSettings):
    """Of the lectures' detector."""

    backbone: str = backbone_setting()
    stride: Literal[8, 16, 32] = setting(
        16, "pixels of the picture from one cell of the grid to the next: small cells part small objects"
    )
    anchors: int = setting(
        5, "shapes of box that each cell has an answer for: so many objects can have their midpoint in it", ge=1, le=20
    )


def build(wanted: Wanted) -> nn.Module:
    own: Any = wanted.own
    return YoloNotes(
        wanted.inputs, wanted.num_outputs or 0, backbone=own.backbone, stride=own.stride, num_anchors=own.anchors
    )


FAMILY = Family(
    names=("yolo-notes",),
    title="detection on a grid of cells with anchors, as in the lectures",
    source="Redmon & Farhadi 2017; Ng, Convolutional Neural Networks, week 3",
    takes=("picture",),
    build=build,
    settings=YoloNotesSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS}),
    defaults=lambda _name, _inputs, num_train: recipe(num_train),
    gives=("detections",),
    backbone=lambda own: str(own.backbone),
    start=FROM_WEIGHTS,
    keeps_statistics=False,
)
