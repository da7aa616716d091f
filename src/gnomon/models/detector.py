"""One-stage detectors: a backbone, a feature pyramid, and at every place of it the classes and the box of an object."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.family import Family, PictureInputs, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, Here, Knob, Step
from gnomon.core.settings import OwnSettings, setting
from gnomon.models._detectors import FROM_WEIGHTS, backbone_of, backbone_setting, centres
from gnomon.models._fields import LARGER
from gnomon.nn.assign import task_aligned
from gnomon.nn.boxes import giou
from gnomon.nn.detections import best_detections
from gnomon.nn.pyramid import FeaturePyramid, Separable

LEVELS = 3  # maps of the backbone that are used, the coarsest: strides 8, 16 and 32
PRIOR = 0.01  # the score of every class at every place before training. Source: Lin et al. 2017, section 4.1
SIDES = 2.0  # strides from a place to each side of its box before training
SMALL = 0.01  # standard deviation of the weights of the last layers before training
FOCUS = 2.0  # power of a score's distance from its target, which weighs it in the loss. Source: Li et al. 2020
BOX_WEIGHT = 2.0  # of the loss of boxes beside that of scores. Source: Feng et al. 2021
WIDEST, DEEPEST = 1_024, 8
SHOWN = 8_200  # pictures, with repetitions, that training sees where there are few: 205 of them 40 times
OVERLAP = 0.55  # IoU above which the lower of two detections of a class is dropped


@final
class Outputs(NamedTuple):
    """What is predicted at each of A places of B pictures."""

    logits: Tensor  # (B, A, K)
    boxes: Tensor  # (B, A, 4) left, top, right, bottom in pixels
    places: Tensor  # (B, A, 3) x, y and stride in pixels


@final
class Branch(nn.Module):
    """(B, C, H, W) -> (B, H W, num_outputs): `depth` convolutions and a last one, which begins near `prior`."""

    def __init__(self, width: int, num_outputs: int, *, depth: int, prior: float) -> None:
        super().__init__()
        self.tower = nn.Sequential(*(Separable(width, width) for _ in range(depth)))
        self.last = nn.Conv2d(width, num_outputs, 1)
        self.prior = prior

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:
        weight = self.last.weight
        weight.copy_(torch.randn(weight.shape, generator=generator, device=generator.device).mul_(SMALL))
        if self.last.bias is not None:
            self.last.bias.fill_(self.prior)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.last(self.tower(x)).flatten(2).mT
        return result


@final
class Detector(nn.Module):
    """(B, C, H, W) pictures -> `Outputs`: at each place of each map of the pyramid, the logits of K classes and a box.

    A box is given by the distances of its sides from the place, in strides, above 0. Sources: Tian et al. 2019 (boxes
    without anchors), Feng et al. 2021 (assignment, loss of boxes), Li et al. 2020 (loss of scores).
    """

    def __init__(self, backbone: Any, backbone_name: str, num_classes: int, *, width: int, depth: int) -> None:
        super().__init__()
        self.backbone, self.backbone_name = backbone, backbone_name
        self.levels = tuple(backbone.maps[-LEVELS:])
        self.pyramid = FeaturePyramid([one.channels for one in self.levels], width)
        priors = {"classes": (num_classes, -math.log(1 / PRIOR - 1)), "sides": (4, math.log(math.expm1(SIDES)))}
        self.classes, self.sides = (
            nn.ModuleList(Branch(width, count, depth=depth, prior=prior) for _ in self.levels)
            for count, prior in priors.values()
        )

    def forward(self, pictures: Tensor) -> Outputs:
        given = self.backbone(pictures)
        logits, boxes, places = [], [], []
        for i, x in enumerate(self.pyramid([given[one.name] for one in self.levels])):
            stride = self.levels[i].stride
            here = centres(x.shape[2], x.shape[3], stride, x)  # (H W, 2)
            sides = functional.softplus(self.sides[i](x)) * stride  # (B, H W, 4)
            logits.append(self.classes[i](x))
            boxes.append(torch.cat([here - sides[..., :2], here + sides[..., 2:]], 2))
            places.append(functional.pad(here, (0, 1), value=float(stride)))
        return Outputs(torch.cat(logits, 1), torch.cat(boxes, 1), torch.cat(places).expand(len(pictures), -1, -1))

    def losses(self, outputs: Outputs, boxes: Tensor, kinds: Tensor) -> Tensor:
        """(B,): of the objects with `boxes` (B, M, 4) and `kinds` (B, M) classes, -1 padding, -2 ignored.

        The cross entropy of every score with the quality that it is to tell, weighed by its distance from it, and
        1 - GIoU of the boxes of objects, weighed by their quality. What a class adds is over sqrt(q Q), at least 1:
        q is the sum of its qualities and Q that of all classes, so that the few objects of one are not lost among the
        many of another. For a class that is not there it is over Q.
        """
        logits, found_boxes, places = outputs
        batch, _, num_classes = logits.shape
        scores = logits.detach().sigmoid()
        assigned = task_aligned(scores, found_boxes.detach(), places[0], boxes, kinds)
        picture, place = (assigned.target >= 0).nonzero(as_tuple=True)
        index, quality = assigned.target[picture, place], assigned.quality[picture, place]  # (P,)
        kind = kinds[picture, index]
        wanted = torch.zeros_like(scores)
        wanted[picture, place, kind] = quality
        weight = (wanted - scores).abs().pow(FOCUS).masked_fill(assigned.is_spared[:, :, None], 0)
        scored = functional.binary_cross_entropy_with_logits(logits, wanted, weight, reduction="none").sum(1)  # (B, K)
        misplaced = (1 - giou(found_boxes[picture, place], boxes[picture, index])) * quality
        placed = (
            torch.zeros_like(scored).flatten().index_add(0, picture * num_classes + kind, misplaced.to(scored.dtype))
        )
        own = wanted.sum(1)  # (B, K)
        every = own.sum(1, keepdim=True)  # (B, 1)
        is_there = (kinds[:, :, None] == torch.arange(num_classes, device=kinds.device)).any(1)
        total = torch.where(is_there, (own * every).sqrt(), every).clamp(min=1)
        return ((scored + BOX_WEIGHT * placed.view(batch, num_classes)) / total).sum(1)

    def detections(self, outputs: Outputs) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (B, D, 4) in pixels, scores (B, D) and classes (B, D), highest score first, after NMS in each class.

        Pictures with fewer than D are padded with the score 0 and the class -1.
        """
        return best_detections(outputs.boxes, outputs.logits.sigmoid(), overlap=OVERLAP)


def _wider(value: Any, _here: Here) -> Any:
    return 2 * value if value and 2 * value <= WIDEST else None


def _deeper(value: Any, _here: Here) -> Any:
    return value + 1 if value is not None and value < DEEPEST else None


@final
class DetectorSettings(OwnSettings):
    """Of one-stage detectors."""

    backbone: str = backbone_setting()
    pyramid_width: int = setting(
        96,
        "channels of the feature pyramid and of what is made of it",
        Knob(("fit-train",), steps=(Step("wider pyramid", "fit-train", _wider, LARGER, 0.04, cost=1.5),)),
        ge=8,
        le=WIDEST,
    )
    tower_depth: int = setting(
        2,
        "convolutions between a map of the pyramid and what is predicted from it",
        Knob(("fit-train",), steps=(Step("deeper towers", "fit-train", _deeper, LARGER, 0.02, cost=1.2),)),
        ge=0,
        le=DEEPEST,
    )


def build(wanted: Wanted) -> nn.Module:
    """Raises UsageError for a backbone that gives no maps."""
    own = wanted.own
    backbone = backbone_of(own.backbone, wanted.inputs, skips_blocks=False)
    return Detector(backbone, own.backbone, wanted.num_outputs or 1, width=own.pyramid_width, depth=own.tower_depth)


def defaults(_name: str, _inputs: PictureInputs, num_train: int) -> dict[str, Any]:
    return {
        "init.name": "he",
        "regularise.weight_decay": 0.05,
        "regularise.augment": "mirror,updown,crop:0.5,colour:0.2",
        "optimiser.name": "adamw",
        "optimiser.learning_rate": 1.5e-3,
        "optimiser.batch_size": 4,
        "schedule.name": "cosine",
        "stop.epochs": round(min(40.0, max(12.0, SHOWN / max(num_train, 1)))),
    }


FAMILY = Family(
    names=("detector",),
    title="one-stage detectors without anchors",
    source="Feng et al. 2021, on a feature pyramid (Lin et al. 2017, Liu et al. 2018)",
    takes=("picture",),
    build=build,
    settings=DetectorSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS}),
    defaults=defaults,
    gives=("detections",),
    backbone=lambda own: str(own.backbone),
    start=FROM_WEIGHTS,
    keeps_statistics=False,
)
