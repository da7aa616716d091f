"""Which regions of labelled masks are likely wrong, and which outlines loose, by a model that has not seen them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from gnomon.metrics import mask_table
from gnomon.strategy.mask_errors import BOUNDARY, KINDS, kinds_of

if TYPE_CHECKING:
    import polars as pl

OTHER_CLASS, LOOSE_OUTLINE = "wrong class", "loose outline"
SUSPICIONS = {
    OTHER_CLASS: "a region that the model gives another class, away from any outline",
    LOOSE_OUTLINE: "an outline that lies far worse than those of other pictures",
}
LEAST_SIDE = 0.05  # of the picture's longer side, the root of a region's area: below it, models err every day
FAR = 3.0  # robust standard deviations above the usual share of the outline
LEAST_OFF = 0.1  # of the outline's pixels above the usual share
SURE = "sure"  # column: as `prediction`, -1 where the model is not confident


@final
@dataclass(frozen=True)
class MaskSuspect:
    """A region of one picture, or all outlines in it."""

    picture: int  # row of the table
    kind: str  # of SUSPICIONS
    box: tuple[int, int, int, int]  # around it: left, top, right, bottom in pixels
    given: int  # class that it is labelled; -1 for outlines
    suggested: int
    pixels: int
    sureness: float  # in [0, 1): 1 is most suspect


def find_suspects(table: pl.DataFrame) -> tuple[MaskSuspect, ...]:
    """Most suspect first. Predictions are to be out of sample; the column `sure`, if there is one, is what is compared.

    A region is as suspect as it is large: 1 - 5 % by the root of its area, as a share of the picture's longer side. An
    outline that is z robust standard deviations worse than usual is suspect by 1 - 3 / z.
    """
    ids = table["id"].cast(str).to_list()
    column = SURE if SURE in table.columns else "prediction"
    found: list[MaskSuspect] = []
    off = np.full(len(ids), np.nan)
    frames = {}
    for picture, (name, given, said) in enumerate(zip(ids, table["target"], table[column], strict=True)):
        target, answer = mask_table.decode(given, name), mask_table.decode(said, name)
        disputed = np.where(answer < 0, -1, kinds_of(np.where(answer < 0, -1, target), answer))
        found += _regions(picture, target, answer, (disputed >= 0) & (disputed != KINDS.index(BOUNDARY)))
        outline = _outline(target)
        if outline.any():
            is_off = disputed == KINDS.index(BOUNDARY)
            off[picture] = is_off.sum() / outline.sum()
            frames[picture] = _around(is_off), int(is_off.sum())
    found += _loose(off, frames)
    return tuple(sorted(found, key=lambda one: (-one.sureness, one.picture, one.box)))


def _regions(picture: int, target: np.ndarray, answer: np.ndarray, disputed: np.ndarray) -> list[MaskSuspect]:
    """Connected disputed pixels, each with the pair of classes that most of them have."""
    from scipy.ndimage import find_objects, label

    longer, found = max(target.shape), []
    num_classes = int(max(target.max(initial=0), answer.max(initial=0))) + 1
    regions, _ = label(disputed, np.ones((3, 3)))  # pixels that touch at a corner are connected
    for number, (rows, columns) in enumerate(find_objects(regions), start=1):
        chosen = regions[rows, columns] == number
        size = int(chosen.sum())
        side = float(np.sqrt(size)) / longer
        if side < LEAST_SIDE:
            continue
        pairs = target[rows, columns][chosen] * num_classes + answer[rows, columns][chosen]
        given, suggested = divmod(int(np.bincount(pairs).argmax()), num_classes)
        box = (columns.start, rows.start, columns.stop, rows.stop)
        found.append(MaskSuspect(picture, OTHER_CLASS, box, given, suggested, size, 1 - LEAST_SIDE / side))
    return found


def _loose(off: np.ndarray, frames: dict[int, tuple[tuple[int, int, int, int], int]]) -> list[MaskSuspect]:
    """Pictures of which the outlines are off by more than usual: wrong boundary pixels for each pixel of outline."""
    if not frames:
        return []
    usual = float(np.nanmedian(off))
    spread = max(1.4826 * float(np.nanmedian(np.abs(off - usual))), LEAST_OFF / FAR)
    far = (off - usual) / spread
    return [
        MaskSuspect(picture, LOOSE_OUTLINE, box, -1, -1, pixels, float(1 - FAR / far[picture]))
        for picture, (box, pixels) in frames.items()
        if far[picture] > FAR
    ]


def _outline(classes: np.ndarray) -> np.ndarray:
    """(H, W) bool: judged pixels with another judged class below or to the right of them."""
    found = np.zeros(classes.shape, bool)
    for here, there in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        found[here] |= (classes[here] != classes[there]) & (classes[here] >= 0) & (classes[there] >= 0)
    return found


def _around(chosen: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(chosen.any(axis=1)), np.flatnonzero(chosen.any(axis=0))
    if not len(rows):
        return (0, 0, 0, 0)
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
