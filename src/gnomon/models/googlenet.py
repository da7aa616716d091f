"""GoogLeNet, also called Inception v1: filters of several sizes side by side, and heads on the way in training."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, final

import torch
from torch import Tensor, nn

from gnomon.core.family import Family, Naming, PictureInputs, Usual, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, DROPOUT, HIDDEN_LAYERS
from gnomon.core.settings import OwnSettings
from gnomon.models import _defaults, _fields
from gnomon.models._backbone import Backbone, Stage, require_side, skipped_halvings
from gnomon.models._defaults import HALF
from gnomon.nn.blocks import one_each
from gnomon.nn.initialise import HEAD_SCALE

SMALLEST = 16  # pixels per side
PUBLISHED = "googlenet-2014"
NORMALISED = "googlenet"
MODULES = {  # Szegedy et al. 2015, table 1: 1x1, before 3x3, 3x3, before 5x5, 5x5, after the pool
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
STEM = (64, 64, 192)  # channels of the three convolutions before them
SIDES = ("4a", "4d")  # what the side heads take
SIDE_PLACES, SIDE_FILTERS, SIDE_UNITS, SIDE_DROPOUT = 4, 128, 1024, 0.7  # section 5

Convolve = Callable[..., nn.Module]  # (num_inputs, num_outputs, size, stride=1)


@final
class Convolution(nn.Module):
    """(B, num_inputs, H, W) -> (B, num_outputs, H / stride, W / stride), rounded up; with norm or bias, and ReLU."""

    def __init__(self, num_inputs: int, num_outputs: int, size: int, stride: int = 1, *, has_norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(num_inputs, num_outputs, size, stride=stride, padding=size // 2, bias=not has_norm)
        self.bn = nn.BatchNorm2d(num_outputs, eps=1e-3) if has_norm else nn.Identity()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.relu(self.bn(self.conv(x)))
        return result


@final
class Inception(nn.Module):
    """(B, num_inputs, H, W) -> (B, the channels of the four branches, H, W).

    `largest` is the size of the third branch's filters. Source: Szegedy et al. 2015, figure 2b.
    """

    def __init__(self, num_inputs: int, channels: tuple[int, ...], convolve: Convolve, *, largest: int) -> None:
        super().__init__()
        alone, before_3, of_3, before_5, of_5, pooled = channels
        self.branch1 = convolve(num_inputs, alone, 1)
        self.branch2 = nn.Sequential(convolve(num_inputs, before_3, 1), convolve(before_3, of_3, 3))
        self.branch3 = nn.Sequential(convolve(num_inputs, before_5, 1), convolve(before_5, of_5, largest))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), convolve(num_inputs, pooled, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], dim=1)


@final
class SideHead(nn.Module):
    """(B, num_inputs, H, W) -> (B, num_outputs). Source: Szegedy et al. 2015, section 5, its pool made to fit."""

    def __init__(self, num_inputs: int, num_outputs: int, convolve: Convolve, *, width: float) -> None:
        super().__init__()
        filters, units = _times(width, SIDE_FILTERS), _times(width, SIDE_UNITS)
        self.avgpool = nn.AdaptiveAvgPool2d(SIDE_PLACES)
        self.conv = convolve(num_inputs, filters, 1)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(filters * SIDE_PLACES**2, units)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(SIDE_DROPOUT)
        self.fc2 = nn.Linear(units, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        units = self.relu(self.fc1(self.flatten(self.conv(self.avgpool(x)))))
        outputs: Tensor = self.fc2(self.dropout(units))
        return outputs

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:
        """Begin with an even guess, as the head does."""
        self.fc2.weight.mul_(HEAD_SCALE)


def googlenet(
    inputs: PictureInputs, num_outputs: int | None, *, as_published: bool, width: float, dropout: float
) -> Backbone:
    """(B, C, H, W) pictures of any size from 16 -> (B, num_outputs), or the maps of strides 2, 4, 8, 16 and 32.

    In training it gives WithSides. Pictures of less than 64 pixels per side keep their size through the first
    convolution and the first pool: strides 1, 2, 4 and 8. `as_published` has local response normalisation and filters
    of 5x5; the other, of the public weights, batch norm, filters of 3x3 in their place and a smaller last pool.
    `width` multiplies all channels. Source: Szegedy et al. 2015, table 1 and figure 3; torchvision.
    """
    convolve: Convolve = partial(Convolution, has_norm=not as_published)
    left_out = skipped_halvings(inputs)
    first, second, third = (_times(width, channels) for channels in STEM)
    stride = 1 if left_out else 2

    def normed(number: int) -> dict[str, nn.Module]:
        return {f"norm{number}": nn.LocalResponseNorm(5)} if as_published else {}

    stem = {"maxpool1": nn.Identity() if left_out else _pool(), **normed(1)}
    stem |= {"conv2": convolve(first, second, 1), "conv3": convolve(second, third, 3), **normed(2)}
    stages = [
        Stage(stride, first, {"conv1": convolve(inputs.channels, first, 7, stride)}),
        Stage(1 if left_out else 4, third, stem),
    ]
    stride, num_inputs, sides = stages[-1].stride, third, {}
    for number, size in ((3, 3), (4, 3), (5, 3 if as_published else 2)):
        stride *= 2
        stage: dict[str, nn.Module] = {f"maxpool{number - 1}": _pool(size)}
        for name in [name for name in MODULES if name[0] == str(number)]:
            channels = tuple(_times(width, each) for each in MODULES[name])
            stage[f"inception{name}"] = Inception(num_inputs, channels, convolve, largest=5 if as_published else 3)
            num_inputs = channels[0] + channels[2] + channels[4] + channels[5]
            if name in SIDES and num_outputs is not None:
                sides[f"inception{name}"] = SideHead(num_inputs, num_outputs, convolve, width=width)
        stages.append(Stage(stride, num_inputs, stage))
    then = OrderedDict[str, nn.Module](
        avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), dropout=nn.Dropout(dropout)
    )
    return Backbone(inputs, stages, then, num_features=num_inputs, num_outputs=num_outputs, sides=sides)


def _pool(size: int = 3) -> nn.MaxPool2d:
    return nn.MaxPool2d(size, stride=2, ceil_mode=True)


def _times(width: float, channels: int) -> int:
    return max(1, round(width * channels))


@final
class GoogLeNetSettings(OwnSettings):
    """Of GoogLeNet."""

    width: float = _fields.width()


def build(wanted: Wanted) -> nn.Module:
    require_side(wanted.name, wanted.inputs, SMALLEST)
    return googlenet(
        wanted.inputs,
        wanted.num_outputs,
        as_published=wanted.name == PUBLISHED,
        width=wanted.own.width,
        dropout=one_each(wanted.dropout, 1)[0],
    )


def defaults(name: str, inputs: PictureInputs, num_train: int) -> dict[str, Any]:
    slower = {"optimiser.learning_rate": _defaults.RATE_WITHOUT_NORM} if name == PUBLISHED else {}
    return {
        **_defaults.picture_recipe(num_train),
        **slower,
        "regularise.dropout": (0.4,),
        "regularise.augment": _defaults.augment(inputs),
    }


FAMILY = Family(
    names=(NORMALISED, PUBLISHED),
    title="GoogLeNet (Inception v1)",
    source="Szegedy et al. 2015",
    takes=("picture",),
    build=build,
    settings=GoogLeNetSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS, DROPOUT}),
    defaults=defaults,
    gives=("vector", "features"),
    usual={name: Usual(224) for name in (NORMALISED, PUBLISHED)},
    namings=lambda _name, _own: (Naming("torchvision", ((r"^fc\.", "head."),), HALF, HALF),),
    may_lack=r"^aux[12]\.",
)
