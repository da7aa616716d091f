"""A net run convolutionally answers all windows of a picture in one pass, and so can afford fine steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from gnomon.figures.style import BLUE, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import above, fact, factor, over_seeds
from gnomon.gallery._pictures import dots, spread
from gnomon.gallery._scenes import average_precision, scenes
from gnomon.gallery._windows import SAYS, SIDE, SIZES, learned, scaled, search, slider
from gnomon.nn.detections import best_detections
from gnomon.nn.sliding import Sliding
from gnomon.reference import Array
from gnomon.training.threads import using

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRAIN, DEV = 200, 60  # pictures
STEPS = (1, 2, 4, 8)  # of windows 2 pixels apart, in the picture that is scaled for them
COARSE = 8
OVERLAP = 0.3  # IoU above which the less likely of two windows goes
TIMED, REPEATS = 8, 3  # pictures, and how often
AT_ONCE = 256  # windows
TOLERANCE = 1e-3  # of logits


@dataclass(frozen=True)
class Measured:
    """S seeds."""

    precision: Array  # (S, len(STEPS)): mean AP at an IoU of 0.5
    windows: Array  # (len(STEPS),) of a picture
    alone: Array  # (S,) seconds of processor time for TIMED pictures, each window on its own
    at_once: Array  # (S,)
    difference: Array  # (S,) the largest of any logit between the two


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    rows, times, windows = [], [], [0] * len(STEPS)
    for i, seed in enumerate(seeds):
        progress(i / len(seeds), f"seed {i + 1} of {len(seeds)}")
        both = scenes(TRAIN + DEV, seed)
        net, dev = learned(both.take(slice(TRAIN)), seed), both.take(slice(TRAIN, None))
        whole = slider(net)
        with using(1):
            row = []
            for j, step in enumerate(STEPS):
                boxes, shown = search(whole, dev, step=step)
                windows[j] = boxes.shape[1]
                row.append(average_precision(dev, *best_detections(boxes, shown[..., :-1], overlap=OVERLAP)))
            rows.append(row)
            times.append(_timed(net, whole, torch.cat([scaled(dev.take(slice(TIMED)), SIZES[0])])))
    alone, at_once, difference = np.array(times).T
    return Measured(np.array(rows), np.array(windows), alone, at_once, difference)


@torch.no_grad()
def _timed(net: nn.Module, whole: Sliding, pictures: Tensor) -> tuple[float, float, float]:
    """Seconds window by window and in one pass, the least of some; the largest difference of their logits."""
    difference = float((each_alone(net, pictures, whole.stride[0]) - whole(pictures)).abs().max())
    alone = min(_seconds(lambda: each_alone(net, pictures, whole.stride[0])) for _ in range(REPEATS))
    return alone, min(_seconds(lambda: whole(pictures)) for _ in range(REPEATS)), difference


def each_alone(net: nn.Module, pictures: Tensor, stride: int) -> Tensor:
    """(B, K, rows, columns): every window cut out and answered on its own, AT_ONCE of them in a batch."""
    cut = pictures.unfold(2, SIDE, stride).unfold(3, SIDE, stride)  # (B, 3, rows, columns, SIDE, SIDE)
    batch, _, rows, columns = cut.shape[:4]
    flat = cut.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
    answers = torch.cat([net(part) for part in flat.split(AT_ONCE)])
    return answers.view(batch, rows, columns, -1).permute(0, 3, 1, 2)


def _seconds(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def judge(measured: Measured) -> tuple[Part, ...]:
    precision = 100 * measured.precision
    fine, coarse = STEPS.index(1), STEPS.index(COARSE)
    largest = float(measured.difference.max())
    return (
        fact("one pass gives every window the answer that it gets alone", largest < TOLERANCE,
             f"logits differ by at most {largest:.1g}; claim: below {TOLERANCE:g}"),
        above("one pass is several times as fast", factor(measured.alone, measured.at_once), 3, "times"),
        above(f"windows at every {COARSE}th place find less than at every place",
              over_seeds(precision[:, fine] - precision[:, coarse]), 0, "points of mAP"),
        above("windows at every place find most objects", over_seeds(precision[:, fine]), 80, "% mAP"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    rows = [
        (f"every {2 * step} pixels", f"{count:,}", f"{100 * found:.1f} %")
        for step, count, found in zip(STEPS, measured.windows, measured.precision.mean(axis=0), strict=True)
    ]
    return Table(("windows", "of a picture", "mAP@0.5"), tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(2.9)
    left, right = figure.subplots(1, 2)
    spread(left, np.arange(len(STEPS)), 100 * measured.precision, "mAP", BLUE, marker="o")
    left.set_xticks(range(len(STEPS)), [str(2 * step) for step in STEPS])
    left.set_xlabel("pixels from one window to the next")
    left.set_title("mAP@0.5, %")
    dots(right, [1e3 * seconds / TIMED for seconds in (measured.alone, measured.at_once)], ["each alone", "one pass"])
    right.set_ylim(0, None)
    right.set_title("milliseconds for a picture")
    return figure


CLAIM = Claim(
    claimed="To detect objects, slide windows over the picture and classify each. With coarse steps objects are "
    "missed, with fine ones it is slow, because every window is computed on its own. With dense layers turned "
    "into convolutions one pass over the whole picture shares that work and gives the answers of all windows.",
    source="Sermanet et al. 2014, section 3.5; Ng, Convolutional Neural Networks, week 3.",
    experiment=f"Squares and discs of 12 to 24 pixels, up to 3 in pictures of 64x64 with noise: {TRAIN} for "
    f"training and {DEV} for dev. {SAYS}. It searches for objects with windows of {SIZES[0]} and {SIZES[1]} "
    f"pixels; of windows that overlap by more than {OVERLAP} IoU the most likely is kept. Times are processor time "
    f"of one thread for windows of {SIZES[0]} pixels, in batches of {AT_ONCE} where each is answered alone.",
    rule=f"The two ways' logits differ by less than {TOLERANCE:g} in every run. Over seeds, each with the whole 95 "
    "% interval: the time of windows alone over that of one pass is above 3, the mAP with windows at every place "
    f"minus that at every {COARSE}th place is above 0, and the mAP with windows at every place is above 80 %.",
    seeds=4,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)
