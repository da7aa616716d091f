"""Random errors in the training labels do little harm; systematic ones do much more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gnomon.figures.style import BLUE, MUTED, ORANGE, bare, error_axis, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._convnets import Recipe, error_of, small_net, train
from gnomon.gallery._method import TUNING_SEED, above, below, best_of, over_seeds
from gnomon.gallery._pictures import spread
from gnomon.gallery._small_pictures import Pictures, digits
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARES = (0.0, 0.1, 0.2, 0.3)  # of the training labels that are wrong
JUDGED = 0.2
LITTLE = 0.25  # robust: the dev error rises by less than a quarter of the share of wrong labels
KINDS = ("random", "systematic")
COLOURS = {"random": BLUE, "systematic": ORANGE}
RATES = (0.03, 0.1)
EPOCHS = 10
TRAIN_ON, DEV = 1200, 500
SHOWN = 6  # examples of each kind in the figure


@dataclass(frozen=True)
class Example:
    """A training picture with a systematically wrong label."""

    image: Array  # (H, W) gray or (H, W, 3)
    true: int
    label: int


@dataclass(frozen=True)
class Measured:
    """For "random 0", "random 0.1", ..., "systematic 0.3"."""

    rates: Mapping[str, float]  # the best of RATES on the tuning seed, by the dev error
    errors: Mapping[str, Array]  # (seeds,) on dev, whose labels are right
    examples: tuple[Example, ...]


def spoiled(pictures: Pictures, kind: str, share: float, seed: int) -> Pictures:
    """The pictures with `share` of the labels wrong.

    "random": drawn from all pictures, each gets any other class. "systematic": in each class the darkest pictures, in
    which the pixels have the lowest mean, get the next class: a labeller's rule that can be learned.
    """
    labels, classes = pictures.labels.clone(), pictures.num_classes
    count = round(share * len(labels))
    if kind == "random":
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randperm(len(labels), generator=generator)[:count]
        labels[rows] += torch.randint(1, classes, (count,), generator=generator)
    else:
        labels[darkest(pictures, share)] += 1
    return replace(pictures, labels=labels % classes)


def darkest(pictures: Pictures, share: float) -> Tensor:
    """The rows of that share of each class whose pixels have the lowest mean."""
    means = pictures.images.mean(dim=(1, 2, 3))
    rows = []
    for each in range(pictures.num_classes):
        members = (pictures.labels == each).nonzero().flatten()
        rows.append(members[means[members].argsort()][: round(share * len(members))])
    return torch.cat(rows)


def dev_error(kind: str, share: float, rate: float, seed: int, pictures: Pictures) -> float:
    part, dev = pictures.split(seed, train=TRAIN_ON, dev=DEV)
    net = small_net(part, seed)
    train(net, spoiled(part, kind, share, seed), Recipe(EPOCHS, rate), seed)
    return error_of(net, dev)


def measure(seeds: Sequence[int], progress: Progress, pictures: Pictures) -> Measured:
    rates, errors = dict[str, float](), dict[str, Array]()
    cells = [(kind, share) for kind in KINDS for share in SHARES]
    for i, (kind, share) in enumerate(cells):

        def at(rate: float, kind: str = kind, share: float = share) -> float:
            return dev_error(kind, share, rate, TUNING_SEED, pictures)

        progress(i / len(cells), f"{100 * share:.0f} % {kind} errors")
        key = f"{kind} {share:g}"
        rates[key] = best_of(at, RATES)
        errors[key] = np.array([dev_error(kind, share, rates[key], seed, pictures) for seed in seeds])
    return Measured(rates, errors, _examples(pictures))


def _examples(pictures: Pictures) -> tuple[Example, ...]:
    part, _ = pictures.split(0, train=TRAIN_ON, dev=DEV)
    rows = darkest(part, JUDGED)
    rows = rows[:: max(1, len(rows) // SHOWN)][:SHOWN]
    return tuple(
        Example(
            part.images[row].permute(1, 2, 0).squeeze(-1).double().numpy(),
            int(part.labels[row]),
            (int(part.labels[row]) + 1) % part.num_classes,
        )
        for row in rows
    )


def judge(measured: Measured) -> tuple[Part, ...]:
    errors = measured.errors
    rise = {key: over_seeds(100 * (errors[key] - errors[f"{key.split()[0]} 0"])) for key in errors}
    parts = [
        below(f"{100 * JUDGED:.0f} % random errors add less than a quarter of that to the dev error",
              rise[f"random {JUDGED:g}"], 100 * LITTLE * JUDGED, "points")
    ]  # fmt: skip
    for share in SHARES[1:]:
        more = over_seeds(100 * (errors[f"systematic {share:g}"] - errors[f"random {share:g}"]))
        parts.append(above(f"{100 * share:.0f} % systematic errors do more harm than as many random ones", more, 0,
                           "points"))  # fmt: skip
    return tuple(parts)


def table(measured: Measured) -> Table:
    rows = []
    for share in SHARES:
        cells = [f"{100 * measured.errors[f'{kind} {share:g}'].mean():.1f} %" for kind in KINDS]
        rates = [f"{measured.rates[f'{kind} {share:g}']:g}" for kind in KINDS]
        rows.append((f"{100 * share:.0f} %", *cells, " and ".join(rates)))
    return Table(("wrong labels", "dev error, random", "systematic", "best rates"), tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.4)
    grid = figure.add_gridspec(2, 6, width_ratios=(1, 1, 1, 0.8, 0.8, 0.8))
    axes = figure.add_subplot(grid[:, :3])
    shares = np.array(SHARES)
    for kind, colour in COLOURS.items():
        runs = np.stack([measured.errors[f"{kind} {share:g}"] for share in SHARES], axis=1)
        spread(axes, shares, runs, f"{kind} errors", colour, marker="o", markersize=4)
    axes.plot(shares, shares, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), label="as many as wrong labels")
    axes.set_xlabel("share of wrong training labels")
    axes.set_ylabel("dev error (right labels)")
    axes.set_xticks(SHARES)
    for which in "xy":
        error_axis(axes, which, "share")
    axes.set_ylim(0, None)
    axes.legend(fontsize=8)
    axes.set_title("wrong labels and the dev error")
    for place, example in enumerate(measured.examples):
        panel = figure.add_subplot(grid[place // 3, 3 + place % 3])
        bare(panel)
        panel.imshow(example.image, cmap="gray", vmin=0, vmax=1)
        panel.set_xticks([])
        panel.set_yticks([])
        panel.set_title(f"{example.true}, labelled {example.label}", fontsize=8, fontweight="normal", loc="center")
    figure.text(0.56, 0.98, "systematic: the darkest of each class", fontsize=10, fontweight="bold", va="top")
    return figure


CLAIM = Claim(
    claimed="Deep learning algorithms are quite robust to random errors in the training set, and less robust to "
    "systematic errors: if white dogs are always labelled as cats, the classifier learns to call them cats.",
    source="Ng, Structuring Machine Learning Projects, week 2; Rolnick et al. 2017.",
    experiment=f"{TRAIN_ON:,} digits for training and {DEV} for dev, whose labels stay right. A share of the training "
    "labels is made wrong: of random pictures, each with any other class; or of the darkest pictures of every class "
    "(the pixels with the lowest mean), always with the next class. A residual net of 8 layers (8, 16 and 32 channels) "
    f"with batch norm, {EPOCHS} epochs, mini-batches of 64, momentum 0.9, a rate that falls along a cosine; the best "
    f"of the rates {RATES[0]:g} and {RATES[1]:g} for each cell, by the dev error on a separate seed.",
    rule=f"With {100 * JUDGED:.0f} % random errors the dev error rises by less than {100 * JUDGED * LITTLE:g} points, "
    "a quarter of the share of wrong labels. At each share the difference of dev errors, systematic minus random, is "
    "above 0. Each with the whole 95 % interval over seeds.",
    seeds=6,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
    pictures=digits,
)
