"""LeNet-5, in the form it is taught in today."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, final

from torch import nn

from gnomon.core.errors import UsageError
from gnomon.core.family import Family, PictureInputs, Usual, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, DROPOUT, HIDDEN_LAYERS
from gnomon.core.settings import Activations, OwnSettings
from gnomon.models import _defaults, _fields
from gnomon.nn.activations import Activation
from gnomon.nn.blocks import Normalisation, activation_each, conv_block, dense_block, one_each
from gnomon.nn.normalise import Normalise

FILTERS = (8, 16)  # of the two convolutions
UNITS = (120, 84)  # of the two dense layers
FILTER = 5  # pixels per side, no padding
POOL = 2
SMALLEST = 16  # pixels per side: smaller pictures leave nothing after the second pool


def lenet5(
    channels_in: int,
    num_outputs: int,
    *,
    image_size: tuple[int, int],
    mean: Sequence[float],
    std: Sequence[float],
    activation: Activation | Sequence[Activation] = "relu",
    dropout: Sequence[float] = (),
    normalisation: Normalisation = "none",
) -> nn.Sequential:
    """(B, C, H, W) with (H, W) = image_size -> (B, num_outputs).

    On 32x32x3 with ten classes the layers have 608, 3216, 48120, 10164 and 850 parameters. `dropout` is that of the
    two dense layers, one value or two. Raises UsageError for pictures below 16 pixels per side.
    The original had 6 filters, average pooling and a squashing activation; max pooling and ReLU learn faster.
    Source: LeCun et al. 1998, figure 2.
    """
    if min(image_size) < SMALLEST:
        raise UsageError(
            f"lenet5 needs pictures of at least {SMALLEST}x{SMALLEST} pixels, got {image_size[0]}x{image_size[1]}.",
            fix=f"use model=convnet, or image_size={SMALLEST}.",
        )
    layers: OrderedDict[str, nn.Module] = OrderedDict(normalise=Normalise(mean, std))
    height, width = image_size
    names = activation_each(activation, len(FILTERS) + len(UNITS))
    stages = zip((channels_in, *FILTERS), FILTERS, names, strict=False)
    for number, (num_inputs, filters, name) in enumerate(stages, start=1):
        layers[f"conv{number}"] = conv_block(
            num_inputs, filters, size=FILTER, padding=0, pool=POOL, activation_name=name,
            normalisation=normalisation,
        )  # fmt: skip
        height, width = ((side - FILTER + 1) // POOL for side in (height, width))
    layers["flatten"] = nn.Flatten()
    flat = FILTERS[-1] * height * width
    rates = one_each(dropout, len(UNITS))
    dense_layers = zip((flat, *UNITS), UNITS, names[len(FILTERS) :], rates, strict=False)
    for number, (num_inputs, units, name, rate) in enumerate(dense_layers, start=1):
        layers[f"dense{number}"] = dense_block(
            num_inputs, units, activation_name=name, dropout=rate, normalisation=normalisation
        )
    layers["head"] = nn.Linear(UNITS[-1], num_outputs)
    return nn.Sequential(layers)


@final
class LenetSettings(OwnSettings):
    """Of LeNet-5: its widths are fixed."""

    activation: Activations | None = _fields.activation()
    normalisation: _fields.Normalised | None = _fields.normalisation()


def build(wanted: Wanted) -> nn.Module:
    own, inputs = wanted.own, wanted.inputs
    return lenet5(
        inputs.channels,
        wanted.num_outputs or 1,
        image_size=(inputs.height, inputs.width),
        mean=inputs.mean,
        std=inputs.std,
        activation=own.activation or ("relu",),
        dropout=wanted.dropout,
        normalisation=own.normalisation or "none",
    )


def defaults(name: str, inputs: PictureInputs, num_train: int) -> dict[str, Any]:
    return {
        **_defaults.picture_recipe(num_train),
        "model.activation": "relu",
        "model.normalisation": "batch",
        "regularise.dropout": (0.3,),
        "regularise.augment": _defaults.augment(inputs),
    }


FAMILY = Family(
    names=("lenet5",),
    title="LeNet-5",
    source="LeCun et al. 1998, figure 2",
    takes=("picture",),
    build=build,
    settings=LenetSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS, DROPOUT}),
    defaults=defaults,
    usual={"lenet5": Usual(32, num_outputs=10)},
)
