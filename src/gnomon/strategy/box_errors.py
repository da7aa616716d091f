"""What is wrong with predicted boxes: each false answer is of one kind, and the error without each kind is computed.

The kinds follow TIDE (Bolya, Foley, Hays and Hoffman 2020), at an IoU of 0.5 and with Pascal VOC's matching, as the
error of a split has them. What differs from TIDE is said in docs/errors.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np

from gnomon.metrics import detection
from gnomon.metrics.matching import IGNORED, RIGHT, WRONG, Matches, areas_of, by_class_and_score

if TYPE_CHECKING:
    from gnomon.metrics.box_table import BoxTable

TOUCHES = 0.1  # IoU from which a box is about an object at all. Source: Bolya et al. 2020, section 2.2

BADLY_PLACED = "badly placed"
WRONG_CLASS = "wrong class"
BOTH = "wrong class, badly placed"
DUPLICATE = "duplicate"
BACKGROUND = "background"
MISSED = "missed"
MEANINGS = {
    MISSED: "A labelled object with no answer at all on it.",
    BADLY_PLACED: "On an object of its class, but with an IoU below 0.5.",
    WRONG_CLASS: "On an object (IoU of at least 0.5) of another class.",
    BOTH: "On an object of another class, and with an IoU below 0.5.",
    DUPLICATE: "A second answer for an object that has one already.",
    BACKGROUND: "On no labelled object of any class. Check whether the label is missing.",
}
KINDS = tuple(MEANINGS)
OF_BOXES = KINDS[1:]  # kinds of a predicted box; MISSED is of a label

SMALL = 0.05  # of the picture's longer side, the root of the area: COCO's 32 pixels in a picture of 640
CROWDED = 0.1  # IoU with another object of the picture
AT_THE_EDGE = 1.0  # pixels between a box and the picture's edge
PROPERTIES = {
    "small object": f"The root of its area is below {100 * SMALL:.0f} % of the picture's longer side.",
    "crowded object": f"Its box overlaps that of another object, with an IoU of at least {CROWDED}.",
    "cut-off object": "Its box touches the picture's edge, or the data marks it as truncated.",
}


@final
@dataclass(frozen=True)
class BoxErrors:
    """D predicted boxes and M labels: what each is, at any score. Kinds are places in KINDS, -1 for none."""

    table: BoxTable
    kind: np.ndarray  # (D,) of a wrong box; -1 if it is right or does not count
    about: np.ndarray  # (D,) the label that the box is about: overlaps most, of its own class first; -1 for none
    is_missed: np.ndarray  # (M,) no box, right or wrong, is about it
    is_answer: np.ndarray  # (D,) its score is at least the threshold
    is_unanswered: np.ndarray  # (M,) no answer is about it
    is_right: np.ndarray  # (D,) matched to a label that counts, as the first

    def is_false(self, kind: str) -> np.ndarray:
        """(D,) or, of MISSED, (M,): false answers of this kind."""
        if kind == MISSED:
            return self.is_unanswered
        found: np.ndarray = self.is_answer & (self.kind == KINDS.index(kind))
        return found

    def count(self, kind: str) -> int:
        """False answers of this kind, in all pictures."""
        return int(self.is_false(kind).sum())

    @property
    def num_false(self) -> int:
        return sum(self.count(kind) for kind in KINDS)

    def pictures(self, kind: str) -> np.ndarray:
        """(N,) bool: pictures with a false answer of this kind."""
        of = self.table.truths.picture if kind == MISSED else self.table.predictions.picture
        return _marked(self.table.num_pictures, of[self.is_false(kind)])

    def is_found(self) -> np.ndarray:
        """(M,) bool: labels with a right answer."""
        found = np.zeros(len(self.table.truths.label), bool)
        found[self.about[self.is_right & self.is_answer]] = True
        return found


def find_errors(table: BoxTable) -> BoxErrors:
    """Every wrong box, and every label that no box is about, with its kind.

    A wrong box is, in this order: a duplicate, if its own class has an object there (IoU of at least 0.5), which a box
    of higher score has taken; of the wrong class, if another class has; badly placed, if its own class has one from an
    IoU of 0.1 on; both, if another class has; else background. A label is missed if no right box is on it, and no wrong
    one of the first, second or third kind is about it.
    """
    predictions, matches = table.predictions, table.matches
    became = np.full(len(predictions.scores), IGNORED, np.int8)
    became[matches.index] = matches.found[0, 0]
    taken = np.full(len(became), -1)
    taken[matches.index] = matches.truth[0]
    (own, own_iou), (other, other_iou) = _nearest(table)
    kind = np.full(len(became), KINDS.index(BACKGROUND))
    about = np.full(len(became), -1)
    least = float(matches.thresholds[0])
    for name, where, label in (  # the last that holds decides
        (BOTH, other_iou >= TOUCHES, other),
        (BADLY_PLACED, own_iou >= TOUCHES, own),
        (WRONG_CLASS, other_iou >= least, other),
        (DUPLICATE, taken >= 0, taken),
    ):
        kind = np.where(where, KINDS.index(name), kind)
        about = np.where(where, label, about)
    is_right = became == RIGHT
    kind = np.where(became == WRONG, kind, -1)
    is_answer = predictions.scores >= table.threshold
    is_wanted = matches.is_wanted[0]
    covers = is_right | np.isin(kind, [KINDS.index(one) for one in (BADLY_PLACED, WRONG_CLASS, DUPLICATE)])
    return BoxErrors(
        table,
        kind,
        about,
        is_missed=is_wanted & ~_marked(len(is_wanted), about[covers]),
        is_answer=is_answer,
        is_unanswered=is_wanted & ~_marked(len(is_wanted), about[covers & is_answer]),
        is_right=is_right,
    )


def error_of(matches: Matches) -> float:
    """1 - mAP; 0 where there is nothing to find."""
    value = float(detection.voc(matches, np.ones((1, matches.num_pictures)))[0])
    return 0.0 if np.isnan(value) else 1 - value


def error_without(found: BoxErrors, repaired: np.ndarray, is_given: np.ndarray) -> float:
    """1 - mAP if wrong boxes (D,) and missed labels (M,) were right, as far as each can be.

    A box of the wrong class or badly placed becomes right, unless its label has a box of higher score or one that was
    right before, or need not be found: then it goes, as do duplicates and what is background or wrong in both respects.
    A missed label is no longer asked for. Source: Bolya et al. 2020, section 2.3.
    """
    table, matches = found.table, found.table.matches
    scores = table.predictions.scores
    label, became = table.predictions.label.copy(), np.full(len(scores), IGNORED, np.int8)
    became[matches.index] = matches.found[0, 0]
    became[repaired & (found.kind >= 0)] = IGNORED
    can = repaired & np.isin(found.kind, [KINDS.index(BADLY_PLACED), KINDS.index(WRONG_CLASS)])
    is_free = matches.is_wanted[0].copy()
    is_free[found.about[found.is_right]] = False
    places = np.flatnonzero(can)
    for place in places[np.argsort(-scores[places], kind="stable")]:
        truth = found.about[place]
        if is_free[truth]:
            is_free[truth] = False
            became[place], label[place] = RIGHT, table.truths.label[truth]
    changed = replace(
        matches,
        index=np.arange(len(scores)),
        picture=table.predictions.picture,
        label=label,
        rank=np.zeros(len(scores), np.int64),
        found=became[None, None],
        truth=np.full((1, len(scores)), -1),
        is_wanted=matches.is_wanted & ~(is_given & found.is_missed),
    )
    return error_of(by_class_and_score(changed, scores))


def errors_without_kinds(found: BoxErrors) -> Mapping[str, float]:
    """{kind: 1 - mAP if everything of this kind was right}, over boxes of every score, as the mAP itself."""
    none = np.zeros(len(found.is_missed), bool)
    left = {kind: error_without(found, found.kind == KINDS.index(kind), none) for kind in OF_BOXES}
    return {MISSED: error_without(found, np.zeros(len(found.kind), bool), ~none), **left}


def error_without_objects(found: BoxErrors, chosen: np.ndarray) -> float:
    """1 - mAP if all was right about these labels (M,): the boxes about them, and that they are found."""
    is_about = (found.about >= 0) & chosen[found.about] if len(chosen) else np.zeros(len(found.about), bool)
    return error_without(found, is_about, chosen)


def properties(table: BoxTable) -> Mapping[str, np.ndarray]:
    """{property: (M,) bool}, of the labels: small, crowded, cut off."""
    truths = table.truths
    sides = table.sizes[truths.picture]
    longer = sides.max(axis=1, initial=1.0)
    left, top, right, bottom = truths.boxes.T
    at_edge = np.minimum(left, top) <= AT_THE_EDGE
    at_edge |= (sides[:, 0] - right <= AT_THE_EDGE) | (sides[:, 1] - bottom <= AT_THE_EDGE)
    (_, own_iou), (_, other_iou) = _nearest(table, of_labels=True)
    return dict(
        zip(
            PROPERTIES,
            (
                np.sqrt(truths.area) < SMALL * longer,
                np.maximum(own_iou, other_iou) >= CROWDED,
                table.is_truncated | at_edge,
            ),
            strict=True,
        )
    )


def _nearest(table: BoxTable, *, of_labels: bool = False) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """For each predicted box (D,): the label of its class that it overlaps most, and the IoU; then of other classes.

    -1 and 0 where there is none. `of_labels`: for each label (M,), among the other labels.
    """
    truths = table.truths
    ours = truths if of_labels else table.predictions
    found = [(np.full(len(ours.label), -1), np.zeros(len(ours.label))) for _ in range(2)]
    for boxes, labels in _by_picture(ours.picture, truths.picture, table.num_pictures):
        overlap = pairwise_iou(ours.boxes[boxes], truths.boxes[labels])
        if of_labels:
            np.fill_diagonal(overlap, 0.0)
        is_own = ours.label[boxes][:, None] == truths.label[labels]
        for (about, iou), counts in zip(found, (is_own, ~is_own), strict=True):
            value = np.where(counts, overlap, 0.0)
            best = value.argmax(axis=1)
            iou[boxes] = value[np.arange(len(boxes)), best]
            about[boxes] = np.where(iou[boxes] > 0, labels[best], -1)
    return tuple(found)


def _by_picture(ours: np.ndarray, theirs: np.ndarray, num_pictures: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Positions in both, of each picture that has some of both."""
    sides = []
    for picture in (ours, theirs):
        order = np.argsort(picture, kind="stable")
        ends = np.cumsum(np.bincount(picture, minlength=num_pictures))
        sides.append(np.split(order, ends[:-1]))
    return [(one, other) for one, other in zip(*sides, strict=True) if len(one) and len(other)]


def pairwise_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N, 4) and (M, 4) -> (N, M) in [0, 1]."""
    low = np.maximum(first[:, None, :2], second[:, :2])
    high = np.minimum(first[:, None, 2:], second[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    union = areas_of(first)[:, None] + areas_of(second) - shared
    found: np.ndarray = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return found


def _marked(count: int, places: np.ndarray) -> np.ndarray:
    found = np.zeros(count, bool)
    found[places[places >= 0]] = True
    return found
