"""Residual nets for volumes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor, nn

from gnomon.core.family import Family, VolumeInputs, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, HIDDEN_LAYERS
from gnomon.core.settings import OwnSettings
from gnomon.models import _defaults, _fields


@dataclass(frozen=True)
class Plan:
    """What a name stands for."""

    blocks: tuple[int, ...]  # of each stage, of two convolutions each
    channels: tuple[int, ...]  # of each stage
    stem: tuple[int, int, int]  # slices, rows and columns of the first convolution
    halves_from: int  # rows and columns from which it halves both


PLANS = {  # the smallest first
    "resnet3d8": Plan((1, 1, 1), (16, 32, 64), (3, 3, 3), 32),
    "resnet3d18": Plan((2, 2, 2, 2), (64, 128, 256, 512), (3, 7, 7), 1),
}


@final
class Block(nn.Module):
    """(B, num_inputs, D, H, W) -> (B, num_outputs, D / stride, H / stride, W / stride): two convolutions 3x3x3.

    Batch norm after each. What came in is added before the last ReLU, through a convolution 1x1x1 where the shape
    changes.
    """

    def __init__(self, num_inputs: int, num_outputs: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = _convolution(num_inputs, num_outputs, (3, 3, 3), stride=(stride,) * 3)
        self.bn1 = nn.BatchNorm3d(num_outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = _convolution(num_outputs, num_outputs, (3, 3, 3), stride=(1, 1, 1))
        self.bn2 = nn.BatchNorm3d(num_outputs)
        self.downsample: nn.Sequential | None = None
        if stride > 1 or num_inputs != num_outputs:
            projection = _convolution(num_inputs, num_outputs, (1, 1, 1), stride=(stride,) * 3)
            self.downsample = nn.Sequential(projection, nn.BatchNorm3d(num_outputs))
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        around = x if self.downsample is None else self.downsample(x)
        x = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        result: Tensor = self.relu2(x + around)
        return result


def resnet3d(plan: Plan, inputs: VolumeInputs, num_outputs: int, *, width: float = 1.0) -> nn.Sequential:
    """(B, C, D, H, W) volumes -> (B, num_outputs), for any size: each stage after the first halves all three sides.

    "resnet3d18" is the net R3D-18, with torchvision's number of parameters. "resnet3d8" has a single block in each of
    three stages, for small volumes and small sets; like R3D-18 its first convolution halves rows and columns, but not
    where there are fewer than 32. `width` multiplies the channels of every layer. Source: Tran et al. 2018, table 1.
    """
    channels = [max(1, round(width * filters)) for filters in plan.channels]
    halves = 2 if min(inputs.height, inputs.width) >= plan.halves_from else 1
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv1"] = _convolution(inputs.channels, channels[0], plan.stem, stride=(1, halves, halves))
    layers["bn1"], layers["relu"] = nn.BatchNorm3d(channels[0]), nn.ReLU()
    before = channels[0]
    for number, (filters, blocks) in enumerate(zip(channels, plan.blocks, strict=True), start=1):
        stride = 1 if number == 1 else 2
        stage = [Block(filters if i else before, filters, stride=1 if i else stride) for i in range(blocks)]
        layers[f"layer{number}"], before = nn.Sequential(*stage), filters
    layers["avgpool"], layers["flatten"] = nn.AdaptiveAvgPool3d(1), nn.Flatten()
    layers["head"] = nn.Linear(before, num_outputs)
    return nn.Sequential(layers)


def _convolution(
    num_inputs: int, num_outputs: int, size: tuple[int, int, int], *, stride: tuple[int, ...]
) -> nn.Conv3d:
    """Padded to keep the size at stride 1; batch norm follows and brings the bias."""
    padding = tuple(side // 2 for side in size)
    return nn.Conv3d(num_inputs, num_outputs, size, stride=stride, padding=padding, bias=False)  # type: ignore[arg-type]


@final
class ResNet3dSettings(OwnSettings):
    """Of residual nets for volumes: depth is in the name."""

    width: float = _fields.width()


def build(wanted: Wanted) -> nn.Module:
    return resnet3d(PLANS[wanted.name], wanted.inputs, wanted.num_outputs or 1, width=wanted.own.width)


def defaults(name: str, inputs: VolumeInputs, num_train: int) -> dict[str, Any]:
    return _defaults.volume_recipe(num_train)


FAMILY = Family(
    names=tuple(PLANS),
    title="residual nets for volumes",
    source="Tran et al. 2018",
    takes=("volume",),
    build=build,
    settings=ResNet3dSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS}),
    defaults=defaults,
    larger={"resnet3d8": "resnet3d18"},
)
