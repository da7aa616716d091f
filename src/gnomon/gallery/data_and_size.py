"""The error falls with more data and with a larger net, and a larger net makes more of more data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnomon.figures.style import new_figure, styled
from gnomon.figures.text import number
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._convnets import Recipe, epochs_for, error_of, small_net, smoothed, train
from gnomon.gallery._method import TUNING_SEED, below, best_of, factor, over_seeds
from gnomon.gallery._pictures import COLOURS
from gnomon.gallery._small_pictures import Pictures, digits
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COUNTS = (40, 120, 360, 1080)  # training pictures
CHANNELS = (2, 4, 8, 16)  # of the first of three stages
RATES = (0.03, 0.1)
STEPS = 150
DEV = 500
HARM = 2.0  # points


@dataclass(frozen=True)
class Measured:
    """For each number of training pictures and each net."""

    num_parameters: tuple[int, ...]  # for each of CHANNELS
    rates: Array  # (CHANNELS, COUNTS): the best of RATES on the tuning seed, by the dev error
    errors: Array  # (seeds, CHANNELS, COUNTS) on dev, never 0: half a wrong answer is added


def dev_error(channels: int, count: int, rate: float, seed: int, pictures: Pictures) -> float:
    part, dev = pictures.split(seed, train=count, dev=DEV)
    net = small_net(part, seed, channels=channels)
    train(net, part, Recipe(epochs_for(STEPS, part), rate), seed)
    return smoothed(error_of(net, dev), len(dev))


def measure(seeds: Sequence[int], progress: Progress, pictures: Pictures) -> Measured:
    shape = len(CHANNELS), len(COUNTS)
    rates, errors = np.empty(shape), np.empty((len(seeds), *shape))
    for i, channels in enumerate(CHANNELS):
        for j, count in enumerate(COUNTS):

            def at(rate: float, channels: int = channels, count: int = count) -> float:
                return dev_error(channels, count, rate, TUNING_SEED, pictures)

            progress((i * len(COUNTS) + j) / errors[0].size, f"{channels} channels, {count:,} pictures")
            rates[i, j] = best_of(at, RATES)
            errors[:, i, j] = [dev_error(channels, count, rates[i, j], seed, pictures) for seed in seeds]
    sizes = [sum(each.numel() for each in small_net(pictures, 0, channels=width).parameters()) for width in CHANNELS]
    return Measured(tuple(sizes), rates, errors)


def exponents(errors: Array) -> Array:
    """(seeds, CHANNELS): the slope of the logarithm of the error over that of the number of pictures."""
    logs = np.log(errors).reshape(-1, len(COUNTS))
    slopes: Array = np.polyfit(np.log(COUNTS), logs.T, 1)[0].reshape(errors.shape[:2])
    return slopes


def judge(measured: Measured) -> tuple[Part, ...]:
    errors, slopes = measured.errors, exponents(measured.errors)
    data = factor(errors[:, -1, -1], errors[:, -1, 0])
    size = factor(errors[:, -1, -1], errors[:, 0, -1])
    gain = over_seeds(slopes[:, -1] - slopes[:, 0])
    harm = over_seeds(100 * (errors[:, -1, 0] - errors[:, 0, 0]))
    most, least = f"{COUNTS[-1]:,} pictures", f"{COUNTS[0]} pictures"
    return (
        below(f"the largest net: with {most} the dev error is less than half of that with {least}", data, 0.5, "times"),
        below(f"{most}: the largest net has a lower dev error than the smallest", size, 1, "times"),
        below("with more pictures the largest net's error falls faster than the smallest net's", gain, 0,
              "in the exponent"),
        below(f"{least}: the largest net is not worse than the smallest", harm, HARM, "points"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    slopes = exponents(measured.errors).mean(axis=0)
    rows = []
    for i, channels in enumerate(CHANNELS):
        cells = [f"{100 * each:.1f} %" for each in measured.errors[:, i].mean(axis=0)]
        rows.append((f"{channels} channels, {measured.num_parameters[i]:,} parameters", *cells, number(slopes[i])))
    return Table(("net", *(f"{count:,} pictures" for count in COUNTS), "exponent"), tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.3)
    lines, surface = figure.subplots(1, 2, width_ratios=(1, 1.15))
    middle = np.exp(np.log(measured.errors).mean(axis=0))
    for i, size in enumerate(measured.num_parameters):
        low, high = measured.errors[:, i].min(axis=0), measured.errors[:, i].max(axis=0)
        lines.fill_between(COUNTS, low, high, color=COLOURS[i], alpha=0.12, linewidth=0)
        lines.plot(COUNTS, middle[i], "o-", color=COLOURS[i], markersize=4, label=f"{size:,}")
    lines.set_xscale("log")
    lines.set_yscale("log")
    lines.set_xticks(COUNTS, [f"{count:,}" for count in COUNTS])
    lines.minorticks_off()
    ticks = [tick for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if middle.min() / 2 < tick < 2 * middle.max()]
    lines.set_yticks(ticks, [f"{100 * tick:g} %" for tick in ticks])
    lines.set_xlabel("training pictures")
    lines.set_ylabel("dev error")
    lines.set_title("one line per net")
    lines.legend(fontsize=8, title="parameters", title_fontsize=8)
    _surface(surface, middle, measured.num_parameters)
    return figure


def _surface(axes: Axes, errors: Array, sizes: Sequence[int]) -> None:
    axes.imshow(np.log(errors), cmap="Blues_r", aspect="auto", origin="lower")
    for (i, j), value in np.ndenumerate(errors):
        is_dark = np.log(value) < np.log(errors).mean()
        axes.text(j, i, f"{100 * value:.1f} %", ha="center", va="center", fontsize=8.5,
                  color="white" if is_dark else "black")  # fmt: skip
    axes.set_xticks(range(len(COUNTS)), [f"{count:,}" for count in COUNTS])
    axes.set_yticks(range(len(sizes)), [f"{size:,}" for size in sizes])
    few = axes.xaxis, axes.yaxis
    for axis in few:
        axis.set_tick_params(length=0)
    axes.grid(visible=False)
    axes.set_xlabel("training pictures")
    axes.set_ylabel("parameters")
    axes.set_title("the surface: dev error")


CLAIM = Claim(
    claimed="Scale drives deep learning: performance improves with the amount of data and with the size of the "
    "network; large networks gain most from much data, while with few data the order of the methods is not well "
    "defined. The error falls as a power of the amount of data.",
    source="Ng, Neural Networks and Deep Learning, week 1; Hestness et al. 2017; Rosenfeld et al. 2020.",
    experiment=f"{', '.join(map(str, COUNTS[:-1]))} and {COUNTS[-1]:,} digits, as many of each class, and {DEV} for "
    f"dev. Residual nets of 8 layers with batch norm and {', '.join(map(str, CHANNELS[:-1]))} or {CHANNELS[-1]} "
    f"channels in the first of three stages, twice and four times as many in the others. All train for about {STEPS} "
    "steps on mini-batches of at most 64, momentum 0.9, a rate that falls along a cosine; the best of the rates "
    f"{RATES[0]:g} and {RATES[1]:g} for each cell, by the dev error on a separate seed. So that logarithms exist, half "
    "a wrong answer is added to each dev error.",
    rule="For the largest net the ratio of dev errors, most to fewest pictures, is below a half. With most pictures "
    "the ratio of dev errors, largest to smallest net, is below 1. The exponent of the error in the number of pictures "
    "(a straight line through the logarithms) is lower for the largest net than for the smallest. With fewest pictures "
    f"the largest net's error is less than {HARM:g} points above the smallest's. Each with the whole 95 % interval "
    "over seeds.",
    seeds=5,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
    pictures=digits,
)
