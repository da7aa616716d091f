"""What several detectors share: the backbone that a setting names, and one map made of its coarser ones."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core import found
from gnomon.core.errors import UsageError
from gnomon.core.family import FeatureMap, PictureInputs, Wanted
from gnomon.core.knobs import Here, Knob, Step
from gnomon.core.settings import setting
from gnomon.nn.anchors import find_anchors
from gnomon.nn.depthwise import ConvNorm

BACKBONE = "efficientnet-lite0"  # small, and a package brings its weights
SHOWN = 4_100  # pictures, with repetitions, that training sees where there are few: 205 of them 20 times


def backbone_setting() -> Any:
    """The model that looks at the picture first."""

    def larger(value: Any, _here: Here) -> Any:
        return found.family(value).larger.get(value) if value else None

    step = Step("larger backbone", "fit-train", larger, "a larger network fits its training examples better", 0.08, 1.6)
    text = "the net whose maps are searched for objects: a model of gnomon models that has stages"
    return setting(BACKBONE, text, Knob(("fit-train",), steps=(step,)))


FROM_WEIGHTS = {"transfer.freeze": 2, "transfer.backbone_rate": 0.1}  # of a backbone with weights from elsewhere


def backbone_of(name: str, inputs: PictureInputs, *, skips_blocks: bool = True) -> nn.Module:
    """The net of that name without a head. Raises UsageError for one without maps.

    `skips_blocks`: with its own rate of stochastic depth, which is meant for many passes over many pictures.
    """
    family = found.family(name)
    if "features" not in family.gives:
        having = [each for each in found.family_names() if "features" in found.family(each).gives]
        raise UsageError(f"backbone={name} has no maps to find objects in.", fix=f"use one of {', '.join(having)}.")
    own = family.settings()
    if not skips_blocks and "stochastic_depth" in family.settings.model_fields:
        own = own.model_copy(update={"stochastic_depth": 0.0})
    return family.build(Wanted(name, inputs, own, (), None))


def maps_from(backbone: nn.Module, stride: int) -> tuple[FeatureMap, ...]:
    """The finest map of at least this stride and all coarser ones; the last, where none is as coarse."""
    maps: tuple[FeatureMap, ...] = backbone.maps  # type: ignore[assignment]
    return tuple(one for one in maps if one.stride >= stride) or maps[-1:]


@final
class OneMap(nn.Module):
    """Maps by name -> one (B, width, H, W), of the size of the finest of `maps`.

    A coarse map has seen more of the picture around a place, a fine one says better where things are: each gets a
    convolution 1x1 to `width` channels, coarse ones are repeated to the finest's size, the sum gets a convolution 3x3.
    Source: Lin et al. 2017, section 3, for a single level.
    """

    def __init__(self, maps: tuple[FeatureMap, ...], width: int) -> None:
        super().__init__()
        self.project = nn.ModuleDict({one.name: ConvNorm(one.channels, width, activation="none") for one in maps})
        self.mix = ConvNorm(width, width, size=3)

    def forward(self, maps: OrderedDict[str, Tensor]) -> Tensor:
        names = list(self.project)
        x: Tensor = self.project[names[0]](maps[names[0]])
        for name in names[1:]:
            x = x + functional.interpolate(self.project[name](maps[name]), size=x.shape[2:], mode="nearest")
        mixed: Tensor = self.mix(x)
        return mixed


def centres(rows: int, columns: int, stride: int, like: Tensor) -> Tensor:
    """(rows * columns, 2): x and y of the middle of each cell, in pixels, row by row."""
    y, x = torch.meshgrid(*(torch.arange(n, device=like.device) for n in (rows, columns)), indexing="ij")
    return (torch.stack([x, y], -1).reshape(-1, 2).to(like.dtype) + 0.5) * stride


def first_anchors(count: int) -> Tensor:
    """(count, 2): squares from 16 pixels on, until `prepare` has seen the boxes of train."""
    return torch.tensor([[16.0 * 2 ** (i / 2)] * 2 for i in range(count)])


def anchors_for(sizes: Tensor, count: int) -> Tensor:
    """(count, 2) for boxes of these widths and heights (M, 2), in pixels; squares where none has an area."""
    sizes = torch.as_tensor(sizes)
    return find_anchors(sizes, count).float() if bool((sizes > 0).all(dim=1).any()) else first_anchors(count)


def recipe(num_train: int) -> dict[str, Any]:
    """Settings (full keys) for a detector of the lectures on `num_train` pictures."""
    return {
        "init.name": "he",
        "regularise.weight_decay": 0.05,
        "regularise.augment": "mirror,updown,crop:0.5,colour:0.2",
        "optimiser.name": "adamw",
        "optimiser.learning_rate": 2e-3,
        "optimiser.batch_size": 8,
        "schedule.name": "cosine",
        "stop.epochs": round(min(20.0, max(8.0, SHOWN / max(num_train, 1)))),
    }
