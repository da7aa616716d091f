"""What the errors have in common: the share of each tag, the most it could remove, what to work on first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import groups_of, weights_of, wilson
from gnomon.metrics.resampling import sums_per_unit

if TYPE_CHECKING:
    import polars as pl

BY_DEFINITION = ("confusion", "direction", "answers", "pixels", "fault")  # kinds that only errors can have
SYMPTOMS = (
    "confidence",
    "direction",
    "size",
    "fault",
)  # kinds that describe how the model errs rather than on what: not something to fix in itself
LEVEL = 0.025  # chance of naming some tag although none stands out
LABEL_WRONG = "label wrong"  # the tag for errors that may not be the model's fault


@dataclass(frozen=True)
class Errors:
    """The N examples of a split, reduced to what the shares of its errors are computed from."""

    masses: np.ndarray  # (N,) weight x error; above 0 where the model erred
    total_weight: float
    error: float  # of the split
    groups: np.ndarray | None = None  # (N,) integer codes: examples of a group are not independent

    @cached_property
    def is_error(self) -> np.ndarray:
        """(N,)"""
        wrong: np.ndarray = self.masses > 0
        return wrong

    @cached_property
    def positions(self) -> np.ndarray:
        """(M,) rows that are errors."""
        return np.flatnonzero(self.is_error)

    @property
    def count(self) -> int:
        return len(self.positions)


@dataclass(frozen=True, slots=True)
class Inside:
    """What a tag counts where one example holds many things that are right or wrong: boxes or pixels of pictures.

    Shares are then of those, and what fixing them would gain is computed, not estimated from the share.
    """

    what: str  # "false answers", "objects not found", "wrong pixels"
    tagged: int  # of the errors reviewed
    reviewed: int
    errors: int
    share: Interval  # tagged / reviewed
    removed: float  # share of the split's error that would be gone if those with the tag were right
    right_tagged: int = 0  # of the right ones reviewed, where they can have the tag
    right: int = 0


@dataclass(frozen=True)
class Tag:
    """A property that some examples of a split have in common."""

    name: str
    kind: str  # "confusion", "confidence", "picture", "row", "slice", "copy", "cluster"; "yours": set by a person
    tagged: np.ndarray  # (N,) bool
    reviewed: np.ndarray  # (N,) bool: whether this is known; a tag added midway is known only for rows reviewed since
    meaning: str = ""  # one sentence
    inside: Inside | None = None  # None: it counts examples


@dataclass(frozen=True, slots=True)
class TagShare:
    """How much of the error a tag holds."""

    name: str
    kind: str
    meaning: str
    tagged: int  # errors with the tag, among those reviewed
    reviewed: int  # errors reviewed
    errors: int  # all errors of the split
    share: Interval  # of the errors
    ceiling: Interval  # error removed if all of them were fixed
    left: Interval  # error that would remain
    among_right: float | None  # share of right examples with the tag; None if none was reviewed
    is_chance: bool = False  # not significantly more common among errors than among right examples
    cost: float = 1.0  # of fixing it, relative to the others
    what: str = ""  # is counted: "" examples, or what they hold

    @property
    def gain_per_cost(self) -> float:
        """The error that fixing it could remove, for each unit of what that costs."""
        return self.ceiling.value / self.cost

    @property
    def is_specific(self) -> bool:
        """Whether it is worth fixing: more common among errors than among right examples, and not just a symptom."""
        return self.kind not in SYMPTOMS and not self.is_ordinary

    @property
    def is_ordinary(self) -> bool:
        """Whether right examples have it about as often, as far as these examples show.

        If so, it describes the data, not the errors.
        """
        return self.among_right is not None and (self.is_chance or self.share.high <= 1.1 * self.among_right)


def errors_of(table: pl.DataFrame, error: float) -> Errors:
    """From the table of an Evaluation and the error of its split."""
    weights = weights_of(table)
    masses = weights * table["error"].cast(float).to_numpy()
    return Errors(masses, float(weights.sum()), error, groups_of(table, np.ones(table.height, dtype=bool)))


def share_of_errors(errors: Errors, tag: Tag, *, tags: int = 1) -> TagShare:
    """A tag's share of the errors reviewed, with Wilson's interval and finite-population correction.

    The share is of the errors' weight: of their number if all are 0 or 1. The interval covers all errors of this
    split when only some were reviewed; if all were, nothing about this split is uncertain.
    `tags`: how many tags are searched for one that stands out, corrected for by Bonferroni.
    Raises ValueError if no error was reviewed.
    """
    if tag.inside is not None:
        return _share_inside(errors, tag, tag.inside, tags)
    here = errors.positions
    reviewed = tag.reviewed[here]
    if not reviewed.any():
        raise ValueError(f"no error was reviewed for {tag.name!r}")
    tagged = tag.tagged[here] & reviewed
    groups = None if errors.groups is None else errors.groups[here][reviewed]
    share = sampled_share(errors.masses[here][reviewed], tagged[reviewed], population=errors.count, groups=groups)
    num_tagged, num_reviewed = int(np.count_nonzero(tagged)), int(np.count_nonzero(reviewed))
    right = int(np.count_nonzero(tag.reviewed)) - num_reviewed
    right_tagged = int(np.count_nonzero(tag.reviewed & tag.tagged)) - num_tagged
    is_asked = right > 0 and tag.kind not in BY_DEFINITION
    # Of many automatic tags, one always leads by chance. A person who sets a tag has a reason of their own.
    is_tested = is_asked and tag.kind != "yours"
    is_by_chance = is_tested and _by_chance(num_tagged, num_reviewed, right_tagged, right) >= LEVEL / tags
    return TagShare(
        tag.name, tag.kind, tag.meaning,
        tagged=num_tagged, reviewed=num_reviewed, errors=errors.count,
        share=share, ceiling=ceiling(share, errors.error), left=left(share, errors.error),
        among_right=float(right_tagged / right) if is_asked else None,
        is_chance=is_by_chance,
    )  # fmt: skip


def _share_inside(errors: Errors, tag: Tag, inside: Inside, tags: int) -> TagShare:
    removed = Interval(inside.removed, inside.removed, inside.removed, "computed again without them")
    is_asked = inside.right > 0
    is_by_chance = is_asked and (
        _by_chance(inside.tagged, inside.reviewed, inside.right_tagged, inside.right) >= LEVEL / tags
    )
    return TagShare(
        tag.name, tag.kind, tag.meaning,
        tagged=inside.tagged, reviewed=inside.reviewed, errors=inside.errors,
        share=inside.share, ceiling=ceiling(removed, errors.error), left=left(removed, errors.error),
        among_right=inside.right_tagged / inside.right if is_asked else None,
        is_chance=is_by_chance, what=inside.what,
    )  # fmt: skip


def _by_chance(tagged: int, errors: int, right_tagged: int, right: int) -> float:
    """How likely this many tagged errors, or more, are if errors and right examples are equally likely to be tagged.

    Source: Fisher's exact test, one-sided.
    """
    from scipy.stats import hypergeom

    return float(hypergeom.sf(tagged - 1, errors + right, tagged + right_tagged, errors))


def shares_of_errors(
    errors: Errors, tags: Iterable[Tag], costs: Mapping[str, float] | None = None
) -> tuple[TagShare, ...]:
    """The tags with at least one reviewed error, highest ceiling per cost first; a tag without a cost costs 1."""
    known = [tag for tag in tags if bool((tag.reviewed & errors.is_error).any())]
    number = max(1, sum(tag.kind not in ("yours", *BY_DEFINITION) for tag in known))
    found = [replace(share_of_errors(errors, tag, tags=number), cost=(costs or {}).get(tag.name, 1.0)) for tag in known]
    return tuple(sorted(found, key=lambda one: (-one.gain_per_cost, -one.ceiling.low / one.cost, one.name)))


def union(tags: Sequence[Tag], name: str = "together") -> Tag:
    """Examples with any of the tags; reviewed if one of the tags is there, or if all of them are known.

    Overlapping tags remove their union, never the sum of their shares.
    """
    if not tags:
        raise ValueError("expected at least one tag")
    tagged = np.logical_or.reduce([tag.tagged & tag.reviewed for tag in tags])
    known = np.logical_and.reduce([tag.reviewed for tag in tags])
    return Tag(name, "yours", tagged & known, known, "any of: " + ", ".join(tag.name for tag in tags))


def in_order_of_gain(
    errors: Errors, tags: Sequence[Tag], most: int = 5, costs: Mapping[str, float] | None = None
) -> tuple[tuple[TagShare, TagShare], ...]:
    """What to work on first, second ...: each tag's own share, and its union with all tags before it.

    Each step takes the tag that adds most to the union for what it costs (1 if nobody said), and stops when none adds
    anything. What tags count inside the examples has no union here: of such tags the first alone is returned.
    (With equal costs, a greedy cover is within 1 - 1/e of the best choice of that many tags; Nemhauser,
    Wolsey and Fisher 1978.)
    """
    costs = costs or {}
    if any(tag.inside is not None for tag in tags):
        shares = shares_of_errors(errors, [tag for tag in tags if tag.inside is not None], costs)
        return tuple((one, one) for one in shares[:1])
    wrong = errors.is_error
    few = replace(
        errors, masses=errors.masses[wrong], groups=None if errors.groups is None else errors.groups[wrong]
    )  # fmt: skip
    rest = [(tag, replace(tag, tagged=tag.tagged[wrong], reviewed=tag.reviewed[wrong])) for tag in tags]
    chosen: list[Tag] = []
    found: list[tuple[TagShare, TagShare]] = []
    before = 0.0
    while len(chosen) < most:
        unions = [(union([*chosen, small]), tag, small) for tag, small in rest]
        gains = [(share_of_errors(few, both), tag, small) for both, tag, small in unions if both.reviewed.any()]
        if not gains:
            break
        together, best, small = max(gains, key=lambda gain: _worth(gain[0], gain[1].name, before, costs))
        if together.ceiling.value <= before + 1e-12:
            break
        before = together.ceiling.value
        chosen.append(small)
        rest = [pair for pair in rest if pair[0] is not best]
        found.append((replace(share_of_errors(errors, best), cost=costs.get(best.name, 1.0)), together))
    return tuple(found)


def _worth(together: TagShare, name: str, before: float, costs: Mapping[str, float]) -> tuple[float, str]:
    return (together.ceiling.value - before) / costs.get(name, 1.0), name


def sampled_share(
    masses: np.ndarray, tagged: np.ndarray, *, population: int, groups: np.ndarray | None = None
) -> Interval:
    """The tagged share of the weight (n,), from n errors drawn out of `population`.

    Wilson's interval on n (N - 1) / (N - n) examples, N the population. With unequal weights, or groups, n is the
    number of independent, equal errors with the same standard error.
    Source: Cochran 1977, sections 2.6 and 3.2 (finite population); Korn and Graubard 1998 (effective size).
    """
    n = len(masses)
    if not 0 < n <= population:
        raise ValueError(f"expected 1 to {population} errors, got {n}")
    share = float((masses * tagged).sum() / masses.sum())
    if n == population:
        return Interval(share, share, share, "all errors reviewed")
    size = _effective_size(masses, tagged, share, groups)
    corrected = size * (population - 1) / (population - n)
    ends = wilson(share * corrected, corrected)
    method = f"Wilson, {n:,} of {population:,} errors reviewed"
    return Interval(share, min(ends.low, share), max(ends.high, share), method)


def _effective_size(masses: np.ndarray, tagged: np.ndarray, share: float, groups: np.ndarray | None) -> float:
    if groups is None and bool((masses == masses[0]).all()):
        return float(len(masses))
    units = sums_per_unit(np.stack([masses * tagged, masses], axis=1), groups)
    by_mass = float(units[:, 1].sum() ** 2 / (units[:, 1] ** 2).sum())  # Kish 1965
    if not 0 < share < 1 or len(units) < 2:
        return by_mass
    residuals = units[:, 0] - share * units[:, 1]
    variance = (residuals**2).sum() / units[:, 1].sum() ** 2 * len(units) / (len(units) - 1)
    if variance <= 0:
        return by_mass
    return float(min(max(share * (1 - share) / variance, 1.0), by_mass))


def ceiling(share: Interval, error: float) -> Interval:
    """The error that fixing a tag could remove: its share of the errors times the error of the split."""
    return Interval(share.value * error, share.low * error, share.high * error, share.method)


def left(share: Interval, error: float) -> Interval:
    """The error that would remain: with an error of 10 %, 5 of 100 errors leave 9.5 %, 50 of 100 leave 5 %."""
    return Interval((1 - share.value) * error, (1 - share.high) * error, (1 - share.low) * error, share.method)


def chosen_by_hand(order: np.ndarray, reviewed: np.ndarray) -> int:
    """How many of the reviewed errors are not from the beginning of the random order.

    `order` (M,): the errors in the order they are offered; `reviewed` (N,) bool. If rows were picked by a filter or in
    another order, a share describes the rows picked, not all errors.
    """
    seen = reviewed[order]
    total = int(seen.sum())
    slack = math.ceil(0.1 * total) + 2  # skipping a row now and then changes nothing
    return int(seen[total + slack :].sum())
