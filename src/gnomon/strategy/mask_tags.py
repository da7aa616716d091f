"""Tags of pictures with masks: the kinds of their wrong pixels, and the pairs of classes that are confused.

A tag counts pixels, not pictures; a picture has it if more of its wrong pixels are of it than of any other.
"""

from __future__ import annotations

import numpy as np

from gnomon.metrics.interval import Interval
from gnomon.strategy.error_analysis import Inside, Tag, sampled_share
from gnomon.strategy.mask_errors import KINDS, MEANINGS, MaskErrors

PIXELS = "wrong pixels"
MOST_PAIRS = 6  # of classes that become tags
LEAST_SHARE = 0.02  # of the wrong pixels that such a pair needs


def from_masks(found: MaskErrors) -> list[Tag]:
    """One tag for each kind of wrong pixel, and for each of the most frequent pairs of classes."""
    if not found.num_wrong:
        return []
    return [*_of_kinds(found), *_of_pairs(found)]


def _of_kinds(found: MaskErrors) -> list[Tag]:
    by_kind, left = found.by_kind(), found.errors_without_kinds()
    tags = []
    for place, kind in enumerate(KINDS):
        if by_kind[place].any():
            tags.append(_tag(found, kind, MEANINGS[kind], by_kind[place], by_kind, left[kind], found.is_looked))
    return tags


def _of_pairs(found: MaskErrors) -> list[Tag]:
    of_picture = found.counts * (1 - np.eye(len(found.class_names), dtype=np.int64))  # (N, K, K)
    total = of_picture.sum(axis=0)
    order = np.argsort(-total, axis=None, kind="stable")[:MOST_PAIRS]
    tags = []
    for true, said in zip(*np.unravel_index(order, total.shape), strict=True):
        if total[true, said] < max(1, LEAST_SHARE * found.num_wrong):
            break
        only = np.zeros_like(total)
        only[true, said] = total[true, said]
        name = f"{found.class_names[true]} as {found.class_names[said]}"
        meaning = f"Pixels labelled {found.class_names[true]}, predicted {found.class_names[said]}."
        every = of_picture.reshape(len(of_picture), -1).T
        left = found.error_without(only)
        tags.append(_tag(found, name, meaning, of_picture[:, true, said], every, left, np.ones_like(found.is_looked)))
    return tags


def _tag(
    found: MaskErrors, name: str, meaning: str, mine: np.ndarray, every: np.ndarray, left: float, is_seen: np.ndarray
) -> Tag:
    """`mine` (N,) wrong pixels of each picture that have the tag, `every` (tags, N) of all tags like it."""
    wrong = every.sum(axis=0)
    has = is_seen & (wrong > 0)
    tagged, reviewed = int(mine[is_seen].sum()), int(wrong[is_seen].sum())
    if is_seen.all():
        share = Interval(tagged / reviewed, tagged / reviewed, tagged / reviewed, "all counted")
    else:
        share = sampled_share(wrong[has].astype(float), mine[has] / wrong[has], population=len(mine))
    error = found.error
    removed = max(error - left, 0.0) / error if error > 0 else 0.0
    inside = Inside(PIXELS, tagged, reviewed, found.num_wrong, share, removed)
    return Tag(name, "pixels", has & (mine == every.max(axis=0)), is_seen, meaning, inside)
