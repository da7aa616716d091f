"""A small convnet that says where things are: the first model for points, and for one box."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any, final

from torch import nn

from gnomon.core.family import Family, PictureInputs, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, HIDDEN_LAYERS
from gnomon.core.settings import OwnSettings
from gnomon.models import _defaults, _fields
from gnomon.nn.normalise import Normalise
from gnomon.nn.places import PER_CHANNEL, SpatialSoftmax

FIRST, MOST = 16, 64  # filters of the first stage, and where doubling ends
COARSEST = 16  # pixels per side down to which pictures are pooled: finer maps place things better, and cost more
DILATIONS = (1, 2, 4)  # of the layers that are not pooled: they see 15 places around
FEW = 2_000  # training pictures up to which small batches are better: more steps


def spatial_softmax(inputs: PictureInputs, num_outputs: int, *, width: float) -> nn.Sequential:
    """(B, C, H, W) -> (B, num_outputs): stages that halve the picture, dilated ones, places of each channel, the head.

    A net that flattens its last maps has to learn every place on its own; here a place is one number from the start.
    """
    pools = max(0, int(math.log2(min(inputs.height, inputs.width) / COARSEST)))
    layers: OrderedDict[str, nn.Module] = OrderedDict(normalise=Normalise(inputs.mean, inputs.std))
    channels = inputs.channels
    for number in range(pools):
        filters = _filters(min(FIRST * 2**number, MOST), width)
        layers[f"stage{number + 1}"] = nn.Sequential(*_layer(channels, filters, 1), nn.MaxPool2d(2))
        channels = filters
    filters = _filters(MOST, width)
    for dilation in DILATIONS:
        layers[f"around{dilation}"] = nn.Sequential(*_layer(channels, filters, dilation))
        channels = filters
    layers["looked_for"] = nn.Conv2d(channels, channels, 3, padding=1)
    layers["places"] = SpatialSoftmax(channels)
    layers["head"] = nn.Linear(PER_CHANNEL * channels, num_outputs)
    return nn.Sequential(layers)


def _filters(count: int, width: float) -> int:
    return max(1, round(count * width))


def _layer(channels: int, filters: int, dilation: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(channels, filters, 3, padding=dilation, dilation=dilation, bias=False)
    return convolution, nn.BatchNorm2d(filters), nn.ReLU()


@final
class SpatialSoftmaxSettings(OwnSettings):
    """Of the net with a spatial softmax."""

    width: float = _fields.width()


def build(wanted: Wanted) -> nn.Module:
    return spatial_softmax(wanted.inputs, wanted.num_outputs or 1, width=wanted.own.width)


def defaults(name: str, inputs: PictureInputs, num_train: int) -> dict[str, Any]:
    recipe = _defaults.picture_recipe(num_train)
    return {
        **recipe,
        "optimiser.learning_rate": 3e-3,
        "optimiser.batch_size": 16 if num_train <= FEW else recipe["optimiser.batch_size"],
        "regularise.weight_decay": 0.01,
        "regularise.augment": _defaults.augment(inputs),
    }


FAMILY = Family(
    names=("spatial-softmax",),
    title="a small convnet with a spatial softmax",
    source="Levine et al. 2016, section 5.1",
    takes=("picture",),
    build=build,
    settings=SpatialSoftmaxSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS}),
    defaults=defaults,
)
