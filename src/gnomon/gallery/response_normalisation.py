"""Local response normalisation hardly helps; batch norm does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from gnomon.figures.style import new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._compared import HEAD, Compared, Plan, compare, show_errors
from gnomon.gallery._method import above, below, factor, over_seeds, within
from gnomon.gallery._pictures import dots
from gnomon.gallery._small_pictures import Pictures, digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHANNELS = (32, 32, 64)
NEAR, ALPHA, BETA, K = 5, 1e-4, 0.75, 2.0  # Krizhevsky et al. 2012, section 3.3
PLAN = Plan(train=600, dev=500, epochs=12, rates=(0.01, 0.03, 0.1, 0.3))
NAMES = {"none": "neither", "response": "response", "batch": "batch norm"}
LITTLE = 1.0  # percentage points


@dataclass(frozen=True)
class Measured:
    """For each of NAMES."""

    compared: Compared


def net(kind: str, pictures: Pictures) -> nn.Module:
    layers: list[nn.Module] = []
    for i, (num_inputs, num_outputs) in enumerate(
        zip((pictures.images.shape[1], *CHANNELS), CHANNELS, strict=False), start=1
    ):
        layers.append(nn.Conv2d(num_inputs, num_outputs, 3, padding=1))
        if kind == "batch":
            layers.append(nn.BatchNorm2d(num_outputs))
        layers.append(nn.ReLU())
        if kind == "response" and i < len(CHANNELS):  # after the first two, as in AlexNet
            layers.append(nn.LocalResponseNorm(NEAR, alpha=NEAR * ALPHA, beta=BETA, k=K))  # torch divides by NEAR
        if i > 1:
            layers.append(nn.MaxPool2d(2))
    side = pictures.images.shape[2] // 4
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(CHANNELS[-1] * side**2, pictures.num_classes))


def measure(seeds: Sequence[int], progress: Progress, pictures: Pictures) -> Measured:
    pictures = pictures.resized(pictures.images.shape[2] // 4 * 4)
    nets = {kind: (lambda given, kind=kind: net(kind, given)) for kind in NAMES}
    return Measured(compare(nets, PLAN, seeds, progress, pictures))


def judge(measured: Measured) -> tuple[Part, ...]:
    found = measured.compared
    change, gain = (over_seeds(found.more_errors("none", kind)) for kind in ("response", "batch"))
    cost = factor(found.dev_costs["batch"], found.dev_costs["response"])
    return (
        within(f"it changes the dev error by less than {LITTLE:g} point", change, -LITTLE, LITTLE, "points lower"),
        above("batch norm lowers the dev error", gain, 0, "points lower"),
        below("with batch norm the dev cost is lower than with response normalisation", cost, 1, "times the cost"),
    )


def table(measured: Measured) -> Table:
    return Table(HEAD, tuple(measured.compared.row(kind, label) for kind, label in NAMES.items()))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(2.9)
    left, right = figure.subplots(1, 2)
    show_errors(left, measured.compared, NAMES)
    dots(right, [measured.compared.dev_costs[kind] for kind in NAMES], list(NAMES.values()))
    right.set_title("dev cost, nats")
    right.set_ylim(0, None)
    return figure


CLAIM = Claim(
    claimed="AlexNet had local response normalisation; later researchers found that it does not help much, and the "
    "networks of today use batch norm instead.",
    source="Krizhevsky et al. 2012, section 3.3 (1.2 to 1.4 points better); Simonyan & Zisserman 2015, section 4.1 "
    "(no better); Ng, Convolutional Neural Networks, week 2.",
    experiment=f"Digits of 8x8 pixels. Three convolutions 3x3 to {', '.join(map(str, CHANNELS))} channels with ReLU, "
    f"pools after the second and third, a dense layer. Nothing else; or response normalisation over {NEAR} channels "
    f"after the first two (alpha {ALPHA:g}, beta {BETA:g}, k {K:g}); or batch norm before each ReLU. {PLAN.says}",
    rule="Over seeds, each with the whole 95 % interval: the dev error without minus with response normalisation is "
    f"between -{LITTLE:g} and {LITTLE:g} point, without minus with batch norm above 0; the ratio of dev costs of "
    "batch norm to response normalisation is below 1.",
    seeds=12,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
    pictures=digits,
)
