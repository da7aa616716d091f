"""Augmentation helps most when there are few pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gnomon.data import augment
from gnomon.figures.style import BLUE, ORANGE, bare, error_axis, few_ticks, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._convnets import Change, Recipe, epochs_for, error_of, small_net, train
from gnomon.gallery._method import TUNING_SEED, above, below, best_of, over_seeds
from gnomon.gallery._pictures import spread
from gnomon.gallery._small_pictures import Pictures, digits
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COUNTS = (40, 120, 360, 1080)  # training pictures
KINDS = ("without", "with")
COLOURS = {"without": ORANGE, "with": BLUE}
REACH = 8  # a shift by up to 1/8 of the side, in whole pixels
RATES = (0.03, 0.1)
STEPS = 200
DEV = 500
HARM = 0.5  # points
SHOWN = 3  # shifted versions of a picture in the figure


@dataclass(frozen=True)
class Measured:
    """With and without augmentation, for each number of training pictures."""

    rates: Mapping[str, tuple[float, ...]]  # kind -> (COUNTS): the best of RATES on the tuning seed, by the dev error
    errors: Mapping[str, Array]  # kind -> (seeds, COUNTS) on dev
    shifted: Array  # (1 + SHOWN, H, W) or (1 + SHOWN, H, W, 3): a picture, then shifted


def shifts(images: Tensor, generator: torch.Generator) -> Tensor:
    """Every picture by its own up to 1/REACH of its sides, in each direction; the border is repeated."""
    size = images.shape[2], images.shape[3]
    moved = augment.draw_geometry(len(images), size, size, {"shift": 1 / REACH}, generator)
    return images if moved is None else moved.pictures(images)


def dev_error(kind: str, count: int, rate: float, seed: int, pictures: Pictures) -> float:
    part, dev = pictures.split(seed, train=count, dev=DEV)
    net = small_net(part, seed)
    change: Change | None = shifts if kind == "with" else None
    train(net, part, Recipe(epochs_for(STEPS, part), rate), seed, change=change)
    return error_of(net, dev)


def measure(seeds: Sequence[int], progress: Progress, pictures: Pictures) -> Measured:
    rates, errors = dict[str, list[float]](), dict[str, list[list[float]]]()
    for i, kind in enumerate(KINDS):
        for j, count in enumerate(COUNTS):

            def at(rate: float, kind: str = kind, count: int = count) -> float:
                return dev_error(kind, count, rate, TUNING_SEED, pictures)

            progress((i * len(COUNTS) + j) / (len(KINDS) * len(COUNTS)), f"{kind} augmentation, {count:,} pictures")
            rate = best_of(at, RATES)
            rates.setdefault(kind, []).append(rate)
            errors.setdefault(kind, []).append([dev_error(kind, count, rate, seed, pictures) for seed in seeds])
    first = pictures.images[:1]
    shown = torch.cat([first, shifts(first.repeat(SHOWN, 1, 1, 1), torch.Generator().manual_seed(0))])
    return Measured(
        {kind: tuple(found) for kind, found in rates.items()},
        {kind: np.array(found).T for kind, found in errors.items()},
        shown.permute(0, 2, 3, 1).squeeze(-1).double().numpy(),
    )


def gains(measured: Measured) -> Array:
    """(seeds, COUNTS): points of dev error that augmentation saves."""
    saved: Array = 100 * (measured.errors["without"] - measured.errors["with"])
    return saved


def judge(measured: Measured) -> tuple[Part, ...]:
    saved = gains(measured)
    fewest, most = over_seeds(saved[:, 0]), over_seeds(-saved[:, -1])
    shrinks = over_seeds(saved[:, 0] - saved[:, -1])
    return (
        above(f"{COUNTS[0]} pictures: augmentation lowers the dev error", fewest, 0, "points lower"),
        above(f"it lowers it more with {COUNTS[0]} pictures than with {COUNTS[-1]:,}", shrinks, 0, "points more"),
        below(f"{COUNTS[-1]:,} pictures: it does no harm", most, HARM, "points higher"),
    )


def table(measured: Measured) -> Table:
    rows = []
    for j, count in enumerate(COUNTS):
        cells = [f"{100 * measured.errors[kind][:, j].mean():.1f} %" for kind in KINDS]
        rates = [f"{measured.rates[kind][j]:g}" for kind in KINDS]
        rows.append((f"{count:,} pictures", *cells, f"{gains(measured)[:, j].mean():.1f} points", " and ".join(rates)))
    return Table(("training set", "dev error without", "with", "saved", "best rates"), tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.2)
    grid = figure.add_gridspec(2, 6, width_ratios=(1, 1, 1, 1, 0.6, 0.6))
    errors, saved = figure.add_subplot(grid[:, :2]), figure.add_subplot(grid[:, 2:4])
    for kind, colour in COLOURS.items():
        spread(errors, np.array(COUNTS), measured.errors[kind], f"{kind} shifts", colour, marker="o", markersize=4)
    error_axis(errors, "y", "share")
    errors.set_ylim(0, None)
    errors.legend(fontsize=8)
    errors.set_title("dev error")
    spread(saved, np.array(COUNTS), gains(measured), "", BLUE, marker="o", markersize=4)
    saved.axhline(0, color="black", linewidth=0.8)
    few_ticks(saved.yaxis, 6)
    saved.set_title("points saved by shifts")
    for axes in (errors, saved):
        axes.set_xscale("log")
        axes.set_xticks(COUNTS, [f"{count:,}" for count in COUNTS])
        axes.minorticks_off()
        axes.set_xlabel("training pictures")
    for place, (picture, title) in enumerate(zip(measured.shifted, ("a picture", *["shifted"] * SHOWN), strict=True)):
        panel = figure.add_subplot(grid[place // 2, 4 + place % 2])
        bare(panel)
        panel.imshow(picture, cmap="gray", vmin=0, vmax=1)
        panel.set_xticks([])
        panel.set_yticks([])
        panel.set_title(title, fontsize=8, fontweight="normal", loc="center")
    return figure


CLAIM = Claim(
    claimed="Data augmentation makes a small training set larger: it helps most where pictures are few, and less the "
    "more there are.",
    source="Ng, Convolutional Neural Networks, week 2; Krizhevsky et al. 2012, section 4.1; Shorten & Khoshgoftaar "
    "2019.",
    experiment=f"{', '.join(map(str, COUNTS[:-1]))} and {COUNTS[-1]:,} digits, as many of each class, and {DEV} for "
    f"dev. A residual net of 8 layers (8, 16 and 32 channels) with batch norm trains for about {STEPS} steps on "
    f"mini-batches of at most 64, with and without shifts of each picture by up to 1/{REACH} of its side (one pixel of "
    "8), anew in every step. Momentum 0.9, a rate that falls along a cosine; the best of the rates "
    f"{RATES[0]:g} and {RATES[1]:g} for each cell, by the dev error on a separate seed.",
    rule=f"The dev error without shifts minus that with them is above 0 with {COUNTS[0]} pictures, is larger there "
    f"than with {COUNTS[-1]:,}, and there the dev error with shifts is less than {HARM:g} points above that without. "
    "Each with the whole 95 % interval over seeds.",
    seeds=8,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
    pictures=digits,
)
