"""A threshold of suppression that is too low loses neighbours; one that is too high keeps duplicates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnomon.core.seeds import derive
from gnomon.figures.style import new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import above, over_seeds
from gnomon.gallery._pictures import COLOURS, spread
from gnomon.gallery._scenes import average_precision, scenes
from gnomon.gallery._windows import SAYS, SIZES, learned, search, slider
from gnomon.nn.detections import best_detections
from gnomon.reference import Array
from gnomon.training.threads import using

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRAIN, DEV = 150, 40  # pictures
THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # IoU
LOW, MIDDLE, HIGH = 0.02, 0.3, 0.8
CROWDING = {"crowded": 0.35, "apart": 0.0}  # IoU that two objects may have
MOST = 5  # objects in a picture


@dataclass(frozen=True)
class Measured:
    """S seeds."""

    precision: Mapping[str, Array]  # by CROWDING, (S, len(THRESHOLDS)): mean AP at an IoU of 0.5


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    found: dict[str, list[list[float]]] = {kind: [] for kind in CROWDING}
    for i, seed in enumerate(seeds):
        progress(i / len(seeds), f"seed {i + 1} of {len(seeds)}")
        whole = slider(learned(scenes(TRAIN, seed, most=MOST, crowding=CROWDING["crowded"]), seed))
        for kind, crowding in CROWDING.items():
            dev = scenes(DEV, derive(seed, "dev"), most=MOST, crowding=crowding)
            with using(1):
                boxes, shown = search(whole, dev)
                kept = [best_detections(boxes, shown[..., :-1], overlap=threshold) for threshold in THRESHOLDS]
            found[kind].append([average_precision(dev, *one) for one in kept])
    return Measured({kind: np.array(rows) for kind, rows in found.items()})


def judge(measured: Measured) -> tuple[Part, ...]:
    low, middle, high = (THRESHOLDS.index(one) for one in (LOW, MIDDLE, HIGH))
    crowded, apart = (100 * measured.precision[kind] for kind in CROWDING)
    lost, lost_apart = crowded[:, middle] - crowded[:, low], apart[:, middle] - apart[:, low]
    return (
        above(f"where objects touch, {MIDDLE} finds more than {LOW}", over_seeds(lost), 0, "points of mAP"),
        above(f"and more than {HIGH}", over_seeds(crowded[:, middle] - crowded[:, high]), 0, "points of mAP"),
        above("a low threshold costs more where they touch than where they are apart",
              over_seeds(lost - lost_apart), 0, "points of mAP"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    rows = tuple(
        (f"{threshold:g}", *(f"{100 * measured.precision[kind][:, i].mean():.1f} %" for kind in CROWDING))
        for i, threshold in enumerate(THRESHOLDS)
    )
    return Table(("threshold", *(f"mAP@0.5, {kind}" for kind in CROWDING)), rows)


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(2.9)
    axes = figure.subplots()
    for kind, colour in zip(CROWDING, COLOURS, strict=False):
        spread(axes, np.array(THRESHOLDS), 100 * measured.precision[kind], kind, colour, marker="o")
    axes.set_xlabel("IoU above which the less likely of two boxes goes")
    axes.set_title("mAP@0.5, %")
    axes.legend()
    return figure


CLAIM = Claim(
    claimed="Many windows fire on one object. Non-maximum suppression keeps the most likely and removes those "
    "that overlap it by more than a threshold. It must be low enough to remove duplicates and high enough to keep "
    "objects that touch.",
    source="Felzenszwalb et al. 2010; Ng, Convolutional Neural Networks, week 3.",
    experiment=f"Squares and discs of 12 to 24 pixels, up to {MOST} in pictures of 64x64 with noise. {SAYS}: "
    f"{TRAIN} pictures, crowded: each object near another one, with an IoU of up to {CROWDING['crowded']} of their "
    f"boxes. It is tried on {DEV} crowded ones and on {DEV} with objects apart. All windows of {SIZES[0]} and "
    f"{SIZES[1]} pixels are answered; suppression is within each class.",
    rule=f"Over seeds, each with the whole 95 % interval: on crowded pictures the mAP with a threshold of {MIDDLE} "
    f"minus that with {LOW} is above 0, and so is that minus the mAP with {HIGH}; the first of these differences "
    "is larger on crowded pictures than on those with objects apart.",
    seeds=4,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)
