"""Valid convolutions see the border of a picture less than its middle, and lose what is there; same ones do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from gnomon.figures.style import new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._compared import HEAD, Compared, Plan, compare, conv, show_errors
from gnomon.gallery._method import above, fact, over_seeds
from gnomon.gallery._small_pictures import Pictures, digits
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHANNELS = (16, 32, 32)  # of three convolutions 3x3
MARGIN = len(CHANNELS)  # pixels that valid ones remove on each side
SMALLEST = 2 * MARGIN + 1
PLAN = Plan(train=600, dev=500, epochs=12, rates=(0.03, 0.1, 0.3))
NAMES = {"same": "same", "valid": "valid", "valid, margin": f"valid, with a\nmargin of {MARGIN}"}


@dataclass(frozen=True)
class Measured:
    """For each of NAMES."""

    compared: Compared
    uses: Array  # (8, 8) how many places of a valid convolution 3x3 use each pixel


def net(kind: str, pictures: Pictures) -> nn.Module:
    channels = (pictures.images.shape[1], *CHANNELS)
    layers = [conv(*pair, padding=int(kind == "same")) for pair in zip(channels, CHANNELS, strict=False)]
    before = [nn.ZeroPad2d(MARGIN)] if kind == "valid, margin" else []
    removed = 2 * MARGIN if kind == "valid" else 0
    places = (pictures.images.shape[2] - removed) * (pictures.images.shape[3] - removed)
    return nn.Sequential(*before, *layers, nn.Flatten(), nn.Linear(CHANNELS[-1] * places, pictures.num_classes))


def measure(seeds: Sequence[int], progress: Progress, pictures: Pictures) -> Measured:
    images = pictures.images
    if min(images.shape[2:]) < SMALLEST:
        pictures = replace(pictures, images=functional.interpolate(images, size=SMALLEST))
    nets = {kind: (lambda given, kind=kind: net(kind, given)) for kind in NAMES}
    compared = compare(nets, PLAN, seeds, progress, pictures)
    ones = torch.ones(1, 1, 6, 6)
    return Measured(compared, functional.conv_transpose2d(ones, torch.ones(1, 1, 3, 3))[0, 0].double().numpy())


def judge(measured: Measured) -> tuple[Part, ...]:
    found, uses = measured.compared, measured.uses
    return (
        fact("a valid 3x3 on 8x8 uses a corner once and a pixel in the middle nine times",
             (uses[0, 0], uses[3, 3]) == (1, 9), f"{uses[0, 0]:g} and {uses[3, 3]:g} of {uses.sum():g} uses"),
        above("valid convolutions have a higher dev error than same ones",
              over_seeds(found.more_errors("valid", "same")), 0, "points"),
        above("a margin of zeros, which they may remove instead of the picture, lowers their dev error",
              over_seeds(found.more_errors("valid", "valid, margin")), 0, "points"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    labels = {kind: label.replace("\n", " ") for kind, label in NAMES.items()}
    return Table(HEAD, tuple(measured.compared.row(kind, label) for kind, label in labels.items()))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(2.9)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
    _uses(left, measured.uses)
    show_errors(right, measured.compared, NAMES)
    return figure


def _uses(axes: Axes, uses: Array) -> None:
    axes.imshow(uses, cmap="Blues", vmin=0, vmax=12)
    for row, column in np.ndindex(*uses.shape):
        axes.text(column, row, f"{uses[row, column]:.0f}", ha="center", va="center", fontsize=7)
    axes.set_title("places that use a pixel (valid)")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)


CLAIM = Claim(
    claimed="Without padding a picture shrinks at every layer, and pixels at the corners and edges are used much "
    "less than those in the middle, so that a lot of the information near the edge is thrown away.",
    source="Dumoulin & Visin 2016, chapter 2; Ng, Convolutional Neural Networks, week 1.",
    experiment=f"Digits of 8x8 pixels, which touch the edge. {len(CHANNELS)} convolutions 3x3 to "
    f"{', '.join(map(str, CHANNELS))} channels with batch norm and ReLU, then a dense layer: padded to keep the size "
    f"(same), not padded (valid: 8x8 ends as 2x2), or not padded but with a margin of {MARGIN} zeros around the "
    f"picture, which is all that they remove. {PLAN.says}",
    rule="By counting: a corner is used once, a pixel in the middle nine times. Over seeds, each with the whole 95 % "
    "interval: the dev error of valid minus same is above 0, and of valid without minus with the margin above 0.",
    seeds=16,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
    pictures=digits,
)
