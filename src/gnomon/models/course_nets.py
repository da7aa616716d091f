"""The two small convnets of the course's programming exercises: a smile or none, and six signs made with a hand."""

from __future__ import annotations

from typing import Any, final

from torch import nn

from gnomon.core.family import Family, PictureInputs, Usual, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, HIDDEN_LAYERS
from gnomon.core.settings import OwnSettings
from gnomon.models import _defaults
from gnomon.models._backbone import Backbone, Stage, require_side

SMALLEST = 2  # pixels per side: a pool of the first net leaves one place


def smile(inputs: PictureInputs, num_outputs: int | None) -> Backbone:
    """(B, C, H, W) with the given H and W -> (B, num_outputs), or the map of stride 1.

    Zeros of 3 pixels around it, convolution 7x7 to 32 channels, batch norm, ReLU, max pool 2, dense.
    Source: Course 4, week 1, exercise 2 ("happy model").
    """
    stage = {"zeros": nn.ZeroPad2d(3), "conv": nn.Conv2d(inputs.channels, 32, 7), "norm": nn.BatchNorm2d(32)}
    then = {"pool": nn.MaxPool2d(2), "flatten": nn.Flatten()}
    num_features = 32 * (inputs.height // 2) * (inputs.width // 2)
    stages = [Stage(1, 32, {**stage, "relu": nn.ReLU()})]
    return Backbone(inputs, stages, then, num_features=num_features, num_outputs=num_outputs)


def signs(inputs: PictureInputs, num_outputs: int | None) -> Backbone:
    """(B, C, H, W) with the given H and W -> (B, num_outputs), or the maps of strides 1 and 8.

    Convolution 4x4 to 8 channels, ReLU, max pool 8, convolution 2x2 to 16, ReLU, max pool 4, dense. Zeros keep the
    size before each convolution, the odd one at the right and at the bottom, as TensorFlow's "same" has it; pools round
    sizes up. Source: Course 4, week 1, exercise 2 ("convolutional model").
    """
    first = {"zeros1": nn.ZeroPad2d((1, 2, 1, 2)), "conv1": nn.Conv2d(inputs.channels, 8, 4), "relu1": nn.ReLU()}
    second = {"zeros2": nn.ZeroPad2d((0, 1, 0, 1)), "conv2": nn.Conv2d(8, 16, 2), "relu2": nn.ReLU()}
    stages = [Stage(1, 8, first), Stage(8, 16, {"pool1": nn.MaxPool2d(8, ceil_mode=True), **second})]
    then = {"pool2": nn.MaxPool2d(4, ceil_mode=True), "flatten": nn.Flatten()}
    num_features = 16 * -(-inputs.height // 32) * -(-inputs.width // 32)
    return Backbone(inputs, stages, then, num_features=num_features, num_outputs=num_outputs)


NETS = {"signs": signs, "smile": smile}


def build(wanted: Wanted) -> nn.Module:
    require_side(wanted.name, wanted.inputs, SMALLEST)
    return NETS[wanted.name](wanted.inputs, wanted.num_outputs)


def defaults(name: str, inputs: PictureInputs, num_train: int) -> dict[str, Any]:
    return {**_defaults.picture_recipe(num_train), "regularise.augment": _defaults.augment(inputs)}


@final
class CourseNetSettings(OwnSettings):
    """Of the small nets: their widths are fixed."""


FAMILY = Family(
    names=tuple(NETS),
    title="two small convnets of the course",
    source="Ng, Deep Learning Specialization, course 4, week 1",
    takes=("picture",),
    build=build,
    settings=CourseNetSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS}),
    defaults=defaults,
    gives=("vector", "features"),
    usual={"signs": Usual(64, num_outputs=6), "smile": Usual(64, num_outputs=1)},
)
