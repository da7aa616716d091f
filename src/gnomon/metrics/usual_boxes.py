"""What a detector that never looks would answer: the boxes that training has most often, in their places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from gnomon.core.seeds import generator
from gnomon.metrics.box_table import read
from gnomon.metrics.matching import areas_of

if TYPE_CHECKING:
    import polars as pl

MATCH = 0.5  # IoU with which a usual box would be right
MOST = 100  # of them, of all classes
CANDIDATES = 500  # true boxes of each class that are tried
COMPARED = 5_000  # true boxes of each class that they are tried on
DIGITS = 4  # of a score


@final
@dataclass(frozen=True)
class UsualBoxes:
    """K boxes for every picture, best first."""

    places: np.ndarray  # (K, 4) left, top, right, bottom as shares of the picture's width and height
    class_names: tuple[str, ...]  # (K,)
    scores: np.ndarray  # (K,): the share of pictures of training in which it would be right


def usual_boxes(table: pl.DataFrame) -> UsualBoxes:
    """From a table of predictions, of which only the truths are looked at.

    Box by box of each class, the one that is right in most pictures, at objects that none before it is right at.
    """
    found = read(table)
    truths, frames = found.truths, np.tile(found.sizes, 2)
    rng = generator(0, "usual boxes")
    places = truths.boxes / frames[truths.picture]
    is_plain = ~(truths.is_crowd | truths.is_difficult)
    rows: list[tuple[float, str, np.ndarray]] = []
    for label, name in enumerate(found.class_names):
        own = np.flatnonzero(is_plain & (truths.label == label))
        own = rng.permutation(own)[:COMPARED]
        best = _most_often(places[own], truths.picture[own])
        rows += [(len_of / found.num_pictures, name, places[own[row]]) for row, len_of in best]
    rows = sorted(rows, key=lambda one: -one[0])[:MOST]
    return UsualBoxes(
        np.array([place for *_, place in rows]).reshape(-1, 4), tuple(name for _, name, _ in rows),
        np.round([score for score, *_ in rows], DIGITS),
    )  # fmt: skip


def _most_often(places: np.ndarray, picture: np.ndarray) -> list[tuple[int, int]]:
    """(row, pictures in which it is right) of boxes, each counted at the objects that no box before it covers."""
    if not len(places):
        return []
    tried = places[:CANDIDATES]
    low = np.maximum(tried[:, None, :2], places[:, :2])
    high = np.minimum(tried[:, None, 2:], places[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    is_right = shared >= MATCH * (areas_of(tried)[:, None] + areas_of(places) - shared)  # (C, M)
    codes = np.unique(picture, return_inverse=True)[1]
    pictures = np.zeros((len(places), codes.max() + 1), np.float32)
    pictures[np.arange(len(places)), codes] = 1
    found: list[tuple[int, int]] = []
    while len(found) < MOST:
        counts = ((is_right.astype(np.float32) @ pictures) > 0).sum(axis=1)
        best = int(counts.argmax())
        if counts[best] == 0:
            break
        found.append((best, int(counts[best])))
        is_right = is_right & ~is_right[best]
    return found
