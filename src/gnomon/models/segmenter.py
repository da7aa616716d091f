"""The default segmenter: the maps of a backbone, which may start from public weights, and a light way back up."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core import found
from gnomon.core.errors import UsageError
from gnomon.core.family import Family, PictureInputs, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, DROPOUT, HIDDEN_LAYERS
from gnomon.core.settings import OwnSettings, setting
from gnomon.models import _defaults, _fields
from gnomon.models._backbone import Backbone
from gnomon.nn.blocks import one_each
from gnomon.nn.depthwise import ConvNorm
from gnomon.nn.upsampling import Doubled, Upsampling

BACKBONE = "efficientnet-lite0"
CHANNELS = {16: 96, 8: 64, 4: 48, 2: 32, 1: 16}  # of the way up, by stride
FINEST = 16  # channels of the map that is made of the pixels themselves


@final
class Segmenter(nn.Module):
    """(B, C, H, W) pictures of any size -> (B, num_outputs, H, W): logits of each pixel.

    As in a U-Net, maps are doubled from the coarsest on, each with the backbone's finer map beside it; the last has one
    of two convolutions on the pixels themselves, because a backbone's first map has a place for two pixels or more.
    """

    def __init__(
        self, backbone: Backbone, backbone_name: str, inputs: PictureInputs, num_outputs: int, *, width: float,
        upsampling: Upsampling, dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.backbone, self.backbone_name = backbone, backbone_name
        coarsest, *finer = reversed(backbone.maps)
        beside = [(one.stride, one.channels) for one in finer]
        self.finest = None
        if backbone.maps[0].stride > 1:
            own = _scaled(FINEST, width)
            self.finest = nn.Sequential(
                ConvNorm(inputs.channels, own, size=3, activation="silu"), ConvNorm(own, own, size=3, activation="silu")
            )
            beside.append((1, own))
        self.dropout = nn.Dropout(dropout)
        self.up, self.after = nn.ModuleList(), nn.ModuleList()
        below = coarsest.channels
        for stride, channels in beside:
            own = _scaled(CHANNELS.get(stride, max(CHANNELS.values())), width)
            self.up.append(Doubled(below, own, upsampling))
            self.after.append(ConvNorm(own + channels, own, size=3, activation="silu"))
            below = own
        self.head = nn.Conv2d(below, num_outputs, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        maps = list(self.backbone(pictures).values())
        if self.finest is not None:
            maps.insert(0, self.finest(self.backbone.normalise(pictures)))
        x = self.dropout(maps.pop())
        for doubled, convolution in zip(self.up, self.after, strict=True):
            beside = maps.pop()
            x = convolution(torch.cat([beside, doubled(x, beside.shape[2:])], dim=1))
        logits: Tensor = self.head(x)
        if logits.shape[2:] == pictures.shape[2:]:
            return logits
        return functional.interpolate(logits, tuple(pictures.shape[2:]), mode="nearest")


def _scaled(channels: int, width: float) -> int:
    return max(1, round(width * channels))


@final
class SegmenterSettings(OwnSettings):
    """Of the segmenter."""

    backbone: str = setting(BACKBONE, "the model whose maps are used; gnomon models lists those that have stages")
    width: float = _fields.width()
    upsampling: Upsampling = setting(
        "resized", "how maps are made larger: a transposed convolution, or resized, then a convolution"
    )


def build(wanted: Wanted) -> nn.Module:
    own, num_outputs = wanted.own, wanted.num_outputs
    assert num_outputs is not None  # it gives pixels, no features
    family = found.family(own.backbone)
    if "features" not in family.gives or "picture" not in family.takes:
        raise UsageError(f"backbone={own.backbone} has no maps.", fix=f"use backbone={BACKBONE}, or a residual net.")
    backbone: Any = family.build(Wanted(own.backbone, wanted.inputs, family.settings(), (), None))
    return Segmenter(
        backbone, own.backbone, wanted.inputs, num_outputs, width=own.width, upsampling=own.upsampling,
        dropout=one_each(wanted.dropout, 1)[0],
    )  # fmt: skip


def defaults(_name: str, inputs: PictureInputs, num_train: int) -> dict[str, Any]:
    return _defaults.segmentation_recipe(inputs, num_train)


FAMILY = Family(
    names=("segmenter",),
    title="segmenter on a backbone's maps",
    source="a U-Net's way up; the recipe is measured: docs/segmentation.md",
    takes=("picture",),
    build=build,
    settings=SegmenterSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS, DROPOUT}),
    defaults=defaults,
    gives=("pixels",),
    backbone=lambda own: str(own.backbone),
    start={"transfer.backbone_rate": 0.3},
)
