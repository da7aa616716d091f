"""Which labelled boxes are likely missing, of the wrong class or loose, by a detector that has not seen them.

How confident a box must be is learned from the data, as for classes (`labels.py`): as confident as three of four boxes
of its class that agree with their labels, and at least an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from gnomon.metrics.box_table import BoxTable
from gnomon.strategy.box_errors import (
    BACKGROUND,
    BADLY_PLACED,
    BOTH,
    KINDS,
    WRONG_CLASS,
    BoxErrors,
    find_errors,
    pairwise_iou,
)

MISSING_LABEL, OTHER_CLASS, LOOSE_BOX = "missing label", "wrong class", "loose box"
SUSPICIONS = {
    MISSING_LABEL: "a confident answer where no label is, or only one that has an answer of its own",
    OTHER_CLASS: "a confident answer of another class on it",
    LOOSE_BOX: "a confident answer of its class that fits it far worse than answers usually fit",
}
FEWEST = 10  # right boxes from which a class learns its own thresholds; with fewer, those of all classes count
CONFIDENT = 0.25  # quantile of the scores of right boxes; at their mean, half of the planted faults stay hidden
FAR = 3.0  # robust standard deviations below the usual fit
LEAST_MISFIT = 0.05  # of the IoU below the usual one: a nearly perfect detector does not make every pixel suspect
OVERLAPS = 0.1  # IoU from which an answer is about a label
SAME = 0.5  # IoU from which two boxes are of one object
IN_CROWD = 0.5  # of an answer's area, from which a crowd explains it


@final
@dataclass(frozen=True)
class BoxSuspect:
    """One place where labels and answers contradict each other."""

    picture: int  # row of the table
    kind: str  # of SUSPICIONS
    label: int  # place among the labels; -1 where it is missing
    answer: int  # place among the predicted boxes
    sureness: float  # in [0, 1]: 1 is most suspect


def find_suspects(table: BoxTable) -> tuple[BoxSuspect, ...]:
    """Most suspect first; at most one for each label and each predicted box.

    Predictions are to be out of sample. Sureness is the answer's score; less that of the best answer of the label's own
    class; for a loose box, times 1 - 3 / z where its fit is z robust standard deviations below the usual one.
    """
    errors = find_errors(table)
    least, usual, spread = _usual(errors)
    said, scores = table.predictions.label, table.predictions.scores
    is_confident = (scores >= least[said]) & errors.is_answer
    found = [
        *_missing(errors, is_confident),
        *_of_another_class(errors, is_confident),
        *_loose(errors, is_confident, usual, spread),
    ]
    found.sort(key=lambda one: (-one.sureness, one.picture, one.label, one.answer))
    labels, answers, kept = set[int](), set[int](), []
    for one in found:
        if one.label not in labels and one.answer not in answers:
            kept.append(one)
            labels |= {one.label} - {-1}
            answers.add(one.answer)
    return tuple(kept)


def _usual(errors: BoxErrors) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of right boxes by class (K,): the score that counts as confident; the median IoU with labels; its spread."""
    table = errors.table
    right = np.flatnonzero(errors.is_right)
    scores, label = table.predictions.scores[right], table.predictions.label[right]
    fit = _iou_of(table, right, errors.about[right])
    num_classes = max(1, len(table.class_names))
    least, usual, spread = np.full(num_classes, np.inf), np.zeros(num_classes), np.full(num_classes, np.inf)
    for one in range(num_classes):
        mine = label == one if (label == one).sum() >= FEWEST else np.ones(len(label), bool)
        if mine.any():
            least[one], usual[one] = np.quantile(scores[mine], CONFIDENT), np.median(fit[mine])
            mad = np.median(np.abs(fit[mine] - usual[one]))
            spread[one] = max(1.4826 * float(mad), LEAST_MISFIT / FAR)  # 1.4826: a standard deviation, of normal data
    return least, usual, spread


def _missing(errors: BoxErrors, is_confident: np.ndarray) -> list[BoxSuspect]:
    table = errors.table
    predictions, truths = table.predictions, table.truths
    # A box that overlaps a label a little is of another object where the label has a right box of its own.
    is_beside = np.isin(errors.kind, [KINDS.index(BADLY_PLACED), KINDS.index(BOTH)]) & _has_right(errors)
    chosen = np.flatnonzero(((errors.kind == KINDS.index(BACKGROUND)) | is_beside) & is_confident)
    kept: list[int] = []
    for place in chosen[np.argsort(-predictions.scores[chosen], kind="stable")].tolist():
        picture, box = predictions.picture[place], predictions.boxes[place]
        crowds = truths.boxes[truths.is_crowd & (truths.picture == picture)]
        others = [one for one in kept if predictions.picture[one] == picture]
        if _covered(box, crowds) < IN_CROWD and (pairwise_iou(box[None], predictions.boxes[others]) < SAME).all():
            kept.append(place)
    return [
        BoxSuspect(int(predictions.picture[place]), MISSING_LABEL, -1, place, float(predictions.scores[place]))
        for place in kept
    ]


def _of_another_class(errors: BoxErrors, is_confident: np.ndarray) -> list[BoxSuspect]:
    table = errors.table
    scores, own = table.predictions.scores, np.zeros(len(table.truths.label))
    is_own = errors.is_right & (errors.about >= 0)
    np.maximum.at(own, errors.about[is_own], scores[is_own])
    found = []
    for place in np.flatnonzero((errors.kind == KINDS.index(WRONG_CLASS)) & is_confident).tolist():
        label = int(errors.about[place])
        sureness = float(scores[place] - own[label])
        if sureness > 0:
            found.append(BoxSuspect(int(table.predictions.picture[place]), OTHER_CLASS, label, place, sureness))
    return found


def _loose(
    errors: BoxErrors, is_confident: np.ndarray, usual: np.ndarray, spread: np.ndarray
) -> list[BoxSuspect]:  # fmt: skip
    """Each label with the most confident box of its class about it, where that fits badly."""
    table = errors.table
    predictions, truths = table.predictions, table.truths
    about = np.where(errors.about >= 0, errors.about, 0)
    is_own = (errors.about >= 0) & is_confident & ~truths.is_crowd[about] if len(truths.label) else is_confident & False
    is_own &= errors.is_right | ~_has_right(errors)
    is_own &= predictions.label == (truths.label[about] if len(truths.label) else -1)
    places = np.flatnonzero(is_own)
    places = places[np.argsort(-predictions.scores[places], kind="stable")]
    _, first = np.unique(errors.about[places], return_index=True)
    places = places[first]
    fit = _iou_of(table, places, errors.about[places])
    label = predictions.label[places]
    far = (usual[label] - fit) / spread[label]
    return [
        BoxSuspect(
            int(predictions.picture[place]), LOOSE_BOX, int(errors.about[place]), int(place),
            float(predictions.scores[place] * (1 - FAR / z)),
        )
        for place, z, iou in zip(places, far, fit, strict=True)
        if z > FAR and iou >= OVERLAPS
    ]  # fmt: skip


def _has_right(errors: BoxErrors) -> np.ndarray:
    """(D,) whether the label that a box is about has a right box."""
    found = np.zeros(len(errors.table.truths.label) + 1, bool)  # the last for none
    found[errors.about[errors.is_right]] = True
    has: np.ndarray = found[errors.about]
    return has


def _iou_of(table: BoxTable, answers: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(n,) of n predicted boxes with one label each."""
    pairs = zip(table.predictions.boxes[answers], table.truths.boxes[labels], strict=True)
    return np.array([pairwise_iou(one[None], other[None])[0, 0] for one, other in pairs])


def _covered(box: np.ndarray, others: np.ndarray) -> float:
    """The largest share of the box's area inside one of the others (K, 4)."""
    if not len(others):
        return 0.0
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    area = float(np.prod(box[2:] - box[:2]))
    return float(np.maximum(sides, 0).prod(axis=1).max() / area) if area > 0 else 0.0
