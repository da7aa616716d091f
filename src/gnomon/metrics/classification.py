"""Metrics of a classifier from its table of predictions: confusion, precision and recall, log loss, calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.core.seeds import generator
from gnomon.metrics.binary import scores_of_class
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import Rows, groups_of, mean, share, weights_of
from gnomon.metrics.ranking import auc, macro_auc
from gnomon.metrics.resampling import ROUNDS, ROUNDS_OF_CALLS, percentile_interval, resampled_sums, sums_per_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

NUM_BINS = 10  # for calibration, equally wide
PROBABILITY = "p."  # p.CLASS columns hold the model's probability of CLASS
LESS_IS_BETTER = ("log loss", "calibration error")  # of `scores`
SMALLEST_PROBABILITY = 1e-15  # log loss of an impossible event that happened: 34.5


@dataclass(frozen=True)
class Confusion:
    """Counts of examples by true and predicted class."""

    class_names: tuple[str, ...]
    counts: np.ndarray  # (K, K) int64: row = target, column = prediction


@dataclass(frozen=True)
class Calibration:
    """Whether answers with 80 % confidence are right 80 % of the time. Empty bins hold NaN."""

    edges: np.ndarray  # (bins + 1,) from 0 to 1
    confidence: np.ndarray  # (bins,) mean confidence
    accuracy: np.ndarray  # (bins,) weighted share of right predictions
    counts: np.ndarray  # (bins,) examples
    error: Interval  # expected calibration error: mean |accuracy - confidence| by weight


def confusion(table: pl.DataFrame, class_names: Sequence[str] | None = None) -> Confusion:
    """Counts over all rows with a weight above 0. Classes in the order given, then any others, by name."""
    pairs = _pairs(table.filter(pl.Series(weights_of(table) > 0)), class_names)
    num_classes = len(pairs.class_names)
    counts = np.bincount(pairs.target * num_classes + pairs.prediction, minlength=num_classes**2)
    return Confusion(pairs.class_names, counts.reshape(num_classes, num_classes))


def scores(evaluation: Evaluation, *, seed: int = 0) -> dict[str, Interval]:
    """Accuracy, balanced accuracy, macro precision, recall and F1; log loss, calibration error and AUC if available.

    As defined by scikit-learn, with `weight` as sample_weight and zero_division=0. Balanced accuracy leaves out
    classes that are never the target, macro averages count them as 0. Log loss uses the p.CLASS columns, otherwise
    `loss`. For two classes also precision, recall, specificity, F1 and AUC of the second by name ("recall of
    yes"); for more p.CLASS columns, the mean over classes of the AUC of each against the rest.
    """
    table = evaluation.table.filter(pl.Series(weights_of(evaluation.table) > 0))
    if table.is_empty():
        return {}
    weights, groups = weights_of(table), groups_of(table, np.ones(table.height, dtype=bool))
    pairs = _pairs(table, None)
    wrong = (pairs.target != pairs.prediction).astype(np.float64)
    error = share(Rows(wrong, weights, groups), generator(seed, "accuracy")).interval
    found = {"accuracy": Interval(1 - error.value, 1 - error.high, 1 - error.low, error.method)}
    found |= _averages(pairs, weights, groups, generator(seed, "averages"))
    losses = _log_losses(table, pairs)
    if losses is not None:
        found["log loss"] = mean(Rows(losses, weights, groups), generator(seed, "log loss")).interval
    reliability = calibration(evaluation, seed=seed)
    if reliability is not None:
        found["calibration error"] = reliability.error
    columns = sorted(name for name in table.columns if name.startswith(PROBABILITY))
    classes = [name.removeprefix(PROBABILITY) for name in columns] or list(pairs.class_names)
    if len(classes) == 2:
        of_class = scores_of_class(evaluation, classes[1], seed=seed)
        found |= {f"{name} of {classes[1]}": interval for name, interval in of_class.items()}
    area = _auc(table, columns, weights, groups)
    if area is not None:
        found["AUC" if len(columns) == 2 else "macro AUC"] = area
    return found


def _auc(
    table: pl.DataFrame, columns: Sequence[str], weights: np.ndarray, groups: np.ndarray | None
) -> Interval | None:
    """For two p.CLASS columns, the AUC of the second; for more, each against the rest."""
    if len(columns) < 2:
        return None
    names = [name.removeprefix(PROBABILITY) for name in columns]
    known = table["target"].cast(pl.String).cast(pl.Enum(names), strict=False)
    if known.null_count():
        return None
    target = known.to_physical().to_numpy()
    probabilities = table.select(pl.col(columns).cast(float)).to_numpy()
    if len(columns) == 2:
        return auc(probabilities[:, 1], target == 1, weights=weights, groups=groups)
    return macro_auc(probabilities, target, weights=weights, groups=groups)


def calibration(evaluation: Evaluation, *, seed: int = 0) -> Calibration | None:
    """From `confidence` and `error` (right = 1 - error); None if errors are not shares or confidence is missing.

    The expected calibration error is biased upwards on few examples; its interval accounts for that.
    Source: Guo et al. 2017.
    """
    table = evaluation.table
    if evaluation.unit != SHARE or "confidence" not in table.columns:
        return None
    table = table.filter(pl.Series(weights_of(table) > 0) & table["confidence"].is_not_null())
    if table.is_empty():
        return None
    confidence, right = table["confidence"].cast(float).to_numpy(), 1 - table["error"].cast(float).to_numpy()
    weights, groups = weights_of(table), groups_of(table, np.ones(table.height, dtype=bool))
    edges = np.linspace(0, 1, NUM_BINS + 1)
    bins = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, NUM_BINS - 1)  # (low, high], as in Guo
    columns = np.zeros((len(bins), 1 + NUM_BINS))  # weight, and weight x (right - confidence) in its bin
    columns[:, 0] = weights
    columns[np.arange(len(bins)), 1 + bins] = weights * (right - confidence)
    units = sums_per_unit(columns, groups)
    value = float(_calibration_error(units.sum(axis=0)))
    rng = generator(seed, "calibration")
    draws = _calibration_error(resampled_sums(units, ROUNDS_OF_CALLS, rng))
    per_bin = np.bincount(bins, weights=weights, minlength=NUM_BINS)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(bins, weights=weights * confidence, minlength=NUM_BINS) / per_bin
        accuracy = np.bincount(bins, weights=weights * right, minlength=NUM_BINS) / per_bin
    return Calibration(
        edges,
        mean_confidence,
        accuracy,
        np.bincount(bins, minlength=NUM_BINS),
        _down_to_nothing(percentile_interval(value, draws, len(units), "bootstrap"), units, rng),
    )


def _down_to_nothing(ends: Interval, units: np.ndarray, rng: np.random.Generator) -> Interval:
    """The interval from 0 on in which perfect calibration gives an error this large by chance 1 time in 40.

    The error cannot be below 0, so chance alone raises it, and resampling raises it further. Units (U, 1 + bins) are
    those that were resampled; under perfect calibration their sums have mean 0.
    Source: Broecker and Smith 2007, Weather and Forecasting 22:651 (consistency resampling), with normal sums.
    """
    spread = np.sqrt((units[:, 1:] ** 2).sum(axis=0))
    by_chance = np.abs(spread * rng.normal(size=(ROUNDS, NUM_BINS))).sum(axis=1) / units[:, 0].sum()
    if ends.value > np.quantile(by_chance, 0.975):
        return ends
    return Interval(ends.value, 0.0, ends.high, ends.method)


def _calibration_error(sums: np.ndarray) -> np.ndarray:
    """(...,) from sums (..., 1 + bins)."""
    result: np.ndarray = np.abs(sums[..., 1:]).sum(axis=-1) / sums[..., 0]
    return result


@dataclass(frozen=True)
class _Pairs:
    class_names: tuple[str, ...]
    target: np.ndarray  # (N,) index into class_names
    prediction: np.ndarray  # (N,)


def _pairs(table: pl.DataFrame, class_names: Sequence[str] | None) -> _Pairs:
    target, prediction = table["target"].cast(pl.String), table["prediction"].cast(pl.String)
    seen = pl.concat([target, prediction.rename("target")]).unique().drop_nulls().to_list()
    names = tuple(dict.fromkeys([*(class_names or ()), *sorted(seen)]))
    codes = pl.Enum(list(names))
    indices = [column.cast(codes).to_physical().cast(pl.Int64).to_numpy() for column in (target, prediction)]
    return _Pairs(names, indices[0], indices[1])


def _averages(
    pairs: _Pairs, weights: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator
) -> dict[str, Interval]:
    """Equal rows are merged first, so that the cost of a round depends on the number of distinct rows, not examples."""
    num_classes = len(pairs.class_names)
    _, weight_codes = np.unique(weights, return_inverse=True)
    group_codes = (
        np.zeros(len(weights), dtype=np.int64) if groups is None else np.unique(groups, return_inverse=True)[1]
    )
    key = ((group_codes * (weight_codes.max() + 1) + weight_codes) * num_classes + pairs.target) * num_classes
    _, first, times = np.unique(key + pairs.prediction, return_index=True, return_counts=True)
    target, prediction, weight, group = (rows[first] for rows in (pairs.target, pairs.prediction, weights, group_codes))
    values = _macro(target, prediction, weight * times, num_classes)
    num_units = len(weights) if groups is None else int(group.max()) + 1
    draws = np.empty((ROUNDS_OF_CALLS, len(values)))
    for index in range(ROUNDS_OF_CALLS):
        if groups is None:
            counts = rng.multinomial(num_units, times / num_units)
        else:
            counts = times * np.bincount(rng.integers(num_units, size=num_units), minlength=num_units)[group]
        draws[index] = _macro(target, prediction, weight * counts, num_classes)
    names = ("balanced accuracy", "macro precision", "macro recall", "macro F1")
    found = {
        name: percentile_interval(float(value), draws[:, place], num_units, "bootstrap")
        for place, (name, value) in enumerate(zip(names, values, strict=True))
    }
    if groups is None:
        precisions, recalls = (_of_each_class(pairs, weights, by, rng) for by in (pairs.prediction, pairs.target))
        found["macro precision"] = _mean_of(precisions)
        found["macro recall"] = _mean_of(recalls)
        found["balanced accuracy"] = _mean_of([one for one in recalls if one is not None])
    return found


def _of_each_class(
    pairs: _Pairs, weights: np.ndarray, by: np.ndarray, rng: np.random.Generator
) -> list[Interval | None]:
    """The share of right answers among the examples of each class `by` (N,); None for a class without examples."""
    right = (pairs.target == pairs.prediction).astype(np.float64)
    order = np.argsort(by, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(by, minlength=len(pairs.class_names)))[:-1])
    return [share(Rows(right[part], weights[part], None), rng).interval if len(part) else None for part in parts]


def _mean_of(parts: Sequence[Interval | None]) -> Interval:
    """The mean of shares, each measured on its own examples; None counts as 0 and could be anything.

    Source: Zou and Donner 2008 (method of variance estimates recovery).
    """
    known = [Interval(0.0, 0.0, 1.0) if one is None else one for one in parts]
    value = float(np.mean([one.value for one in known]))
    below = math.sqrt(sum((one.value - one.low) ** 2 for one in known)) / len(known)
    above = math.sqrt(sum((one.high - one.value) ** 2 for one in known)) / len(known)
    return Interval(value, max(value - below, 0.0), min(value + above, 1.0), "Wilson, joined over classes")


def _macro(target: np.ndarray, prediction: np.ndarray, weights: np.ndarray, num_classes: int) -> np.ndarray:
    """(4,): balanced accuracy, macro precision, macro recall, macro F1 over K classes."""
    right = np.bincount(target, weights=weights * (target == prediction), minlength=num_classes)
    true = np.bincount(target, weights=weights, minlength=num_classes)
    predicted = np.bincount(prediction, weights=weights, minlength=num_classes)
    recall = np.divide(right, true, out=np.zeros(num_classes), where=true > 0)
    precision = np.divide(right, predicted, out=np.zeros(num_classes), where=predicted > 0)
    f1 = np.divide(2 * right, true + predicted, out=np.zeros(num_classes), where=true + predicted > 0)
    balanced = recall[true > 0].mean() if (true > 0).any() else np.nan
    return np.array([balanced, precision.mean(), recall.mean(), f1.mean()])


def _log_losses(table: pl.DataFrame, pairs: _Pairs) -> np.ndarray | None:
    """(N,): -log of the probability of the target."""
    columns = {name.removeprefix(PROBABILITY) for name in table.columns if name.startswith(PROBABILITY)}
    targets = {pairs.class_names[index] for index in np.unique(pairs.target)}
    if columns and targets <= columns:
        probability = np.empty(table.height)
        for index, name in enumerate(pairs.class_names):
            here = pairs.target == index
            if here.any():
                probability[here] = table[PROBABILITY + name].cast(float).to_numpy()[here]
        return -np.log(np.clip(probability, SMALLEST_PROBABILITY, 1.0))
    if "loss" in table.columns and table["loss"].null_count() == 0:
        return table["loss"].cast(float).to_numpy()
    return None
