"""Scaling depth, width and resolution together beats scaling one of them at equal multiply-adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from gnomon.checks.shapes_and_cost import layer_table, totals
from gnomon.figures.style import BLUE, GREEN, MUTED, ORANGE, PURPLE, error_axis, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._convnets import Recipe, error_of, small_net, train
from gnomon.gallery._method import TUNING_SEEDS, below, best_of, over_seeds
from gnomon.gallery._pictures import dots
from gnomon.gallery._small_pictures import Pictures, digits
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHANNELS = 6  # of the base net's first stage
TIMES = 4  # as many multiply-adds in the scaled nets, as nearly as whole widths and depths allow
COLOURS = {"base": MUTED, "deeper": ORANGE, "wider": GREEN, "sharper": PURPLE, "compound": BLUE}
NAMES = {"base": "base", "deeper": "only deeper", "wider": "only wider", "sharper": "only sharper",
         "compound": "all three"}  # fmt: skip
ALONE = ("deeper", "wider", "sharper")
RATES = (0.03, 0.1)
EPOCHS = 12
TRAIN_ON, DEV = 1000, 750


@dataclass(frozen=True)
class Shape:
    """Blocks of all three stages, channels of the first stage, side of the pictures in pixels."""

    blocks: int
    channels: float
    side: int

    @property
    def layers(self) -> int:
        return 2 * self.blocks + 2


@dataclass(frozen=True)
class Measured:
    """For "base", "deeper", "wider", "sharper", "compound"."""

    shapes: Mapping[str, Shape]
    multiply_adds: Mapping[str, int]  # of one picture, forward
    num_parameters: Mapping[str, int]
    rates: Mapping[str, float]  # the best of RATES on the tuning seeds, by the dev error
    errors: Mapping[str, Array]  # (seeds,) on dev


def build(shape: Shape, pictures: Pictures, seed: int) -> nn.Module:
    """The blocks are spread evenly over the stages, the first stages get what is left over."""
    first, second, third = ((shape.blocks + 2 - stage) // 3 for stage in range(3))
    return small_net(pictures.resized(shape.side), seed, blocks=(first, second, third), channels=shape.channels)


def cost(shape: Shape, pictures: Pictures) -> int:
    one = pictures.take(slice(1)).resized(shape.side)
    net = build(shape, pictures.take(slice(1)), 0)
    return totals(layer_table(net, lambda model: model(one.images), batch_size=1)).multiply_adds


def scaled(pictures: Pictures) -> dict[str, Shape]:
    """The base net sees pictures of half the side; each scaled one costs as nearly TIMES as much as it can.

    Together: 4 blocks where the base has 3, a side 5/4 as long, and the channels that fit.
    """
    full = pictures.images.shape[2]
    base = Shape(3, CHANNELS, full // 2)
    wanted = TIMES * cost(base, pictures)

    def nearest(shapes: Sequence[Shape]) -> Shape:
        return min(shapes, key=lambda shape: abs(cost(shape, pictures) - wanted))

    wider = [CHANNELS + quarters / 4 for quarters in range(1, 5 * CHANNELS)]
    return {
        "base": base,
        "deeper": nearest([Shape(blocks, CHANNELS, base.side) for blocks in range(4, 18)]),
        "wider": nearest([Shape(3, channels, base.side) for channels in wider]),
        "sharper": Shape(3, CHANNELS, full),
        "compound": nearest([Shape(4, channels, base.side * 5 // 4) for channels in wider]),
    }


def dev_error(shape: Shape, rate: float, seed: int, pictures: Pictures) -> float:
    part, dev = pictures.split(seed, train=TRAIN_ON, dev=DEV)
    net = build(shape, part, seed)
    train(net, part.resized(shape.side), Recipe(EPOCHS, rate), seed)
    return error_of(net, dev.resized(shape.side))


def measure(seeds: Sequence[int], progress: Progress, pictures: Pictures) -> Measured:
    shapes = scaled(pictures)
    rates, errors = dict[str, float](), dict[str, Array]()
    for i, (name, shape) in enumerate(shapes.items()):

        def tuned(rate: float, shape: Shape = shape) -> float:
            return float(np.mean([dev_error(shape, rate, seed, pictures) for seed in TUNING_SEEDS]))

        progress(i / len(shapes), NAMES[name])
        rates[name] = best_of(tuned, RATES)
        errors[name] = np.array([dev_error(shape, rates[name], seed, pictures) for seed in seeds])
    nets = {name: build(shape, pictures, 0) for name, shape in shapes.items()}
    return Measured(
        shapes,
        {name: cost(shape, pictures) for name, shape in shapes.items()},
        {name: sum(each.numel() for each in net.parameters()) for name, net in nets.items()},
        rates,
        errors,
    )


def judge(measured: Measured) -> tuple[Part, ...]:
    points = {name: 100 * errors for name, errors in measured.errors.items()}
    more = over_seeds(points["compound"] - points["base"])
    parts = [
        below(f"{TIMES} times the multiply-adds, all three scaled: lower dev error than the base", more, 0, "points")
    ]
    for name in ALONE:
        apart = over_seeds(points["compound"] - points[name])
        parts.append(below(f"all three scaled: lower dev error than {NAMES[name]}", apart, 0, "points"))
    return tuple(parts)


def table(measured: Measured) -> Table:
    rows = []
    for name, shape in measured.shapes.items():
        rows.append((
            NAMES[name], f"{shape.layers}", f"{shape.channels:g}", f"{shape.side}x{shape.side}",
            f"{measured.multiply_adds[name]:,}", f"{measured.num_parameters[name]:,}", f"{measured.rates[name]:g}",
            f"{100 * measured.errors[name].mean():.2f} %",
        ))  # fmt: skip
    head = ("net", "layers", "channels", "pixels", "multiply-adds", "parameters", "best rate", "dev error")
    return Table(head, tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.3)
    axes = figure.subplots()
    names = list(measured.shapes)
    labels = []
    for name in names:
        shape = measured.shapes[name]
        times = measured.multiply_adds[name] / measured.multiply_adds["base"]
        labels.append(
            f"{NAMES[name]}\n{shape.layers} layers\n{shape.channels:g} channels\n"
            f"{shape.side}x{shape.side} pixels\n{times:.1f} times the cost"
        )
    dots(axes, [measured.errors[name] for name in names], labels, [COLOURS[name] for name in names])
    error_axis(axes, "y", "share")
    axes.set_ylim(0, None)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_ylabel("dev error")
    axes.set_title("one dot per seed, the bar is the median")
    return figure


CLAIM = Claim(
    claimed="Scaling up a single dimension of a network, its width, its depth or the resolution of its pictures, "
    "improves accuracy, but less and less. At equal multiply-adds it is better to scale all three together.",
    source="Tan & Le 2019, section 3; Ng, Convolutional Neural Networks, week 2.",
    experiment=f"{TRAIN_ON:,} digits for training, {DEV} for dev. The base is a residual net of 8 layers with batch "
    f"norm and {CHANNELS} channels in the first of three stages, on digits of half their side (4x4 pixels). Four nets "
    f"have about {TIMES} times its multiply-adds: deeper, wider, on the digits of 8x8, or 10 layers on 5x5 with the "
    f"channels that fit. (EfficientNets scale by 1.2, 1.1 and 1.15 for every doubling: here whole layers and pixels.) "
    f"{EPOCHS} epochs, mini-batches of 64, momentum 0.9, a rate that falls along a cosine; the better of the rates "
    f"{RATES[0]:g} and {RATES[1]:g} for each, by the dev error on three separate seeds.",
    rule="The difference of dev errors, all three scaled minus the base, and minus each of the nets with one dimension "
    "scaled, is below 0. Each with the whole 95 % interval over seeds.",
    seeds=8,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
    pictures=digits,
)
