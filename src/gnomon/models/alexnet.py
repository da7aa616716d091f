"""AlexNet: as published, in two groups with local response normalisation, and as one tower without."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, final

from torch import nn

from gnomon.core.family import Family, Naming, PictureInputs, Usual, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, DROPOUT, HIDDEN_LAYERS
from gnomon.core.settings import OwnSettings
from gnomon.models import _defaults, _fields
from gnomon.models._backbone import LARGE_PICTURE, Backbone, Stage, require_side
from gnomon.models._defaults import IMAGENET_MEAN, IMAGENET_STD
from gnomon.nn.blocks import dense_block, one_each

SMALLEST = 16  # pixels per side: three pools leave one place
UNITS = 4096  # of each of the two dense layers before the head
POOLED = 6  # places per side that the dense layers take: what is left of 224 pixels
NEAR = 5  # channels whose responses a response is divided by


@dataclass(frozen=True)
class Plan:
    """What a name stands for: channels of the five convolutions, and in how many groups each sees those before it."""

    channels: tuple[int, int, int, int, int]
    groups: tuple[int, int, int, int, int] = (1, 1, 1, 1, 1)
    normalises_responses: bool = False


PLANS = {
    "alexnet": Plan((64, 192, 384, 256, 256)),  # Krizhevsky 2014, as in torchvision
    "alexnet-2012": Plan((96, 256, 384, 384, 256), (1, 2, 1, 2, 2), normalises_responses=True),
}


def alexnet(
    plan: Plan, inputs: PictureInputs, num_outputs: int | None, *, width: float, dropout: tuple[float, ...]
) -> Backbone:
    """(B, C, H, W) pictures of any size from 16 -> (B, num_outputs), or the maps of strides 4, 8 and 16.

    A map is what comes before a pool. Pictures of less than 64 pixels per side keep their size in the first
    convolution: strides 1, 2 and 4. The dense layers take 6x6 places, averaged or repeated where the picture has not
    224 pixels per side; 3x3 where it has less than 64. `width` multiplies all channels and units.
    Source: Krizhevsky et al. 2012, section 3.
    """
    is_large = min(inputs.height, inputs.width) >= LARGE_PICTURE
    filters = [max(1, round(width * channels / 2)) * 2 for channels in plan.channels]  # two groups divide them
    stride, padding = (4, 2) if is_large else (1, 5)
    conv = [
        nn.Conv2d(inputs.channels, filters[0], 11, stride=stride, padding=padding),
        nn.Conv2d(filters[0], filters[1], 5, padding=2, groups=plan.groups[1]),
        *(nn.Conv2d(filters[i - 1], filters[i], 3, padding=1, groups=plan.groups[i]) for i in (2, 3, 4)),
    ]

    def normed(number: int) -> dict[str, nn.Module]:
        if not plan.normalises_responses:
            return {}
        return {f"norm{number}": nn.LocalResponseNorm(NEAR, alpha=NEAR * 1e-4, beta=0.75, k=2.0)}  # torch: alpha / NEAR

    stages = [
        Stage(stride, filters[0], {"conv1": conv[0], "relu1": nn.ReLU(), **normed(1)}),
        Stage(2 * stride, filters[1], {"pool1": _pool(), "conv2": conv[1], "relu2": nn.ReLU(), **normed(2)}),
        Stage(
            4 * stride,
            filters[4],
            {"pool2": _pool(), "conv3": conv[2], "relu3": nn.ReLU(), "conv4": conv[3], "relu4": nn.ReLU()}
            | {"conv5": conv[4], "relu5": nn.ReLU()},
        ),
    ]
    units, places = max(1, round(width * UNITS)), POOLED if is_large else POOLED // 2
    then = OrderedDict[str, nn.Module](pool5=_pool(), avgpool=nn.AdaptiveAvgPool2d(places), flatten=nn.Flatten())
    num_inputs = filters[4] * places**2
    for i, rate in enumerate(one_each(dropout, 2), start=1):
        then[f"dense{i}"] = dense_block(num_inputs, units, activation_name="relu", dropout=rate, normalisation="none")
        num_inputs = units
    return Backbone(inputs, stages, then, num_features=units, num_outputs=num_outputs)


def _pool() -> nn.MaxPool2d:
    """Pools that overlap: section 3.4."""
    return nn.MaxPool2d(3, stride=2)


@final
class AlexNetSettings(OwnSettings):
    """Of AlexNet."""

    width: float = _fields.width()


def build(wanted: Wanted) -> nn.Module:
    require_side(wanted.name, wanted.inputs, SMALLEST)
    return alexnet(
        PLANS[wanted.name], wanted.inputs, wanted.num_outputs, width=wanted.own.width, dropout=wanted.dropout
    )


def defaults(name: str, inputs: PictureInputs, num_train: int) -> dict[str, Any]:
    return {
        **_defaults.picture_recipe(num_train),
        "optimiser.learning_rate": _defaults.RATE_WITHOUT_NORM,
        "regularise.dropout": (0.5,),
        "regularise.augment": _defaults.augment(inputs),
    }


PLACES = {0: "conv1", 3: "conv2", 6: "conv3", 8: "conv4", 10: "conv5"}  # of torchvision's "features"
TORCHVISION = (
    *((rf"^features\.{place}\.", f"{name}.") for place, name in PLACES.items()),
    (r"^classifier\.1\.", "dense1.linear."),
    (r"^classifier\.4\.", "dense2.linear."),
    (r"^classifier\.6\.", "head."),
)
FAMILY = Family(
    names=tuple(PLANS),
    title="AlexNet",
    source="Krizhevsky et al. 2012; Krizhevsky 2014 (one tower)",
    takes=("picture",),
    build=build,
    settings=AlexNetSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS, DROPOUT}),
    defaults=defaults,
    gives=("vector", "features"),
    usual={name: Usual(224) for name in PLANS},
    namings=lambda _name, _own: (Naming("torchvision", TORCHVISION, IMAGENET_MEAN, IMAGENET_STD),),
)
