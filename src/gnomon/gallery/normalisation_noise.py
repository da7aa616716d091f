"""Batch norm adds noise, more with smaller batches, and this noise regularises a little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from gnomon.figures.style import BLUE, GREEN, MUTED, ORANGE, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._convnets import Recipe, cost_of, error_of, small_net, train
from gnomon.gallery._method import TUNING_SEED, below, best_of, factor, over_seeds, within
from gnomon.gallery._pictures import dots, spread
from gnomon.gallery._small_pictures import Pictures, digits
from gnomon.reference import Array
from gnomon.training.threads import using

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GROUPS = (8, 32, 128)  # pictures that are normalised together
BATCH = 128  # pictures per step, whatever the group
NOISE_GROUPS = (8, 16, 32, 64, 128)  # at most a quarter of the pictures, or two groups share too many of them
DRAWS = 12  # of companions for each picture
RATES = (0.03, 0.1)
EPOCHS = 30
TRAIN_ON, DEV = 512, 700
DOT_COLOURS = (BLUE, GREEN, ORANGE)
SLOPE = (-0.75, -0.25)  # of the logarithms: the error of a mean over g pictures falls as g to the power -1/2


@dataclass(frozen=True)
class Measured:
    """For each of GROUPS, in their order."""

    rates: tuple[float, ...]  # the best of RATES on the tuning seed, by the dev cost
    train_costs: Array  # (seeds, GROUPS) in evaluation mode
    dev_costs: Array
    dev_errors: Array
    noise: Array  # (seeds, NOISE_GROUPS): of the logits of a net trained with the largest group, over their spread


class Grouped(nn.Module):
    """Batch norm whose statistics are those of `size` consecutive pictures. Source: Hoffer et al. 2017, algorithm 1."""

    def __init__(self, norm: nn.BatchNorm2d, size: int) -> None:
        super().__init__()
        self.norm, self.size = norm, size

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            whole: Tensor = self.norm(x)
            return whole
        return torch.cat([self.norm(part) for part in x.split(self.size)])


def group(net: nn.Module, size: int) -> nn.Module:
    """The net with every batch norm in groups of `size`, in place."""
    for module in list(net.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, Grouped(child, size))
            elif isinstance(child, Grouped):
                child.size = size
    return net


def trained(size: int, rate: float, seed: int, part: Pictures) -> nn.Module:
    net = group(small_net(part, seed), size)
    train(net, part, Recipe(EPOCHS, rate, BATCH), seed)
    return net


def noise(net: nn.Module, size: int, pictures: Pictures) -> float:
    """How much a picture's logits vary with the pictures in its group, relative to how much they vary over pictures.

    Both as root mean squares, from DRAWS random groupings of the pictures, normalised as in training.
    """
    generator, found = torch.Generator().manual_seed(size), []
    group(net, size).train()
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 0.0  # the running means stay
    with torch.no_grad(), using(1):
        for _ in range(DRAWS):
            order = torch.randperm(len(pictures), generator=generator)
            logits = torch.empty(len(pictures), pictures.num_classes)
            logits[order] = net(pictures.images[order])
            found.append(logits)
    every = torch.stack(found).double()  # (DRAWS, N, K)
    return float((every.var(dim=0).mean() / every.mean(dim=0).var(dim=0).mean()).sqrt())


def measure(seeds: Sequence[int], progress: Progress, pictures: Pictures) -> Measured:
    part, dev = pictures.split(TUNING_SEED, train=TRAIN_ON, dev=DEV)
    rates = []
    for i, size in enumerate(GROUPS):
        progress(0.1 * i, f"groups of {size}: choosing the rate")

        def dev_cost(rate: float, size: int = size) -> float:
            return cost_of(trained(size, rate, TUNING_SEED, part), dev)

        rates.append(best_of(dev_cost, RATES))
    results, noises = [], []
    for i, seed in enumerate(seeds):
        progress(0.3 + 0.7 * i / len(seeds), f"seed {i + 1} of {len(seeds)}")
        part, dev = pictures.split(seed, train=TRAIN_ON, dev=DEV)
        nets = [trained(size, rate, seed, part) for size, rate in zip(GROUPS, rates, strict=True)]
        results.append([(cost_of(net, part), cost_of(net, dev), error_of(net, dev)) for net in nets])
        noises.append([noise(nets[-1], size, part) for size in NOISE_GROUPS])
    train_costs, dev_costs, dev_errors = np.moveaxis(np.array(results), -1, 0)
    return Measured(tuple(rates), train_costs, dev_costs, dev_errors, np.array(noises))


def slopes(noises: Array) -> Array:
    """(seeds,): of the logarithm of the noise over that of the group's size."""
    found: Array = np.polyfit(np.log(NOISE_GROUPS), np.log(noises).T, 1)[0]
    return found


def judge(measured: Measured) -> tuple[Part, ...]:
    gaps = measured.dev_costs - measured.train_costs
    dev = factor(measured.dev_costs[:, 0], measured.dev_costs[:, -1])
    errors = over_seeds(100 * (measured.dev_errors[:, 0] - measured.dev_errors[:, -1]))
    power = over_seeds(slopes(measured.noise))
    small, large = f"groups of {GROUPS[0]}", str(GROUPS[-1])
    return (
        within("the noise falls as a power of the group's size, about -1/2", power, *SLOPE),
        below(f"{small}: the gap from train to dev cost is smaller than with {large}",
              over_seeds(gaps[:, 0] - gaps[:, -1]), 0, "nats"),
        below(f"{small}: the dev cost is lower than with {large}", dev, 1, "times"),
        below(f"{small}: the dev error is lower than with {large}", errors, 0, "points"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    rows = []
    for i, size in enumerate(GROUPS):
        noisy = measured.noise[:, NOISE_GROUPS.index(size)].mean()
        rows.append((
            f"groups of {size}", f"{measured.rates[i]:g}", f"{100 * noisy:.1f} %",
            f"{measured.train_costs[:, i].mean():.2g}", f"{measured.dev_costs[:, i].mean():.2g}",
            f"{100 * measured.dev_errors[:, i].mean():.2f} %",
        ))  # fmt: skip
    return Table(("batch norm in", "best rate", "noise", "train cost", "dev cost", "dev error"), tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.2)
    noisy, costs, errors = figure.subplots(1, 3)
    sizes = np.array(NOISE_GROUPS)
    spread(noisy, sizes, measured.noise, "measured", BLUE, marker="o", markersize=4)
    middle = float(np.median(measured.noise[:, 0]))
    noisy.plot(sizes, middle * np.sqrt(sizes[0] / sizes), color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)),
               label="power -1/2")  # fmt: skip
    noisy.set_title("noise of the logits")
    noisy.set_yscale("log")
    ticks = [tick for tick in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
             if measured.noise.min() / 1.5 < tick < 1.5 * measured.noise.max()]  # fmt: skip
    noisy.set_yticks(ticks, [f"{100 * tick:g} %" for tick in ticks])
    noisy.set_ylabel("share of their spread")
    noisy.legend(fontsize=8)
    groups = [f"{size}" for size in GROUPS]
    dots(costs, list((measured.dev_costs / measured.dev_costs[:, -1:]).T), groups, DOT_COLOURS)
    costs.axhline(1, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    costs.set_title("dev cost")
    costs.set_ylabel(f"times that of groups of {GROUPS[-1]}")
    dots(errors, list(100 * (measured.dev_errors - measured.dev_errors[:, -1:]).T), groups, DOT_COLOURS)
    errors.axhline(0, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    errors.set_title("dev error")
    errors.set_ylabel(f"points above that of groups of {GROUPS[-1]}")
    noisy.set_xscale("log")
    noisy.set_xticks(sizes, [str(size) for size in sizes])
    noisy.minorticks_off()
    for axes in (noisy, costs, errors):
        axes.set_xlabel("pictures normalised together")
    return figure


CLAIM = Claim(
    claimed="Each mini-batch is scaled by the mean and variance of that mini-batch alone, which adds some noise to the "
    "hidden units, as dropout does, and has a slight regularisation effect. With larger mini-batches it gets weaker.",
    source="Ng, Improving Deep Neural Networks, week 3; Ioffe & Szegedy 2015, section 3.4; Hoffer et al. 2017.",
    experiment=f"{TRAIN_ON} digits for training, {DEV} for dev; a residual net of 8 layers (8, 16 and 32 channels), "
    f"{EPOCHS} epochs, momentum 0.9, a rate that falls along a cosine. Every step takes {BATCH} pictures, so that the "
    f"noise of the gradient is always the same; batch norm takes them in groups of {', '.join(map(str, GROUPS[:-1]))} "
    f"or {GROUPS[-1]}. The better of the rates {RATES[0]:g} and {RATES[1]:g} for each, by the dev cost on a separate "
    "seed. Noise: how far the logits of a training picture vary with the pictures that share its group "
    f"({DRAWS} random groupings), relative to how far they vary from picture to picture, in the net trained with "
    f"groups of {GROUPS[-1]}.",
    rule="The slope of the noise over the group's size, both as logarithms, is between "
    f"{SLOPE[0]:g} and {SLOPE[1]:g} (a mean of g independent values has a deviation of g to the power -1/2). From "
    f"groups of {GROUPS[-1]} to groups of {GROUPS[0]} the gap from train to dev cost falls, the ratio of dev costs is "
    "below 1 and the difference of dev errors below 0. Each with the whole 95 % interval over seeds.",
    seeds=16,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
    pictures=digits,
)
