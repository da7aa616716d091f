"""How well pixels are classified: mean IoU, Dice, pixel error from counts per picture; and how well outlines lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from gnomon.core.errors import DataError
from gnomon.core.seeds import generator
from gnomon.metrics.interval import Interval
from gnomon.metrics.known import mean_of_known, ratio
from gnomon.metrics.resampling import (
    ROUNDS,
    accelerated_interval,
    left_out_counts,
    resampled_counts,
    resampled_sums,
    sums_per_unit,
)

BOUNDARY_TOLERANCE = 0.0075  # of the picture's diagonal. Source: Csurka et al. 2013, section 2.2


@final
@dataclass(frozen=True)
class BoundaryF:
    """The mean F over pictures, of each class and of all classes; and over how many pictures each mean is."""

    mean: Interval  # over classes that have an outline in some picture
    per_class: np.ndarray  # (K,), NaN for a class without an outline
    pictures: np.ndarray  # (K,) in which the class has an outline, drawn or predicted


def confusion(
    target: np.ndarray, prediction: np.ndarray, num_classes: int, *, ignore: int | None = None, name: str = ""
) -> np.ndarray:
    """The pixels of a picture counted: (H, W) and (H, W) -> (K, K) int64, row = target, column = prediction.

    Pixels whose target is `ignore` are left out. Raises DataError for a class that does not exist, and for masks of
    different sizes, naming the picture as `name`.
    """
    if target.shape != prediction.shape:
        raise DataError(
            f"the mask has {_size(target)} pixels, the prediction {_size(prediction)}.",
            where=name,
            fix="predict at the size of the mask: resize the prediction, not the mask.",
        )
    counts = np.ones(target.shape, bool) if ignore is None else target != ignore
    truth, said = target[counts].astype(np.int64), prediction[counts].astype(np.int64)
    for values, what in ((truth, "mask"), (said, "prediction")):
        unknown = np.unique(values[(values < 0) | (values >= num_classes)])
        if len(unknown):
            raise DataError(
                f"the {what} holds {', '.join(map(str, unknown[:5]))}, and there are classes 0 to {num_classes - 1}.",
                where=name,
                fix="map the values to classes, or name the one to leave out with ignore=.",
            )
    return np.bincount(truth * num_classes + said, minlength=num_classes**2).reshape(num_classes, num_classes)


def class_iou(counts: np.ndarray) -> np.ndarray:
    """(..., K, K) counts of many pixels -> (..., K); NaN for a class that is neither there nor predicted."""
    right, truth, said = _marginals(counts)
    return ratio(right, truth + said - right)


def class_dice(counts: np.ndarray) -> np.ndarray:
    """(..., K, K) -> (..., K): 2 IoU / (1 + IoU), the F1 of pixels; NaN for a class neither there nor predicted."""
    right, truth, said = _marginals(counts)
    return ratio(2 * right, truth + said)


def mean_iou(counts: np.ndarray) -> np.ndarray:
    """(..., K, K) -> (...): the mean over the classes that are there or predicted."""
    return mean_of_known(class_iou(counts))


def mean_dice(counts: np.ndarray) -> np.ndarray:
    """(..., K, K) -> (...): the mean over the classes that are there or predicted."""
    return mean_of_known(class_dice(counts))


def pixel_error(counts: np.ndarray) -> np.ndarray:
    """(..., K, K) -> (...): the share of pixels that are given a wrong class; NaN of none."""
    total = counts.sum(axis=(-2, -1))
    return ratio(total - np.trace(counts, axis1=-2, axis2=-1), total)


def interval(
    measure: Callable[[np.ndarray], np.ndarray],
    counts: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> Interval:
    """A measure of all pixels with its 95 % interval, by redrawing pictures, or groups (N,) of them.

    `measure`: `mean_iou`, `mean_dice`, `pixel_error` or a function like them; `counts` (N, K, K), one table per
    picture (see `confusion`). Pixels of one picture are alike, so it is pictures that are drawn.
    """
    rng = generator(seed, "bootstrap", "pixels")
    size = counts.shape[1:]
    value = float(measure(counts.sum(axis=0)))
    units = sums_per_unit(counts.reshape(len(counts), -1).astype(float), groups)
    draws = measure(resampled_sums(units, ROUNDS, rng).reshape(-1, *size))
    over = "pictures" if groups is None else "groups of pictures"
    flat = counts.reshape(len(counts), -1)
    left_out = measure(np.stack([kept @ flat for kept in left_out_counts(len(counts), groups, rng)]).reshape(-1, *size))
    return accelerated_interval(value, draws, left_out, len(units), f"bootstrap over {len(units):,} {over}")


def dice_per_picture(counts: np.ndarray, label: int) -> tuple[np.ndarray, int]:
    """The Dice of one class in each picture (N,), and in how many pictures it is neither there nor predicted.

    Those are NaN: a picture without the class, rightly left empty, has no overlap to measure, and a 1 (or a 0) for it
    would drown the others where the class is rare. A class that is only there, or only predicted, has 0.
    """
    found = class_dice(counts)[:, label]
    return found, int(np.isnan(found).sum())


def boundary_f(
    target: np.ndarray,
    prediction: np.ndarray,
    num_classes: int,
    *,
    ignore: int | None = None,
    tolerance: float | None = None,
) -> np.ndarray:
    """How well the outlines of each class lie in one picture: (H, W) and (H, W) -> (K,) in [0, 1].

    The harmonic mean of two shares: of predicted outline pixels within `tolerance` pixels of the true outline, and the
    other way round; without `tolerance`, 0.75 % of the diagonal. Outline pixels are those of a class beside another
    one, up, down, left or right; the picture's edge and ignored pixels make no outline. NaN for a class without an
    outline in both, 0 for one with an outline in one alone. Source: Csurka et al. 2013, section 2.2.
    """
    from scipy.ndimage import distance_transform_edt  # lazily: not needed before training

    reach = BOUNDARY_TOLERANCE * float(np.hypot(*target.shape)) if tolerance is None else tolerance
    counts = np.ones(target.shape, bool) if ignore is None else target != ignore
    found = np.full(num_classes, np.nan)
    for label in range(num_classes):
        true, said = (_outline(mask == label, counts) for mask in (target, prediction))
        if not true.any() and not said.any():
            continue
        if not (true.any() and said.any()):
            found[label] = 0.0
            continue
        precision = (distance_transform_edt(~true)[said] <= reach).mean()
        recall = (distance_transform_edt(~said)[true] <= reach).mean()
        found[label] = 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
    return found


def mean_boundary_f(values: np.ndarray, *, groups: np.ndarray | None = None, seed: int = 0) -> BoundaryF:
    """From the F of each picture and class (N, K), see `boundary_f`: means, the overall one with its interval.

    The mean over pictures of each class, then over classes. Pictures, or groups (N,) of them, are redrawn.
    """
    rng = generator(seed, "bootstrap", "outlines")
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)

    def overall(counts: np.ndarray) -> np.ndarray:  # (R, N) -> (R,)
        return mean_of_known(ratio(counts @ filled, counts @ known.astype(float)))

    per_class = ratio(filled.sum(axis=0), known.sum(axis=0))
    value = float(overall(np.ones((1, len(values))))[0])
    draws = overall(np.stack(list(resampled_counts(len(values), groups, ROUNDS, rng))))
    left_out = overall(np.stack(list(left_out_counts(len(values), groups, rng))))
    units = len(values) if groups is None else len(np.unique(groups))
    over = "pictures" if groups is None else "groups of pictures"
    mean = accelerated_interval(value, draws, left_out, units, f"bootstrap over {units:,} {over}")
    return BoundaryF(mean, per_class, known.sum(axis=0))


def _outline(is_class: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels of the class that have a neighbour of another class; pixels that do not count make none."""
    found = np.zeros_like(is_class)
    for one, other in (
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
        ((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
    ):
        both = counts[one] & counts[other]
        found[one] |= is_class[one] & ~is_class[other] & both
        found[other] |= is_class[other] & ~is_class[one] & both
    return found


def _marginals(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-1), counts.sum(axis=-2)


def _size(mask: np.ndarray) -> str:
    return " x ".join(map(str, mask.shape[::-1]))
