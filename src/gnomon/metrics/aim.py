"""What a classifier is to be good at: the error as shares of wrong answers, F1, balanced accuracy, a recall, or costs.

For all but the error, the most probable class is not the best answer: each class's probability is first multiplied by a
factor. For costs the factors are the costs; for the others they are chosen on dev.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from gnomon.core.errors import UsageError
from gnomon.core.evaluation import SplitError
from gnomon.metrics.intervals import weights_of

METRICS = "error, f1, balanced_accuracy, or recall@precision>=0.9 with any precision"
RECALL = re.compile(r"recall@precision>=(0?\.\d+)")
TINY = 1e-30  # probabilities below it are the same
POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the classes' shares: 0 leaves rare classes as they are, 1 makes up for them


@dataclass(frozen=True)
class Aim:
    """One metric of one classifier. `positive` is the class that f1 (of two classes) and a recall are about."""

    metric: str = "error"
    positive: str = ""
    costs: tuple[float, ...] = ()  # of a mistake on each class; empty: all the same

    @property
    def error_name(self) -> str:
        """What its error is called."""
        if self.costs:
            return "error by cost"
        of = f" of {self.positive}" if self.positive else ""
        if self.metric == "f1":
            return f"1 - F1{of}" if of else "1 - macro F1"
        return {"error": "error", "balanced_accuracy": "1 - balanced accuracy"}.get(self.metric, f"1 - recall{of}")

    @property
    def least_precision(self) -> float | None:
        """That a recall is to be had at; None for other metrics."""
        found = RECALL.fullmatch(self.metric)
        return float(found[1]) if found else None


ERROR = Aim()  # the share of wrong answers, each as bad as any other


def aim_of(
    metric: str | None, positive: str | None, costs: Sequence[str], class_names: Sequence[str], labels: pl.Series
) -> Aim:
    """The aim in words as a user gives them: costs as "yes:10"; labels (N,) of train, to find the rarer of two classes.

    Raises UsageError for a metric, class or cost that is none, and for two aims at once.
    """
    metric = (metric or "error").replace(" ", "")
    is_recall = RECALL.fullmatch(metric) is not None
    if metric not in ("error", "f1", "balanced_accuracy") and not is_recall:
        raise UsageError(f"unknown metric {metric!r}.", fix=f"use {METRICS}.")
    if costs and metric != "error":
        raise UsageError(f"metric={metric} and costs are two different goals.", fix="give one of them.")
    if positive is not None and positive not in class_names:
        raise UsageError(f"positive={positive} is not a class.", fix=f"give one of {', '.join(class_names[:10])}.")
    if positive is None and is_recall and len(class_names) > 2:
        raise UsageError(f"metric={metric} is about one class.", fix=f"add positive=CLASS: {class_names[0]}, say.")
    if positive is None and (is_recall or metric == "f1") and len(class_names) == 2:
        counts = [int((labels.cast(pl.String) == name).sum()) for name in class_names]
        positive = class_names[1 if counts[1] <= counts[0] else 0]
    is_about_one = is_recall or metric == "f1"
    return Aim(metric, (positive or "") if is_about_one else "", _costs(costs, class_names))


def _costs(given: Sequence[str], class_names: Sequence[str]) -> tuple[float, ...]:
    found: dict[str, float] = {}
    for one in given:
        name, _, number = one.rpartition(":")
        try:
            cost = float(number)
        except ValueError:
            cost = math.nan
        if name not in class_names or not 0 < cost < math.inf:
            fix = f"give costs={class_names[0]}:10, for example; classes: {', '.join(class_names[:10])}."
            raise UsageError(f"{one!r} is not a class and the cost, above 0, of a mistake on it.", fix=fix)
        found[name] = cost
    return tuple(found.get(name, 1.0) for name in class_names) if found else ()


# --- the error of a split ---------------------------------------------------------------------------------------------
def split_error(aim: Aim, class_names: Sequence[str], table: pl.DataFrame) -> SplitError | None:
    """The aim's error as a function of how often each row counts; None where it is the mean of the rows' errors."""
    if aim == ERROR:
        return None
    target, prediction = (_codes(table[name], class_names) for name in ("target", "prediction"))
    weights = weights_of(table)

    def error(counts: np.ndarray) -> float:
        return _error(aim, class_names, target, prediction, weights * counts)

    return error


def _codes(column: pl.Series, class_names: Sequence[str]) -> np.ndarray:
    """(N,) positions in `class_names`, -1 for any other."""
    places = list(range(len(class_names)))
    codes = column.cast(pl.String).replace_strict(list(class_names), places, default=-1, return_dtype=pl.Int64)
    return codes.to_numpy()


def _error(
    aim: Aim, class_names: Sequence[str], target: np.ndarray, prediction: np.ndarray, weights: np.ndarray
) -> float:
    size = len(class_names)
    right = _sums(target[target == prediction], weights[target == prediction], size)
    true, answered = _sums(target, weights, size), _sums(prediction, weights, size)
    if aim.costs:
        costs = np.array(aim.costs)
        return float(1 - (costs * right).sum() / max((costs * true).sum(), 1e-300))
    here = [class_names.index(aim.positive)] if aim.positive else list(range(size))
    if aim.metric == "f1":
        parts = 2 * right[here] / np.maximum((true + answered)[here], 1e-300)
    else:
        there = [k for k in here if true[k] > 0]
        parts = right[there] / true[there] if there else np.ones(1)
    return float(1 - parts.mean())


def _sums(codes: np.ndarray, weights: np.ndarray, size: int) -> np.ndarray:
    known = codes >= 0
    return np.bincount(codes[known], weights=weights[known], minlength=size)


# --- the best answers -------------------------------------------------------------------------------------------------
def best_factors(aim: Aim, class_names: Sequence[str], table: pl.DataFrame) -> tuple[float, ...]:
    """The factor on each class's probability that makes the aim's error on this table (dev) the smallest.

    The table has the columns p.CLASS. Empty where probabilities are best left as they are.
    """
    if aim.costs:  # the expected cost of an answer is lowest for the largest product: Elkan 2001
        return aim.costs
    if aim == ERROR or not all(f"p.{name}" in table.columns for name in class_names):
        return ()
    probabilities = table.select(f"p.{name}" for name in class_names).to_numpy()
    target, weights = _codes(table["target"], class_names), weights_of(table)
    if aim.positive:
        place = class_names.index(aim.positive)
        return _factors_of_one(aim, place, probabilities, target == place, weights)
    shares = np.maximum(_sums(target, weights, len(class_names)), weights.max())  # a class that dev lacks counts as one
    tried = [(shares / shares.sum()) ** -power for power in POWERS]
    errors = [_error(aim, class_names, target, (probabilities * one).argmax(axis=1), weights) for one in tried]
    best = int(np.argmin(errors))
    return () if best == 0 else tuple((tried[best] / tried[best].max()).tolist())


def _factors_of_one(
    aim: Aim, place: int, probabilities: np.ndarray, is_true: np.ndarray, weights: np.ndarray
) -> tuple[float, ...]:
    """For one class against the rest: by the threshold on the log of its odds against the most probable other."""
    others = np.delete(probabilities, place, axis=1).max(axis=1)
    odds = np.log(np.maximum(probabilities[:, place], TINY)) - np.log(np.maximum(others, TINY))
    order = np.argsort(-odds, kind="stable")
    hits, answers = np.cumsum((weights * is_true)[order]), np.cumsum(weights[order])
    is_last = np.append(np.diff(odds[order]) != 0, True)  # rows with equal odds are answered alike
    total = max(float((weights * is_true).sum()), 1e-300)
    if aim.least_precision is None:
        merit = 2 * hits / (total + answers)
    else:
        merit = np.where(hits >= aim.least_precision * answers, hits / total, -1.0)
    merit = np.where(is_last, merit, -1.0)
    best = int(np.argmax(merit))
    factors = np.ones(probabilities.shape[1])
    if merit[best] <= 0:  # no threshold reaches that precision: the class is never answered
        factors[place] = 0.0
        return tuple(factors.tolist())
    least = odds[order[best]]
    below = odds[order[best + 1]] if best + 1 < len(odds) else least - 1
    factors[place] = math.exp(-(least + below) / 2)
    return tuple((factors / factors.max()).tolist())
