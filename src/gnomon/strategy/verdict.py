"""What limits the system: the largest statistically clear gap, how certain it is, and both in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnomon.core.evaluation import SHARE
from gnomon.strategy.diagnosis import Gap, GapName, Rung, Verdict
from gnomon.strategy.wording import format_count, format_error, format_gap, split_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SURE = 0.9  # below this probability of being the largest, the verdict names two contenders
LOW = 0.01  # if no error is further above the human level than this, bias and variance are both low

MEANING: dict[GapName, str] = {
    "avoidable bias": "it does worse than people even on the examples it was trained on",
    "variance": "it does worse on unseen examples than on those it was trained on",
    "data mismatch": "it does worse on data like dev than on data like train",
    "overfitting to dev": "it does worse on test than on dev, which was used to make choices",
}


def decide(
    gaps: Sequence[Gap], draws: Mapping[GapName, np.ndarray], rungs: Sequence[Rung], unit: str | None
) -> Verdict:
    """The verdict from the gaps and, for each, R draws of its size; draws with the same index belong together."""
    if unit is None:
        return Verdict(None, (), 1.0, "Errors of this task have no absolute meaning, so no gap is named.")
    there = [gap for gap in gaps if gap.is_there]
    is_low = _is_low(rungs, unit)
    if not there:
        return _no_clear_gap(gaps, draws, rungs, unit, is_low=is_low)
    named = max(there, key=lambda gap: gap.size)
    rivals = [gap for gap in gaps if gap.name != named.name]
    wins = {rival.name: float((draws[rival.name] >= draws[named.name]).mean()) for rival in rivals}
    others = np.max([draws[rival.name] for rival in rivals], axis=0) if rivals else np.full(1, -np.inf)
    certainty = float((draws[named.name] > others).mean())
    contenders: tuple[GapName, ...] = (named.name,)
    if certainty < SURE:
        contenders = (named.name, max(wins, key=lambda name: wins[name]))
    text = _text(named, contenders, gaps, unit)
    return Verdict(named.name, contenders, certainty, _low_text(rungs, unit) + text if is_low else text, is_low)


def _text(named: Gap, contenders: Sequence[GapName], gaps: Sequence[Gap], unit: str) -> str:
    sizes = {gap.name: format_gap(gap.size, unit) for gap in gaps}
    bound = next((gap for gap in gaps if gap.is_bound), None)
    if len(contenders) == 1:
        text = f"{_title(named.name)} is the largest gap ({sizes[named.name]}): {MEANING[named.name]}."
    elif bound is not None and bound.name in contenders:
        text = (
            f"{_title(named.name)} is clear ({sizes[named.name]}): {MEANING[named.name]}. Avoidable bias may be "
            f"larger, up to {sizes[bound.name]}; the human level is needed to know."
        )
    elif not next(gap for gap in gaps if gap.name == contenders[1]).is_there:
        first, second = contenders
        text = (
            f"{_title(first)} is clear ({sizes[first]}): {MEANING[first]}. {_title(second)} ({sizes[second]}) may be "
            f"as large, or zero: there are too few examples to say."
        )
    else:
        first, second = contenders
        text = (
            f"{_title(first)} ({sizes[first]}) and {second} ({sizes[second]}) are both clear; there are too few "
            f"examples to say which is larger. {_title(first)}: {MEANING[first]}. {_title(second)}: {MEANING[second]}."
        )
    rest = [f"{gap.name} ({sizes[gap.name]})" for gap in gaps if gap.is_there and gap.name not in contenders]
    return f"{text} {_title(' and '.join(rest))} {'is' if len(rest) == 1 else 'are'} clear too." if rest else text


def _no_clear_gap(
    gaps: Sequence[Gap], draws: Mapping[GapName, np.ndarray], rungs: Sequence[Rung], unit: str, *, is_low: bool
) -> Verdict:
    measured = [gap for gap in gaps if not gap.is_bound]
    bound = next((gap for gap in gaps if gap.is_bound), None)
    if not measured and bound is None:
        return Verdict(None, (), 0.0, "A single rung has no gap: give the errors of train and dev.")
    certainty = float(np.all([draws[gap.name] <= gap.floor for gap in measured], axis=0).mean()) if measured else 0.0
    undecided = [gap for gap in measured if gap.high > gap.floor]
    sentences = []
    if undecided:
        largest = max(undecided, key=lambda gap: gap.high)
        most = "of any size" if np.isinf(largest.high) else f"as large as {format_gap(largest.high, unit)}"
        sentences.append(f"No gap is statistically clear; {largest.name} could be {most}.")
        settling = _settling(undecided, rungs)
        if settling:
            sentences.append(settling)
    elif measured:
        floor = format_gap(measured[0].floor, unit)
        sentences.append(f"No gap exceeds {floor}: there are enough examples to rule out more {_names(measured)}.")
    if bound is not None:
        why = "the train error is below the human level" if _human_known(rungs) else "the human level is unknown"
        most = (
            f"it could be up to {format_gap(bound.size, unit)}"
            if bound.size > 0
            else f"the train error is 0, so it is at most {format_gap(bound.high, unit)}"
        )
        sentences.append(f"Avoidable bias is not measured ({why}): {most}.")
    text = " ".join(sentences)
    return Verdict(None, (), certainty, _low_text(rungs, unit) + text if is_low else text, is_low)


def _settling(undecided: Sequence[Gap], rungs: Sequence[Rung]) -> str:
    """How many held-out examples would settle it; for several gaps, the one that needs most."""
    costly = [gap for gap in undecided if gap.examples_to_settle is not None and gap.above != "train"]
    if not costly:
        return ""
    gap = max(costly, key=lambda gap: gap.examples_to_settle or 0)
    now = next(rung.examples for rung in rungs if rung.name == gap.above)
    also = f", with {split_name(gap.below)} growing in proportion" if gap.settle_needs_below else ""
    count = format_count(gap.examples_to_settle or 0)
    return f"{now:,} {split_name(gap.above)} examples are too few to measure {gap.name}; it takes {count}{also}."


def _top(rungs: Sequence[Rung]) -> tuple[Rung, float]:
    """The split with the largest error, and how far it is above the human level (above 0 if that is unknown)."""
    highest = max((rung for rung in rungs if rung.name != "human"), key=lambda rung: rung.error)
    return highest, highest.error - next((rung.error for rung in rungs if rung.name == "human"), 0.0)


def _is_low(rungs: Sequence[Rung], unit: str) -> bool:
    splits = {rung.name for rung in rungs}
    return unit == SHARE and len(splits & {"train", "dev", "test"}) > 1 and _top(rungs)[1] <= LOW + 1e-12


def _low_text(rungs: Sequence[Rung], unit: str) -> str:
    highest, above = _top(rungs)
    low, name = "Low bias and low variance", split_name(highest.name)
    if above <= 0:
        return f"{low}: no error is above the human level. "
    if not _human_known(rungs):
        return f"{low}: the {name} error is only {format_error(highest.error, unit)}. "
    return f"{low}: the {name} error is {format_gap(above, unit)} above the human level. "


def _human_known(rungs: Sequence[Rung]) -> bool:
    return any(rung.name == "human" and not rung.is_unknown for rung in rungs)


def _names(gaps: Sequence[Gap]) -> str:
    return " and ".join(gap.name for gap in gaps)


def _title(text: str) -> str:
    return text[:1].upper() + text[1:]
