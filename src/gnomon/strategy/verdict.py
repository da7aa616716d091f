"""What holds the system back: which gap is the largest that is really there, how sure that is, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnomon.core.evaluation import SHARE
from gnomon.strategy.diagnosis import Gap, GapName, Rung, Verdict
from gnomon.strategy.wording import format_count, format_error, format_gap, split_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SURE = 0.9  # below this probability of being the largest, the verdict names both contenders
LOW = 0.01  # a ladder no higher than this above the human level is low bias and low variance

MEANING: dict[GapName, str] = {
    "avoidable bias": "it does not do as well as people even on the examples it was trained on",
    "variance": "it does worse on examples it has not seen than on those it was trained on",
    "data mismatch": "it does worse on data like dev than on data like train",
    "overfitting to dev": "it does worse on test than on dev, which choices were made on",
}


def decide(
    gaps: Sequence[Gap], draws: Mapping[GapName, np.ndarray], rungs: Sequence[Rung], unit: str | None
) -> Verdict:
    """The verdict from the gaps and, for each, draws (R,) of its size; rows of draws belong together."""
    if unit is None:
        return Verdict(
            None, (), 1.0, "Errors of this task have no meaning by themselves, so there are no gaps to name."
        )
    there = [gap for gap in gaps if gap.is_there]
    is_low = _is_low(rungs, unit)
    if not there:
        return _none_there(gaps, draws, rungs, unit, is_low=is_low)
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
        text = f"{_title(named.name)} holds it back most ({sizes[named.name]}): {MEANING[named.name]}."
    elif bound is not None and bound.name in contenders:
        text = (
            f"{_title(named.name)} is there ({sizes[named.name]}): {MEANING[named.name]}. Whether avoidable bias is "
            f"larger is not known: it can be anything up to {sizes[bound.name]} until the human level is given."
        )
    elif not next(gap for gap in gaps if gap.name == contenders[1]).is_there:
        first, second = contenders
        text = (
            f"{_title(first)} is there ({sizes[first]}): {MEANING[first]}. {_title(second)} ({sizes[second]}) may be "
            f"as large or nothing at all; these examples cannot tell."
        )
    else:
        first, second = contenders
        text = (
            f"{_title(first)} ({sizes[first]}) and {second} ({sizes[second]}) hold it back; these examples cannot tell "
            f"which is larger. {_title(first)}: {MEANING[first]}. {_title(second)}: {MEANING[second]}."
        )
    rest = [f"{gap.name} ({sizes[gap.name]})" for gap in gaps if gap.is_there and gap.name not in contenders]
    return f"{text} {_title(' and '.join(rest))} {'is' if len(rest) == 1 else 'are'} there as well." if rest else text


def _none_there(
    gaps: Sequence[Gap], draws: Mapping[GapName, np.ndarray], rungs: Sequence[Rung], unit: str, *, is_low: bool
) -> Verdict:
    measured = [gap for gap in gaps if not gap.is_bound]
    bound = next((gap for gap in gaps if gap.is_bound), None)
    if not measured and bound is None:
        return Verdict(None, (), 0.0, "One rung alone makes no gap: give the errors of train and dev.")
    certainty = float(np.all([draws[gap.name] <= gap.floor for gap in measured], axis=0).mean()) if measured else 0.0
    undecided = [gap for gap in measured if gap.high > gap.floor]
    sentences = []
    if undecided:
        hiding = max(undecided, key=lambda gap: gap.high)
        most = "of unknown size" if np.isinf(hiding.high) else f"of up to {format_gap(hiding.high, unit)}"
        sentences.append(f"No gap can be told from nothing yet; {hiding.name} {most} could be hiding.")
        settling = _settling(undecided, rungs)
        if settling:
            sentences.append(settling)
    elif measured:
        floor = format_gap(measured[0].floor, unit)
        sentences.append(f"No gap of more than {floor} is there: {_names(measured)} would show if there were.")
    if bound is not None:
        why = "the train error is below the human level" if _human_known(rungs) else "the human level is not known"
        most = (
            f"it can be anything up to {format_gap(bound.size, unit)}"
            if bound.size > 0
            else f"the train error is 0, and no more than {format_gap(bound.high, unit)} could be hiding"
        )
        sentences.append(f"Avoidable bias is not measured ({why}): {most}.")
    text = " ".join(sentences)
    return Verdict(None, (), certainty, _low_text(rungs, unit) + text if is_low else text, is_low)


def _settling(undecided: Sequence[Gap], rungs: Sequence[Rung]) -> str:
    """How many held-out examples would decide; of several gaps, the one that takes most."""
    costly = [gap for gap in undecided if gap.examples_to_settle is not None and gap.above != "train"]
    if not costly:
        return ""
    gap = max(costly, key=lambda gap: gap.examples_to_settle or 0)
    now = next(rung.examples for rung in rungs if rung.name == gap.above)
    also = f" (and as many times more of {split_name(gap.below)})" if gap.settle_needs_below else ""
    count = format_count(gap.examples_to_settle or 0)
    return f"It takes {count} {split_name(gap.above)} examples{also} to tell about {gap.name}; there are {now:,}."


def _top(rungs: Sequence[Rung]) -> tuple[Rung, float]:
    """The split with the largest error, and how far it is above the human level (above 0 where that is not known)."""
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
        return f"{low}: the {name} error is {format_error(highest.error, unit)} in all. "
    return f"{low}: the {name} error is {format_gap(above, unit)} above the human level. "


def _human_known(rungs: Sequence[Rung]) -> bool:
    return any(rung.name == "human" and not rung.note.startswith("not known") for rung in rungs)


def _names(gaps: Sequence[Gap]) -> str:
    return " and ".join(gap.name for gap in gaps)


def _title(text: str) -> str:
    return text[:1].upper() + text[1:]
