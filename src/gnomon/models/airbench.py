"""airbench: a small convnet made to learn CIFAR-10 in as little computing as possible."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from gnomon.core.family import Family, PictureInputs, Usual, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, HIDDEN_LAYERS
from gnomon.core.settings import OwnSettings
from gnomon.models import _defaults, _fields
from gnomon.models._backbone import Backbone, Stage, require_side
from gnomon.nn.groups import ParameterGroup

SMALLEST = 9  # pixels per side
CHANNELS = (64, 256, 256)  # of the stages. Jordan 2024, section 3
SCALE = 1 / 9  # of what the head takes
BIAS_RATE = 16.0  # the paper has 64, with scales of batch norm that are not trained; other values were not tried
SQUARE = ((1.0, 1.0, 1.0, 1.0), (1.0, 1.0, -1.0, -1.0), (1.0, -1.0, 1.0, -1.0), (1.0, -1.0, -1.0, 1.0))
COLOUR = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (1.0, -2.0, 1.0))  # brightness, red against blue, green against both


@final
class Patches(nn.Module):
    """(B, C, H, W) -> (B, 8 C, H - 1, W - 1): each 2x2 patch by what is nearly independent in natural pictures.

    Mean, and differences down, across and diagonal; in pictures of three channels each of brightness and of two colour
    differences. Every filter is there with both signs, since ReLU keeps half of what passes. Nothing in the filters is
    trained; batch norm brings each to the same spread. The paper has the eigenvectors of the training patches instead,
    which for natural pictures are about these.
    """

    filters: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        colour = torch.tensor(COLOUR) if channels == 3 else torch.eye(channels)
        colour = colour / colour.norm(dim=1, keepdim=True)
        square = torch.tensor(SQUARE).view(4, 2, 2) / 2
        kinds = torch.einsum("ahw,bc->abchw", square, colour).reshape(4 * channels, channels, 2, 2)
        self.register_buffer("filters", torch.cat((kinds, -kinds)), persistent=False)
        self.norm = nn.BatchNorm2d(len(self.filters))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.norm(nn.functional.conv2d(x, self.filters.to(x.dtype)))
        return found


@final
class Group(nn.Module):
    """(B, num_inputs, H, W) -> (B, num_outputs, H / 2, W / 2), rounded down: convolution, pool, and one more."""

    def __init__(self, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(num_inputs, num_outputs, 3, padding=1, bias=False)
        self.pool = nn.MaxPool2d(2)
        self.norm1 = nn.BatchNorm2d(num_outputs)
        self.conv2 = nn.Conv2d(num_outputs, num_outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.gelu(self.norm1(self.pool(self.conv1(x))))
        return nn.functional.gelu(self.norm2(self.conv2(x)))

    def parameter_groups(self) -> list[ParameterGroup]:
        """Biases learn faster: what passes a unit is set before what it looks for."""
        return [ParameterGroup([self.norm1.bias, self.norm2.bias], BIAS_RATE)]

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:
        """The first filters of a layer begin by handing on its inputs. Source: Jordan 2024, section 3.2."""
        for one in (self.conv1, self.conv2):
            nn.init.dirac_(one.weight[: one.in_channels])


@final
class Scaled(nn.Module):
    """x -> x / 9: the logits then begin small, and stay so for longer."""

    def forward(self, x: Tensor) -> Tensor:
        return SCALE * x


def airbench(inputs: PictureInputs, num_outputs: int | None, *, width: float = 1.0) -> Backbone:
    """(B, C, H, W) pictures of any size from 9 -> (B, num_outputs), or the maps of strides 2, 4 and 8.

    Fixed filters 2x2, three groups of two convolutions 3x3 with a pool after the first, a maximum over all places, the
    head. `width` multiplies the channels. Source: Jordan 2024 ("94% on CIFAR-10 in 3.29 seconds on a single GPU"),
    section 3; there the head has no bias and batch norm no scale, and the first filters have a bias and no batch norm.
    """
    num_inputs, stages = 8 * inputs.channels, []
    before: dict[str, nn.Module] = {"patches": Patches(inputs.channels), "gelu": nn.GELU()}
    for number, channels in enumerate(CHANNELS, start=1):
        filters = max(1, round(width * channels))
        stages.append(Stage(2**number, filters, {**before, f"group{number}": Group(num_inputs, filters)}))
        num_inputs, before = filters, {}
    then = {"pool": nn.AdaptiveMaxPool2d(1), "flatten": nn.Flatten(), "scaled": Scaled()}
    return Backbone(inputs, stages, then, num_features=num_inputs, num_outputs=num_outputs)


@final
class AirbenchSettings(OwnSettings):
    """Of airbench."""

    width: float = _fields.width()


def build(wanted: Wanted) -> nn.Module:
    require_side(wanted.name, wanted.inputs, SMALLEST)
    return airbench(wanted.inputs, wanted.num_outputs, width=wanted.own.width)


def defaults(name: str, inputs: PictureInputs, num_train: int) -> dict[str, Any]:
    return {**_defaults.picture_recipe(num_train), "regularise.augment": _defaults.augment(inputs)}


FAMILY = Family(
    names=("airbench",),
    title="a convnet made to learn quickly",
    source="Jordan 2024",
    takes=("picture",),
    build=build,
    settings=AirbenchSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS}),
    defaults=defaults,
    gives=("vector", "features"),
    usual={"airbench": Usual(32, num_outputs=10)},
)
