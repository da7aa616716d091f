"""The numbers of a detector on one split, from its table of predictions: COCO's, Pascal VOC's, and at the threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from gnomon.metrics import detection
from gnomon.metrics.box_table import BoxTable, read
from gnomon.metrics.detection import COCO_NUMBERS
from gnomon.metrics.intervals import groups_of
from gnomon.metrics.matching import IGNORED, RIGHT, Matches, match_as_coco
from gnomon.metrics.operating_point import SHARES, answers_at, share_of

if TYPE_CHECKING:
    import polars as pl

    from gnomon.core.evaluation import Evaluation
    from gnomon.metrics.interval import Interval

MISS_RATE = "log-average miss rate"
LESS_IS_BETTER = (MISS_RATE,)  # of `scores`
COCO_WORK = 25  # IoUs computed in a round: ten for each of four areas, of which only those of small areas are few
MOST_CLASSES = 30  # up to which the AP of every class is listed


@final
@dataclass(frozen=True)
class Curve:
    """Precision and recall of one class as the score falls, at an IoU of 0.5."""

    class_name: str
    recall: np.ndarray  # (D,)
    precision: np.ndarray  # (D,)
    average_precision: float
    at_threshold: tuple[float, float] | None  # recall, precision; None where nothing is found there


def scores(evaluation: Evaluation, threshold: float, *, seed: int = 0) -> dict[str, Interval]:
    """mAP and the AP of each class at IoU 0.5, precision, recall and F1 at the threshold, miss rate, COCO's twelve.

    Each with an interval by redrawing pictures, or groups of them. What cannot be measured is left out: AP of large
    objects where there are none.
    """
    found = read(evaluation.table)
    matches, groups = found.matches, groups_of(evaluation.table, np.ones(found.num_pictures, bool))
    if not matches.is_wanted.any():
        return {}
    values = found.predictions.scores
    names = found.class_names if len(found.class_names) <= MOST_CLASSES else ()

    def at_half(matches: Matches, counts: np.ndarray) -> np.ndarray:
        each = detection.voc_average_precision(matches, counts)
        mean, missed = detection.voc(matches, counts), detection.miss_rate(matches, counts)
        return np.column_stack([mean, missed, each[:, : len(names)]])

    pictures = answers_at(matches, values, threshold)

    def at_threshold(_matches: Matches, counts: np.ndarray) -> np.ndarray:
        return np.stack([share_of(what, counts @ pictures) for what in SHARES], axis=1)

    half = detection.intervals(at_half, matches, groups=groups, thresholds=2, seed=seed)
    there = detection.intervals(at_threshold, matches, groups=groups, thresholds=1, seed=seed)
    coco = detection.intervals(detection.coco_numbers, _as_coco(found), groups=groups, thresholds=COCO_WORK, seed=seed)
    keys = ["mAP@0.5", MISS_RATE, *(f"AP@0.5 of {name}" for name in names), *SHARES]
    keys += [f"COCO {name}" for name in COCO_NUMBERS]
    in_order = dict(zip(keys, [*half, *there, *coco], strict=True))
    return {name: one for name, one in in_order.items() if np.isfinite(one.value)}


def _as_coco(found: BoxTable) -> Matches:
    return match_as_coco(
        found.truths, found.predictions, num_pictures=found.num_pictures, num_classes=max(1, len(found.class_names))
    )


def curves(table: pl.DataFrame, threshold: float) -> list[Curve]:
    """Of each class that has something to find, in the order of their names."""
    found = read(table)
    matches, once = found.matches, np.ones((1, found.num_pictures))
    average = detection.voc_average_precision(matches, once)[0]
    values = found.predictions.scores[matches.index]
    drawn = []
    for label in np.flatnonzero(np.isfinite(average)).tolist():
        of_class = (matches.label == label) & (matches.found[0, 0] != IGNORED)
        right = np.cumsum(matches.found[0, 0, of_class] == RIGHT)
        wanted = int((matches.is_wanted[0] & (matches.truth_label == label)).sum())
        recall, precision = right / wanted, right / np.arange(1, len(right) + 1)
        answers = int((values[of_class] >= threshold).sum())
        there = (float(recall[answers - 1]), float(precision[answers - 1])) if answers else None
        drawn.append(Curve(found.class_names[label], recall, precision, float(average[label]), there))
    return drawn
