"""The method of all experiments: how settings are chosen, and how the mean over seeds decides a statement."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from gnomon.figures.text import number
from gnomon.gallery._claim import FAILS, HOLDS, UNKNOWN, Answer, Part
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import wilson

LEVEL = 0.95
TUNING_SEED = 1_000  # learning rates are chosen on this seed, which judges nothing
TUNING_SEEDS = (1_000, 1_001, 1_002)  # strengths of regularisation likewise: dev costs move more from seed to seed


def best_of(cost_of: Callable[[float], float], candidates: Sequence[float]) -> float:
    """The candidate with the lowest cost."""
    return min(candidates, key=cost_of)


def epochs_to(costs: np.ndarray, target: float) -> int:
    """After how many epochs `costs` (E + 1,) first reach `target`; E where they never do."""
    reached = np.flatnonzero(costs <= target)
    return int(reached[0]) if len(reached) else len(costs) - 1


def over_seeds(values: Sequence[float] | np.ndarray) -> Interval:
    """The mean of one value a seed, with Student's 95 % interval. At least two values, all finite."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < 2 or not np.isfinite(array).all():
        raise ValueError(f"an interval over seeds needs two finite numbers or more, got {array}")
    mean = float(array.mean())
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(array) - 1) * array.std(ddof=1) / math.sqrt(len(array)))
    return Interval(mean, mean - reach, mean + reach, f"Student's t over {len(array)} seeds")


def factor(firsts: Sequence[float] | np.ndarray, seconds: Sequence[float] | np.ndarray) -> Interval:
    """How many times `seconds` the `firsts` are, seed by seed: the geometric mean. All positive."""
    log = over_seeds(np.log(np.asarray(firsts, dtype=np.float64) / np.asarray(seconds, dtype=np.float64)))
    return Interval(math.exp(log.value), math.exp(log.low), math.exp(log.high), log.method)


def above(says: str, measured: Interval, floor: float, unit: str = "") -> Part:
    """Holds when the whole interval lies above `floor`, does not when none of it does; else it cannot be told."""
    answer: Answer = HOLDS if measured.low > floor else FAILS if measured.high <= floor else UNKNOWN
    return Part(says, answer, f"{_shown(measured, unit)}; above {number(floor)} was claimed", measured)


def below(says: str, measured: Interval, ceiling: float, unit: str = "") -> Part:
    """Holds when the whole interval lies below `ceiling`, does not when none of it does; else it cannot be told."""
    answer: Answer = HOLDS if measured.high < ceiling else FAILS if measured.low >= ceiling else UNKNOWN
    return Part(says, answer, f"{_shown(measured, unit)}; below {number(ceiling)} was claimed", measured)


def within(says: str, measured: Interval, low: float, high: float, unit: str = "") -> Part:
    """Holds when the whole interval lies in [low, high], does not when none of it does; else it cannot be told."""
    is_inside = low <= measured.low and measured.high <= high
    is_outside = measured.high < low or high < measured.low
    answer: Answer = HOLDS if is_inside else FAILS if is_outside else UNKNOWN
    claimed = f"between {number(low)} and {number(high)} was claimed"
    return Part(says, answer, f"{_shown(measured, unit)}; {claimed}", measured)


def share_above(says: str, successes: int, total: int, floor: float) -> Part:
    """As `above`, for a share of starts that succeed, with Wilson's interval."""
    measured = wilson(successes, total)
    answer: Answer = HOLDS if measured.low > floor else FAILS if measured.high <= floor else UNKNOWN
    ends = f"[{100 * measured.low:.0f} %, {100 * measured.high:.0f} %]"
    return Part(says, answer, f"{successes} of {total} {ends}; above {100 * floor:.0f} % was claimed", measured)


def fact(says: str, is_so: bool, shown: str) -> Part:
    """A statement that chance has no part in: arithmetic, or "in every run"."""
    return Part(says, HOLDS if is_so else FAILS, shown)


def _shown(measured: Interval, unit: str) -> str:
    gap = " " if unit else ""
    return f"{number(measured.value)}{gap}{unit} [{number(measured.low)}, {number(measured.high)}]"
