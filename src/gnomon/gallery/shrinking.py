"""A net that shrinks the picture too fast loses what it cannot get back; one that does it step by step does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from gnomon.figures.style import new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._compared import HEAD, Compared, Plan, compare, conv, show_costs, show_errors
from gnomon.gallery._method import above, fact, over_seeds
from gnomon.gallery._small_pictures import Pictures, digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHANNELS = (16, 32, 32)
POOLS = {"steps": (1, 2, 2), "at once": (4, 1, 1), "at once, wide": (4, 1, 1)}  # after each convolution
WIDER = 2.75  # times the channels: as many multiply-adds as the net that shrinks step by step
PLAN = Plan(train=600, dev=500, epochs=12, rates=(0.03, 0.1, 0.3))
NAMES = {"steps": "step by step", "at once": "at once", "at once, wide": "at once,\nas costly"}
ALIKE = 0.1  # of the multiply-adds


@dataclass(frozen=True)
class Measured:
    """For each of NAMES."""

    compared: Compared


def net(kind: str, pictures: Pictures) -> nn.Module:
    channels = [round(each * (WIDER if kind == "at once, wide" else 1)) for each in CHANNELS]
    layers: list[nn.Module] = []
    for num_inputs, num_outputs, pool in zip(
        (pictures.images.shape[1], *channels), channels, POOLS[kind], strict=False
    ):
        layers += [conv(num_inputs, num_outputs), nn.MaxPool2d(pool)]
    side = pictures.images.shape[2] // 4
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels[-1] * side**2, pictures.num_classes))


def measure(seeds: Sequence[int], progress: Progress, pictures: Pictures) -> Measured:
    pictures = pictures.resized(pictures.images.shape[2] // 4 * 4)
    nets = {kind: (lambda given, kind=kind: net(kind, given)) for kind in NAMES}
    return Measured(compare(nets, PLAN, seeds, progress, pictures))


def judge(measured: Measured) -> tuple[Part, ...]:
    found = measured.compared
    costs = found.multiply_adds
    return (
        fact("the net that shrinks at once has as many parameters, and costs less than half",
             found.parameters["at once"] == found.parameters["steps"] and 2 * costs["at once"] < costs["steps"],
             f"{found.parameters['at once']:,} and {found.parameters['steps']:,} parameters; "
             f"{costs['at once']:,} and {costs['steps']:,} multiply-adds"),
        fact(f"with {WIDER:g} times the channels it costs as much, within {ALIKE:.0%}",
             abs(costs["at once, wide"] / costs["steps"] - 1) < ALIKE, f"{costs['at once, wide']:,} multiply-adds"),
        above("it has a higher dev error", over_seeds(found.more_errors("at once", "steps")), 0, "points"),
        above("so it has with more channels, as costly as the other",
              over_seeds(found.more_errors("at once, wide", "steps")), 0, "points"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    labels = {kind: label.replace("\n", " ") for kind, label in NAMES.items()}
    return Table(HEAD, tuple(measured.compared.row(kind, label) for kind, label in labels.items()))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(2.9)
    left, right = figure.subplots(1, 2)
    show_costs(left, measured.compared, NAMES)
    show_errors(right, measured.compared, NAMES)
    return figure


CLAIM = Claim(
    claimed="Avoid representational bottlenecks, especially early in the network: the size of the representation "
    "should gently decrease from the inputs to the outputs.",
    source="Szegedy et al. 2016, section 2, principle 1; Ng, Convolutional Neural Networks, week 1 (sizes "
    "fall gradually).",
    experiment=f"Digits of 8x8 pixels. Three convolutions 3x3 to {', '.join(map(str, CHANNELS))} channels with batch "
    "norm and ReLU, then a dense layer over 2x2 places. The picture is pooled to them step by step (8x8, 8x8, 4x4, "
    f"2x2) or at once, by a pool of 4x4 after the first convolution; the latter also with {WIDER:g} times the "
    f"channels, which costs as many multiply-adds. {PLAN.says}",
    rule="By the layer table: as many parameters, less than half of the multiply-adds. Over seeds, each with the "
    "whole 95 % interval: the dev error of shrinking at once minus step by step is above 0, with the same channels "
    "and with more.",
    seeds=24,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
    pictures=digits,
)
