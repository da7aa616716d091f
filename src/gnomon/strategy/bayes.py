"""How low any error could go, from the data alone: an estimate of the Bayes error from nearest neighbours."""

from __future__ import annotations

import numpy as np

from gnomon.core.errors import DataError
from gnomon.core.seeds import generator
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import Rows, share, wilson

MOST = 5_000  # examples whose neighbours are searched; all examples can be neighbours


def nearest_neighbour_bound(
    features: np.ndarray, labels: np.ndarray, num_classes: int, *, groups: np.ndarray | None = None, seed: int = 0
) -> Interval:
    """The lowest Bayes error B that is consistent with the error e of the nearest neighbour.

    features: (N, D), ideally those of a trained network on examples it was not trained on; labels: (N,) in 0..K-1. Each
    example gets the label of its nearest neighbour from another group. Solved from e <= B (2 - B K / (K - 1)), which
    holds for infinitely many examples. With finite N the neighbour errs more, and features that lose information raise
    every error: this is an estimate, not a proof. The interval is that of e, transformed.
    Source: Cover and Hart 1967, IEEE Transactions on Information Theory 13:21.
    """
    if features.ndim != 2 or len(features) != len(labels) or len(labels) < 2 or num_classes < 2:
        raise DataError("expected features and a class for at least two examples.", fix="give (N, D) and (N,).")
    if not np.isfinite(features).all():
        raise DataError("some features are not finite numbers.", fix="impute them first.")
    rng = generator(seed, "nearest neighbours")
    asked = np.arange(len(labels)) if len(labels) <= MOST else np.sort(rng.choice(len(labels), MOST, replace=False))
    neighbour = _neighbours(features, asked, groups)
    wrong = (labels[neighbour] != labels[asked]).astype(np.float64)
    if groups is None:
        error = _shared_share(wrong, asked, neighbour)
    else:
        error = share(Rows(wrong, np.ones(len(asked)), groups[asked]), rng).interval
    ends = [_bound(end, num_classes) for end in (error.value, error.low, error.high)]
    return Interval(ends[0], ends[1], ends[2], f"nearest neighbour, {error.method}")


def _shared_share(wrong: np.ndarray, asked: np.ndarray, neighbour: np.ndarray) -> Interval:
    """The share of `wrong` (n,), given that examples that are neighbours, or share one, tend to be wrong together.

    Wilson's interval on the number of independent examples with the same variance: the covariances of all pairs of
    errors with an example in common are summed.
    """
    value = float(wrong.mean())
    residuals = wrong - value
    ends = np.concatenate([asked, neighbour])
    touching = np.bincount(ends, weights=np.tile(residuals, 2))  # for each example, the errors it is involved in
    mate = np.full(int(ends.max()) + 1, -1)
    mate[asked] = neighbour
    place = np.full(len(mate), -1)
    place[asked] = np.arange(len(asked))
    mutual = np.flatnonzero(mate[neighbour] == asked)  # these pairs have both examples in common
    twice = (residuals**2).sum() + (residuals[mutual] * residuals[place[neighbour[mutual]]]).sum()
    variance = float((touching**2).sum() - twice) / len(wrong) ** 2
    size = float(len(wrong))
    if variance > 0 and 0 < value < 1:
        size = min(size, value * (1 - value) / variance)
    ends_of = wilson(value * size, size)
    method = f"Wilson, {len(wrong):,} examples worth {size:,.0f} independent ones"
    return Interval(value, min(ends_of.low, value), max(ends_of.high, value), method)


def _neighbours(features: np.ndarray, asked: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """(n,) the nearest example other than itself and from another group; the nearest other one if there is none."""
    from sklearn.neighbors import NearestNeighbors

    largest = 1 if groups is None else int(np.unique(groups, return_counts=True)[1].max())
    wanted = min(len(features), largest + 1)
    found = NearestNeighbors(n_neighbors=wanted).fit(features).kneighbors(features[asked], return_distance=False)
    is_other = found != asked[:, None]
    if groups is not None:
        outside = is_other & (groups[found] != groups[asked][:, None])
        is_other = np.where(outside.any(axis=1)[:, None], outside, is_other)
    chosen: np.ndarray = found[np.arange(len(asked)), is_other.argmax(axis=1)]
    return chosen


def _bound(error: float, num_classes: int) -> float:
    """Two classes: (1 - sqrt(1 - 2 e)) / 2."""
    spread = num_classes / (num_classes - 1)
    return float((1 - np.sqrt(max(1 - spread * error, 0.0))) / spread)
