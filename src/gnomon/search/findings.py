"""What a search found besides its best trial: how lucky it was, what mattered, whether the space was too small."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gnomon.core.seeds import generator
from gnomon.search.results import FINISHED, Result, ranked
from gnomon.search.space import CHANNELS, LAYERS, UNITS, Dimension, Space

ROUNDS = 1_000  # of the bootstrap
EDGE = 0.05  # share of a range, at either end, that counts as its edge
FEWEST_FOR_IMPORTANCE = 12  # trials
LEAST_EXPLAINED = 0.1  # of the variance within rounds, out of bag: a forest that explains less is useless
TREES, POINTS, STEPS = 64, 128, 12
NATURAL_LOW = {"regularise.dropout": 0.0, "regularise.label_smoothing": 0.0, UNITS: 1.0, LAYERS: 1.0, CHANNELS: 1.0}


@dataclass(frozen=True, slots=True)
class Luck:
    """How much better the best of k trials looks on dev than it is, because it was chosen there."""

    looks: int  # trials that were compared
    expected: float | None  # by the bootstrap over dev examples; None if there are no errors per example
    bound: float  # about sigma sqrt(2 ln k): the maximum for k trials that err independently


def luck(results: Sequence[Result], *, z: float = 1.959964, seed: int = 0) -> Luck | None:
    """None if fewer than two trials can be compared.

    The bootstrap chooses the best trial on a resampled dev set and measures it on the examples that the resample left
    out; the mean of that, minus the error of the trial chosen on all of dev, is the expected luck.
    Source: Tsamardinos, Greasidou and Borboudakis 2018, "Bootstrapping the out-of-sample predictions" (BBC-CV).
    """
    compared = [one for one in ranked(results) if one.status == FINISHED and not one.unmet]
    if len(compared) < 2:
        return None
    sigma = (compared[0].high - compared[0].low) / (2 * z)
    bound = sigma * math.sqrt(2 * math.log(len(compared)))
    if any(one.errors is None for one in compared):
        return Luck(len(compared), None, bound)
    errors = np.stack([one.errors for one in compared if one.errors is not None]).astype(np.float64)  # (k, N)
    size, rng, found = errors.shape[1], generator(seed, "search", "luck"), list[float]()
    for _ in range(ROUNDS):
        counts = np.bincount(rng.integers(0, size, size), minlength=size)
        left_out = counts == 0
        if left_out.any():
            inside = errors @ counts
            found.append(float(errors[int(np.argmin(inside)), left_out].mean()))
    return Luck(len(compared), max(0.0, float(np.mean(found)) - float(errors[0].mean())), bound)


@dataclass(frozen=True, slots=True)
class Importance:
    """How much of the variance between trials each dimension explains on its own."""

    shares: dict[str, float]  # of the forest's variance over the space, by dimension; the most important first
    explained: float  # of the variance of the trials' ranks within rounds, out of bag (1: all)


def importance(space: Space, results: Sequence[Result], *, seed: int = 0) -> Importance | None:
    """None with too few trials, or if a forest cannot distinguish good trials from bad ones.

    A random forest predicts the rank of a trial's error from its settings (ranks, so that a diverged trial is the worst
    but not a thousand times worse) and its round; without the round, settings that only later rounds vary would get
    the credit for the zoom (docs/log.md). A dimension's share is the variance of the forest's mean prediction along it,
    with the others drawn evenly from the space, relative to its total variance; the rest is interactions and rounds.
    Source: Hutter, Hoos and Leyton-Brown 2014, functional ANOVA, first order, by Monte Carlo instead of over leaves.
    """
    tried = sorted(results, key=lambda one: one.number)
    if len(tried) < FEWEST_FOR_IMPORTANCE:
        return None
    from scipy.stats import rankdata
    from sklearn.ensemble import RandomForestRegressor

    names = [one.name for one in space]
    rounds = np.array([max(one.round, 1) for one in tried])  # the trial of the defaults belongs to the first
    places = np.array([[*(space[name].place(one.point[name]) for name in names), max(one.round, 1)] for one in tried])
    ranks = rankdata([one.error for one in tried]) / len(tried)
    forest = RandomForestRegressor(
        TREES, min_samples_leaf=2, max_features=0.7, oob_score=True, random_state=seed % 2**31, n_jobs=1
    )
    forest.fit(places, ranks)
    inside = _within(ranks, rounds)
    explained = 1 - float(((inside - _within(forest.oob_prediction_, rounds)) ** 2).sum() / (inside**2).sum())
    if not explained >= LEAST_EXPLAINED:
        return None
    rng = generator(seed, "search", "importance")
    base = np.column_stack([rng.random((POINTS, len(names))), rng.choice(rounds, POINTS)])
    total = float(forest.predict(base).var())
    shares: dict[str, float] = {}
    for i, name in enumerate(names):
        along = np.repeat(base[None], STEPS, axis=0)
        along[:, :, i] = ((np.arange(STEPS) + 0.5) / STEPS)[:, None]
        means = forest.predict(along.reshape(-1, len(names) + 1)).reshape(STEPS, POINTS).mean(axis=1)
        shares[name] = min(1.0, float(means.var()) / total) if total > 0 else 0.0
    return Importance(dict(sorted(shares.items(), key=lambda pair: -pair[1])), explained)


def _within(values: np.ndarray, rounds: np.ndarray) -> np.ndarray:
    """(T,) values minus the mean of their round."""
    _, place = np.unique(rounds, return_inverse=True)
    means = np.bincount(place, weights=values) / np.bincount(place)
    result: np.ndarray = values - means[place]
    return result


@dataclass(frozen=True, slots=True)
class Edge:
    """The best trial is at the end of a range: better values may be outside."""

    name: str
    value: float
    end: str  # "lower" or "upper"
    wider: tuple[float, float]  # the range to search instead


def edges(space: Space, best: Result, results: Sequence[Result]) -> list[Edge]:
    """The dimensions in which the best trial is at the edge of the space, except for natural limits.

    A dimension that was never varied (its tier was not reached) has no edge.
    """
    found = []
    for one in space:
        value = best.point[one.name]
        if one.is_choice or all(each.point[one.name] == value for each in results):
            continue
        place = one.place(value)
        natural = NATURAL_LOW.get(one.name, NATURAL_LOW.get(one.key, -math.inf))
        at_low = value == one.low if one.is_whole else place <= EDGE
        at_high = value == one.high if one.is_whole else place >= 1 - EDGE
        if at_low and one.low > natural:
            found.append(Edge(one.name, value, "lower", _wider(one, up=False)))
        elif at_high:
            found.append(Edge(one.name, value, "upper", _wider(one, up=True)))
    return found


def _wider(one: Dimension, *, up: bool) -> tuple[float, float]:
    """The range moved and widened beyond one end: it starts in the middle of the old one."""
    middle = one.at(0.5)
    if one.scale == "1 - beta, log":
        return (
            (middle, round(1 - (1 - one.high) / 10, 12)) if up else (round(max(0.0, 1 - 3 * (1 - one.low)), 12), middle)
        )
    if one.scale in ("whole, log", "powers of two"):
        return (middle, 4 * one.high) if up else (max(1, one.low // 4), middle)
    if one.scale == "whole":
        return (middle, one.high + max(2, one.high - one.low)) if up else (max(1, 2 * one.low - one.high), middle)
    if one.scale == "log":
        return (middle, float(f"{10 * one.high:.3g}")) if up else (float(f"{one.low / 10:.3g}"), middle)
    half = (one.high - one.low) / 2
    return (middle, one.high + half) if up else (one.low - half, middle)
