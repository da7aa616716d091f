"""How many examples it takes to distinguish two error rates, or to measure one precisely enough."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gnomon.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

ALPHA = 0.05  # false alarm rate: chance of a significant difference between two equal systems
POWER = 0.8  # chance of detecting a real difference
MOST = 10**12  # examples: more than anybody has


def normal_quantile(probability: float) -> float:
    """z with P(Z <= z) = probability."""
    from scipy.special import ndtri

    return float(ndtri(probability))


def examples_unpaired(error: float, other: float, *, alpha: float = ALPHA, power: float = POWER) -> int:
    """Examples in *each* of two independent samples to distinguish these error rates.

    Source: Fleiss, Levin and Paik 2003, section 4.2 (two-sided, without the continuity correction).
    """
    _check_rates(error, other)
    _check_chances(alpha, power)
    middle = (error + other) / 2
    ours = normal_quantile(1 - alpha / 2) * math.sqrt(2 * middle * (1 - middle))
    theirs = normal_quantile(power) * math.sqrt(error * (1 - error) + other * (1 - other))
    return math.ceil(((ours + theirs) / (error - other)) ** 2)


def examples_paired(discordant: float, difference: float, *, alpha: float = ALPHA, power: float = POWER) -> int:
    """Examples that both models are evaluated on for McNemar's exact test to distinguish them.

    discordant: the share of examples that exactly one of the two gets wrong, at least |difference|.
    The approximation of Connor (1987), plus 1 / |difference| for the exact test being the stricter one (the
    continuity correction of Fleiss and others for paired shares).
    Source: Connor 1987, Biometrics 43:207.
    """
    _check_chances(alpha, power)
    size = abs(difference)
    if not 0 < size <= discordant <= 1:
        raise UsageError(
            f"models that differ by {size:g} disagree on at least that share of the examples and at most on all; "
            f"got {discordant:g}.",
            fix="give disagree= between the difference and 1.",
        )
    ours = normal_quantile(1 - alpha / 2) * math.sqrt(discordant)
    theirs = normal_quantile(power) * math.sqrt(max(discordant - size**2, 0.0))
    return math.ceil(((ours + theirs) / size) ** 2 + 1 / size)


def discordant_range(error: float, other: float) -> tuple[float, float]:
    """The least and the most that two models with these errors can disagree on; the most is if they err independently.

    Least: the worse one errs wherever the better one errs. Models trained on the same data lie in between.
    """
    _check_rates(error, other)
    return abs(error - other), error * (1 - other) + other * (1 - error)


def examples_for_width(error: float, within: float, *, alpha: float = ALPHA, power: float = POWER) -> int:
    """Examples for Wilson's interval around this error to be no wider than twice `within`.

    Holds for a share `power` of all samples: the measured error can be nearer one half, which widens the interval.
    Source: Wilson 1927, solved for the sample size.
    """
    if not (0 <= error <= 1 and 0 < within < 1):
        raise UsageError(
            f"an error of {error:g} cannot be known to within {within:g}.", fix="give shares: error=0.1 within=0.01."
        )
    _check_chances(alpha, power)
    z, up = normal_quantile(1 - alpha / 2), normal_quantile(power)

    def is_enough(n: int) -> bool:
        rarer = min(error, 1 - error)
        found = min(rarer + up * math.sqrt(rarer * (1 - rarer) / n), 0.5)
        spread = math.sqrt(found * (1 - found) / n + z * z / (4 * n * n))
        return z * spread / (1 + z * z / n) <= within

    return _smallest(is_enough)


def examples_to_bound(error: float, below: float, *, alpha: float = ALPHA, power: float = POWER) -> int:
    """Examples that show an error to be below `below` (upper end of the exact one-sided interval) if it is `error`.

    With error 0 this is the rule of three: about 3 / below.
    Source: Clopper and Pearson 1934 (exact, one-sided at `alpha`).
    """
    if not 0 <= error < below < 1:
        raise UsageError(
            f"no number of examples shows an error of {error:g} to be below {below:g}.",
            fix="give the error you expect, and a larger one that it must stay below: error=0.01 below=0.02.",
        )
    _check_chances(alpha, power)
    from scipy.stats import binom

    def examples_for(most: int) -> int:
        """The fewest examples among which `most` errors are too few for an error of `below`."""
        return _smallest(lambda n: float(binom.cdf(most, n, below)) <= alpha)

    def is_enough(errors: int) -> bool:
        return float(binom.cdf(errors - 1, examples_for(errors - 1), error)) >= power

    return examples_for(_smallest(is_enough) - 1)


def detectable_gain_paired(
    error: float, examples: int, *, overlap: float = 0.5, alpha: float = ALPHA, power: float = POWER
) -> float | None:
    """The smallest drop in error that `examples` can detect, both models on the same ones; None if not even to 0.

    overlap: the share of the better model's errors that the other one makes too; 0.5 is every second one.
    """

    def needed(difference: float) -> int:
        better = error - difference
        return examples_paired(difference + 2 * better * (1 - overlap), difference, alpha=alpha, power=power)

    return _least_gain(error, examples, needed)


def detectable_gain_unpaired(
    error: float, examples: int, *, alpha: float = ALPHA, power: float = POWER
) -> float | None:
    """The smallest drop in error to detect, each model on `examples` of its own; None if not even to 0."""
    return _least_gain(error, examples, lambda gain: examples_unpaired(error, error - gain, alpha=alpha, power=power))


def _least_gain(error: float, examples: int, needed: Callable[[float], int]) -> float | None:
    """The smallest difference that needs no more than `examples`, by bisection: larger ones need fewer."""
    if examples < 1 or not 0 < error <= 1:
        raise UsageError(
            f"{examples} examples and an error of {error:g} leave nothing to detect.",
            fix="give examples=1000 error=0.1.",
        )
    if needed(error) > examples:
        return None
    low, high = 0.0, error
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if needed(middle) <= examples else (middle, high)
    return high


def _smallest(is_enough: Callable[[int], bool]) -> int:
    """The smallest n >= 1 that is enough, for a condition that (nearly) stays true as n grows."""
    high = 1
    while not is_enough(high):
        high *= 2
        if high > MOST:
            raise UsageError("it takes more examples than anybody has.", fix="ask for a larger difference.")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _check_rates(error: float, other: float) -> None:
    for rate in (error, other):
        if not 0 <= rate <= 1:
            raise UsageError(f"an error of {rate:g} is not a share.", fix="give errors from 0 to 1: 0.1 for 10 %.")
    if error == other:
        raise UsageError(f"the two errors are both {error:g}.", fix="give two different errors.")


def _check_chances(alpha: float, power: float) -> None:
    if not (0 < alpha < 0.5 and 0.5 <= power < 1):
        raise UsageError(
            f"alpha={alpha:g} with power={power:g} is not a valid test.",
            fix="give alpha between 0 and 0.5 (0.05), power from 0.5 to below 1 (0.8).",
        )
