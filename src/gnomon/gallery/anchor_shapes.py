"""Five shapes of box found by k-means on IoU fit a set better than nine that were picked by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from gnomon.core.seeds import derive
from gnomon.figures.style import MUTED, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import above, over_seeds
from gnomon.gallery._pictures import COLOURS, spread
from gnomon.gallery._scenes import FIELD, crowd
from gnomon.nn.anchors import anchor_recall, find_anchors, mean_distance
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = 60  # to find shapes on, and as many others to measure them on
COUNTS = tuple(range(1, 10))
FEW, MANY = 5, 9
PUBLISHED_SIDE, SCALES, RATIOS = 600, (128, 256, 512), (0.5, 1.0, 2.0)  # pixels. Ren et al. 2015, section 3.3
WAYS = {"iou": "k-means on 1 - IoU", "pixels": "k-means on pixels"}


@dataclass(frozen=True)
class Measured:
    """On boxes that took no part in finding the shapes; S seeds."""

    fits: Mapping[str, Array]  # by WAYS, (S, len(COUNTS)): the mean IoU of a box with the shape that fits best
    recalls: Mapping[str, Array]  # by WAYS, (S, len(COUNTS)): the share of boxes with a shape of IoU 0.5 or more
    hand_fit: Array  # (S,) of the nine
    hand_recall: Array


def by_hand() -> Tensor:
    """(9, 2) widths and heights: the published ones for a picture of FIELD pixels."""
    sides = [scale * FIELD / PUBLISHED_SIDE for scale in SCALES]
    return torch.tensor([[side * ratio**0.5, side / ratio**0.5] for side in sides for ratio in RATIOS]).double()


def sizes_of(boxes: Sequence[Tensor]) -> Tensor:
    every = torch.cat(list(boxes))
    return every[:, 2:] - every[:, :2]


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    fits: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    recalls: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    hand = []
    for i, seed in enumerate(seeds):
        progress(i / len(seeds), f"seed {i + 1} of {len(seeds)}")
        boxes = crowd(2 * PICTURES, seed)
        known, unseen = sizes_of(boxes[:PICTURES]), sizes_of(boxes[PICTURES:])
        for way in WAYS:
            shapes = [_found(known, count, way, seed) for count in COUNTS]
            fits[way].append([1 - mean_distance(unseen, one) for one in shapes])
            recalls[way].append([anchor_recall(unseen, one) for one in shapes])
        hand.append((1 - mean_distance(unseen, by_hand()), anchor_recall(unseen, by_hand())))
    hand_fit, hand_recall = np.array(hand).T
    as_arrays = [{way: np.array(rows) for way, rows in found.items()} for found in (fits, recalls)]
    return Measured(as_arrays[0], as_arrays[1], hand_fit, hand_recall)


def _found(sizes: Tensor, count: int, way: str, seed: int) -> Tensor:
    if way == "iou":
        return find_anchors(sizes, count, seed=seed)
    means = KMeans(count, n_init=5, random_state=derive(seed, "k-means") % 2**32).fit(sizes.numpy())
    return torch.from_numpy(means.cluster_centers_)


def judge(measured: Measured) -> tuple[Part, ...]:
    few, many = COUNTS.index(FEW), COUNTS.index(MANY)
    found, pixels = measured.fits["iou"], measured.fits["pixels"]
    return (
        above(f"{FEW} shapes that were found fit better than {MANY} picked by hand",
              over_seeds(found[:, few] - measured.hand_fit), 0, "of mean IoU"),
        above(f"{FEW} found by IoU fit better than {FEW} found by pixels",
              over_seeds(found[:, few] - pixels[:, few]), 0, "of mean IoU"),
        above(f"{FEW} reach an IoU of 0.5 with nearly every box",
              over_seeds(measured.recalls["iou"][:, few]), 0.95, "of the boxes"),
        above(f"{MANY} fit better than {FEW}", over_seeds(found[:, many] - found[:, few]), 0, "of mean IoU"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    rows = [
        (
            label,
            str(count),
            f"{measured.fits[way][:, i].mean():.3f}",
            f"{100 * measured.recalls[way][:, i].mean():.1f} %",
        )
        for way, label in WAYS.items()
        for i, count in enumerate(COUNTS)
        if count in (1, 2, 3, FEW, MANY)
    ]
    hand = ("by hand", str(MANY), f"{measured.hand_fit.mean():.3f}", f"{100 * measured.hand_recall.mean():.1f} %")
    return Table(("shapes", "how many", "mean IoU", "recall at 0.5"), (*rows, hand))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(2.9)
    left, right = figure.subplots(1, 2)
    counts = np.array(COUNTS)
    for axes, found, hand in (
        (left, measured.fits, measured.hand_fit),
        (right, measured.recalls, measured.hand_recall),
    ):
        for (way, label), colour in zip(WAYS.items(), COLOURS, strict=False):
            spread(axes, counts, found[way], label, colour)
        axes.plot(MANY, hand.mean(), "o", color=MUTED, label="by hand")
        axes.set_xlabel("shapes")
    left.set_title("mean IoU with the best shape")
    right.set_title("share of boxes with an IoU of 0.5")
    right.legend(loc="lower right")
    return figure


CLAIM = Claim(
    claimed="Instead of choosing the shapes of anchors by hand, let k-means find them in the boxes of the "
    "training set, with 1 - IoU for the distance so that large boxes do not count for more. Five found in this "
    "way fit as well as nine picked by hand.",
    source="Redmon & Farhadi 2017, section 2 and table 1; Ng, Convolutional Neural Networks, week 3.",
    experiment=f"Boxes as in pictures of blood ({FIELD} pixels per side): 8 to 20 red cells, up to 2 white ones "
    f"and 4 platelets, cut off at the border. Shapes are found in {PICTURES} pictures and measured on {PICTURES} "
    "others. By hand: the nine of Faster R-CNN (128, 256 and 512 pixels at ratios 1:2, 1:1 and 2:1 for pictures "
    "of 600), scaled to the size of the pictures.",
    rule="Over seeds, each with the whole 95 % interval: the mean IoU of a box with the best of five found shapes "
    "minus that with the best of nine by hand is above 0, minus that with the best of five found by distance in "
    "pixels above 0, and less than that of nine found; the share of boxes with an IoU of 0.5 or more is above "
    "0.95.",
    seeds=10,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)
