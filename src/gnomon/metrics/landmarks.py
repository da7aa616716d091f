"""How far predicted points lie from those that people set, in units of each picture's own size."""

from __future__ import annotations

import numpy as np

from gnomon.core.errors import DataError
from gnomon.core.seeds import generator
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import Rows, mean


def normalised_errors(
    target: np.ndarray, prediction: np.ndarray, unit: np.ndarray, *, is_known: np.ndarray | None = None
) -> np.ndarray:
    """(N,): the mean distance of the points of each picture, target and prediction (N, P, 2), divided by unit (N,).

    `unit`: what counts as 1 in each picture, above 0: the distance between the eyes, the diagonal of the box.
    `is_known` (N, P): points that were set; the others do not count, and a picture without any has NaN.
    """
    bad = ~(np.isfinite(unit) & (unit > 0))
    if bad.any():
        raise DataError(
            f"the unit of {int(bad.sum())} pictures is not above 0, as where both eyes are set on one place.",
            where=f"picture {int(np.flatnonzero(bad)[0])}",
            fix="correct the points that the unit is measured by, or leave the picture out.",
        )
    known = np.ones(target.shape[:2], bool) if is_known is None else is_known
    apart = np.where(known, np.linalg.norm(np.where(known[:, :, None], prediction - target, 0.0), axis=2), 0.0)
    count = known.sum(axis=1)
    found = np.full(len(target), np.nan)
    np.divide(apart.sum(axis=1), count * unit, out=found, where=count > 0)
    return found


def between_points(target: np.ndarray, first: int, second: int) -> np.ndarray:
    """(N,): the distance between two of the points (N, P, 2), such as the outer corners of the eyes."""
    found: np.ndarray = np.linalg.norm(target[:, first] - target[:, second], axis=1)
    return found


def units(target: np.ndarray, between: tuple[int, int] | None = None) -> np.ndarray:
    """(N,): the distance between two points of each picture (N, P, 2); None: the diagonal of the box around all.

    NaN where one of the two, or every point, is NaN.
    """
    if between is not None:
        return between_points(target, *between)
    known = ~np.isnan(target)
    low = np.where(known, target, np.inf).min(axis=1)  # (N, 2)
    high = np.where(known, target, -np.inf).max(axis=1)
    there = known.any(axis=(1, 2))
    return np.where(there, np.hypot(*np.where(there[:, None], high - low, 0.0).T), np.nan)


def normalised_mean_error(errors: np.ndarray, *, groups: np.ndarray | None = None, seed: int = 0) -> Interval | None:
    """The mean of `normalised_errors` (N,) with its interval over pictures, or groups (N,) of them; None of none."""
    known = ~np.isnan(errors)
    if not known.any():
        return None
    rows = Rows(errors[known], np.ones(int(known.sum())), None if groups is None else groups[known])
    return mean(rows, generator(seed, "bootstrap", "landmarks")).interval


def failure_rate(errors: np.ndarray, *, most: float = 0.1) -> float:
    """The share of pictures whose normalised error is above `most`; NaN of none."""
    known = errors[~np.isnan(errors)]
    return float((known > most).mean()) if len(known) else float("nan")
