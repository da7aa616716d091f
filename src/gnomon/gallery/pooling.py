"""Max pooling works better than average pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from gnomon.figures.style import new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._compared import HEAD, Compared, Plan, compare, conv, show_errors
from gnomon.gallery._method import above, below, factor, over_seeds
from gnomon.gallery._pictures import dots
from gnomon.gallery._small_pictures import Pictures, digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHANNELS = (16, 32)
PLAN = Plan(train=600, dev=500, epochs=12, rates=(0.03, 0.1, 0.3))
NAMES = {"max": "max", "average": "average", "stride": "none: stride 2"}


@dataclass(frozen=True)
class Measured:
    """For each of NAMES."""

    compared: Compared


def net(kind: str, pictures: Pictures) -> nn.Module:
    layers: list[nn.Module] = []
    for num_inputs, num_outputs in zip((pictures.images.shape[1], *CHANNELS), CHANNELS, strict=False):
        block = conv(num_inputs, num_outputs)
        if kind == "stride":
            block[0].stride = (2, 2)  # type: ignore[index, assignment]
        layers.append(block)
        if kind != "stride":
            layers.append(nn.MaxPool2d(2) if kind == "max" else nn.AvgPool2d(2))
    side = pictures.images.shape[2] // 4
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(CHANNELS[-1] * side**2, pictures.num_classes))


def measure(seeds: Sequence[int], progress: Progress, pictures: Pictures) -> Measured:
    pictures = pictures.resized(pictures.images.shape[2] // 4 * 4)  # two pools of 2 leave no rest
    nets = {kind: (lambda given, kind=kind: net(kind, given)) for kind in NAMES}
    return Measured(compare(nets, PLAN, seeds, progress, pictures))


def judge(measured: Measured) -> tuple[Part, ...]:
    found = measured.compared
    cost = factor(found.dev_costs["max"], found.dev_costs["average"])
    return (
        above("average pooling has a higher dev error", over_seeds(found.more_errors("average", "max")), 0, "points"),
        below("max pooling has a lower dev cost", cost, 1, "times the cost"),
        above("strides without pools have a higher dev error than max pools",
              over_seeds(found.more_errors("stride", "max")), 0, "points"),
    )  # fmt: skip


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
    claimed="Max pooling is used much more often than average pooling: it is found to work well in many experiments. "
    "A maximum keeps the strongest sign of a feature, wherever in the window it is; an average waters it down.",
    source="Scherer et al. 2010; Ng, Convolutional Neural Networks, week 1.",
    experiment=f"Digits of 8x8 pixels. Two convolutions 3x3 to {CHANNELS[0]} and {CHANNELS[1]} channels with batch "
    "norm and ReLU, each followed by a pool of 2x2, maximum or average, or with a stride of 2 and no pool; then a "
    f"dense layer. {PLAN.says}",
    rule="Over seeds, each with the whole 95 % interval: the dev error with average pools minus that with max pools "
    "is above 0, the ratio of dev costs of max to average below 1, the dev error with strides minus that with max "
    "pools above 0.",
    seeds=24,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
    pictures=digits,
)
