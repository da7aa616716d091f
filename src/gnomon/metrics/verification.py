"""Verification: pairs of one identity or two, told apart by a distance. Its errors, thresholds and intervals.

A pair whose distance is below the threshold is accepted: "same". FAR, the false accept rate, is the share of pairs of
two identities that are accepted, FRR the share of pairs of one identity that are refused, TAR = 1 - FRR.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from gnomon.metrics.interval import Interval
from gnomon.metrics.resampling import percentile_interval, resampled_sums

ROUNDS = 500  # of the bootstrap over identities
RULE_OF_THREE = 3.0  # with no error among n pairs, the rate is below 3 / n with 95 % confidence
MEASURED_AT = (0.01, 0.001)  # false accept rates at which the true accept rate is measured


def pairs_needed(far: float) -> int:
    """Pairs of two identities without which a false accept rate cannot be measured: 3 / far."""
    return math.ceil(RULE_OF_THREE / far - 1e-9)


@dataclass(frozen=True)
class Compared:
    """N pairs in the order of their distance, with a weight for each: how often it counts."""

    distances: np.ndarray  # (N,) rising
    is_same: np.ndarray  # (N,) bool
    weights: np.ndarray  # (N,) at least 0

    @staticmethod
    def of(distances: np.ndarray, is_same: np.ndarray, weights: np.ndarray | None = None) -> Compared:
        order = np.argsort(distances, kind="stable")
        counts = np.ones(len(order)) if weights is None else weights[order]
        return Compared(distances[order], is_same[order], counts)

    def rates(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(T,) thresholds, FAR and FRR: below all distances, between every two different ones, and above all.

        NaN where there are no pairs of a kind.
        """
        ends = np.flatnonzero(np.r_[np.diff(self.distances) > 0, True])  # the last of equal distances
        accepted = [np.r_[0.0, np.cumsum(self.weights * kind)[ends]] for kind in (~self.is_same, self.is_same)]
        with np.errstate(invalid="ignore", divide="ignore"):
            far, tar = (one / one[-1] for one in accepted)
        values = self.distances[ends]
        between = np.r_[values[0] - 1, (values[:-1] + values[1:]) / 2, values[-1] + 1]
        return between, far, 1 - tar


def equal_error(pairs: Compared) -> float:
    """Where FAR and FRR are equal, on the line between the two thresholds that they cross at; NaN without a kind."""
    _, far, frr = pairs.rates()
    if np.isnan(far[-1]) or np.isnan(frr[-1]):
        return math.nan
    after = int(np.argmax(far >= frr))  # the first threshold at which more are accepted than refused in error
    before = after - 1
    gap = (frr[before] - far[before]) + (far[after] - frr[after])
    share = (frr[before] - far[before]) / gap if gap > 0 else 0.0
    return float(far[before] + share * (far[after] - far[before]))


def threshold_for(pairs: Compared, far: float | None) -> float:
    """The threshold at which FAR and FRR are nearest to equal, or (with `far`) the largest whose FAR is at most that.

    Of equally good ones the middle one. NaN without pairs of both kinds.
    """
    thresholds, fars, frrs = pairs.rates()
    if np.isnan(fars[-1]) or np.isnan(frrs[-1]):
        return math.nan
    if far is not None:
        return float(thresholds[np.flatnonzero(fars <= far)[-1]])
    apart = np.maximum(fars, frrs)
    best = np.flatnonzero(apart == apart.min())
    return float(thresholds[best[len(best) // 2]])


def true_accepts(pairs: Compared, far: float) -> float:
    """The largest TAR at a threshold whose FAR is at most `far`."""
    _, fars, frrs = pairs.rates()
    return float(1 - frrs[fars <= far].min()) if not np.isnan(fars[-1]) else math.nan


def half_error(is_wrong: np.ndarray, is_same: np.ndarray, weights: np.ndarray) -> float:
    """The mean of FRR and FAR: the share of pairs that are wrong, where both kinds count alike; all (N,)."""
    same, different = weights * is_same, weights * ~is_same
    if same.sum() <= 0 or different.sum() <= 0:
        return math.nan
    return float((same @ is_wrong / same.sum() + different @ is_wrong / different.sum()) / 2)


def rank_one(
    distances: np.ndarray, members: np.ndarray, identities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Of each probe its identity and the chance that its own is the nearest: (P,) and (P,).

    The gallery has one picture of each identity, drawn at random from those it was compared with; the chance is exact.
    A picture is a probe if it was compared with another one of its identity. `members`, `identities`: (N, 2) codes of
    the examples and identities of N pairs.
    """
    codes = np.unique(members, return_inverse=True)[1].reshape(members.shape)
    people = np.unique(identities, return_inverse=True)[1].reshape(identities.shape)
    probe, other = np.concatenate([codes[:, 0], codes[:, 1]]), np.concatenate([people[:, 1], people[:, 0]])
    own = np.concatenate([people[:, 0], people[:, 1]])
    apart = np.concatenate([distances, distances])
    found_of, found = [], []
    order = np.argsort(probe, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(probe[order])) + 1):
        same = other[rows] == own[rows]
        if not same.any() or same.all():
            continue
        mine = apart[rows][same]  # to each picture of the probe's identity that could be in the gallery
        farther = np.ones(len(mine))
        for impostor in np.unique(other[rows][~same]):
            theirs = np.sort(apart[rows][other[rows] == impostor])
            ties = np.searchsorted(theirs, mine, side="right") - np.searchsorted(theirs, mine, side="left")
            farther *= 1 - (np.searchsorted(theirs, mine, side="left") + ties / 2) / len(theirs)
        found_of.append(own[rows][0])
        found.append(farther.mean())
    return np.array(found_of), np.array(found)


def identity_weights(first: np.ndarray, second: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(N,): how often a pair counts where identity i is drawn times[i] times: once as a whole, else the product.

    Source: Bolle, Ratha and Pankanti 2004 (the subset bootstrap: pairs of one person are not independent).
    """
    counts: np.ndarray = np.where(first == second, times[first], times[first] * times[second])
    return counts.astype(np.float64)


def area(pairs: Compared) -> float:
    """The chance that a pair of one identity is nearer than one of two; ties count half. NaN without a kind."""
    _, far, frr = pairs.rates()
    return float(np.trapezoid(1 - frr, far))


def over_identities(
    first: np.ndarray, second: np.ndarray, measure: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator
) -> list[Interval]:
    """S numbers that `measure` makes of weights (N,) for N pairs of identities 0 to K - 1; identities are resampled."""
    people = int(max(first.max(), second.max())) + 1
    values = measure(np.ones(len(first)))
    draws = np.empty((ROUNDS, len(values)))
    for turn in range(ROUNDS):
        times = np.bincount(rng.integers(people, size=people), minlength=people)
        draws[turn] = measure(identity_weights(first, second, times))
    method = f"bootstrap over {people:,} identities"
    ends = [percentile_interval(float(value), own, people, method) for value, own in zip(values, draws.T, strict=True)]
    return [replace(one, low=max(one.low, 0.0), high=min(one.high, 1.0)) for one in ends]


def over_probes(people: np.ndarray, chance: np.ndarray, rng: np.random.Generator) -> Interval:
    """The mean of `chance` (P,), resampled by identity (P,); the gallery stays as it is."""
    codes = np.unique(people, return_inverse=True)[1]
    units = np.stack([np.bincount(codes, weights=chance), np.bincount(codes)], axis=1)
    sums = resampled_sums(units, ROUNDS, rng)
    found = percentile_interval(
        float(chance.mean()), sums[:, 0] / sums[:, 1], len(units), f"bootstrap over {len(units):,} identities"
    )
    return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))


@dataclass(frozen=True)
class Nobody:
    """From which distance on a picture is of nobody who is enrolled, and what that costs."""

    threshold: float  # of the squared distance
    far: float  # the share of pairs of two identities that are nearer
    fpir: float  # of strangers, at most this share is taken for somebody; with `is_shown` False no more is known
    tar: float  # the share of pairs of one identity that are nearer
    pairs: int  # of two identities, from which the threshold was chosen
    needed: int  # so many of them would have shown the share that was asked for
    is_shown: bool


def threshold_among(strangers: np.ndarray, relatives: np.ndarray, enrolled: int, fpir: float, tau: float) -> Nobody:
    """The threshold for one of N, from the distances of pairs of two identities (A,) and of one (B,).

    A stranger is compared with `enrolled` pictures, and the chance that any of them is nearer than the threshold is at
    most their number times the false accept rate (Boole's inequality), however they depend on each other. So the rate
    may be fpir / enrolled; it is measured where there are 3 / rate pairs. With fewer, the threshold lies below all of
    them, and the share is only known to be at most that of the rule of three. Never above `tau`, the threshold for one
    pair: nobody is named whom it would call different.
    """
    rising = np.sort(strangers)
    count, wanted = len(rising), fpir / enrolled
    needed = pairs_needed(wanted)
    is_shown = count >= needed
    allowed = min(math.floor(wanted * count + 1e-9), count - 1) if is_shown else 0
    threshold = min(tau, float(rising[allowed])) if count else tau  # what is below it is accepted: `allowed` of them
    far = float((rising < threshold).mean()) if count else math.nan
    most = max(far, RULE_OF_THREE / count) if count else 1.0
    tar = float((relatives < threshold).mean()) if len(relatives) else math.nan
    return Nobody(threshold, far, fpir if is_shown else min(1.0, enrolled * most), tar, count, needed, is_shown)
