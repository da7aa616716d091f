"""A small convnet: gnomon's first model for pictures."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from gnomon.core.errors import UsageError
from gnomon.nn.activations import Activation
from gnomon.nn.blocks import Normalisation, activation_each, conv_block, dense_block, one_each
from gnomon.nn.normalise import Normalise

FILTER = 3  # pixels a side, padded to keep the size
POOL = 2


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

    One stage an entry of `channels` (convolution 3x3, max pool 2), then one dense layer an entry of `hidden`, then the
    head. `activation` is one for all, or one each for stages and dense layers in their order. `dropout` is that of the
    dense layers, one value or one each; without a dense layer, that of the flattened maps. Raises UsageError where the
    stages would pool the picture away.
    """
    if min(image_size) < POOL ** len(channels):
        raise UsageError(
            f"{len(channels)} stages halve a picture of {image_size[0]}x{image_size[1]} pixels away to nothing.",
            fix=f"say image_size={max(4, POOL ** len(channels))}, or give model.channels fewer entries.",
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
