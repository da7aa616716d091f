"""Nine numbers that are learned from pictures and their edges are those of the filter that found the edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.data.images.filters import kernels
from gnomon.figures.style import new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._convnets import Recipe, started, train
from gnomon.gallery._method import below, over_seeds
from gnomon.gallery._small_pictures import Pictures, digits
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS: Mapping[str, str | float] = {"Sobel, vertical": 90.0, "edges at 70 degrees": 70.0, "Laplace": "laplace"}
TRAIN, DEV = 300, 100  # pictures
RECIPE = Recipe(epochs=30, learning_rate=0.3)
NOISE = 0.5  # standard deviation, on edges of up to 4
NEAR = 0.01  # of the largest number of a filter
OFTEN = 0.1


@dataclass(frozen=True)
class Measured:
    """For each of KINDS."""

    true: Mapping[str, Array]  # (3, 3)
    learned: Mapping[str, Array]  # (seeds, 3, 3)
    noisy: Mapping[str, Array]  # (seeds, 3, 3), learned from edges with noise on them


class Against(nn.Module):
    """(B, 1, H, W) -> (B, 1, H - 2, W - 2): a filter that learns, minus what it shall learn."""

    def __init__(self, kernel: Array, noise: float) -> None:
        super().__init__()
        self.learning = nn.Conv2d(1, 1, 3, bias=False)
        self.kernel = torch.tensor(kernel, dtype=torch.float32)[None, None]
        self.noise = noise

    def forward(self, pictures: Tensor) -> Tensor:
        edges = functional.conv2d(pictures, self.kernel)
        apart: Tensor = self.learning(pictures) - edges - self.noise * torch.randn_like(edges)
        return apart


def learned(kernel: Array, noise: float, seed: int, pictures: Pictures) -> Array:
    """(3, 3), from TRAIN pictures and their edges."""
    part, _ = pictures.split(seed, train=TRAIN, dev=DEV)
    net = started(Against(kernel, noise), seed)
    train(net, part, RECIPE, seed, loss=lambda apart, _labels: apart.square().mean())
    return net.learning.weight.detach()[0, 0].double().numpy()  # type: ignore[union-attr, operator, index, no-any-return]


def measure(seeds: Sequence[int], progress: Progress, pictures: Pictures) -> Measured:
    gray = replace(pictures, images=pictures.images.mean(dim=1, keepdim=True))
    true = {name: next(iter(kernels(kind).by_name.values())) for name, kind in KINDS.items()}
    found: dict[float, dict[str, Array]] = {0.0: {}, NOISE: {}}
    for i, (name, kernel) in enumerate(true.items()):
        for j, (noise, by_name) in enumerate(found.items()):
            progress((i + j / 2) / len(true), name)
            by_name[name] = np.stack([learned(kernel, noise, seed, gray) for seed in seeds])
    return Measured(true, found[0.0], found[NOISE])


def furthest(measured: Measured, found: Mapping[str, Array], name: str) -> Array:
    """(seeds,): the largest of nine deviations, as a share of the filter's largest number."""
    true = measured.true[name]
    shares: Array = np.abs(found[name] - true).max(axis=(1, 2)) / np.abs(true).max()
    return shares


def judge(measured: Measured) -> tuple[Part, ...]:
    return (
        *(below(f"{name}: no number is off by {NEAR:.0%} of the largest",
                over_seeds(100 * furthest(measured, measured.learned, name)), 100 * NEAR, "%") for name in KINDS),
        *(below(f"{name}: nor by {OFTEN:.0%} with noise on the edges",
                over_seeds(100 * furthest(measured, measured.noisy, name)), 100 * OFTEN, "%") for name in KINDS),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    rows = []
    for name in KINDS:
        for label, found in (("exact edges", measured.learned), ("with noise", measured.noisy)):
            shares = 100 * furthest(measured, found, name)
            rows.append((name, label, _text(measured.true[name]), _text(found[name][0]), f"{shares.mean():.2g} %"))
    return Table(("filter", "learned from", "true, row by row", "learned (first seed)", "largest deviation"),
                 tuple(rows))  # fmt: skip


def _text(kernel: Array) -> str:
    return ", ".join(f"{np.round(number, 2) + 0:g}" for number in kernel.ravel())  # + 0: no -0


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(4.8)
    axes = figure.subplots(3, len(KINDS))
    for column, name in enumerate(KINDS):
        shown = (measured.true[name], measured.learned[name][0], measured.noisy[name][0])
        for row, (label, kernel) in enumerate(zip(("true", "learned", "from noisy edges"), shown, strict=True)):
            _numbers(axes[row, column], kernel, np.abs(measured.true[name]).max())
            axes[row, column].set_title(f"{name}: {label}" if row == 0 else label)
    return figure


def _numbers(axes: Axes, kernel: Array, largest: float) -> None:
    axes.imshow(kernel, cmap="RdBu", vmin=-1.6 * largest, vmax=1.6 * largest)
    for row, column in np.ndindex(3, 3):
        axes.text(column, row, f"{np.round(kernel[row, column], 2) + 0:.2f}", ha="center", va="center", fontsize=7)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)


CLAIM = Claim(
    claimed="The numbers of an edge filter need not be picked by hand: treated as nine parameters, they can be "
    "learned by back-propagation, for edges at any angle.",
    source="LeCun et al. 1989; Ng, Convolutional Neural Networks, week 1 (more edge detection).",
    experiment=f"{TRAIN} digits of 8x8 pixels, each with its edges by a known filter: Sobel's, the same turned to 70 "
    "degrees, Laplace's. A convolution of 3x3 without bias starts from random numbers (He initialisation) and is "
    f"trained by squared error, {RECIPE.epochs} epochs of momentum 0.9 and mini-batches of 64, rate "
    f"{RECIPE.learning_rate:g} that falls along a cosine. Once with the exact edges, once with noise on them "
    f"(standard deviation {NOISE:g}, drawn anew at each step).",
    rule="Over seeds, each with the whole 95 % interval: of the nine numbers the one that is furthest off deviates "
    f"by less than {NEAR:.0%} of the filter's largest, with noise by less than {OFTEN:.0%}.",
    seeds=6,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
    pictures=digits,
)
