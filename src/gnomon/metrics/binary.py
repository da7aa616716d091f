"""Metrics for finding one class: precision, recall, specificity, F-beta."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from gnomon.core.errors import UsageError
from gnomon.core.seeds import generator
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import Rows, groups_of, share, weights_of

if TYPE_CHECKING:
    from gnomon.core.evaluation import Evaluation


def scores_of_class(evaluation: Evaluation, positive: str, *, beta: float = 1.0, seed: int = 0) -> dict[str, Interval]:
    """Precision, recall, specificity and F-beta for class `positive`, with `weight` as scikit-learn's sample_weight.

    beta above 1 gives more weight to recall, below 1 to precision. A metric that is undefined (no positive predictions,
    for example) is missing. F-beta is treated as a share of hits in which a hit counts 1 + beta^2, a miss beta^2 and
    a false alarm 1. Source: van Rijsbergen 1979, chapter 7.
    """
    if not beta > 0:
        raise UsageError(f"beta={beta:g} is not a weight.", fix="give a number above 0: 1 for F1, 2 for F2.")
    table = evaluation.table.filter(pl.Series(weights_of(evaluation.table) > 0))
    weights, groups = weights_of(table), groups_of(table, np.ones(table.height, dtype=bool))
    is_true = (table["target"].cast(pl.String) == positive).to_numpy()
    is_predicted = (table["prediction"].cast(pl.String) == positive).to_numpy()
    found = {}
    for name, among, hit in (
        ("precision", is_predicted, is_true), ("recall", is_true, is_predicted),
        ("specificity", ~is_true, ~is_predicted),
    ):  # fmt: skip
        if among.any():
            rows = Rows((~hit[among]).astype(float), weights[among], None if groups is None else groups[among])
            error = share(rows, generator(seed, name)).interval
            found[name] = Interval(1 - error.value, 1 - error.high, 1 - error.low, error.method)
    parts = beta**2 * is_true + is_predicted  # (N,) share of the denominator: a hit counts in both terms
    if parts.any():
        here = parts > 0
        missed = 1.0 - (is_true & is_predicted)[here]
        rows = Rows(missed, (weights * parts)[here], None if groups is None else groups[here])
        error = share(rows, generator(seed, "F-beta"), is_ratio=True).interval
        found[f"F{beta:g}"] = Interval(1 - error.value, 1 - error.high, 1 - error.low, error.method)
    return found
