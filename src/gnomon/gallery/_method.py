"""The method shared by all experiments: how settings are chosen, and how the mean over seeds decides a statement."""

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
TUNING_SEED = 1_000  # learning rates are chosen on this seed, which is not used for the result
TUNING_SEEDS = (1_000, 1_001, 1_002)  # for strengths of regularisation, because dev costs vary more between seeds


def best_of(cost_of: Callable[[float], float], candidates: Sequence[float]) -> float:
    """The candidate with the lowest cost."""
    return min(candidates, key=cost_of)


def epochs_to(costs: np.ndarray, target: float) -> int:
    """The number of epochs until `costs` (E + 1,) first reach `target`; E if they never do."""
    reached = np.flatnonzero(costs <= target)
    return int(reached[0]) if len(reached) else len(costs) - 1


def over_seeds(values: Sequence[float] | np.ndarray) -> Interval:
    """The mean of one value per seed, with Student's 95 % interval. At least two values, all finite."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < 2 or not np.isfinite(array).all():
        raise ValueError(f"an interval over seeds needs at least two finite numbers, got {array}")
    mean = float(array.mean())
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(array) - 1) * array.std(ddof=1) / math.sqrt(len(array)))
    return Interval(mean, mean - reach, mean + reach, f"Student's t over {len(array)} seeds")


def factor(firsts: Sequence[float] | np.ndarray, seconds: Sequence[float] | np.ndarray) -> Interval:
    """The ratio of `firsts` to `seconds` per seed: the geometric mean. All positive."""
    log = over_seeds(np.log(np.asarray(firsts, dtype=np.float64) / np.asarray(seconds, dtype=np.float64)))
    return Interval(math.exp(log.value), math.exp(log.low), math.exp(log.high), log.method)


def above(says: str, measured: Interval, floor: float, unit: str = "") -> Part:
    """Holds if the whole interval is above `floor`, does not hold if none of it is; otherwise inconclusive."""
    answer: Answer = HOLDS if measured.low > floor else FAILS if measured.high <= floor else UNKNOWN
    return Part(says, answer, f"{_shown(measured, unit)}; claim: above {number(floor)}", measured)


def below(says: str, measured: Interval, ceiling: float, unit: str = "") -> Part:
    """Holds if the whole interval is below `ceiling`, does not hold if none of it is; otherwise inconclusive."""
    answer: Answer = HOLDS if measured.high < ceiling else FAILS if measured.low >= ceiling else UNKNOWN
    return Part(says, answer, f"{_shown(measured, unit)}; claim: below {number(ceiling)}", measured)


def within(says: str, measured: Interval, low: float, high: float, unit: str = "") -> Part:
    """Holds if the whole interval is in [low, high], does not hold if none of it is; otherwise inconclusive."""
    is_inside = low <= measured.low and measured.high <= high
    is_outside = measured.high < low or high < measured.low
    answer: Answer = HOLDS if is_inside else FAILS if is_outside else UNKNOWN
    claimed = f"claim: between {number(low)} and {number(high)}"
    return Part(says, answer, f"{_shown(measured, unit)}; {claimed}", measured)


def share_above(says: str, successes: int, total: int, floor: float) -> Part:
    """As `above`, for a share of starts that succeed, with Wilson's interval."""
    measured = wilson(successes, total)
    answer: Answer = HOLDS if measured.low > floor else FAILS if measured.high <= floor else UNKNOWN
    ends = f"[{100 * measured.low:.0f} %, {100 * measured.high:.0f} %]"
    return Part(says, answer, f"{successes} of {total} {ends}; claim: above {100 * floor:.0f} %", measured)


def fact(says: str, is_so: bool, shown: str) -> Part:
    """A statement without randomness: arithmetic, or "in every run"."""
    return Part(says, HOLDS if is_so else FAILS, shown)


def _shown(measured: Interval, unit: str) -> str:
    gap = " " if unit else ""
    return f"{number(measured.value)}{gap}{unit} [{number(measured.low)}, {number(measured.high)}]"
