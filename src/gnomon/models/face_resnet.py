"""The net of dlib's face recogniser: photographs of faces to 128 numbers, in which those of one person lie together."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.family import Family, Naming, PictureInputs, Usual, Wanted, Weights
from gnomon.core.knobs import DRAWN_WEIGHTS
from gnomon.models import _defaults
from gnomon.models._backbone import Backbone, Stage, require_side

NAME = "face-resnet"
SIDE = 150  # pixels per side that it was published for
SMALLEST, SMALLEST_LARGE = 30, 103  # pixels per side: below the second, the stem keeps the picture's size
STEM = 32  # channels
STAGES = ((32, 3, False), (64, 3, True), (128, 2, True), (256, 2, True), (256, 0, True))  # channels, blocks, halved
VECTOR = 128  # numbers that it gives
RESIDUAL = 0.3  # factor on the second half of a block at the start: there is no normalisation to keep sums small
MEAN = tuple(value / 255 for value in (122.782, 117.001, 104.298))  # of red, green, blue; dlib's
STD = (1.0, 1.0, 1.0)


@final
class Affine(nn.Module):
    """(B, C, H, W): each channel times a weight, plus a bias. What is left of a batch norm once it is trained."""

    def __init__(self, channels: int, start: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), start))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight.view(-1, 1, 1) + self.bias.view(-1, 1, 1)


def _conv(num_inputs: int, channels: int, *, size: int = 3, stride: int = 1, padding: int = 1, start: float = 1.0) \
        -> nn.Sequential:  # fmt: skip
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = nn.Conv2d(num_inputs, channels, size, stride, padding)
    layers["scale"] = Affine(channels, start)
    return nn.Sequential(layers)


@final
class FaceBlock(nn.Module):
    """Two convolutions beside a shortcut, which has no weights of its own.

    Where the block halves the map, its first convolution has stride 2 and no padding, the shortcut is the mean of 2x2,
    with channels of zeros where there are more now, and the shorter of the two sides is filled with zeros.
    """

    def __init__(self, num_inputs: int, channels: int, *, halves: bool) -> None:
        super().__init__()
        self.halves, self.added = halves, channels - num_inputs
        self.conv1 = _conv(num_inputs, channels, stride=2 if halves else 1, padding=0 if halves else 1)
        self.conv2 = _conv(channels, channels, start=RESIDUAL)

    def forward(self, x: Tensor) -> Tensor:
        found = self.conv2(functional.relu(self.conv1(x)))
        if self.halves:
            x = functional.avg_pool2d(x, 2)
            x = functional.pad(x, (0, 0, 0, 0, 0, self.added))
            (height, width), (here, there) = x.shape[-2:], found.shape[-2:]
            found = functional.pad(found, (0, width - there, 0, height - here))
        return functional.relu(found + x)


def face_resnet(inputs: PictureInputs, num_outputs: int | None) -> Backbone:
    """(B, C, H, W) pictures -> (B, num_outputs), from the 128 numbers that the net was published for.

    For pictures of 103 pixels per side and more the maps have strides 4, 8, 16, 32 and 64; for smaller ones 1 to 16.
    Source: King 2017, dlib's dnn_face_recognition_ex.cpp, as in @vladmandic/face-api 1.7.15: 29 convolutions, with
    batch norm folded into a factor and an offset.
    """
    is_large = min(inputs.height, inputs.width) >= SMALLEST_LARGE
    stem = _conv(inputs.channels, STEM, size=7, stride=2 if is_large else 1, padding=0)
    before: dict[str, nn.Module] = {"stem": stem, "relu": nn.ReLU()}
    if is_large:
        before["pool"] = nn.MaxPool2d(3, 2)
    stages, stride, num_inputs = [], 4 if is_large else 1, STEM
    for number, (channels, count, halves) in enumerate(STAGES, start=1):
        blocks = [FaceBlock(num_inputs, channels, halves=True)] if halves else []
        blocks += [FaceBlock(channels, channels, halves=False) for _ in range(count)]
        stride, num_inputs = stride * (2 if halves else 1), channels
        stages.append(Stage(stride, channels, {**before, f"stage{number}": nn.Sequential(*blocks)}))
        before = {}
    then = {
        "avgpool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "vector": nn.Linear(num_inputs, VECTOR, bias=False),
    }
    return Backbone(inputs, stages, then, num_features=VECTOR, num_outputs=num_outputs, gives_vectors=True)


def build(wanted: Wanted) -> nn.Module:
    require_side(wanted.name, wanted.inputs, SMALLEST)
    return face_resnet(wanted.inputs, wanted.num_outputs)


def defaults(_name: str, inputs: PictureInputs, num_train: int) -> dict[str, Any]:
    return {
        **_defaults.picture_recipe(num_train),
        "optimiser.learning_rate": _defaults.RATE_WITHOUT_NORM,
        "regularise.augment": _defaults.augment(inputs),
    }


def _of_face_api() -> tuple[tuple[str, str], ...]:
    """conv64_down/conv1/conv/filters: of the first block of the stage with 64 channels."""
    names = {"conv32_down": "stem", "conv256_down_out": "stage5.0"}
    for number, (channels, count, halves) in enumerate(STAGES[:4], start=1):
        blocks = ([f"conv{channels}_down"] if halves else []) + [f"conv{channels}_{i}" for i in range(1, count + 1)]
        names |= {block: f"stage{number}.{place}" for place, block in enumerate(blocks)}
    return (
        *((rf"^{theirs}/", f"{ours}.") for theirs, ours in names.items()),
        (r"^fc$", "vector.weight"),
        (r"/", "."), (r"\.filters$", ".weight"), (r"\.weights$", ".weight"), (r"\.biases$", ".bias"),
    )  # fmt: skip


FAMILY = Family(
    names=(NAME,),
    title="the net of dlib's face recogniser",
    source="King 2017 (dlib's dnn_face_recognition_resnet_model_v1)",
    takes=("picture",),
    build=build,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS}),
    defaults=defaults,
    gives=("vector", "features"),
    usual={NAME: Usual(SIDE, num_outputs=VECTOR)},
    namings=lambda _name, _own: (Naming("face-api", _of_face_api(), MEAN, STD),),
    weights=(
        Weights(
            NAME,
            "@vladmandic/face-api@1.7.15",
            "@vladmandic/face-api",
            "model/face_recognition_model-weights_manifest.json",
            "MIT; dlib's own file CC0",
            "3 million photographs of 7,485 faces",
            MEAN,
            STD,
            side=SIDE,
            variable="GNOMON_FACE_API",
            sha256="c2cf51e45a1f96cf2ba75d6b588dc259d7f602a813ff6efbeba4884d7359fad1",
        ),
    ),
)
