"""Residual nets, and the plain nets without skips that they were measured against."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.family import Family, Naming, PictureInputs, Usual, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, HIDDEN_LAYERS, Knob
from gnomon.core.settings import OwnSettings, setting
from gnomon.models import _defaults, _fields
from gnomon.models._backbone import LARGE_PICTURE, Backbone, Stage
from gnomon.models._defaults import IMAGENET_MEAN, IMAGENET_STD

EXPANSION = 4  # channels that leave a bottleneck, per channel inside
RESIDUAL = "residual branches"  # an ability: what `zero_gamma` needs
Shortcut = Literal["projection", "zeros", "none"]


@dataclass(frozen=True)
class Plan:
    """What a name stands for: blocks and channels of each stage, and the path around a block."""

    blocks: tuple[int, ...]
    channels: tuple[int, ...]
    shortcut: Shortcut
    is_bottleneck: bool = False


IMAGENET, CIFAR = (64, 128, 256, 512), (16, 32, 64)  # channels of the stages
CIFAR_SIZES = {6 * n + 2: (n, n, n) for n in (3, 5, 7, 9, 18)}  # layers -> blocks of each stage, of two layers each
PLANS = {  # the smallest of a kind first. He et al. 2016: section 4.2 (CIFAR), table 1 (ImageNet)
    **{f"resnet{size}": Plan(blocks, CIFAR, "zeros") for size, blocks in CIFAR_SIZES.items()},
    **{f"plain{size}": Plan(blocks, CIFAR, "none") for size, blocks in CIFAR_SIZES.items()},
    "resnet18": Plan((2, 2, 2, 2), IMAGENET, "projection"),
    "resnet34": Plan((3, 4, 6, 3), IMAGENET, "projection"),
    "resnet50": Plan((3, 4, 6, 3), IMAGENET, "projection", is_bottleneck=True),
    "resnet101": Plan((3, 4, 23, 3), IMAGENET, "projection", is_bottleneck=True),
    "resnet152": Plan((3, 8, 36, 3), IMAGENET, "projection", is_bottleneck=True),
}


@final
class Block(nn.Module):
    """(B, num_inputs, H, W) -> (B, num_outputs, H / stride, W / stride): convolutions, and a way around them.

    Two convolutions 3x3, or with `is_bottleneck` 1x1, 3x3, 1x1 with a quarter of the channels inside; batch norm after
    each. What came in is added before the last ReLU: through a convolution 1x1 where the shape changes ("projection",
    option B of the paper), by every `stride`-th pixel with zeros in new channels ("zeros", option A), or not at all
    ("none"). The stride is that of the 3x3 convolution, as in torchvision; the paper has it in the first 1x1.
    """

    def __init__(
        self, num_inputs: int, num_outputs: int, *, stride: int, shortcut: Shortcut, is_bottleneck: bool,
        starts_as_identity: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        inside = num_outputs // EXPANSION if is_bottleneck else num_outputs
        first = 1 if is_bottleneck else stride
        self.conv1 = _convolution(num_inputs, inside, size=1 if is_bottleneck else 3, stride=first)
        self.bn1 = nn.BatchNorm2d(inside)
        self.relu1 = nn.ReLU()
        self.conv2 = _convolution(inside, inside, size=3, stride=stride // first)
        self.bn2 = nn.BatchNorm2d(inside)
        self.relu2 = nn.ReLU()
        if is_bottleneck:
            self.conv3 = _convolution(inside, num_outputs, size=1, stride=1)
            self.bn3 = nn.BatchNorm2d(num_outputs)
            self.relu3 = nn.ReLU()
        self.downsample: nn.Sequential | None = None
        if shortcut == "projection" and (stride > 1 or num_inputs != num_outputs):
            projection = _convolution(num_inputs, num_outputs, size=1, stride=stride)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(num_outputs))
        self.is_bottleneck, self.starts_as_identity = is_bottleneck, starts_as_identity
        self.shortcut, self.stride, self.num_new = shortcut, stride, num_outputs - num_inputs

    def forward(self, x: Tensor) -> Tensor:
        around = self._around(x)
        x = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        last = self.relu2
        if self.is_bottleneck:
            x, last = self.bn3(self.conv3(self.relu2(x))), self.relu3
        result: Tensor = last(x if around is None else x + around)
        return result

    def _around(self, x: Tensor) -> Tensor | None:
        if self.shortcut == "none":
            return None
        if self.downsample is not None:
            projected: Tensor = self.downsample(x)
            return projected
        if self.stride > 1 or self.num_new:
            before = self.num_new // 2
            x = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.num_new - before))
        return x

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:
        """A block whose branch begins at zero begins as the identity. Source: Goyal et al. 2017, section 5.1."""
        if self.starts_as_identity:
            (self.bn3 if self.is_bottleneck else self.bn2).weight.zero_()


def resnet(
    plan: Plan, inputs: PictureInputs, num_outputs: int | None, *, width: float = 1.0, zero_gamma: bool = False
) -> Backbone:
    """(B, C, H, W) pictures -> (B, num_outputs), or where that is None the maps of the stages.

    Two stems. Pictures of at least 64 pixels per side meet, in the ImageNet nets, the published one: a convolution 7x7
    of stride 2 and a max pool of stride 2; their maps have strides 4, 8, 16 and 32. Smaller pictures, and all pictures
    in the CIFAR nets, meet a convolution 3x3 of stride 1 and no pool, which leaves strides 1, 2, 4 (and 8). `width`
    multiplies the channels of every layer; `zero_gamma` lets each block begin as the identity.

    Parameters have torchvision's names, with `head` for `fc`: a state dict of torchvision fits after that one
    renaming, beside the `normalise.mean` and `normalise.std` that are this model's own. In a CIFAR net `head` is
    mostly called `linear` or `fc` elsewhere. Source: He et al. 2016, table 1 and section 4.2.
    """
    channels = [max(1, round(width * filters)) for filters in plan.channels]
    halves = plan.channels == IMAGENET and min(inputs.height, inputs.width) >= LARGE_PICTURE
    stride, num_inputs, expansion = 4 if halves else 1, channels[0], EXPANSION if plan.is_bottleneck else 1
    stem = {
        "conv1": _convolution(inputs.channels, channels[0], size=7 if halves else 3, stride=2 if halves else 1),
        "bn1": nn.BatchNorm2d(channels[0]),
        "relu": nn.ReLU(),
        "maxpool": nn.MaxPool2d(3, stride=2, padding=1) if halves else nn.Identity(),
    }
    stages = []
    for number, (filters, blocks) in enumerate(zip(channels, plan.blocks, strict=True), start=1):
        num_filters, first = filters * expansion, 1 if number == 1 else 2
        layers = [
            Block(
                num_filters if i else num_inputs, num_filters, stride=1 if i else first, shortcut=plan.shortcut,
                is_bottleneck=plan.is_bottleneck, starts_as_identity=zero_gamma and plan.shortcut != "none",
            )
            for i in range(blocks)
        ]  # fmt: skip
        stride, num_inputs = stride * first, num_filters
        before = stem if number == 1 else {}
        stages.append(Stage(stride, num_filters, {**before, f"layer{number}": nn.Sequential(*layers)}))
    then = {"avgpool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    return Backbone(inputs, stages, then, num_features=num_inputs, num_outputs=num_outputs)


def _convolution(num_inputs: int, num_outputs: int, *, size: int, stride: int) -> nn.Conv2d:
    """Padded to keep the size at stride 1; batch norm follows and brings the bias."""
    return nn.Conv2d(num_inputs, num_outputs, size, stride=stride, padding=size // 2, bias=False)


@final
class ResNetSettings(OwnSettings):
    """Of residual and plain nets: depth and shortcuts are in the name."""

    width: float = _fields.width()
    zero_gamma: bool = setting(
        False,
        "whether each residual block begins as the identity: the scale of its last normalisation starts at 0",
        Knob(("fit-train",), needs=RESIDUAL),
    )


def build(wanted: Wanted) -> nn.Module:
    own = wanted.own
    return resnet(PLANS[wanted.name], wanted.inputs, wanted.num_outputs, width=own.width, zero_gamma=own.zero_gamma)


def abilities(name: str, own: ResNetSettings) -> frozenset[str]:
    is_residual = PLANS[name].shortcut != "none"
    return frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS, *({RESIDUAL} if is_residual else ())})


def defaults(name: str, inputs: PictureInputs, num_train: int) -> dict[str, Any]:
    return {**_defaults.picture_recipe(num_train), "regularise.augment": _defaults.augment(inputs)}


def _next_larger() -> dict[str, str]:
    """The next deeper net; of a plain net, which more layers do not help, its twin with skips."""
    by_kind: Sequence[list[str]] = (
        [name for name, plan in PLANS.items() if plan.shortcut == "zeros"],
        [name for name, plan in PLANS.items() if plan.shortcut == "projection"],
    )
    deeper = {name: larger for names in by_kind for name, larger in itertools.pairwise(names)}
    return {**deeper, **{f"plain{size}": f"resnet{size}" for size in CIFAR_SIZES}}


FAMILY = Family(
    names=tuple(PLANS),
    title="residual nets, and plain ones without skips",
    source="He et al. 2016",
    takes=("picture",),
    build=build,
    settings=ResNetSettings,
    abilities=abilities,
    defaults=defaults,
    larger=_next_larger(),
    gives=("vector", "features"),
    usual={
        name: Usual(224) if plan.channels == IMAGENET else Usual(32, num_outputs=10) for name, plan in PLANS.items()
    },
    namings=lambda _name, _own: (
        Naming("torchvision or timm", ((r"^fc\.", "head."),), IMAGENET_MEAN, IMAGENET_STD),
        Naming("CIFAR nets elsewhere", ((r"^(module\.)?", ""), (r"^linear\.", "head."), (r"shortcut", "downsample"))),
    ),
)
