"""Tags of series that are set automatically: short and long ones, missing and extreme values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from gnomon.strategy.error_analysis import Tag

EXTREME = 0.05  # share of the training series in each tail of a measure that counts as unusual
OUTLIER = 5.0  # robust standard deviations from the median of the training steps
TO_STD = 1.4826  # times the median absolute deviation: the standard deviation of a normal distribution


def from_series(
    table: pl.DataFrame, positions: np.ndarray, series: Sequence[np.ndarray], reference: Sequence[np.ndarray]
) -> list[Tag]:
    """Tags that errors have, of the series (T, D) at `positions`, compared with `reference`, some of those in training.

    NaN is a missing value; D is the same for all.
    """
    if not series or not reference:
        return []
    lengths, usual = (np.array([len(one) for one in each]) for each in (series, reference))
    short, long = np.quantile(usual, [EXTREME, 1 - EXTREME])
    missing, usual_missing = (np.array([np.isnan(one).mean() for one in each]) for each in (series, reference))
    many = float(np.quantile(usual_missing, 1 - EXTREME))
    steps = np.concatenate(reference)
    known = ~np.isnan(steps)
    middle = np.array(
        [np.median(column[here]) if here.any() else 0.0 for column, here in zip(steps.T, known.T, strict=True)]
    )
    spread = np.array([
        TO_STD * np.median(np.abs(column[here] - at)) if here.any() else 0.0
        for column, here, at in zip(steps.T, known.T, middle, strict=True)
    ])  # fmt: skip
    is_extreme = np.array([_is_extreme(one, middle, spread) for one in series])
    share = f"{100 * EXTREME:.0f} %"
    wanted = (
        ("short series", lengths < short, f"Fewer steps than all but {share} of the training series."),
        ("long series", lengths > long, f"More steps than all but {share} of the training series."),
        ("missing values", missing > many, "Values are missing, more than in most training series."),
        (
            "extreme values",
            is_extreme,
            f"A value beyond {OUTLIER:.0f} robust standard deviations of those in training.",
        ),
    )
    is_error = (table["error"] > 0).to_numpy()
    reviewed = np.zeros(len(table), bool)
    reviewed[positions] = True
    tags = []
    for name, found, meaning in wanted:
        tagged = np.zeros(len(table), bool)
        tagged[positions] = found
        if (tagged & is_error).any():
            tags.append(Tag(name, "series", tagged, reviewed, meaning))
    return tags


def _is_extreme(series: np.ndarray, middle: np.ndarray, spread: np.ndarray) -> bool:
    """A column that hardly ever changes has no usual spread: it makes nothing extreme."""
    off = np.abs(series - middle)
    return bool((off[:, spread > 0] > OUTLIER * spread[spread > 0]).any())
