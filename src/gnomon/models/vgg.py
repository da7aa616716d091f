"""VGG: nothing but convolutions 3x3 and pools, then three dense layers."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from typing import Any, final

from torch import nn

from gnomon.core.family import Family, Naming, PictureInputs, Usual, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, DROPOUT, HIDDEN_LAYERS
from gnomon.core.settings import OwnSettings
from gnomon.models import _defaults, _fields
from gnomon.models._backbone import LARGE_PICTURE, Backbone, Stage, require_side
from gnomon.models._defaults import IMAGENET_MEAN, IMAGENET_STD
from gnomon.nn.blocks import dense_block, one_each

SMALLEST = 8  # pixels per side
CHANNELS = (64, 128, 256, 512, 512)  # of the stages
UNITS = 4096  # of each of the two dense layers before the head
POOLED = 7  # places per side that the dense layers take: what is left of 224 pixels
DEPTHS = {  # convolutions of each stage. Simonyan & Zisserman 2015, table 1: A, B, D, E
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
PLAIN = {f"vgg{depth}": stages for depth, stages in DEPTHS.items()}
NORMALISED = {f"{name}-bn": stages for name, stages in PLAIN.items()}
PLANS = PLAIN | NORMALISED


def vgg(
    stages: tuple[int, ...], inputs: PictureInputs, num_outputs: int | None, *, has_norm: bool, width: float,
    dropout: tuple[float, ...],
) -> Backbone:  # fmt: skip
    """(B, C, H, W) pictures of any size from 8 -> (B, num_outputs), or the maps of strides 1, 2, 4, 8 and 16.

    A map is what a stage ends in, before it is pooled. The dense layers take 7x7 places, averaged or repeated where the
    picture has not 224 pixels per side. Where it has less than 64 they take one place, and the pools round sizes up, so
    that there is one. `has_norm`: batch norm before each ReLU
    of the convolutions, which keep their biases, as the public weights do.
    Source: Simonyan & Zisserman 2015, table 1.
    """
    is_large = min(inputs.height, inputs.width) >= LARGE_PICTURE
    num_inputs, found = inputs.channels, []
    for number, (depth, channels) in enumerate(zip(stages, CHANNELS, strict=True), start=1):
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        filters = _times(width, channels)
        for i in range(1, depth + 1):
            layers[f"conv{i}"] = nn.Conv2d(num_inputs, filters, 3, padding=1)
            if has_norm:
                layers[f"norm{i}"] = nn.BatchNorm2d(filters)
            layers[f"relu{i}"] = nn.ReLU()
            num_inputs = filters
        before = {} if number == 1 else {f"pool{number - 1}": nn.MaxPool2d(2, ceil_mode=not is_large)}
        found.append(Stage(2 ** (number - 1), filters, {**before, f"stage{number}": nn.Sequential(layers)}))
    units, rates = _times(width, UNITS), one_each(dropout, 2)
    places = POOLED if is_large else 1
    widths = (num_inputs * places**2, units)
    then = OrderedDict[str, nn.Module](
        pool5=nn.MaxPool2d(2, ceil_mode=not is_large), avgpool=nn.AdaptiveAvgPool2d(places), flatten=nn.Flatten()
    )
    for i, (before_it, rate) in enumerate(zip(widths, rates, strict=True), start=1):
        then[f"dense{i}"] = dense_block(before_it, units, activation_name="relu", dropout=rate, normalisation="none")
    return Backbone(inputs, found, then, num_features=units, num_outputs=num_outputs)


def _times(width: float, channels: int) -> int:
    return max(1, round(width * channels))


@final
class VggSettings(OwnSettings):
    """Of VGG nets: depth and batch norm are in the name."""

    width: float = _fields.width()


def build(wanted: Wanted) -> nn.Module:
    require_side(wanted.name, wanted.inputs, SMALLEST)
    return vgg(
        PLANS[wanted.name],
        wanted.inputs,
        wanted.num_outputs,
        has_norm=wanted.name in NORMALISED,
        width=wanted.own.width,
        dropout=wanted.dropout,
    )


def defaults(name: str, inputs: PictureInputs, num_train: int) -> dict[str, Any]:
    slower = {} if name in NORMALISED else {"optimiser.learning_rate": _defaults.RATE_WITHOUT_NORM}
    return {
        **_defaults.picture_recipe(num_train),
        **slower,
        "regularise.dropout": (0.5,),
        "regularise.augment": _defaults.augment(inputs),
    }


def _naming(name: str) -> Naming:
    """torchvision counts the layers through all stages: convolutions, norms, ReLUs and pools."""
    rules, place = [], 0
    for number, depth in enumerate(PLANS[name], start=1):
        for i in range(1, depth + 1):
            rules.append((rf"^features\.{place}\.", f"stage{number}.conv{i}."))
            if name in NORMALISED:
                rules.append((rf"^features\.{place + 1}\.", f"stage{number}.norm{i}."))
            place += 3 if name in NORMALISED else 2
        place += 1
    dense = ((r"^classifier\.0\.", "dense1.linear."), (r"^classifier\.3\.", "dense2.linear."))
    return Naming("torchvision", (*rules, *dense, (r"^classifier\.6\.", "head.")), IMAGENET_MEAN, IMAGENET_STD)


FAMILY = Family(
    names=tuple(PLANS),
    title="VGG nets",
    source="Simonyan & Zisserman 2015",
    takes=("picture",),
    build=build,
    settings=VggSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS, DROPOUT}),
    defaults=defaults,
    larger={name: larger for names in (PLAIN, NORMALISED) for name, larger in itertools.pairwise(names)},
    gives=("vector", "features"),
    usual={name: Usual(224) for name in PLANS},
    namings=lambda name, _own: (_naming(name),),
)
