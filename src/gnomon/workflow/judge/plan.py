"""plan: how many dev and test examples it takes to distinguish two systems, or to measure one. Reads nothing."""

from __future__ import annotations

from dataclasses import dataclass

from gnomon.core.errors import UsageError
from gnomon.core.options import share, whole
from gnomon.strategy.plan import (
    ALPHA,
    POWER,
    detectable_gain_paired,
    detectable_gain_unpaired,
    discordant_range,
    examples_for_width,
    examples_paired,
    examples_to_bound,
    examples_unpaired,
)

SIZES = (0.5, 0.2, 0.1, 0.05)  # relative gains to plan for if none is given


@dataclass(frozen=True, slots=True)
class Needed:
    """One question and its answer in examples."""

    question: (
        str  # "distinguish" (two errors), "within" (measure an error), "below" (bound it), "detectable" (the inverse)
    )
    error: float
    other: float | None  # the second error, the half width or the bound; the smallest difference for "detectable"
    paired: tuple[int, int] | None  # both models on the same examples: at best, at worst
    unpaired: int | None  # each model on its own examples; for one error, all examples
    disagree: tuple[float, float] | None = None  # the share of examples that exactly one gets wrong, behind `paired`


@dataclass(frozen=True, slots=True)
class Plan:
    """Answers, with the probabilities they are for."""

    rows: tuple[Needed, ...]
    alpha: float
    power: float


def plan(
    error: float | str | None = None,
    *,
    other: float | str | None = None,
    within: float | str | None = None,
    below: float | str | None = None,
    examples: int | str | None = None,
    disagree: float | str | None = None,
    alpha: float | str = ALPHA,
    power: float | str = POWER,
) -> Plan:
    """How many examples distinguish `error` from `other`, measure it to `within`, or show it `below` a bound.

    With none of these, what it takes to detect a drop by a half, a fifth, a tenth, a twentieth. With `examples`, the
    smallest difference they can detect. disagree: the share of examples that exactly one of two models gets wrong.
    All are shares in [0, 1], or texts such as "5 %". Raises UsageError for what no number of examples can do.
    """
    if error is None:
        raise UsageError(
            "plan needs an error to plan for.",
            fix="gnomon plan error=0.1 other=0.09, for example (or within=0.01, below=0.12, examples=1000).",
        )
    error, alpha, power = (share(*one) for one in (("error", error), ("alpha", alpha), ("power", power)))
    other, within, below, disagree = (
        None if value is None else share(key, value)
        for key, value in (("other", other), ("within", within), ("below", below), ("disagree", disagree))
    )
    examples = None if examples is None else whole("examples", examples)
    asked = [name for name, value in (("other", other), ("within", within), ("below", below)) if value is not None]
    if len(asked) > 1 or (asked and examples is not None):
        raise UsageError(
            f"{' and '.join([*asked, 'examples'][:2])} are two different questions.", fix="ask one at a time."
        )
    if within is not None:
        size = examples_for_width(error, within, alpha=alpha, power=power)
        return Plan((Needed("within", error, within, None, size),), alpha, power)
    if below is not None:
        size = examples_to_bound(error, below, alpha=alpha, power=power)
        return Plan((Needed("below", error, below, None, size),), alpha, power)
    if examples is not None:
        return Plan(_detectable(error, examples, alpha, power), alpha, power)
    if not 0 < error <= 1:
        raise UsageError(f"an error of {error:g} is not a share between 0 and 1.", fix="give error=0.1 for 10 %.")
    others = [other] if other is not None else [error * (1 - size) for size in SIZES]
    return Plan(tuple(_tell(error, one, disagree, alpha, power) for one in others), alpha, power)


def _tell(error: float, other: float, disagree: float | None, alpha: float, power: float) -> Needed:
    ends = (disagree, disagree) if disagree is not None else discordant_range(error, other)
    paired = [examples_paired(end, error - other, alpha=alpha, power=power) for end in ends]
    unpaired = examples_unpaired(error, other, alpha=alpha, power=power)
    return Needed("distinguish", error, other, (paired[0], paired[1]), unpaired, ends)


def _detectable(error: float, examples: int, alpha: float, power: float) -> tuple[Needed, ...]:
    """Two rows: both models on the same examples (half of the errors shared), each model on its own."""
    paired = detectable_gain_paired(error, examples, alpha=alpha, power=power)
    unpaired = detectable_gain_unpaired(error, examples, alpha=alpha, power=power)
    return (
        Needed("detectable", error, paired, (examples, examples), None),
        Needed("detectable", error, unpaired, None, examples),
    )
