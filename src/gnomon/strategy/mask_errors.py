"""What is wrong with predicted masks: each wrong pixel is of one kind, and the error without each kind is computed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from gnomon.core.seeds import generator
from gnomon.metrics import mask_table
from gnomon.metrics.segmentation import BOUNDARY_TOLERANCE, confusion, mean_iou

if TYPE_CHECKING:
    import polars as pl

SMALL_REGION, BOUNDARY, CONFUSION = "small region", "boundary pixels", "class confusion"
SMALL = 0.05  # of the picture's longer side, the root of the area: as for boxes
LEAST_REACH = 1.5  # pixels: the eight neighbours, in pictures so small that 0.75 % of the diagonal is less
MEANINGS = {
    SMALL_REGION: f"In a region whose root of the area is below {100 * SMALL:.0f} % of the picture's longer side, "
    "labelled or predicted, of which less than half is right.",
    BOUNDARY: f"An outline moved by at most {100 * BOUNDARY_TOLERANCE:g} % of the picture's diagonal explains it.",
    CONFUSION: "Inside a larger region, away from the outline: the class itself is wrong.",
}
KINDS = tuple(MEANINGS)
MOST_PIXELS = 20_000_000  # looked at one by one, some three seconds; of more, a random part of the pictures


@final
@dataclass(frozen=True)
class MaskErrors:
    """N pictures of K classes; wrong pixels counted by kind in those pictures that were looked at."""

    class_names: tuple[str, ...]
    counts: np.ndarray  # (N, K, K) int64: row = target, column = prediction
    wrong: np.ndarray  # (kinds, N, K, K) int64, the diagonals 0; 0 where a picture was not looked at
    is_looked: np.ndarray  # (N,) bool

    @property
    def error(self) -> float:
        """1 - mean IoU over classes, from the pixels of all pictures together."""
        return error_of(self.counts.sum(axis=0))

    @property
    def num_wrong(self) -> int:
        """Wrong pixels of all pictures."""
        total = self.counts.sum(axis=0)
        return int(total.sum() - np.trace(total))

    def by_kind(self) -> np.ndarray:
        """(kinds, N) wrong pixels of the pictures that were looked at."""
        found: np.ndarray = self.wrong.sum(axis=(2, 3))
        return found

    def error_without(self, wrong: np.ndarray) -> float:
        """1 - mean IoU if the wrong pixels (K, K) were right."""
        total = self.counts.sum(axis=0)
        return error_of(total - wrong + np.diag(wrong.sum(axis=1)))

    def errors_without_kinds(self) -> Mapping[str, float]:
        """{kind: 1 - mean IoU without its pixels}; of pictures that were not looked at, the same share by classes."""
        total, seen = self.counts.sum(axis=0).astype(float), self.counts[self.is_looked].sum(axis=0)
        times = np.divide(total, seen, out=np.zeros_like(total), where=seen > 0)
        return {
            kind: self.error_without(self.wrong[place].sum(axis=0) * times) for place, kind in enumerate(KINDS)
        }  # fmt: skip


def find_errors(table: pl.DataFrame, *, most_pixels: int = MOST_PIXELS) -> MaskErrors:
    """Every wrong pixel with its kind, in all pictures or, of very many pixels, in a random part of them.

    A wrong pixel is of a small region, if it lies in one, labelled or predicted, of which less than half is right; else
    a boundary pixel, if a slightly moved outline explains it: its predicted class is labelled within reach, and its
    labelled class is predicted within reach; else it is a class confusion. Raises DataError for a cell without a mask.
    """
    ids = table["id"].cast(str).to_list()
    targets, predictions = (table[name].to_list() for name in ("target", "prediction"))
    sizes = np.array([_num_pixels(text, name) for text, name in zip(targets, ids, strict=True)])
    order = generator(0, "wrong pixels").permutation(len(ids))
    is_looked = np.zeros(len(ids), bool)
    is_looked[order[: max(1, int(np.searchsorted(np.cumsum(sizes[order]), most_pixels, side="right")))]] = True
    names, counts = class_names(table), counted(table)
    num_classes = len(names)
    wrong = np.zeros((len(KINDS), *counts.shape), np.int64)
    for place in np.flatnonzero(is_looked).tolist():
        target, prediction = (mask_table.decode(cells[place], ids[place]) for cells in (targets, predictions))
        kinds = kinds_of(target, prediction)
        for kind in range(len(KINDS)):
            chosen = kinds == kind
            pairs = target[chosen] * num_classes + prediction[chosen]
            wrong[kind, place] = np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)
    return MaskErrors(names, counts, wrong, is_looked)


def counted(table: pl.DataFrame) -> np.ndarray:
    """(N, K, K) pixels of each picture by class: row = target, column = prediction. Raises DataError."""
    if "confusion" in table.columns:
        return np.array([json.loads(cell) for cell in table["confusion"]], np.int64)
    num_classes = len(class_names(table))
    rows = zip(table["id"].cast(str), table["target"], table["prediction"], strict=True)
    return np.stack(
        [
            confusion(
                mask_table.decode(target, name), mask_table.decode(said, name), num_classes,
                ignore=mask_table.NOT_JUDGED, name=name,
            )
            for name, target, said in rows
        ]
    )  # fmt: skip


def kinds_of(target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """(H, W) of a target and a prediction (H, W): the place in KINDS of each wrong pixel, -1 for all others."""
    from scipy.ndimage import distance_transform_edt

    is_wrong = (target >= 0) & (target != prediction)
    kinds = np.where(is_wrong, KINDS.index(CONFUSION), -1)
    reach = max(BOUNDARY_TOLERANCE * float(np.hypot(*target.shape)), LEAST_REACH)
    is_near = is_wrong.copy()
    for there, wanted in ((target, prediction), (prediction, target)):
        for label in np.unique(wanted[is_near]):
            here = is_near & (wanted == label)
            has = there == label
            is_near[here] = distance_transform_edt(~has)[here] <= reach if has.any() else False
    kinds[is_near] = KINDS.index(BOUNDARY)
    is_small = _in_small_regions(target, target == prediction) | _in_small_regions(prediction, target == prediction)
    kinds[is_wrong & is_small] = KINDS.index(SMALL_REGION)
    return kinds


def error_of(counts: np.ndarray) -> float:
    """1 - mean IoU of pixels counted by class; 0 of none."""
    value = float(mean_iou(counts))
    return 0.0 if np.isnan(value) else 1 - value


def _in_small_regions(classes: np.ndarray, is_right: np.ndarray) -> np.ndarray:
    """(H, W) bool: in a small region of one class of which less than half is right."""
    from scipy.ndimage import label

    most = (SMALL * max(classes.shape)) ** 2
    found = np.zeros(classes.shape, bool)
    for one in np.unique(classes[~is_right & (classes >= 0)]):
        regions, _ = label(classes == one)
        size = np.bincount(regions.reshape(-1))
        right = np.bincount(regions.reshape(-1), is_right.reshape(-1))
        is_chosen = (size < most) & (right < size / 2)
        is_chosen[0] = False  # everything else
        found |= is_chosen[regions]
    return found


def _num_pixels(text: str, name: str) -> int:
    try:
        height, width = json.loads(text[: text.index("]") + 1] + "}")["size"]
    except (ValueError, KeyError):
        return mask_table.decode(text, name).size  # which says what is wrong
    return int(height) * int(width)


def class_names(table: pl.DataFrame) -> tuple[str, ...]:
    """From the column `class_names`; without one "class 0" ..., as many as the masks or the counted pixels have."""
    if "class_names" in table.columns and table["class_names"][0]:
        return tuple(json.loads(table["class_names"][0]))
    if "confusion" in table.columns:
        return tuple(f"class {label}" for label in range(len(json.loads(table["confusion"][0]))))
    cells = (*table["target"], *table["prediction"])
    highest = max(run[0] for text in cells for run in json.loads(text)["runs"])
    return tuple(f"class {label}" for label in range(highest + 1))
