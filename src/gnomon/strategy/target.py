"""The target: one metric to optimise, and conditions that only have to be met. The best run is chosen by it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gnomon.core.errors import UsageError
from gnomon.metrics.interval import Interval

_CONDITION = re.compile(r"^\s*(?P<name>[^<>=]*?)\s*(?P<sign><=|>=|<|>)\s*(?P<limit>[-+.\w]+)\s*(?P<percent>%?)\s*$")


@dataclass(frozen=True, slots=True)
class Condition:
    """A metric that has to be good enough, and no better (a *satisficing* metric): `latency_ms <= 100`."""

    name: str
    sign: str  # "<=", ">=", "<" or ">"
    limit: float

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {self.limit:g}"

    def is_met(self, value: float) -> bool:
        """NaN meets no condition."""
        return {
            "<=": value <= self.limit, ">=": value >= self.limit, "<": value < self.limit, ">": value > self.limit,
        }[self.sign]  # fmt: skip

    def is_certain(self, measure: Interval) -> bool:
        """Whether both ends of the interval give the same answer."""
        return self.is_met(measure.low) == self.is_met(measure.high)


@dataclass(frozen=True, slots=True)
class Target:
    """One metric to optimise, any number of conditions to meet."""

    metric: str = "error"
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the things to choose from: its metrics by name. What was not measured is missing."""

    name: str
    measures: Mapping[str, Interval]
    less_is_better: frozenset[str] = frozenset()  # names of the measures that should be small; the others: large


@dataclass(frozen=True, slots=True)
class Choice:
    """The best candidate that meets every condition, and why the others were not chosen."""

    winner: Candidate | None  # None: no candidate meets them all
    ranked: tuple[Candidate, ...]  # those that meet every condition, the best first
    failed: Mapping[str, tuple[Condition, ...]]  # by candidate: the conditions it does not meet
    uncertain: Mapping[str, tuple[Condition, ...]]  # by candidate: conditions whose limit lies inside its interval


def parse_condition(text: str) -> Condition:
    """`latency_ms <= 100`, `accuracy >= 90 %`. Raises UsageError for anything else."""
    match = _CONDITION.match(text)
    try:
        limit = float(match["limit"]) if match else math.nan
    except ValueError:
        limit = math.nan
    if match is None or not match["name"] or not math.isfinite(limit):
        raise UsageError(
            f"{text!r} is not a condition.", fix='give a metric, <= or >=, and a number: "latency_ms <= 100".'
        )
    return Condition(match["name"], match["sign"], limit / 100 if match["percent"] else limit)


def choose(candidates: Sequence[Candidate], target: Target) -> Choice:
    """The best by the metric among those that meet every condition; ties go to the one that came first.

    Raises UsageError for a metric that no candidate has. A candidate that lacks the metric of a condition does not
    meet it, and one that lacks the target metric is not ranked.
    """
    if not candidates:
        raise UsageError("there is nothing to choose from.", fix="give at least one run.")
    names = list(dict.fromkeys(name for candidate in candidates for name in candidate.measures))
    metric = resolve(target.metric, names)
    conditions = [Condition(resolve(one.name, names), one.sign, one.limit) for one in target.conditions]
    failed: dict[str, tuple[Condition, ...]] = {}
    uncertain: dict[str, tuple[Condition, ...]] = {}
    eligible = []
    for candidate in candidates:
        measures = candidate.measures
        failed[candidate.name] = tuple(
            one for one in conditions if one.name not in measures or not one.is_met(measures[one.name].value)
        )
        uncertain[candidate.name] = tuple(
            one for one in conditions if one.name in measures and not one.is_certain(measures[one.name])
        )
        if not failed[candidate.name] and metric in measures and not math.isnan(measures[metric].value):
            eligible.append(candidate)
    sign = 1 if any(metric in candidate.less_is_better for candidate in candidates) else -1
    ranked = tuple(sorted(eligible, key=lambda candidate: sign * candidate.measures[metric].value))
    return Choice(ranked[0] if ranked else None, ranked, failed, uncertain)


def resolve(name: str, known: Sequence[str]) -> str:
    """The metric that `name` means, ignoring case, spaces and dashes. Raises UsageError if there is none.

    "recall" means "recall of yes" if there is only one recall.
    """
    found = next((one for one in known if _plain(one) == _plain(name)), None)
    longer = [one for one in known if _plain(one).startswith(f"{_plain(name)} of ")]
    if found is None and len(longer) == 1:
        return longer[0]
    if found is None:
        raise UsageError(f"unknown metric {name!r}.", fix=f"available: {', '.join(known)}.")
    return found


def _plain(name: str) -> str:
    return " ".join(re.sub(r"[_\-]", " ", name).lower().split())
