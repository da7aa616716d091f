"""Anchors let a cell of the grid hold several objects; where the grid is fine, two in one cell are rare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gnomon.figures.style import new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import above, below, factor, over_seeds
from gnomon.gallery._pictures import COLOURS, spread
from gnomon.gallery._scenes import FIELD, crowd
from gnomon.gallery.anchor_shapes import sizes_of
from gnomon.models.yolo_notes import assign
from gnomon.nn.anchors import find_anchors
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = 100
GRIDS = (2, 4, 8, 19)  # cells per side; the lectures draw 3 and use 19
ANCHORS = (1, 2, 5)
COARSE, FINE = 4, 19


@dataclass(frozen=True)
class Measured:
    """S seeds."""

    lost: Array  # (S, len(ANCHORS), len(GRIDS)): the share of objects without a place
    objects: Array  # (S,) in a picture, the mean


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    lost, objects = [], []
    for i, seed in enumerate(seeds):
        progress(i / len(seeds), f"seed {i + 1} of {len(seeds)}")
        pictures = crowd(PICTURES, seed)
        shapes = {count: find_anchors(sizes_of(pictures), count, seed=seed) for count in ANCHORS}
        lost.append([[lost_share(pictures, shapes[count], cells) for cells in GRIDS] for count in ANCHORS])
        objects.append(np.mean([len(boxes) for boxes in pictures]))
    return Measured(np.array(lost), np.array(objects))


def lost_share(pictures: Sequence[Tensor], anchors: Tensor, cells: int) -> float:
    """The share of objects that get no place on a grid of so many cells per side."""
    placed = total = 0
    for boxes in pictures:
        kinds = torch.zeros(1, len(boxes), dtype=torch.long)
        placed += len(assign(boxes[None], kinds, anchors, cells, cells, FIELD // cells).place)
        total += len(boxes)
    return 1 - placed / total


def judge(measured: Measured) -> tuple[Part, ...]:
    coarse, fine = GRIDS.index(COARSE), GRIDS.index(FINE)
    one, two, five = (100 * measured.lost[:, ANCHORS.index(count)] for count in ANCHORS)
    return (
        above(
            f"with one anchor and {COARSE}x{COARSE} cells many objects are lost", over_seeds(one[:, coarse]), 10, "%"
        ),
        below("two anchors lose less than half as many", factor(two[:, coarse], one[:, coarse]), 0.5, "times"),
        below("five anchors lose hardly any", over_seeds(five[:, coarse]), 1, "%"),
        below(f"with {FINE}x{FINE} cells one anchor loses hardly any", over_seeds(one[:, fine]), 1, "%"),
    )


def table(measured: Measured) -> Table:
    rows = tuple(
        (str(count), *(f"{100 * share:.2f} %" for share in measured.lost[:, i].mean(axis=0)))
        for i, count in enumerate(ANCHORS)
    )
    return Table(("anchors", *(f"lost with {cells}x{cells} cells" for cells in GRIDS)), rows)


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(2.9)
    axes = figure.subplots()
    for i, (count, colour) in enumerate(zip(ANCHORS, COLOURS, strict=False)):
        label = f"{count} anchor{'s' if count > 1 else ''}"
        spread(axes, np.arange(len(GRIDS)), 100 * measured.lost[:, i], label, colour, marker="o")
    axes.set_xticks(range(len(GRIDS)), [f"{cells}x{cells}" for cells in GRIDS])
    axes.set_xlabel("cells")
    axes.set_title("objects without a place, %")
    axes.legend()
    return figure


CLAIM = Claim(
    claimed="An object belongs to the cell of its midpoint, so without anchors two objects in one cell cannot "
    "both be found. With two anchors a cell can hold two. Three objects for two anchors, or two of one shape, are "
    "not handled well, but with a grid of 19x19 that rarely happens.",
    source="Redmon & Farhadi 2017; Ng, Convolutional Neural Networks, week 3.",
    experiment=f"Boxes as in pictures of blood ({FIELD} pixels per side, 8 to 26 cells), {PICTURES} pictures per "
    "seed. Each object gets the cell of its midpoint and there the best anchor that is free, as model=yolo-notes "
    f"gives them: grids of {', '.join(f'{cells}x{cells}' for cells in GRIDS)}, with {', '.join(map(str, ANCHORS))} "
    "anchors from k-means. Objects that get no place are lost before any training.",
    rule=f"Over seeds, each with the whole 95 % interval: with {COARSE}x{COARSE} cells one anchor loses more than "
    f"10 % of the objects, two anchors less than half of that, five less than 1 %; with {FINE}x{FINE} cells one "
    "anchor loses less than 1 %.",
    seeds=10,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)
