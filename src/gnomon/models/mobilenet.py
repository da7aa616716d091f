"""MobileNet v1 and v2: convolutions split into one filter a channel and a mixing of channels."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, final

from torch import nn

from gnomon.core.family import Family, Naming, PictureInputs, Usual, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, DROPOUT, HIDDEN_LAYERS
from gnomon.core.settings import OwnSettings
from gnomon.models import _defaults, _fields
from gnomon.models._backbone import Backbone, Stage, require_side, skipped_halvings
from gnomon.models._defaults import HALF, IMAGENET_MEAN, IMAGENET_STD
from gnomon.models._inverted import STAGES_OF_TIMM, TIMM, Blocks, inverted_stages, places
from gnomon.nn.blocks import one_each
from gnomon.nn.depthwise import ConvNorm, multiple_of_8

SMALLEST = 8  # pixels per side
STEM, LAST = 32, 1280  # channels of the first convolution; of the last of v2
V1 = (  # Howard et al. 2017, table 1: the channels that each pair of convolutions ends in; the first has stride 2
    (64,),
    (128, 128),
    (256, 256),
    (512, 512, 512, 512, 512, 512),
    (1024, 1024),
)
V2 = (  # Sandler et al. 2018, table 2
    Blocks(1, 3, 1, 16, 1),
    Blocks(6, 3, 2, 24, 2),
    Blocks(6, 3, 2, 32, 3),
    Blocks(6, 3, 2, 64, 4),
    Blocks(6, 3, 1, 96, 3),
    Blocks(6, 3, 2, 160, 3),
    Blocks(6, 3, 1, 320, 1),
)
DROPOUTS = {"mobilenet-v2": 0.2, "mobilenet-v1": 0.0}  # before the head: torchvision's; v1 keeps all but 0.1 %


def mobilenet_v1(inputs: PictureInputs, num_outputs: int | None, *, width: float, dropout: float) -> Backbone:
    """(B, C, H, W) pictures of any size -> (B, num_outputs), or the maps of strides 2, 4, 8, 16 and 32.

    `width` multiplies the channels of every layer, rounded to a multiple of 8. Of pictures of less than 64 pixels per
    side the maps have strides 1, 2, 4 and 8. ReLU6 is that of the released weights; the paper has ReLU.
    Source: Howard et al. 2017, table 1.
    """
    left_out = skipped_halvings(inputs)
    stride, num_inputs = 1 if left_out else 2, multiple_of_8(width * STEM)
    stem = ConvNorm(inputs.channels, num_inputs, size=3, stride=stride, activation="relu6")
    stages = []
    for number, all_channels in enumerate(V1, start=1):
        first = 1 if number <= max(1, left_out) else 2
        stride *= first
        layers = []
        for i, channels in enumerate(all_channels):
            filters = multiple_of_8(width * channels)
            layers.append(_separable(num_inputs, filters, stride=1 if i else first))
            num_inputs = filters
        before = {"stem": stem} if number == 1 else {}
        stages.append(Stage(stride, num_inputs, {**before, f"stage{number}": nn.Sequential(*layers)}))
    return Backbone(inputs, stages, _pooled(dropout), num_features=num_inputs, num_outputs=num_outputs)


def mobilenet_v2(inputs: PictureInputs, num_outputs: int | None, *, width: float, dropout: float) -> Backbone:
    """(B, C, H, W) pictures of any size -> (B, num_outputs), or the maps of strides 2, 4, 8, 16 and 32.

    `width` multiplies the channels of every layer, rounded to a multiple of 8; those of the last convolution only where
    it is above 1. Of pictures of less than 64 pixels per side the maps have strides 1, 2, 4 and 8.
    Source: Sandler et al. 2018, table 2 and section 6.1.
    """
    table = [Blocks(one.expansion, one.size, one.stride, multiple_of_8(width * one.channels), one.number) for one in V2]
    stages = inverted_stages(inputs, multiple_of_8(width * STEM), table, options={"activation": "relu6"})
    num_features = multiple_of_8(max(1.0, width) * LAST)
    last = ConvNorm(stages[-1].channels, num_features, activation="relu6")
    then = {"last": last, **_pooled(dropout)}
    return Backbone(inputs, stages, then, num_features=num_features, num_outputs=num_outputs)


def _separable(num_inputs: int, num_outputs: int, *, stride: int) -> nn.Sequential:
    """A filter 3x3 for each channel, then a mixing of channels. Source: Howard et al. 2017, section 3.1."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["depthwise"] = ConvNorm(num_inputs, num_inputs, size=3, stride=stride, groups=num_inputs, activation="relu6")
    layers["pointwise"] = ConvNorm(num_inputs, num_outputs, activation="relu6")
    return nn.Sequential(layers)


def _pooled(dropout: float) -> Mapping[str, nn.Module]:
    return {"avgpool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), "dropout": nn.Dropout(dropout)}


@final
class MobileNetSettings(OwnSettings):
    """Of MobileNets."""

    width: float = _fields.width()


def build(wanted: Wanted) -> nn.Module:
    require_side(wanted.name, wanted.inputs, SMALLEST)
    make = {"mobilenet-v1": mobilenet_v1, "mobilenet-v2": mobilenet_v2}[wanted.name]
    dropout = one_each(wanted.dropout, 1)[0]
    return make(wanted.inputs, wanted.num_outputs, width=wanted.own.width, dropout=dropout)


def defaults(name: str, inputs: PictureInputs, num_train: int) -> dict[str, Any]:
    return {
        **_defaults.picture_recipe(num_train),
        "regularise.dropout": (DROPOUTS[name],),
        "regularise.augment": _defaults.augment(inputs),
    }


TORCHVISION = (
    (r"^features\.0\.0\.", "stem.conv."), (r"^features\.0\.1\.", "stem.norm."), (r"^features\.18\.0\.", "last.conv."),
    (r"^features\.18\.1\.", "last.norm."), (r"^classifier\.1\.", "head."),
    *((rf"^features\.{number}\.conv\.", f"{place}.") for number, place in enumerate(places(V2), start=1)),
    (r"^stage1\.0\.0\.0\.", "stage1.0.depthwise.conv."), (r"^stage1\.0\.0\.1\.", "stage1.0.depthwise.norm."),
    (r"^stage1\.0\.1\.", "stage1.0.project.conv."), (r"^stage1\.0\.2\.", "stage1.0.project.norm."),
    (r"^(stage\d\.\d)\.0\.0\.", r"\1.expand.conv."), (r"^(stage\d\.\d)\.0\.1\.", r"\1.expand.norm."),
    (r"^(stage\d\.\d)\.1\.0\.", r"\1.depthwise.conv."), (r"^(stage\d\.\d)\.1\.1\.", r"\1.depthwise.norm."),
    (r"^(stage\d\.\d)\.2\.", r"\1.project.conv."), (r"^(stage\d\.\d)\.3\.", r"\1.project.norm."),
)  # fmt: skip
V1_OF_TIMM = (
    (r"^conv_stem\.", "stem.conv."), (r"^bn1\.", "stem.norm."), (r"^classifier\.", "head."), *STAGES_OF_TIMM,
    (r"\.conv_dw\.", ".depthwise.conv."), (r"\.bn1\.", ".depthwise.norm."),
    (r"\.conv_pw\.", ".pointwise.conv."), (r"\.bn2\.", ".pointwise.norm."),
)  # fmt: skip
NAMINGS = {
    "mobilenet-v2": (
        Naming("torchvision", TORCHVISION, IMAGENET_MEAN, IMAGENET_STD),
        Naming("timm", TIMM, IMAGENET_MEAN, IMAGENET_STD),
    ),
    "mobilenet-v1": (Naming("timm", V1_OF_TIMM, HALF, HALF),),
}
FAMILY = Family(
    names=("mobilenet-v2", "mobilenet-v1"),
    title="MobileNets",
    source="Sandler et al. 2018 (v2), Howard et al. 2017 (v1)",
    takes=("picture",),
    build=build,
    settings=MobileNetSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS, DROPOUT}),
    defaults=defaults,
    gives=("vector", "features"),
    usual={name: Usual(224) for name in DROPOUTS},
    namings=lambda name, _own: NAMINGS[name],
)
