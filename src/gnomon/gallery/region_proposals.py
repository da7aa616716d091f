"""Classifying the few regions of a segmentation, as R-CNN does, finds as much as classifying every window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from gnomon.figures.style import new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import above, factor, over_seeds
from gnomon.gallery._pictures import dots
from gnomon.gallery._regions import regions
from gnomon.gallery._scenes import Scenes, average_precision, scenes
from gnomon.gallery._windows import SAYS, SIZES, crops, learned, search, slider
from gnomon.nn.boxes import iou
from gnomon.nn.detections import best_detections
from gnomon.reference import Array
from gnomon.training.threads import using

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRAIN, DEV = 200, 40  # pictures
CROWDING = 0.1  # IoU that two objects may have
OVERLAP = 0.3  # IoU above which the less likely of two boxes goes
FOUND = 0.5  # IoU from which a region is an object's


@dataclass(frozen=True)
class Measured:
    """S seeds."""

    regions: Array  # (S,) boxes of a picture, the mean
    windows: Array  # (S,)
    recall: Array  # (S,) the share of objects with a region of IoU FOUND or more
    precision: Array  # (S, 2): mean AP at an IoU of 0.5 by regions and by windows


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    counts, recalls, found = [], [], []
    for i, seed in enumerate(seeds):
        progress(i / len(seeds), f"seed {i + 1} of {len(seeds)}")
        both = scenes(TRAIN + DEV, seed, crowding=CROWDING)
        net, dev = learned(both.take(slice(TRAIN)), seed), both.take(slice(TRAIN, None))
        proposed = [torch.from_numpy(regions(one.permute(1, 2, 0).numpy())).float() for one in dev.pictures]
        with using(1):
            boxes, shown = search(slider(net), dev)
            by_windows = average_precision(dev, *best_detections(boxes, shown[..., :-1], overlap=OVERLAP))
            by_regions = average_precision(dev, *classified(net, dev, proposed))
        counts.append((np.mean([len(one) for one in proposed]), boxes.shape[1]))
        recalls.append(recall(dev, proposed))
        found.append((by_regions, by_windows))
    some, every = np.array(counts).T
    return Measured(some, every, np.array(recalls), np.array(found))


@torch.no_grad()
def classified(net: nn.Module, dev: Scenes, proposed: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Detections: what each region shows, squeezed to the size of a window, after suppression."""
    boxes = nn.utils.rnn.pad_sequence(list(proposed), batch_first=True)  # (N, R, 4)
    is_region = boxes[..., 2] > boxes[..., 0]
    shown = net(crops(dev, boxes)).softmax(-1).view(*boxes.shape[:2], -1)
    return best_detections(boxes, shown[..., :-1] * is_region[..., None], overlap=OVERLAP)


def recall(dev: Scenes, proposed: Sequence[Tensor]) -> float:
    """The share of objects that some region has an IoU of FOUND or more with."""
    best = [
        iou(box, own).max() if len(own) else torch.tensor(0.0)
        for own, boxes, kinds in zip(proposed, dev.boxes, dev.kinds, strict=True)
        for box in boxes[kinds >= 0]
    ]
    return float((torch.stack(best) >= FOUND).double().mean())


def judge(measured: Measured) -> tuple[Part, ...]:
    by_regions, by_windows = 100 * measured.precision.T
    return (
        above("there are far fewer regions than windows", factor(measured.windows, measured.regions), 10, "times"),
        above("nearly every object is a region", over_seeds(100 * measured.recall), 90, "%"),
        above(
            "regions find as much as windows, 5 points aside", over_seeds(by_regions - by_windows), -5, "points of mAP"
        ),
    )


def table(measured: Measured) -> Table:
    return Table(
        ("what is classified", "of a picture", "objects among them", "mAP@0.5"),
        tuple(
            (name, f"{counts.mean():,.0f}", recalled, f"{100 * precision.mean():.1f} %")
            for name, counts, recalled, precision in (
                ("regions", measured.regions, f"{100 * measured.recall.mean():.1f} %", measured.precision[:, 0]),
                ("windows", measured.windows, "", measured.precision[:, 1]),
            )
        ),
    )


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(2.9)
    left, right = figure.subplots(1, 2)
    dots(left, [measured.regions, measured.windows], ["regions", "windows"])
    left.set_yscale("log")
    left.set_title("boxes to classify in a picture")
    dots(right, [100 * column for column in measured.precision.T], ["regions", "windows"])
    right.set_ylim(0, 100)
    right.set_title("mAP@0.5, %")
    return figure


CLAIM = Claim(
    claimed="Most windows of a picture plainly hold nothing. R-CNN looks for blobs with a segmentation and "
    "classifies only these regions, some 2,000 of a photo instead of all places at all sizes.",
    source="Girshick et al. 2014; Uijlings et al. 2013; Ng, Convolutional Neural Networks, week 3.",
    experiment="Squares and discs of 12 to 24 pixels, up to 3 in pictures of 64x64 with noise, some partly over "
    f"one another: {TRAIN} for training and {DEV} for dev. {SAYS}. The same net classifies either all windows of "
    f"{SIZES[0]} and {SIZES[1]} pixels, 2 pixels apart, or the boxes of regions: segments of about one colour, and "
    "their unions as neighbours that are most alike are merged one by one. Boxes are not refined.",
    rule="Over seeds, each with the whole 95 % interval: there are more than 10 times as many windows as regions; "
    f"more than 90 % of the objects have a region with an IoU of {FOUND} or more; the mAP by regions minus that by "
    "windows is above -5 points.",
    seeds=4,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)
