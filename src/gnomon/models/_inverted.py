"""Stages of inverted residual blocks, as MobileNet v2 and the EfficientNets have them, and timm's names for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from gnomon.core.family import PictureInputs
from gnomon.models._backbone import Stage, skipped_halvings
from gnomon.nn.depthwise import ConvNorm, InvertedResidual

SQUEEZE = 4  # channels that enter a block, per channel that decides in squeeze and excitation


@dataclass(frozen=True)
class Blocks:
    """A stage: so many blocks, the first of them with the stride."""

    expansion: int
    size: int  # of the depthwise filters
    stride: int
    channels: int
    number: int


def inverted_stages(
    inputs: PictureInputs,
    stem: int,
    table: Sequence[Blocks],
    *,
    squeezes: bool = False,
    stochastic_depth: float = 0.0,
    options: Mapping[str, Any],
) -> list[Stage]:
    """A convolution 3x3 of stride 2 to `stem` channels, then a stage per entry of the table: `stage1`, `stage2`, ...

    Pictures of less than 64 pixels per side keep their size through the first two layers of stride 2. The share of
    examples that skip a block rises from 0 in the first to nearly `stochastic_depth` in the last. `options` are those
    of every layer: activation, padding, epsilon.
    """
    left_out = skipped_halvings(inputs)
    stride = 1 if left_out else 2
    first_layer = ConvNorm(inputs.channels, stem, size=3, stride=stride, **options)
    num_inputs, halvings, place, total = stem, 1, 0, sum(blocks.number for blocks in table)
    stages = []
    for number, blocks in enumerate(table, start=1):
        halvings += blocks.stride == 2
        first = 1 if halvings <= left_out else blocks.stride
        stride *= first
        layers = []
        for i in range(blocks.number):
            layers.append(
                InvertedResidual(
                    num_inputs, blocks.channels, expansion=blocks.expansion, size=blocks.size,
                    stride=1 if i else first, num_squeezed=max(1, num_inputs // SQUEEZE) if squeezes else 0,
                    stochastic_depth=stochastic_depth * place / total, **options,
                )
            )  # fmt: skip
            num_inputs, place = blocks.channels, place + 1
        before = {"stem": first_layer} if number == 1 else {}
        stages.append(Stage(stride, num_inputs, {**before, f"stage{number}": nn.Sequential(*layers)}))
    return stages


STAGES_OF_TIMM = tuple((rf"^blocks\.{number}\.", f"stage{number + 1}.") for number in range(7))
TIMM = (
    (r"^conv_stem\.", "stem.conv."), (r"^bn1\.", "stem.norm."), (r"^conv_head\.", "last.conv."),
    (r"^bn2\.", "last.norm."), (r"^classifier\.", "head."), *STAGES_OF_TIMM,
    # the blocks of the first stage do not expand
    (r"^(stage1\.\d+)\.conv_dw\.", r"\1.depthwise.conv."), (r"^(stage1\.\d+)\.bn1\.", r"\1.depthwise.norm."),
    (r"^(stage1\.\d+)\.conv_pw\.", r"\1.project.conv."), (r"^(stage1\.\d+)\.bn2\.", r"\1.project.norm."),
    (r"\.conv_pw\.", ".expand.conv."), (r"\.bn1\.", ".expand.norm."), (r"\.conv_dw\.", ".depthwise.conv."),
    (r"\.bn2\.", ".depthwise.norm."), (r"\.se\.conv_reduce\.", ".squeeze.fc1."),
    (r"\.se\.conv_expand\.", ".squeeze.fc2."), (r"\.conv_pwl\.", ".project.conv."), (r"\.bn3\.", ".project.norm."),
)  # fmt: skip


def places(table: Sequence[Blocks]) -> list[str]:
    """Our name of each block, for libraries that count them through all stages."""
    return [f"stage{number}.{i}" for number, blocks in enumerate(table, start=1) for i in range(blocks.number)]
