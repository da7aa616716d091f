"""Depthwise separable convolutions cost a fraction of full ones, and beat full ones that cost the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from gnomon.checks.shapes_and_cost import layer_table, totals
from gnomon.figures.style import new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._compared import HEAD, Compared, Plan, compare, conv, show_costs, show_errors
from gnomon.gallery._method import above, below, fact, over_seeds
from gnomon.gallery._small_pictures import Pictures, digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 64  # channels of the blocks
THIN = 22  # channels of the net of full convolutions that costs about as much as the separable one
DEPTH = 3  # blocks
PLAN = Plan(train=600, dev=500, epochs=12, rates=(0.03, 0.1, 0.3))
NAMES = {"full": "full", "separable": "separable", "thin": "full, as cheap"}
HARM = 1.0  # percentage points


@dataclass(frozen=True)
class Measured:
    """For each of NAMES."""

    compared: Compared
    blocks: tuple[int, int]  # multiply-adds of one block: full, separable


def separable(num_inputs: int, num_outputs: int) -> nn.Module:
    """A filter 3x3 for each channel, then 1x1 over all of them."""
    return nn.Sequential(conv(num_inputs, num_inputs, groups=num_inputs), conv(num_inputs, num_outputs, 1))


def net(kind: str, pictures: Pictures) -> nn.Module:
    width = THIN if kind == "thin" else WIDTH
    block = separable if kind == "separable" else conv
    return nn.Sequential(
        conv(pictures.images.shape[1], width), *(block(width, width) for _ in range(DEPTH)), nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, pictures.num_classes),
    )  # fmt: skip


def measure(seeds: Sequence[int], progress: Progress, pictures: Pictures) -> Measured:
    nets = {kind: (lambda given, kind=kind: net(kind, given)) for kind in NAMES}
    found = compare(nets, PLAN, seeds, progress, pictures)
    return Measured(found, (_cost(conv(WIDTH, WIDTH)), _cost(separable(WIDTH, WIDTH))))


def _cost(block: nn.Module) -> int:
    rows = layer_table(block, lambda block: block(torch.zeros(1, WIDTH, 8, 8)), batch_size=1)
    return totals(rows).multiply_adds


def judge(measured: Measured) -> tuple[Part, ...]:
    found, (full, apart) = measured.compared, measured.blocks
    formula = 1 / WIDTH + 1 / 9
    harm, gain = (over_seeds(found.more_errors(*pair)) for pair in (("separable", "full"), ("thin", "separable")))
    return (
        fact("a block costs 1/n' + 1/f² of a full one (n' channels out, f pixels)", abs(apart / full - formula) < 1e-12,
             f"{apart:,} / {full:,} = {apart / full:.4f}; formula: {formula:.4f}"),
        below(f"the dev error rises by less than {HARM:g} point", harm, HARM, "points"),
        above("full convolutions that are as cheap have a higher dev error", gain, 0, "points"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    labels = {"full": f"full, {WIDTH} channels", "separable": f"separable, {WIDTH}", "thin": f"full, {THIN}"}
    return Table(HEAD, tuple(measured.compared.row(kind, label) for kind, label in labels.items()))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(2.9)
    left, right = figure.subplots(1, 2)
    show_costs(left, measured.compared, NAMES)
    show_errors(right, measured.compared, NAMES)
    return figure


CLAIM = Claim(
    claimed="A depthwise separable convolution costs 1/n' + 1/f² of a full one, for MobileNet eight to nine times "
    "less, at only a small reduction in accuracy; thinner nets of full convolutions lose more.",
    source="Howard et al. 2017, section 3.1 and table 4; Ng, Convolutional Neural Networks, week 2.",
    experiment=f"Digits of 8x8 pixels. A convolution 3x3 to {WIDTH} channels, {DEPTH} blocks 3x3 that keep them, a "
    f"pool and a dense layer; full blocks, separable ones (3x3 for each channel, then 1x1), or full ones of {THIN} "
    f"channels, which cost about as much. Batch norm and ReLU after each convolution. {PLAN.says}",
    rule="By the layer table: a block costs what the formula says. Over seeds, each with the whole 95 % interval: "
    f"the dev error of the separable net is less than {HARM:g} point above that of the full one (the paper loses 1.1 "
    "on ImageNet), and that of the thin full one is above that of the separable one.",
    seeds=8,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
    pictures=digits,
)
