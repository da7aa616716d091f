"""What a change gained and whether it stays: evidence over dev examples and seeds, corrected for multiple tries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.metrics.intervals import weights_of
from gnomon.strategy.advice import LINK
from gnomon.strategy.diagnosis import Diagnosis, Gap
from gnomon.strategy.paired import PairedTest, SeedScatter, compare_models, in_words
from gnomon.strategy.plan import ALPHA
from gnomon.strategy.wording import format_gap

LARGE_DEV = 4_000  # dev examples from which one half chooses changes and the other half confirms them
PROMISING = 0.2  # one-sided p value on the choosing half below which the confirming half is used
HOPELESS = 0.35  # one-sided p value above which no further seed is spent on a proof
ON_TRIAL = 0.35  # `Evidence.lean_p` below which an unproven change stays, on trial: chosen by simulation
LINKS_OF_GAPS = ("fit-train", "fit-dev")  # the links that training settings act on


@dataclass(frozen=True)
class Evidence:
    """A change compared with the current system: same examples, same seeds, one knob changed."""

    test: PairedTest  # of the system before against the one after: a difference above 0 means that the change helps
    lean: float = 0.0  # relative reduction of errors and losses: the best predictor of the gain on unseen examples
    lean_p: float = 1.0  # one-sided p value of the lean

    @property
    def gain(self) -> float:
        """Dev error before minus after."""
        return self.test.difference.value

    @property
    def p_value(self) -> float:
        """Two-sided, as `gnomon compare` gives it for the same pair."""
        return self.test.p_value

    @property
    def chance(self) -> float:
        """One-sided: how easily a change that does not help would look as good."""
        return self.p_value / 2 if self.gain > 0 else 1 - self.p_value / 2


@dataclass(frozen=True)
class Decision:
    """Whether a change stays in the system, proven or on trial, and a sentence on why."""

    is_proven: bool
    is_on_trial: bool  # more likely better than not: it stays, and is tested again together with all others on trial
    why: str
    level: float  # the p value has to be below this to be proven

    @property
    def is_kept(self) -> bool:
        """Whether it is part of the system from now on."""
        return self.is_proven or self.is_on_trial


def compare(
    before: Sequence[Evaluation], after: Sequence[Evaluation], *, scatters: Sequence[SeedScatter] = (),
    by_loss: bool = True,
) -> Evidence:  # fmt: skip
    """What a change gained on dev: `before` and `after` hold one evaluation per seed, with the seeds in the same order.

    `scatters`: of earlier pairs. `by_loss`: whether the lean may use losses; not if the change makes every answer less
    confident (label smoothing).
    """
    test = compare_models(before, after, scatters=scatters)
    lean, lean_p = _lean(before, after) if by_loss else (None, 1.0)
    found = Evidence(test)
    if lean is None:
        level = _mean_error(before)
        lean, lean_p = (found.gain / level if level > 0 else found.gain), found.chance
    return Evidence(test, lean, lean_p)


def _lean(before: Sequence[Evaluation], after: Sequence[Evaluation]) -> tuple[float | None, float]:
    """How far a change improves errors and losses, and its one-sided p value; None without 0/1 errors and losses.

    On few examples, right or wrong says little and the loss of each one much more: on four sets outside the
    benchmark, the gain in dev loss correlates with the gain in test error more closely than the gain in dev error does
    (docs/improve.md). So the lean is half error and half loss, each relative to its value before.
    """
    first = before[0]
    if first.unit != SHARE or first.split_error is not None or "loss" not in first.table.columns:
        return None, 1.0
    weights = weights_of(first.table)
    weights = weights / weights.sum()
    shares = np.zeros(len(weights))
    for column in ("error", "loss"):
        sides = [
            np.mean([one.table[column].cast(float).fill_null(math.nan).to_numpy() for one in side], axis=0)
            for side in (before, after)
        ]
        level = float(weights @ sides[0])
        if not math.isfinite(level) or level <= 0 or not np.isfinite(sides[1]).all():
            return None, 1.0
        shares += 0.5 * (sides[0] - sides[1]) / level
    lean = float(weights @ shares)
    spread = math.sqrt(float((weights**2) @ (shares - lean) ** 2))
    from scipy.stats import norm

    return lean, float(norm.sf(lean / spread)) if spread > 0 else (0.5 if lean <= 0 else 0.0)


def _mean_error(evaluations: Sequence[Evaluation]) -> float:
    wholes = [one.split_error for one in evaluations if one.split_error is not None]
    if wholes:
        return float(np.mean([whole(np.ones(evaluations[0].table.height)) for whole in wholes]))
    weights = weights_of(evaluations[0].table)
    return float(np.mean([one.table["error"].cast(float).to_numpy() @ weights for one in evaluations]) / weights.sum())


def half_of_dev(evaluation: Evaluation, *, confirming: bool) -> Evaluation:
    """One half of the dev examples by position: the half that chooses, or the half that confirms."""
    return replace(evaluation, table=evaluation.table.gather_every(2, offset=int(confirming)))


def can_be_halved(evaluation: Evaluation) -> bool:
    """Whether dev is large enough to choose on one half and confirm on the other."""
    grouped = evaluation.table["group"].null_count() < evaluation.table.height
    return evaluation.table.height >= LARGE_DEV and evaluation.split_error is None and not grouped


def decide(
    evidence: Evidence, *, number_tried: int, unit: str | None, names: tuple[str, str] = ("before", "after")
) -> Decision:
    """The decision on a change, in the words of `gnomon compare` for the same pair; `names` are those of the two.

    Proven: it is better, and its p value is below ALPHA / the number of changes tried so far (Bonferroni). On trial:
    not proven, but errors and losses improve, with p < ON_TRIAL. A change that does nothing costs nothing, and on a
    small dev set hardly any single change can be proven: undoing all of them gives a system that errs more (simulated
    in the tests).
    """
    number = max(number_tried, 1)
    corrected = min(1.0, number * evidence.p_value)
    among = f", corrected for {number} changes tried" if number > 1 else ""
    why = in_words(evidence.test, *names, unit, p_value=corrected, corrected=among).rstrip(".")
    is_proven = evidence.gain > 0 and corrected < ALPHA
    is_on_trial = not is_proven and evidence.lean > 0 and evidence.lean_p < ON_TRIAL
    if is_on_trial:
        why += f", but errors and losses fall by {100 * evidence.lean:.0f} %, p = {evidence.lean_p:.2g}"
    return Decision(is_proven, is_on_trial, why, ALPHA / number)


def is_settled(evidence: Evidence, *, number_tried: int) -> bool:
    """Whether a further seed is not needed for a proof: the change is proven, or hopeless."""
    level = ALPHA / max(number_tried, 1)
    return evidence.gain <= 0 or evidence.chance > HOPELESS or evidence.p_value < level


def links_at_fault(diagnosis: Diagnosis) -> tuple[tuple[str, ...], str]:
    """The links whose knobs to turn, most important first, and why, in a sentence.

    If the verdict names gaps, their links. If no gap is statistically clear, the links of the two largest measured
    gaps: their knobs are tried too, and kept only if a test supports them.
    """
    by_name = {gap.name: gap for gap in diagnosis.gaps}
    if diagnosis.verdict.gap is not None:
        named = [by_name[name] for name in diagnosis.verdict.contenders if LINK[name] in LINKS_OF_GAPS]
        if named:
            return _links(named), " and ".join(_described(gap, diagnosis.unit) for gap in named)
    measured = sorted(
        (gap for gap in diagnosis.gaps if LINK[gap.name] in LINKS_OF_GAPS and gap.size > 0),
        key=lambda gap: gap.size,
        reverse=True,
    )
    if not measured:
        return (), "no gap that settings could close"
    largest = _described(measured[0], diagnosis.unit)
    return _links(measured[:2]), f"no gap is statistically clear; the largest measured is {largest}"


def _links(gaps: Sequence[Gap]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(LINK[gap.name] for gap in gaps))


def _described(gap: Gap, unit: str | None) -> str:
    return f"{gap.name} {'of at most' if gap.is_bound else 'of'} {format_gap(gap.size, unit)}"
