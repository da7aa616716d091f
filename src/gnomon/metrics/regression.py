"""Metrics of a regression from its table of predictions: MAE, RMSE and R2, each with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnomon.core.seeds import generator
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import Rows, groups_of, mean, weights_of
from gnomon.metrics.resampling import ROUNDS, percentile_interval, resampled_sums, sums_per_unit

if TYPE_CHECKING:
    from gnomon.core.evaluation import Evaluation


LESS_IS_BETTER = ("mean absolute error", "root mean squared error")  # of `scores`


def scores(evaluation: Evaluation, *, seed: int = 0) -> dict[str, Interval]:
    """Mean absolute error, root mean squared error, R2, as defined by scikit-learn with `weight` as sample_weight.

    Empty if target and prediction are not numbers; rows with a missing one are left out; no R2 if the target never
    varies.
    """
    table = evaluation.table
    if not (table["target"].dtype.is_numeric() and table["prediction"].dtype.is_numeric()):
        return {}
    target, prediction = (table[name].cast(float).fill_null(np.nan).to_numpy() for name in ("target", "prediction"))
    all_weights = weights_of(table)
    keep = (all_weights > 0) & np.isfinite(target) & np.isfinite(prediction)
    if not keep.any():
        return {}
    target, residuals = target[keep], (prediction - target)[keep]
    weights, groups = all_weights[keep], groups_of(table, keep)
    absolute = mean(Rows(np.abs(residuals), weights, groups), generator(seed, "MAE")).interval
    squared = mean(Rows(residuals**2, weights, groups), generator(seed, "MSE")).interval
    value, low, high = np.sqrt([squared.value, squared.low, squared.high]).tolist()
    root = Interval(value, low, high, squared.method)
    found = {"mean absolute error": absolute, "root mean squared error": root}
    centred = target - np.average(target, weights=weights)  # R2 is unaffected by the shift, rounding is not
    columns = np.stack([weights, weights * centred, weights * centred**2, weights * residuals**2], axis=1)
    units = sums_per_unit(columns, groups)
    explained = float(_r2(units.sum(axis=0)))
    if np.isfinite(explained):
        draws = _r2(resampled_sums(units, ROUNDS, generator(seed, "R2")))
        found["R2"] = percentile_interval(explained, draws, len(units), "bootstrap")
    return found


def _r2(sums: np.ndarray) -> np.ndarray:
    """(...,) from sums (..., 4) of w, w t, w t^2, w r^2; NaN if the target does not vary."""
    total = sums[..., 2] - sums[..., 1] ** 2 / sums[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        value: np.ndarray = np.where(total > 0, 1 - sums[..., 3] / total, np.nan)
    return value
