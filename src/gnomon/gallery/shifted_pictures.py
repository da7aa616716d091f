"""A convnet with pools recognises a shifted picture better than one without; shared filters alone do not do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from gnomon.figures.style import error_axis, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._compared import Plan, compare, conv
from gnomon.gallery._convnets import error_of
from gnomon.gallery._method import above, below, over_seeds
from gnomon.gallery._pictures import COLOURS, spread
from gnomon.gallery._small_pictures import Pictures, digits
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARGIN = 4  # pixels of zeros on each side
SHIFTS = (0, 1, 2, 3)  # pixels, left, right, up and down
FAR = 2
CHANNELS = (16, 32)
HIDDEN = 64
PLAN = Plan(train=600, dev=300, epochs=16, rates=(0.1, 0.3))
NAMES = {"dense": "dense", "none": "convolutions, no pool", "pools": "with pools", "everywhere": "pooled everywhere"}
SURE = 2.0  # percentage points


@dataclass(frozen=True)
class Measured:
    """For each of NAMES."""

    errors: Mapping[str, Array]  # (seeds, len(SHIFTS)) on dev, the mean over the four directions
    rates: Mapping[str, float]


def net(kind: str, pictures: Pictures) -> nn.Module:
    channels, height, width = pictures.images.shape[1:]
    first, second = CHANNELS
    if kind == "dense":
        body: list[nn.Module] = [nn.Flatten(), *_dense(channels * height * width)]
    elif kind == "none":
        body = [conv(channels, first), conv(first, second), nn.Flatten(), *_dense(second * height * width)]
    elif kind == "pools":
        body = [conv(channels, first), nn.MaxPool2d(2), conv(first, second), nn.MaxPool2d(2), nn.Flatten()]
        body += _dense(second * (height // 4) * (width // 4))
    else:  # the mean of each feature over the whole picture, wherever it is
        body = [conv(channels, first), conv(first, second), conv(second, HIDDEN), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*body, nn.Linear(HIDDEN, pictures.num_classes))


def _dense(num_inputs: int) -> list[nn.Module]:
    return [nn.Linear(num_inputs, HIDDEN, bias=False), nn.BatchNorm1d(HIDDEN), nn.ReLU()]


def shifted(pictures: Pictures, down: int, right: int) -> Pictures:
    """What leaves on one side would come in at the other; the margin is wider than any shift."""
    return replace(pictures, images=torch.roll(pictures.images, (down, right), dims=(2, 3)))


def measure(seeds: Sequence[int], progress: Progress, pictures: Pictures) -> Measured:
    framed = replace(pictures, images=functional.pad(pictures.images, (MARGIN,) * 4))
    nets = {kind: (lambda given, kind=kind: net(kind, given)) for kind in NAMES}
    errors: dict[str, list[list[float]]] = {kind: [] for kind in NAMES}

    def look(name: str, trained: nn.Module, dev: Pictures) -> None:
        errors[name].append([
            float(np.mean([error_of(trained, shifted(dev, down * far, right * far))
                           for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0))]))
            for far in SHIFTS
        ])  # fmt: skip

    found = compare(nets, PLAN, seeds, progress, framed, look=look)
    return Measured({kind: np.array(rows) for kind, rows in errors.items()}, found.rates)


def judge(measured: Measured) -> tuple[Part, ...]:
    far = {kind: 100 * errors[:, SHIFTS.index(FAR)] for kind, errors in measured.errors.items()}
    rise = far["everywhere"] - 100 * measured.errors["everywhere"][:, 0]
    return (
        above(f"shifted by {FAR} pixels, a net without pools has a higher error than one with pools",
              over_seeds(far["none"] - far["pools"]), 0, "points"),
        above("a dense net has a higher error than convolutions without pools", over_seeds(far["dense"] - far["none"]),
              0, "points"),
        below(f"pooled everywhere, the error rises by less than {SURE:g} points", over_seeds(rise), SURE, "points"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    head = ("net", "best rate", "not shifted", *(f"by {far} pixel{'s' if far > 1 else ''}" for far in SHIFTS[1:]))
    return Table(head, tuple(
        (label, f"{measured.rates[kind]:g}", *(f"{100 * e:.1f} %" for e in measured.errors[kind].mean(axis=0)))
        for kind, label in NAMES.items()
    ))  # fmt: skip


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.0)
    axes = figure.subplots()
    for (kind, label), colour in zip(NAMES.items(), COLOURS, strict=False):
        spread(axes, np.array(SHIFTS), measured.errors[kind], label, colour, marker="o", markersize=4)
    axes.set_xticks(SHIFTS)
    axes.set_xlabel("shifted by, pixels")
    axes.set_ylabel("dev error")
    error_axis(axes, "y", "share")
    axes.set_ylim(0, 1)
    axes.legend(fontsize=8)
    return figure


CLAIM = Claim(
    claimed="A picture shifted by a few pixels should be given the same label. That a convnet applies the same "
    "filter all over the picture helps it to be robust to shifts, and pools make its answer nearly independent of "
    "small ones.",
    source="LeCun et al. 1998, section 2; Zhang 2019 (pools with strides are not invariant); Ng, Convolutional "
    "Neural Networks, week 1.",
    experiment="Digits of 8x8 pixels in the middle of 16x16, never shifted in training; dev pictures shifted by 0 to "
    f"{SHIFTS[-1]} pixels in four directions. A dense net of {HIDDEN} units; two convolutions 3x3 ({CHANNELS[0]} and "
    f"{CHANNELS[1]} channels) before such a layer; the same with a max pool 2x2 after each; three convolutions and "
    f"the mean of each channel over the whole picture. Batch norm and ReLU in all. {PLAN.says}",
    rule=f"Over seeds, each with the whole 95 % interval: shifted by {FAR} pixels, the dev error without pools minus "
    "with pools is above 0, and of the dense net minus convolutions without pools, too; pooled everywhere, it is "
    f"less than {SURE:g} points above that of pictures that are not shifted.",
    seeds=6,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
    pictures=digits,
)
