"""A small convnet: gnomon's first model for pictures."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, final

from torch import nn

from gnomon.core.errors import UsageError
from gnomon.core.family import Family, PictureInputs, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, DROPOUT, HIDDEN_LAYERS
from gnomon.core.settings import Activations, OwnSettings, Widths
from gnomon.models import _defaults, _fields
from gnomon.nn.activations import Activation
from gnomon.nn.blocks import Normalisation, activation_each, conv_block, dense_block, one_each
from gnomon.nn.normalise import Normalise

FILTER = 3  # pixels per side, padded to keep the size
POOL = 2
CHANNELS = (32, 64)  # of the stages, if the settings leave them unset
LARGE_PICTURE = 48  # pixels per side from which it starts with fewer channels and gets a fourth stage


def convnet(
    channels_in: int,
    num_outputs: int,
    *,
    image_size: tuple[int, int],
    channels: Sequence[int],
    hidden: Sequence[int],
    mean: Sequence[float],
    std: Sequence[float],
    activation: Activation | Sequence[Activation] = "relu",
    dropout: Sequence[float] = (),
    normalisation: Normalisation = "none",
) -> nn.Sequential:
    """(B, C, H, W) with (H, W) = image_size -> (B, num_outputs).

    One stage per entry of `channels` (convolution 3x3, max pool 2), then one dense layer per entry of `hidden`, then
    the head. `activation` is one for all, or one each for stages and dense layers in their order. `dropout` is that of
    the dense layers, one value or one each; without a dense layer, that of the flattened maps. Raises UsageError if the
    picture is too small for that many pooling stages.
    """
    if min(image_size) < POOL ** len(channels):
        raise UsageError(
            f"pictures of {image_size[0]}x{image_size[1]} pixels are too small for {len(channels)} pooling stages.",
            fix=f"use image_size={max(4, POOL ** len(channels))}, or give model.channels fewer entries.",
        )
    layers: OrderedDict[str, nn.Module] = OrderedDict(normalise=Normalise(mean, std))
    height, width = image_size
    names = activation_each(activation, len(channels) + len(hidden))
    stages = zip((channels_in, *channels), channels, names, strict=False)
    for number, (num_inputs, filters, name) in enumerate(stages, start=1):
        layers[f"stage{number}"] = conv_block(
            num_inputs, filters, size=FILTER, padding=FILTER // 2, pool=POOL, activation_name=name,
            normalisation=normalisation,
        )  # fmt: skip
        height, width = height // POOL, width // POOL
    layers["flatten"] = nn.Flatten()
    flat = (channels_in, *channels)[-1] * height * width
    rates = one_each(dropout, max(1, len(hidden)))
    if not hidden and rates[0] > 0:
        layers["dropout"] = nn.Dropout(rates[0])
    dense_layers = zip((flat, *hidden), hidden, names[len(channels) :], rates, strict=False)
    for number, (num_inputs, units, name, rate) in enumerate(dense_layers, start=1):
        layers[f"dense{number}"] = dense_block(
            num_inputs, units, activation_name=name, dropout=rate, normalisation=normalisation
        )
    layers["head"] = nn.Linear(hidden[-1] if hidden else flat, num_outputs)
    return nn.Sequential(layers)


@final
class ConvnetSettings(OwnSettings):
    """Of a small convnet."""

    channels: Widths | None = _fields.channels("channels of each stage, e.g. 32,64,128")
    hidden: Widths | None = _fields.hidden("units of each dense layer after the stages (none: nothing)", is_body=False)
    activation: Activations | None = _fields.activation()
    normalisation: _fields.Normalised | None = _fields.normalisation()


def build(wanted: Wanted) -> nn.Module:
    own, inputs = wanted.own, wanted.inputs
    return convnet(
        inputs.channels,
        wanted.num_outputs or 1,
        image_size=(inputs.height, inputs.width),
        channels=CHANNELS if own.channels is None else own.channels,
        hidden=own.hidden or (),
        mean=inputs.mean,
        std=inputs.std,
        activation=own.activation or ("relu",),
        dropout=wanted.dropout,
        normalisation=own.normalisation or "none",
    )


def defaults(name: str, inputs: PictureInputs, num_train: int) -> dict[str, Any]:
    is_colour, side = inputs.channels == 3, min(inputs.height, inputs.width)
    stages: tuple[int, ...]
    hidden: tuple[int, ...]
    if side >= LARGE_PICTURE:
        stages, hidden = (16, 32, 64, 128), (128,)
    elif is_colour:
        stages, hidden = (32, 64, 128), ()
    else:
        stages, hidden = CHANNELS, (128,)
    return {
        **_defaults.picture_recipe(num_train),
        "model.channels": stages[: int(math.log2(side))],  # each halves the picture
        "model.hidden": hidden,
        "model.activation": "relu",
        "model.normalisation": "batch",
        "regularise.dropout": (0.3,) if hidden else (),
        "regularise.augment": _defaults.augment(inputs),
    }


FAMILY = Family(
    names=("convnet",),
    title="small convnets",
    source="LeCun et al. 1989; sizes and recipe measured (docs/log.md)",
    takes=("picture",),
    build=build,
    settings=ConvnetSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS, DROPOUT}),
    defaults=defaults,
)
