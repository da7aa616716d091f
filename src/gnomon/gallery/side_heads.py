"""Side heads bring gradient to the lower layers of a deep net; it trains faster and generalises better."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.family import WithSides
from gnomon.figures.style import BLUE, ORANGE, error_axis, few_ticks, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._convnets import Recipe, cost_of, error_of, started, train
from gnomon.gallery._method import TUNING_SEED, above, below, best_of, factor, over_seeds
from gnomon.gallery._pictures import dots, spread
from gnomon.gallery._small_pictures import Pictures, digits
from gnomon.models.googlenet import googlenet
from gnomon.reference import Array
from gnomon.training.threads import using

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("without", "with")
NAMES = {"without": "without side heads", "with": "with side heads"}
COLOURS = {"without": ORANGE, "with": BLUE}
SIDE = 16  # pixels: the least that GoogLeNet takes
WIDTH = 1 / 8  # of the published channels
DROPOUT = 0.4
RATES = (0.01, 0.03)
EPOCHS, EARLY = 16, 8
TRAIN_ON, DEV = 800, 700


@dataclass(frozen=True)
class Measured:
    """For "without" and "with" side heads."""

    rates: Mapping[str, float]  # the best of RATES on the tuning seed, by the training cost
    gradients: Mapping[str, Array]  # (seeds,) of the first layer before the first step: the norm
    costs: Mapping[str, Array]  # (seeds, EPOCHS + 1) of the main head on all training pictures
    dev_errors: Mapping[str, Array]  # (seeds,) of the main head


def main_loss(outputs: WithSides, labels: Tensor) -> Tensor:
    return functional.cross_entropy(outputs.outputs, labels)


def with_sides(outputs: WithSides, labels: Tensor) -> Tensor:
    """Source: Szegedy et al. 2015, section 5: the weight is 0.3."""
    beside = [functional.cross_entropy(side, labels) for side in outputs.sides]
    return main_loss(outputs, labels) + outputs.weight * torch.stack(beside).sum()


LOSSES: Mapping[str, Callable[[WithSides, Tensor], Tensor]] = {"without": main_loss, "with": with_sides}


def build(part: Pictures, seed: int) -> nn.Module:
    """The published net (without batch norm), narrower. Without side heads it has them too, but they do not count."""
    net = googlenet(part.inputs, part.num_classes, as_published=True, width=WIDTH, dropout=DROPOUT)
    return started(net, seed)


def first_gradient(net: nn.Module, kind: str, part: Pictures, seed: int) -> float:
    """The norm of the gradient of the first layer's weights, for all training pictures."""
    with using(1), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net.train()
        LOSSES[kind](net(part.images), part.labels).backward()  # type: ignore[no-untyped-call]
    first = next(module for module in net.modules() if isinstance(module, nn.Conv2d))
    norm = float(cast(Tensor, first.weight.grad).norm())
    net.zero_grad()
    return norm


@dataclass(frozen=True)
class One:
    """A net's training."""

    gradient: float
    costs: list[float]
    dev_error: float


def one(kind: str, rate: float, seed: int, pictures: Pictures) -> One:
    part, dev = pictures.split(seed, train=TRAIN_ON, dev=DEV)
    net = build(part, seed)
    gradient, costs = first_gradient(net, kind, part, seed), [cost_of(net, part)]
    train(
        net, part, Recipe(EPOCHS, rate), seed, loss=LOSSES[kind], look=lambda _epoch: costs.append(cost_of(net, part))
    )
    costs += costs[:1] * (EPOCHS + 1 - len(costs))  # one that diverges counts as untrained
    return One(gradient, costs, error_of(net, dev))


def measure(seeds: Sequence[int], progress: Progress, pictures: Pictures) -> Measured:
    pictures = pictures.resized(SIDE)
    rates, found = dict[str, float](), dict[str, list[One]]()
    for i, kind in enumerate(KINDS):
        progress(i / 2, f"{NAMES[kind]}: choosing the rate")

        def final_cost(rate: float, kind: str = kind) -> float:
            return one(kind, rate, TUNING_SEED, pictures).costs[-1]

        rates[kind] = best_of(final_cost, RATES)
        for j, seed in enumerate(seeds):
            progress((i + 0.3 + 0.7 * j / len(seeds)) / 2, f"{NAMES[kind]}, seed {j + 1} of {len(seeds)}")
            found.setdefault(kind, []).append(one(kind, rates[kind], seed, pictures))
    return Measured(
        rates,
        {kind: np.array([each.gradient for each in ones]) for kind, ones in found.items()},
        {kind: np.array([each.costs for each in ones]) for kind, ones in found.items()},
        {kind: np.array([each.dev_error for each in ones]) for kind, ones in found.items()},
    )


def judge(measured: Measured) -> tuple[Part, ...]:
    with_, without = measured.costs["with"], measured.costs["without"]
    gradient = factor(measured.gradients["with"], measured.gradients["without"])
    early, late = factor(with_[:, EARLY], without[:, EARLY]), factor(with_[:, -1], without[:, -1])
    errors = over_seeds(100 * (measured.dev_errors["with"] - measured.dev_errors["without"]))
    return (
        above("before the first step the first layer's gradient is larger", gradient, 1, "times"),
        below(f"after {EARLY} epochs the main head's training cost is lower", early, 1, "times the cost"),
        below(f"after {EPOCHS} epochs too", late, 1, "times the cost"),
        below("the main head's dev error is lower", errors, 0, "points"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    rows = []
    for kind in KINDS:
        costs = measured.costs[kind]
        rows.append((
            NAMES[kind], f"{measured.rates[kind]:g}", f"{np.median(measured.gradients[kind]):.2g}",
            f"{np.median(costs[:, EARLY]):.2g}", f"{np.median(costs[:, -1]):.2g}",
            f"{100 * measured.dev_errors[kind].mean():.1f} %",
        ))  # fmt: skip
    head = ("net", "best rate", "gradient of layer 1", f"cost after {EARLY} epochs", f"after {EPOCHS}", "dev error")
    return Table(head, tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.2)
    gradients, costs, errors = figure.subplots(1, 3, width_ratios=(1, 1.6, 1))
    labels, colours = ("without", "with"), [COLOURS[kind] for kind in KINDS]
    dots(gradients, [measured.gradients[kind] for kind in KINDS], labels, colours)
    gradients.set_ylim(0, None)
    gradients.set_title("gradient of layer 1")
    gradients.set_xlabel("before the first step")
    for kind in KINDS:
        spread(costs, np.arange(EPOCHS + 1), measured.costs[kind], NAMES[kind], COLOURS[kind])
    costs.set_yscale("log")
    costs.set_title("training cost of the main head")
    costs.set_xlabel("epoch")
    few_ticks(costs.xaxis, 5, whole=True)
    costs.legend(fontsize=8)
    dots(errors, [measured.dev_errors[kind] for kind in KINDS], labels, colours)
    error_axis(errors, "y", "share")
    errors.set_ylim(0, None)
    errors.set_title("dev error")
    errors.set_xlabel(f"after {EPOCHS} epochs")
    return figure


CLAIM = Claim(
    claimed="Heads on intermediate layers increase the gradient that reaches the lower layers and regularise: they "
    "make sure that the features in the middle of the net are not too bad for predicting the answer.",
    source="Szegedy et al. 2015, section 5; Ng, Convolutional Neural Networks, week 2; against it: Szegedy et al. "
    "2016, section 4, who see no effect early in training.",
    experiment=f"GoogLeNet as published (22 layers, no batch norm) with an eighth of the channels, on {TRAIN_ON:,} "
    f"digits made {SIDE}x{SIDE} pixels, {DEV} for dev. The loss is that of the main head, or that plus 0.3 times that "
    f"of each of the two side heads. Dropout {DROPOUT:g} before the main head and 0.7 in the side heads, {EPOCHS} "
    "epochs, mini-batches of 64, momentum 0.9, a rate that falls along a cosine; the better of the rates "
    f"{RATES[0]:g} and {RATES[1]:g} for each, by the training cost on a separate seed. Both sides of the "
    "comparison have the same starting weights.",
    rule=f"The ratio of the first layer's gradients, with to without side heads, is above 1; the ratio of the main "
    f"head's training costs is below 1 after {EARLY} and after {EPOCHS} epochs; the difference of its dev errors is "
    "below 0. Each with the whole 95 % interval over seeds.",
    seeds=4,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
    pictures=digits,
)
