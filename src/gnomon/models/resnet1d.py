"""A residual net for signals and series: three blocks of long filters, and the mean over time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, final

from torch import Tensor, nn

from gnomon.core.family import Family, SeriesInputs, SignalInputs, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, HIDDEN_LAYERS
from gnomon.core.settings import OwnSettings
from gnomon.models import _defaults, _fields
from gnomon.nn.pooling import mean_over_steps
from gnomon.nn.recurrent import real_steps

CHANNELS = (64, 128, 128)  # of the blocks
FILTERS = (8, 5, 3)  # steps of the convolutions of each


@final
class Block(nn.Module):
    """(B, num_inputs, T) -> (B, num_outputs, T): convolutions of 8, 5 and 3 steps, and a way around them.

    Batch norm after each. What came in is added before the last ReLU, through a convolution of one step where the
    number of channels changes. A filter of 8 steps sees 3 before its place and 4 after it.
    """

    def __init__(self, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels = (num_inputs, num_outputs, num_outputs)
        for number, (size, before) in enumerate(zip(FILTERS, channels, strict=True), start=1):
            layers[f"pad{number}"] = nn.ConstantPad1d(((size - 1) // 2, size // 2), 0.0)
            layers[f"conv{number}"] = nn.Conv1d(before, num_outputs, size, bias=False)  # batch norm brings the bias
            layers[f"norm{number}"] = nn.BatchNorm1d(num_outputs)
            if number < len(FILTERS):
                layers[f"relu{number}"] = nn.ReLU()
        self.branch = nn.Sequential(layers)
        self.around: nn.Module = nn.Identity()
        if num_inputs != num_outputs:
            projection = nn.Conv1d(num_inputs, num_outputs, 1, bias=False)
            self.around = nn.Sequential(OrderedDict(conv=projection, norm=nn.BatchNorm1d(num_outputs)))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor, is_real: Tensor | None = None) -> Tensor:
        """`is_real` (B, 1, T): 0 where a series has ended. What follows is then 0 for every filter, as beyond T."""
        if is_real is None:
            result: Tensor = self.relu(self.branch(x) + self.around(x))
            return result
        found = x
        for layer in self.branch:
            found = layer(found) * is_real if isinstance(layer, nn.BatchNorm1d) else layer(found)
        return self.relu(found + self.around(x)) * is_real


def resnet1d(num_inputs: int, num_outputs: int, *, channels: Sequence[int] = CHANNELS) -> nn.Sequential:
    """(B, C, T) signals -> (B, num_outputs), for any T. One block per entry of `channels`.

    Source: Wang, Yan & Oates 2017, section II.C.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, filters in enumerate(channels, start=1):
        layers[f"block{number}"] = Block((num_inputs, *channels)[number - 1], filters)
    layers["pool"], layers["flatten"] = nn.AdaptiveAvgPool1d(1), nn.Flatten()
    layers["head"] = nn.Linear(channels[-1], num_outputs)
    return nn.Sequential(layers)


@final
class ForSeries(nn.Module):
    """(B, T, D) series, padded with 0, and their lengths (B,) -> (B, num_outputs): the same net on what is no padding.

    The mean is over the steps of each series. In training, batch norm takes the few padded steps of a batch for zeros.
    """

    def __init__(self, net: nn.Sequential) -> None:
        super().__init__()
        self.net = net

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        x, is_real = values.mT, real_steps(lengths, values.shape[1])[:, None].to(values.dtype)  # (B, D, T), (B, 1, T)
        for layer in self.net:
            if isinstance(layer, Block):
                x = layer(x, is_real)
        found: Tensor = self.net.get_submodule("head")(mean_over_steps(x.mT, lengths))
        return found


@final
class ResNet1dSettings(OwnSettings):
    """Of the residual net for signals."""

    width: float = _fields.width()


def build(wanted: Wanted) -> nn.Module:
    channels = [max(1, round(wanted.own.width * filters)) for filters in CHANNELS]
    if isinstance(wanted.inputs, SeriesInputs):
        return ForSeries(resnet1d(wanted.inputs.num_features, wanted.num_outputs or 1, channels=channels))
    return resnet1d(wanted.inputs.channels, wanted.num_outputs or 1, channels=channels)


def defaults(name: str, inputs: SignalInputs | SeriesInputs, num_train: int) -> dict[str, Any]:
    return _defaults.signal_recipe(num_train)


FAMILY = Family(
    names=("resnet1d",),
    title="residual nets for signals and series",
    source="Wang, Yan & Oates 2017",
    takes=("signal", "series"),
    build=build,
    settings=ResNet1dSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS}),
    defaults=defaults,
)
