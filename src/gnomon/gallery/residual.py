"""The training error of plain convnets rises with depth; with skip connections it does not."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnomon.figures.style import BLUE, ORANGE, error_axis, few_ticks, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._convnets import Recipe, cost_of, error_of, started, train
from gnomon.gallery._method import TUNING_SEED, above, below, best_of, factor, over_seeds
from gnomon.gallery._pictures import spread
from gnomon.gallery._small_pictures import Pictures, digits
from gnomon.models.resnet import Plan, Shortcut, resnet
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEPTHS = (8, 20, 32, 56)  # layers: 6 n + 2
MIDDLE, DEEPEST = 20, 56
CHANNELS = (8, 16, 32)  # of the three stages; the paper has 16, 32, 64
SHORTCUTS: Mapping[str, Shortcut] = {"plain": "none", "residual": "zeros"}
COLOURS = {"plain": ORANGE, "residual": BLUE}
RATES = (0.03, 0.1)
EPOCHS = 10
TRAIN_ON, DEV = 4000, 350  # pictures, if there are as many
WATCHED = 500  # training pictures on which the error is followed from epoch to epoch
HARM = 0.005  # half a percentage point


@dataclass(frozen=True)
class Measured:
    """For "plain 8", "residual 8", ..., "residual 56"."""

    rates: Mapping[str, float]  # the best of RATES on the tuning seed, by the training cost
    courses: Mapping[str, Array]  # (seeds, EPOCHS + 1) error on WATCHED training pictures
    errors: Mapping[str, Array]  # (seeds,) on all training pictures, at the end
    costs: Mapping[str, Array]  # (seeds,) likewise, in nats
    dev_errors: Mapping[str, Array]  # (seeds,)


@dataclass(frozen=True)
class One:
    """A net's training."""

    course: list[float]
    error: float
    cost: float
    dev_error: float


def one(kind: str, depth: int, rate: float, seed: int, pictures: Pictures) -> One:
    part, dev = pictures.split(seed, train=min(TRAIN_ON, len(pictures) - DEV), dev=DEV)
    plan = Plan(((depth - 2) // 6,) * 3, CHANNELS, SHORTCUTS[kind])
    net = started(resnet(plan, part.inputs, part.num_classes, zero_gamma=False), seed)
    watched = part.take(slice(WATCHED))
    course = [error_of(net, watched)]
    train(net, part, Recipe(EPOCHS, rate), seed, look=lambda _epoch: course.append(error_of(net, watched)))
    course += course[:1] * (EPOCHS + 1 - len(course))  # one that diverges counts as untrained
    return One(course, error_of(net, part), cost_of(net, part), error_of(net, dev))


def measure(seeds: Sequence[int], progress: Progress, pictures: Pictures) -> Measured:
    rates, found = dict[str, float](), dict[str, list[One]]()
    nets = list(itertools.product(SHORTCUTS, DEPTHS))
    for i, (kind, depth) in enumerate(nets):

        def final_cost(rate: float, kind: str = kind, depth: int = depth) -> float:
            return one(kind, depth, rate, TUNING_SEED, pictures).cost

        progress(i / len(nets), f"{kind}, {depth} layers")
        key = f"{kind} {depth}"
        rates[key] = best_of(final_cost, RATES)
        found[key] = [one(kind, depth, rates[key], seed, pictures) for seed in seeds]
    return Measured(
        rates,
        {key: np.array([each.course for each in ones]) for key, ones in found.items()},
        {key: np.array([each.error for each in ones]) for key, ones in found.items()},
        {key: np.array([each.cost for each in ones]) for key, ones in found.items()},
        {key: np.array([each.dev_error for each in ones]) for key, ones in found.items()},
    )


def judge(measured: Measured) -> tuple[Part, ...]:
    errors, costs = measured.errors, measured.costs
    plain = over_seeds(100 * (errors[f"plain {DEEPEST}"] - errors[f"plain {MIDDLE}"]))
    residual = over_seeds(100 * (errors[f"residual {DEEPEST}"] - errors[f"residual {MIDDLE}"]))
    apart = over_seeds(100 * (errors[f"plain {DEEPEST}"] - errors[f"residual {DEEPEST}"]))
    fit = factor(costs[f"residual {DEEPEST}"], costs[f"residual {MIDDLE}"])
    return (
        above(f"plain: the training error is higher with {DEEPEST} layers than with {MIDDLE}", plain, 0, "points"),
        below(f"residual: with {DEEPEST} layers it is not higher than with {MIDDLE}", residual, 100 * HARM, "points"),
        below(f"residual: with {DEEPEST} layers the training cost is lower than with {MIDDLE}", fit, 1,
              "times the cost"),
        above(f"{DEEPEST} layers: the plain net has a higher training error than the residual one", apart, 0, "points"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    rows = []
    for key in measured.errors:
        kind, depth = key.split()
        rows.append((
            f"{kind}, {depth} layers", f"{measured.rates[key]:g}", f"{100 * measured.errors[key].mean():.1f} %",
            f"{np.median(measured.costs[key]):.2g}", f"{100 * measured.dev_errors[key].mean():.1f} %",
        ))  # fmt: skip
    return Table(("net", "best rate", "training error", "training cost", "dev error"), tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.2)
    axes = figure.subplots(1, 3, sharey=True)
    for panel, kind in zip(axes, SHORTCUTS, strict=False):
        for strength, depth in zip(np.linspace(0.35, 1, len(DEPTHS)), DEPTHS, strict=True):
            course = np.median(measured.courses[f"{kind} {depth}"], axis=0)
            panel.plot(range(EPOCHS + 1), course, color=COLOURS[kind], alpha=strength, label=f"{depth} layers",
                       linewidth=0.8 + 1.4 * strength)  # fmt: skip
        panel.set_title(f"{kind} nets")
        panel.set_xlabel("epoch")
        few_ticks(panel.xaxis, 5, whole=True)
        panel.legend(fontsize=8)
    for kind, colour in COLOURS.items():
        ends = np.stack([measured.errors[f"{kind} {depth}"] for depth in DEPTHS], axis=1)
        spread(axes[2], np.array(DEPTHS), ends, kind, colour, marker="o", markersize=4)
    axes[2].set_title(f"after {EPOCHS} epochs")
    axes[2].set_xlabel("layers")
    axes[2].set_xticks(DEPTHS)
    axes[2].legend(fontsize=8)
    error_axis(axes[0], "y", "share")
    axes[0].set_ylabel("training error")
    axes[0].set_ylim(0, None)
    return figure


CLAIM = Claim(
    claimed="When deeper plain nets start converging, their accuracy saturates and then degrades, and not by "
    "overfitting: the training error is higher. With residual connections deeper nets have lower training error.",
    source="He et al. 2016, section 1 and figure 6; Ng, Convolutional Neural Networks, week 2.",
    experiment=f"Digits of 8x8 pixels, all but {DEV} for training, and the CIFAR nets of the paper with "
    f"{', '.join(map(str, DEPTHS[:-1]))} and {DEPTHS[-1]} layers, batch norm and half the channels "
    f"({', '.join(map(str, CHANNELS))}), with and without skips (option A). The paper trained 164 epochs on 45,000 "
    f"pictures of 32x32; here it is {EPOCHS} epochs, so two cores allow it. Momentum 0.9, mini-batches of 64, a rate "
    f"that falls along a cosine, no augmentation or weight decay; the best of the rates {RATES[0]:g} and {RATES[1]:g} "
    "for each net, by the training cost on a separate seed. Other pictures (`data=`): at most "
    f"{TRAIN_ON:,} of them.",
    rule=f"The difference of training errors between {DEEPEST} and {MIDDLE} layers is above 0 for plain nets and "
    f"below {100 * HARM:g} points for residual nets, whose ratio of training costs is below 1 (their errors may both "
    f"be 0). With {DEEPEST} layers the plain net's training error is higher. Each with the whole 95 % interval over "
    "seeds.",
    seeds=5,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
    pictures=digits,
)  # fmt: skip
