"""With few pictures a convnet learns more than a dense net: its filters are shared by all places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from gnomon.figures.style import BLUE, ORANGE, error_axis, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._compared import Compared, Plan, compare, conv
from gnomon.gallery._method import above, below, over_seeds
from gnomon.gallery._pictures import spread
from gnomon.gallery._small_pictures import Pictures, digits
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES = (50, 100, 200, 400, 800)  # pictures for training
FEW, MANY = 100, 800
HIDDEN = (128, 64)
CHANNELS = (16, 32)
STEPS = 120  # of descent, whatever the number of pictures: epochs by size
PLAN = Plan(train=MANY, dev=500, epochs=0, rates=(0.01, 0.03, 0.1, 0.3))
KINDS = {"dense": "dense", "convolutional": "convolutional"}
COLOURS = {"dense": ORANGE, "convolutional": BLUE}
HALF = 0.5


@dataclass(frozen=True)
class Measured:
    """For "dense" and "convolutional"."""

    errors: Mapping[str, Array]  # (seeds, len(SIZES)) on dev
    rates: Mapping[str, tuple[float, ...]]  # the best for each size
    parameters: Mapping[str, int]


def net(kind: str, pictures: Pictures) -> nn.Module:
    channels, height, width = pictures.images.shape[1:]
    if kind == "dense":
        layers: list[nn.Module] = [nn.Flatten()]
        for num_inputs, units in zip((channels * height * width, *HIDDEN), HIDDEN, strict=False):
            layers += [nn.Linear(num_inputs, units, bias=False), nn.BatchNorm1d(units), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(HIDDEN[-1], pictures.num_classes))
    first, second = CHANNELS
    return nn.Sequential(
        conv(channels, first), conv(first, second), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(second * (height // 2) * (width // 2), pictures.num_classes),
    )  # fmt: skip


def measure(seeds: Sequence[int], progress: Progress, pictures: Pictures) -> Measured:
    nets = {kind: (lambda given, kind=kind: net(kind, given)) for kind in KINDS}
    found: list[Compared] = []
    for i, size in enumerate(SIZES):

        def at_size(share: float, doing: str, i: int = i, size: int = size) -> None:
            progress((i + share) / len(SIZES), f"{size} pictures, {doing}")

        plan = replace(PLAN, train=size, epochs=STEPS // max(1, round(size / 64)))
        found.append(compare(nets, plan, seeds, at_size, pictures))
    return Measured(
        {kind: np.stack([each.errors[kind] for each in found], axis=1) for kind in KINDS},
        {kind: tuple(each.rates[kind] for each in found) for kind in KINDS},
        dict(found[0].parameters),
    )


def judge(measured: Measured) -> tuple[Part, ...]:
    few, many = SIZES.index(FEW), SIZES.index(MANY)
    gain = {size: 100 * (measured.errors["dense"][:, size] - measured.errors["convolutional"][:, size])
            for size in (few, few + 1, many)}  # fmt: skip
    saved = 100 * (measured.errors["convolutional"][:, few] - measured.errors["dense"][:, few + 1])
    return (
        above(f"with {FEW} pictures the dense net has a higher dev error", over_seeds(gain[few]), 0, "points"),
        above(f"the gain is larger with {FEW} pictures than with {MANY}", over_seeds(gain[few] - gain[many]), 0,
              "points"),
        below(f"the convnet needs half of the pictures: with {FEW} its dev error is below that of the dense net with "
              f"{2 * FEW}", over_seeds(saved), 0, "points"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    head = ("net", "parameters", *(f"{size} pictures" for size in SIZES))
    rows = tuple(
        (label, f"{measured.parameters[kind]:,}", *(f"{100 * e:.1f} %" for e in measured.errors[kind].mean(axis=0)))
        for kind, label in KINDS.items()
    )
    return Table(head, rows)


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.0)
    axes = figure.subplots()
    for kind, label in KINDS.items():
        spread(axes, np.array(SIZES), measured.errors[kind], label, COLOURS[kind], marker="o", markersize=4)
    axes.set_xscale("log")
    axes.set_xticks(SIZES, list(map(str, SIZES)))
    axes.minorticks_off()
    axes.set_xlabel("pictures for training")
    axes.set_ylabel("dev error")
    error_axis(axes, "y", "share")
    axes.set_ylim(0, None)
    axes.legend(fontsize=8)
    return figure


CLAIM = Claim(
    claimed="Convolutions share their parameters between all places and connect each output to few inputs. So a "
    "convnet has fewer parameters, can be trained with smaller training sets, and is less prone to overfitting.",
    source="LeCun et al. 1989; Ng, Convolutional Neural Networks, week 1 (why convolutions?).",
    experiment=f"{', '.join(map(str, SIZES))} digits of 8x8 pixels for training, {PLAN.dev} for dev. A dense net of "
    f"{HIDDEN[0]} and {HIDDEN[1]} units against two convolutions 3x3 to {CHANNELS[0]} and {CHANNELS[1]} channels, a "
    f"pool and a dense layer; batch norm and ReLU in both. About {STEPS} steps of momentum 0.9 with mini-batches of "
    f"up to 64, a rate that falls along a cosine from the best of {', '.join(f'{rate:g}' for rate in PLAN.rates)} for "
    "each net and size, by the dev cost over three separate seeds. Each seed has its own split, initial weights and "
    "order.",
    rule="Over seeds, each with the whole 95 % interval: the dev error of the dense net minus that of the convnet is "
    f"above 0 with {FEW} pictures, and larger than with {MANY}; the dev error of the convnet with {FEW} minus that of "
    f"the dense net with {2 * FEW} is below 0.",
    seeds=16,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
    pictures=digits,
)
