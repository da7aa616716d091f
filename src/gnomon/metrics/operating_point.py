"""The score from which a predicted box is an answer, chosen for F1 or another aim; precision and recall there."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np

from gnomon.core.errors import UsageError
from gnomon.metrics.known import ratio
from gnomon.metrics.matching import IGNORED, RIGHT, Matches

Share = Literal["precision", "recall", "F1"]
SHARES: tuple[Share, ...] = ("precision", "recall", "F1")
METRICS = "f1, recall@precision>=0.9 or precision@recall>=0.9, with any share"
BOUND = re.compile(r"(recall|precision)@(recall|precision)>=(0?\.\d+)")
DIGITS = 4  # of a threshold


def checked_aim(metric: str | None) -> str:
    """What the threshold is chosen for, as it is written in settings: F1 unless it is given. Raises UsageError."""
    aim = (metric or "f1").replace(" ", "")
    found = BOUND.fullmatch(aim)
    if aim != "f1" and (found is None or found[1] == found[2]):
        raise UsageError(f"metric={metric} is nothing that a threshold of boxes is chosen for.", fix=f"use {METRICS}.")
    return aim


def best_threshold(matches: Matches, scores: np.ndarray, aim: str) -> float | None:
    """The threshold that is best for the aim, over all classes together; None where no prediction is right.

    `scores` (D,) of the predictions as they were given to the matching, whose first IoU counts. It lies half way
    between the lowest score that is an answer and the next one below. Where no threshold reaches the share that the
    aim asks for, the one that comes closest.
    """
    became, wanted = matches.found[0, 0], int(matches.is_wanted[0].sum())
    scores = scores[matches.index][became != IGNORED]
    order = np.argsort(-scores, kind="stable")
    scores, is_right = scores[order], (became[became != IGNORED] == RIGHT)[order]
    right, answers = np.cumsum(is_right), np.arange(1, len(scores) + 1)
    if not len(scores) or right[-1] == 0 or not wanted:
        return None
    merit = _merit(aim, right / answers, right / wanted)
    is_last = np.append(np.diff(scores) != 0, True)  # predictions of one score are answers together
    best = int(np.argmax(np.where(is_last, merit, -np.inf)))
    below = scores[best + 1] if best + 1 < len(scores) else 0.0
    return min(round(float(scores[best] + below) / 2, DIGITS), float(scores[best]))


def _merit(aim: str, precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """(D,): the higher the better; below 0 where the aim's condition is not met."""
    found = BOUND.fullmatch(aim)
    if found is None:
        return ratio(2 * precision * recall, precision + recall, nothing=0.0)
    values, least = {"precision": precision, "recall": recall}, float(found[3])
    bound = values[found[2]]
    return np.where(bound >= least, values[found[1]], bound - 2)


def answers_at(matches: Matches, scores: np.ndarray, threshold: float) -> np.ndarray:
    """(N, 3) of each picture: right and wrong predictions of at least that score, and objects that are to be found.

    As `best_threshold`, by the first IoU of the matching.
    """
    became, is_answer = matches.found[0, 0], scores[matches.index] >= threshold
    pictures = [
        matches.picture[is_answer & (became == RIGHT)],
        matches.picture[is_answer & (became != RIGHT) & (became != IGNORED)],
        matches.truth_picture[matches.is_wanted[0]],
    ]
    return np.stack([np.bincount(some, minlength=matches.num_pictures) for some in pictures], axis=1)


def share_of(what: Share, sums: np.ndarray) -> np.ndarray:
    """(..., 3) sums of `answers_at` -> (...): NaN where there is nothing to measure."""
    right, wrong, wanted = np.moveaxis(sums, -1, 0)
    whole = {"precision": right + wrong, "recall": wanted, "F1": (right + wrong + wanted) / 2}[what]
    return ratio(right, whole)
