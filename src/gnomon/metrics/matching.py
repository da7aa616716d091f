"""Predicted boxes matched to those that people drew, once per picture: as COCO does, or as Pascal VOC does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import final

import numpy as np

from gnomon.core.errors import DataError

COCO_THRESHOLDS = np.linspace(0.5, 0.95, 10)  # float64: in float32 an exact IoU of .6 misses .6
COCO_AREAS = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
COCO_MOST = 100  # predictions per picture and class, those of highest score
ALMOST_ONE = 1 - 1e-10  # the highest threshold that is asked for, as in pycocotools
PAIRS = 1 << 20  # predictions and truths compared at once: bounds the memory

WRONG, RIGHT, IGNORED = 0, 1, 2  # what became of a prediction; IGNORED counts neither for nor against


@final
@dataclass(frozen=True)
class Truths:
    """The M boxes that people drew, in any order. COCO does not know `is_difficult`."""

    picture: np.ndarray  # (M,) int: the picture's index, from 0
    label: np.ndarray  # (M,) int: the class, from 0
    boxes: np.ndarray  # (M, 4) float64: left, top, right, bottom in pixels
    is_crowd: np.ndarray  # (M,) bool: many objects under one box; matched any number of times, never missed
    is_difficult: np.ndarray  # (M,) bool: need not be found
    area: np.ndarray  # (M,) float64 in pixels: of the object's mask if there is one, else of its box


@final
@dataclass(frozen=True)
class Predictions:
    """The D boxes that a model predicted, in any order."""

    picture: np.ndarray  # (D,) int: the picture's index, from 0
    label: np.ndarray  # (D,) int: the class, from 0
    boxes: np.ndarray  # (D, 4) float64: left, top, right, bottom in pixels
    scores: np.ndarray  # (D,) float64


@final
@dataclass(frozen=True)
class Matches:
    """What became of each prediction, class by class and by falling score; from it every number follows."""

    num_pictures: int
    num_classes: int
    thresholds: np.ndarray  # (T,): least IoU of a match
    areas: tuple[str, ...]  # A names
    index: np.ndarray  # (D,): of the prediction, as it was given
    picture: np.ndarray  # (D,)
    label: np.ndarray  # (D,), ascending
    rank: np.ndarray  # (D,): among the predictions of its picture and class, from 0
    found: np.ndarray  # (A, T, D) int8: WRONG, RIGHT or IGNORED
    truth: np.ndarray  # (T, D): index of the truth that it was matched to in the first of `areas`, or -1
    truth_picture: np.ndarray  # (M,)
    truth_label: np.ndarray  # (M,)
    is_wanted: np.ndarray  # (A, M) bool: counts as missed if it is not found


def truths(
    picture: np.ndarray,
    label: np.ndarray,
    boxes: np.ndarray,
    *,
    is_crowd: np.ndarray | None = None,
    is_difficult: np.ndarray | None = None,
    area: np.ndarray | None = None,
) -> Truths:
    """Truths with what is left out filled in: none is a crowd, none is difficult, areas are those of the boxes."""
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    none = np.zeros(len(boxes), bool)
    return Truths(
        picture=np.asarray(picture, np.int64),
        label=np.asarray(label, np.int64),
        boxes=boxes,
        is_crowd=none if is_crowd is None else np.asarray(is_crowd, bool),
        is_difficult=none if is_difficult is None else np.asarray(is_difficult, bool),
        area=areas_of(boxes) if area is None else np.asarray(area, float),
    )


def predictions(
    picture: np.ndarray, label: np.ndarray, boxes: np.ndarray, scores: np.ndarray, *, names: Sequence[str] | None = None
) -> Predictions:
    """Predictions, checked. Raises DataError for a score or a box that is not a number; `names`: the pictures'."""
    made = Predictions(
        picture=np.asarray(picture, np.int64),
        label=np.asarray(label, np.int64),
        boxes=np.asarray(boxes, float).reshape(-1, 4),
        scores=np.asarray(scores, float),
    )
    is_bad = np.isnan(made.scores) | ~np.isfinite(made.boxes).all(axis=1)
    if is_bad.any():
        first = int(np.flatnonzero(is_bad)[0])
        at = int(made.picture[first])
        raise DataError(
            f"{int(is_bad.sum())} predicted boxes have a score or a side that is not a number; "
            f"the first is {made.boxes[first].tolist()} with the score {made.scores[first]}.",
            where=f"picture {names[at] if names is not None else at}",
            fix="boxes are ranked by their scores: give finite numbers.",
        )
    return made


def areas_of(boxes: np.ndarray) -> np.ndarray:
    """(N, 4) -> (N,); 0 where right is left of left, or bottom above top."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    found: np.ndarray = sides[:, 0] * sides[:, 1]
    return found


def match_as_coco(
    truths: Truths,
    predictions: Predictions,
    *,
    num_pictures: int,
    num_classes: int,
    thresholds: np.ndarray = COCO_THRESHOLDS,
    most: int | None = COCO_MOST,
) -> Matches:
    """In each picture and class, by falling score, each prediction takes the truth of highest IoU that is still free.

    Truths outside a range of areas, and crowds, are taken only if no other is left, and such a prediction is IGNORED;
    so is one that takes nothing and whose own area is outside. The IoU with a crowd is the share of the prediction
    that it covers. Of equal scores the first comes first, of equal IoUs the last; an IoU of the threshold is enough.
    `most`: predictions per picture and class that count (None: all). Pictures are to be in the order of their ids
    where equality with pycocotools matters to the last digit: equal scores of two pictures are ranked by it.
    """
    order, rank = _ranked(predictions, most)
    picture, label = predictions.picture[order], predictions.label[order]
    boxes, areas = predictions.boxes[order], areas_of(predictions.boxes[order])
    pairs = _pairs(truths, picture, label, boxes, min(float(thresholds.min()), ALMOST_ONE))
    ranges = list(COCO_AREAS.values())
    found = np.empty((len(ranges), len(thresholds), len(order)), np.int8)
    matched = np.empty((len(thresholds), len(order)), np.int64)
    is_wanted = np.empty((len(ranges), len(truths.label)), bool)
    for at, (least, largest) in enumerate(ranges):
        is_wanted[at] = ~truths.is_crowd & (truths.area >= least) & (truths.area <= largest)
        taken = _taken(pairs, is_wanted[at], truths.is_crowd, thresholds, picture * num_classes + label)
        is_outside = (areas < least) | (areas > largest)
        unmatched = np.where(is_outside, IGNORED, WRONG)
        found[at] = np.where(taken < 0, unmatched, np.where(_at(is_wanted[at], taken), RIGHT, IGNORED))
        if at == 0:
            matched = taken
    return by_class_and_score(
        Matches(
            num_pictures, num_classes, thresholds, tuple(COCO_AREAS), order, picture, label, rank, found, matched,
            truths.picture, truths.label, is_wanted,
        ),
        predictions.scores[order],
    )  # fmt: skip


def match_as_voc(
    truths: Truths, predictions: Predictions, *, num_pictures: int, num_classes: int, threshold: float = 0.5
) -> Matches:
    """Each prediction belongs to the truth of highest IoU, taken or not, if that is at least `threshold`.

    The best of those that belong to one truth is RIGHT, the others are WRONG; of a difficult truth, or a
    crowd, all are IGNORED.
    Source: the development kit of the PASCAL VOC challenges 2007 to 2012 (VOCevaldet.m).
    """
    order, rank = _ranked(predictions, None)
    picture, label = predictions.picture[order], predictions.label[order]
    is_optional = truths.is_difficult | truths.is_crowd
    whole = replace(truths, is_crowd=np.zeros_like(truths.is_crowd))  # the IoU with a crowd is as with any other
    detection, truth, overlap = _pairs(whole, picture, label, predictions.boxes[order], threshold)
    best = np.lexsort((truth, -overlap, detection))  # of equal IoUs the first
    detection, first = np.unique(detection[best], return_index=True)
    matched = np.full(len(order), -1)
    matched[detection] = truth[best][first]
    is_spared = _at(is_optional, matched) & (matched >= 0)
    by_score = np.lexsort((rank, picture, -predictions.scores[order]))  # one truth: one picture and class
    _, leaders = np.unique(matched[by_score], return_index=True)
    is_first = np.zeros(len(order), bool)
    is_first[by_score[leaders]] = True
    found = np.where(matched < 0, WRONG, np.where(is_spared, IGNORED, np.where(is_first, RIGHT, WRONG)))
    return by_class_and_score(
        Matches(
            num_pictures, num_classes, np.array([threshold]), ("all",), order, picture, label, rank,
            found.astype(np.int8)[None, None], matched[None], truths.picture, truths.label,
            ~is_optional[None],
        ),
        predictions.scores[order],
    )  # fmt: skip


def _at(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """values[index], False where there are none."""
    return values[index] if len(values) else np.zeros(index.shape, bool)


def _ranked(predictions: Predictions, most: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Indices of predictions by picture, class and falling score; the rank of each in its picture and class."""
    order = np.lexsort((-predictions.scores, predictions.label, predictions.picture))
    picture, label = predictions.picture[order], predictions.label[order]
    is_new = np.r_[True, (np.diff(picture) != 0) | (np.diff(label) != 0)][: len(order)]
    place = np.arange(len(order))
    rank = place - np.maximum.accumulate(np.where(is_new, place, 0))
    counts = np.full(len(order), True) if most is None else rank < most
    return order[counts], rank[counts]


def _pairs(
    truths: Truths, picture: np.ndarray, label: np.ndarray, boxes: np.ndarray, least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each (prediction, truth) of one picture and class with an IoU of `least` or more: both indices, the IoU."""
    num_labels = int(max(label.max(initial=0), truths.label.max(initial=0))) + 1
    keys = truths.picture * num_labels + truths.label
    order = np.argsort(keys, kind="stable")
    wanted = picture * num_labels + label
    begin = np.searchsorted(keys[order], wanted)
    sizes = np.searchsorted(keys[order], wanted, side="right") - begin
    ends = sizes.cumsum()
    areas, truth_areas = areas_of(boxes), areas_of(truths.boxes)
    parts, start = [], 0
    while start < len(boxes):
        before = ends[start] - sizes[start]
        stop = max(start + 1, int(np.searchsorted(ends, before + PAIRS, side="right")))
        detection = np.repeat(np.arange(start, stop), sizes[start:stop])
        place = np.arange(len(detection)) + before - (ends - sizes)[detection] + begin[detection]
        truth = order[place]
        first, second = boxes[detection], truths.boxes[truth]
        sides = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
        shared = np.where((sides > 0).all(axis=1), sides[:, 0] * sides[:, 1], 0.0)
        apart = np.where(truths.is_crowd[truth], areas[detection], areas[detection] + truth_areas[truth] - shared)
        overlap = np.divide(shared, apart, out=np.zeros_like(shared), where=apart > 0)
        enough = overlap >= least
        parts.append((detection[enough], truth[enough], overlap[enough]))
        start = stop
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    detection, truth, overlap = (np.concatenate(column) for column in zip(*parts, strict=True))
    return detection, truth, overlap


def _taken(
    pairs: tuple[np.ndarray, np.ndarray, np.ndarray],
    is_wanted: np.ndarray,
    is_crowd: np.ndarray,
    thresholds: np.ndarray,
    cell: np.ndarray,
) -> np.ndarray:
    """(T, D): the truth that each prediction takes at each threshold, or -1.

    Predictions are ordered by `cell` (D,), the picture and class, and by falling score in it. In round r the r-th
    prediction of every cell chooses, all cells and all thresholds at once.
    """
    detection, truth, overlap = pairs
    taken = np.full((len(thresholds), len(cell)), -1)
    if not len(detection):
        return taken
    who, of_pair = np.unique(detection, return_inverse=True)  # those that have a truth to choose
    is_new = np.r_[True, np.diff(cell[who]) != 0]
    place = np.arange(len(who))
    turn = (place - np.maximum.accumulate(np.where(is_new, place, 0)))[of_pair]
    order = np.lexsort((-truth, -overlap, ~is_wanted[truth], detection, turn))  # within a prediction: best first
    detection, truth, overlap, turn = detection[order], truth[order], overlap[order], turn[order]
    reaches = overlap[:, None] >= np.minimum(thresholds, ALMOST_ONE)  # (P, T)
    is_free = np.ones((len(is_wanted), len(thresholds)), bool)
    rounds = np.searchsorted(turn, np.arange(turn[-1] + 2))
    for begin, end in pairwise(rounds.tolist()):
        here, choices = detection[begin:end], truth[begin:end]
        starts = np.flatnonzero(np.r_[True, np.diff(here) != 0])
        can = reaches[begin:end] & is_free[choices]
        first = np.minimum.reduceat(np.where(can, np.arange(end - begin)[:, None], end - begin), starts, axis=0)
        chooser, threshold = np.nonzero(first < end - begin)
        chosen = choices[first[chooser, threshold]]
        taken[threshold, here[starts[chooser]]] = chosen
        is_free[chosen, threshold] = is_crowd[chosen]
    return taken


def by_class_and_score(matches: Matches, scores: np.ndarray) -> Matches:
    """By class, falling score, picture and rank."""
    order = np.lexsort((matches.rank, matches.picture, -scores, matches.label))
    return replace(
        matches,
        index=matches.index[order],
        picture=matches.picture[order],
        label=matches.label[order],
        rank=matches.rank[order],
        found=matches.found[:, :, order],
        truth=matches.truth[:, order],
    )
