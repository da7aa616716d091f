"""Coarse to fine: which trials there are, what each tries, and where the search zooms in between rounds.

A search has several rounds. The first varies the learning rate alone, the next adds the second tier, then everything;
before each, ranges shrink to where the best trials are. What a round tries depends only on the seed and the results of
earlier rounds: not on the order in which trials finish, nor on how many run in parallel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gnomon.core.seeds import generator
from gnomon.search.results import Result, ranked
from gnomon.search.space import Dimension, Space

SHARES = (0.2, 0.3, 0.3, 0.2)  # of the trials: learning rate; second tier; everything; once more, finer
FEWEST = 4  # trials in a round
KEPT_SHARE, FEWEST_KEPT = 0.2, 3  # the best of all trials so far: a zoom keeps the ranges that contain them


@dataclass(frozen=True, slots=True)
class Round:
    """Trials `first` to `first + size - 1`, varying the dimensions of tiers up to `tier`."""

    number: int  # from 1; round 0 is the trial of the defaults
    first: int
    size: int
    tier: int

    @property
    def trials(self) -> range:
        return range(self.first, self.first + self.size)


@dataclass(frozen=True, slots=True)
class Region:
    """What a round draws from: (low, high) in [0, 1] for each range, the indices of the remaining choices."""

    ranges: Mapping[str, tuple[float, float]]
    choices: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Zoom:
    """How one range shrank (or moved), in values, and the trials behind it."""

    round: int  # the round that draws from it
    name: str
    before: tuple[Any, ...]  # low and high, or the choices
    after: tuple[Any, ...]
    trials: tuple[int, ...]  # the best so far


def whole(space: Space) -> Region:
    """The whole space."""
    return Region(
        {one.name: (0.0, 1.0) for one in space if not one.is_choice},
        {one.name: tuple(range(len(one.choices))) for one in space if one.is_choice},
    )


def plan(trials: int, tiers: Sequence[int], *, zooms: bool = True) -> list[Round]:
    """The rounds of a search with `trials` trials, the first of which tries the defaults.

    Without `zooms`: one round, over everything.
    """
    left, first = trials - 1, 2
    if not zooms:
        return [Round(1, first, left, tiers[-1])] if left > 0 else []
    # a tier without dimensions has no round; the last two rounds vary everything
    wanted = [*zip(SHARES, tiers[:-1], strict=False), (SHARES[2], tiers[-1]), (SHARES[3], tiers[-1])]
    total = sum(share for share, _ in wanted)
    rounds: list[Round] = []
    for share, tier in wanted:
        size = min(left, max(FEWEST, round(share / total * (trials - 1))))
        size = left if left - size < FEWEST or (share, tier) is wanted[-1] else size
        if size > 0:
            rounds.append(Round(len(rounds) + 1, first, size, tier))
            first, left = first + size, left - size
    return rounds


def draws(space: Space, region: Region, what: Round, seed: int) -> dict[int, dict[str, Any]]:
    """{trial: point} of a round. Dimensions of later tiers stay at their defaults.

    Each range is divided into as many parts as the round has trials, and each part is drawn from once (Latin hypercube,
    McKay, Beckman and Conover 1979): random, without wasting trials on the same learning rate.
    """
    columns = {one.name: _column(one, region, what, seed) for one in space if one.tier <= what.tier}
    return {
        number: {one.name: columns[one.name][i] if one.name in columns else one.default for one in space}
        for i, number in enumerate(what.trials)
    }


def _column(one: Dimension, region: Region, what: Round, seed: int) -> list[Any]:
    """The values of one dimension in a round."""
    rng = generator(seed, "search", what.number, one.name)
    places = (rng.permutation(what.size) + rng.random(what.size)) / what.size
    if one.is_choice:
        left = region.choices[one.name]
        return [one.choices[left[min(int(place * len(left)), len(left) - 1)]] for place in places]
    low, high = region.ranges[one.name]
    return [one.at(low + place * (high - low)) for place in places]


def zoom(space: Space, region: Region, results: Sequence[Result], last: Round) -> tuple[Region, list[Zoom]]:
    """The region of the round after `last`, from all `results` so far, and what changed.

    A range becomes the smallest that contains the best trials, with a margin of one part of the last round (the
    spacing of its trials) at both ends. It never leaves the space, but may leave the last region. A choice stays
    as long as one of the best trials has it.
    """
    order = ranked(one for one in results if not one.unmet) or ranked(results)
    best = order[: max(FEWEST_KEPT, math.ceil(KEPT_SHARE * len(order)))]
    if len(best) < 2:
        return region, []
    ranges, choices, changed = dict(region.ranges), dict(region.choices), []
    numbers = tuple(sorted(one.number for one in best))
    for one in space:
        if one.tier > last.tier:
            continue
        values = [result.point[one.name] for result in best]
        if one.is_choice:
            left = tuple(i for i, choice in enumerate(one.choices) if choice in values)
            if left and left != region.choices[one.name]:
                before, after = (tuple(one.choices[i] for i in places) for places in (region.choices[one.name], left))
                choices[one.name] = left
                changed.append(Zoom(last.number + 1, one.name, before, after, numbers))
            continue
        before_low, before_high = region.ranges[one.name]
        margin = (before_high - before_low) / last.size
        places = [one.place(value) for value in values]
        low, high = max(0.0, min(places) - margin), min(1.0, max(places) + margin)
        before, after = ((one.at(a), one.at(b)) for a, b in ((before_low, before_high), (low, high)))
        ranges[one.name] = (low, high)
        if before != after:
            changed.append(Zoom(last.number + 1, one.name, before, after, numbers))
    return Region(ranges, choices), changed


# --- for comparison ---------------------------------------------------------------------------------------------------
def grid(space: Space, trials: int) -> list[dict[str, Any]]:
    """At most `trials` points of a grid: as many values per dimension as fit, with more for those of the first tiers.

    Values are the middles of equal parts of the range on its scale; a grid that reaches the ends spends half its
    points on settings that nobody believes in.
    """
    sizes = {one.name: 1 for one in space}
    grew = True
    while grew:
        grew = False
        for one in space:
            most = len(one.choices) if one.is_choice else trials
            wanted = math.prod(sizes.values()) // sizes[one.name] * (sizes[one.name] + 1)
            if sizes[one.name] < most and wanted <= trials:
                sizes[one.name] += 1
                grew = True
    points: list[dict[str, Any]] = [{}]
    for one in space:
        size = sizes[one.name]
        values = [one.default] if size == 1 else [one.at((i + 0.5) / size) for i in range(size)]
        points = [{**point, one.name: value} for point in points for value in dict.fromkeys(values)]
    return points


def shuffled(points: Sequence[Mapping[str, Any]], seed: int) -> list[Mapping[str, Any]]:
    """In random order: a grid that is cut off by the time limit has then covered the whole space."""
    order = generator(seed, "search", "grid").permutation(len(points))
    return [points[int(i)] for i in order]
