"""With equally many parameters a deep net beats a wide one."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from gnomon.figures.style import BLUE, ORANGE, error_axis, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._convnets import Recipe, cost_of, error_of, small_net, started, train
from gnomon.gallery._method import TUNING_SEED, below, best_of, factor, over_seeds
from gnomon.gallery._pictures import spread
from gnomon.gallery._small_pictures import Pictures, digits
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("dense", "residual")
NAMES = {"dense": "dense layers", "residual": "residual convolutions"}
COLOURS = {"dense": ORANGE, "residual": BLUE}
HIDDEN = (1, 2, 4, 8)  # layers of the dense nets
BLOCKS = (1, 2, 4, 8)  # per stage of the residual nets
SIZE = {"dense": 5_000, "residual": 20_000}  # parameters, as nearly as whole widths allow
MOST_WIDE = 80  # units of a dense layer: one with that many has more than SIZE parameters
RATES = (0.01, 0.03, 0.1)
EPOCHS = 10
TRAIN_ON, DEV = 1000, 700


@dataclass(frozen=True)
class Measured:
    """For "dense 1", ..., "dense 8", "residual 1", ..., "residual 8" (hidden layers, or blocks per stage)."""

    rates: Mapping[str, float]  # the best of RATES on the tuning seed, by the training cost
    num_parameters: Mapping[str, int]
    costs: Mapping[str, Array]  # (seeds,) training, at the end
    errors: Mapping[str, Array]  # (seeds,) on dev


def depths(kind: str) -> tuple[int, ...]:
    return HIDDEN if kind == "dense" else BLOCKS


def layers(kind: str, depth: int) -> int:
    """Layers with weights, the last one too."""
    return depth + 1 if kind == "dense" else 6 * depth + 2


def build(kind: str, depth: int, width: float, pictures: Pictures, seed: int) -> nn.Module:
    if kind == "residual":
        return small_net(pictures, seed, blocks=(depth, depth, depth), channels=width)
    modules, num_inputs = [nn.Flatten()], pictures.images[0].numel()
    for _ in range(depth):
        modules += [nn.Linear(num_inputs, round(width)), nn.ReLU()]  # type: ignore[list-item]
        num_inputs = round(width)
    return started(nn.Sequential(*modules, nn.Linear(num_inputs, pictures.num_classes)), seed)


def num_parameters(net: nn.Module) -> int:
    return sum(each.numel() for each in net.parameters())


def width_for(kind: str, depth: int, pictures: Pictures) -> float:
    """The width nearest to SIZE; in fractions, because the later stages have several times as many channels."""

    def size(width: float) -> int:
        return num_parameters(build(kind, depth, width, pictures, 0))

    widths = [float(width) for width in np.arange(2, MOST_WIDE, 0.05)]
    place = bisect.bisect_left(widths, SIZE[kind], key=size)
    return min(widths[place - 1 : place + 1], key=lambda width: abs(size(width) - SIZE[kind]))


def measure(seeds: Sequence[int], progress: Progress, pictures: Pictures) -> Measured:
    splits = {seed: pictures.split(seed, train=TRAIN_ON, dev=DEV) for seed in (TUNING_SEED, *seeds)}
    rates, sizes = dict[str, float](), dict[str, int]()
    costs, errors = dict[str, Array](), dict[str, Array]()
    cells = [(kind, depth) for kind in KINDS for depth in depths(kind)]
    for i, (kind, depth) in enumerate(cells):
        progress(i / len(cells), f"{layers(kind, depth)} layers, {NAMES[kind]}")
        width, key = width_for(kind, depth, pictures), f"{kind} {depth}"

        def result(rate: float, seed: int, cell: tuple[str, int, float] = (kind, depth, width)) -> tuple[float, float]:
            part, dev = splits[seed]
            net = build(*cell, part, seed)
            train(net, part, Recipe(EPOCHS, rate), seed)
            return cost_of(net, part), error_of(net, dev)

        rates[key] = best_of(lambda rate, result=result: result(rate, TUNING_SEED)[0], RATES)  # type: ignore[misc]
        sizes[key] = num_parameters(build(kind, depth, width, pictures, 0))
        costs[key], errors[key] = np.array([result(rates[key], seed) for seed in seeds]).T
    return Measured(rates, sizes, costs, errors)


def judge(measured: Measured) -> tuple[Part, ...]:
    parts = []
    for kind, deep in (("dense", 4), ("residual", 4)):
        says = f"{NAMES[kind]}: {layers(kind, deep)} narrow layers have a lower"
        cost = factor(measured.costs[f"{kind} {deep}"], measured.costs[f"{kind} 1"])
        error = over_seeds(100 * (measured.errors[f"{kind} {deep}"] - measured.errors[f"{kind} 1"]))
        parts += [
            below(f"{says} training cost than {layers(kind, 1)} wide ones", cost, 1, "times the cost"),
            below(f"{says} dev error than {layers(kind, 1)} wide ones", error, 0, "points"),
        ]
    return tuple(parts)


def table(measured: Measured) -> Table:
    rows = []
    for kind in KINDS:
        for depth in depths(kind):
            key = f"{kind} {depth}"
            rows.append((
                f"{layers(kind, depth)} layers, {NAMES[kind]}", f"{measured.num_parameters[key]:,}",
                f"{measured.rates[key]:g}", f"{np.median(measured.costs[key]):.2g}",
                f"{100 * measured.errors[key].mean():.1f} %",
            ))  # fmt: skip
    return Table(("net", "parameters", "best rate", "training cost", "dev error"), tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.2)
    costs, errors = figure.subplots(1, 2)
    for kind in KINDS:
        x = np.array([layers(kind, depth) for depth in depths(kind)])
        keys = [f"{kind} {depth}" for depth in depths(kind)]
        label = f"{kind}, {SIZE[kind]:,} parameters"
        for axes, values in ((costs, measured.costs), (errors, measured.errors)):
            runs = np.stack([values[key] for key in keys], axis=1)
            spread(axes, x, runs, label, COLOURS[kind], marker="o", markersize=4)
    costs.set_yscale("log")
    costs.set_title("training cost (nats)")
    error_axis(errors, "y", "share")
    errors.set_ylim(0, None)
    errors.set_title("dev error")
    figure.legend(*costs.get_legend_handles_labels(), fontsize=8, loc="outside lower center", ncols=2)
    ticks = (2, 4, 8, 16, 32)
    for axes in (costs, errors):
        axes.set_xscale("log")
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("layers, all with as many parameters")
    return figure


CLAIM = Claim(
    claimed="There are functions that a small deep net can compute and for which a shallower one needs exponentially "
    "more hidden units; deep nets do better than wide ones with the same number of parameters.",
    source="Ng, Neural Networks and Deep Learning, week 4; Goodfellow et al. 2014; against it, for residual nets: "
    "Zagoruyko & Komodakis 2016.",
    experiment=f"{TRAIN_ON:,} digits for training, {DEV} for dev. Dense ReLU nets with "
    f"{', '.join(map(str, HIDDEN[:-1]))} or {HIDDEN[-1]} hidden layers, all of about {SIZE['dense']:,} parameters, and "
    f"residual convnets with batch norm and {', '.join(map(str, BLOCKS[:-1]))} or {BLOCKS[-1]} blocks in each of three "
    f"stages, all of about {SIZE['residual']:,}: the deeper, the narrower. {EPOCHS} epochs, mini-batches of 64, "
    f"momentum 0.9, a rate that falls along a cosine; the best of the rates {', '.join(f'{rate:g}' for rate in RATES)} "
    "for each net, by the training cost on a separate seed.",
    rule="From 1 to 4 hidden layers, and from 1 to 4 blocks per stage, the ratio of training costs is below 1 and the "
    "difference of dev errors below 0. Each with the whole 95 % interval over seeds.",
    seeds=6,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
    pictures=digits,
)
