"""Whether the search or the model is at fault where a sequence was answered wrongly.

The search looks for the sequence with the highest score: the logarithm of its probability under the model, divided by
length**alpha where lengths are normalised. If the reference scores higher than the answer, the search has missed it: a
wider beam can find it. If not, the model itself prefers what is wrong, and no search can help. What is compared has to
be the score: probabilities alone would blame the search for answers that are long because alpha makes them so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np

from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import Rows, share, wilson
from gnomon.strategy.advice import MOST
from gnomon.strategy.diagnosis import Advice, Diagnosis
from gnomon.strategy.error_analysis import Tag

if TYPE_CHECKING:
    from gnomon.metrics.pair_table import PairTable

SEARCH, MODEL = "search at fault", "model at fault"
KIND = "fault"
ROUNDING = 1e-4  # nats by which two computations of the same sequence may differ
HALF = 0.5
WIDER = 4  # times the beam
WORTHWHILE = 0.1  # of the wrong answers: from there on a wider beam is worth a try
MEANINGS = {
    SEARCH: "The model scores the reference higher than the answer, and the beam lost it: a wider one may find it.",
    MODEL: "The model scores its answer at least as high as the reference: no search would find a better one.",
}


@final
@dataclass(frozen=True)
class SearchFault:
    """Of N answers, those that are wrong and compared with their reference, and which of these the search lost."""

    is_wrong: np.ndarray  # (N,) bool
    is_search: np.ndarray  # (N,) bool; the model is at fault in the other wrong ones
    search: Interval  # share of the wrong answers
    model: Interval

    @property
    def count(self) -> int:
        """Wrong answers that are compared."""
        return int(self.is_wrong.sum())


def find_fault(
    score: np.ndarray, reference_score: np.ndarray, is_wrong: np.ndarray, reachable: np.ndarray | None = None,
    *, groups: np.ndarray | None = None,
) -> SearchFault | None:  # fmt: skip
    """From the scores (N,) of answers and references; None where no wrong answer has both.

    `reachable` (N,) bool: False where the model cannot write the reference, whose words it lacks: no beam finds that.
    `groups` (N,): answers that are not independent. Equal scores are the model's fault.
    """
    compared = is_wrong & np.isfinite(score) & np.isfinite(reference_score)
    if not compared.any():
        return None
    margin = ROUNDING * np.maximum(1.0, np.abs(np.nan_to_num(score)))
    is_search = compared & (np.nan_to_num(reference_score) > np.nan_to_num(score) + margin)
    if reachable is not None:
        is_search &= reachable
    wrong = is_search[compared]
    if groups is None:
        found = wilson(float(wrong.sum()), len(wrong))
    else:
        rows = Rows(wrong.astype(np.float64), np.ones(len(wrong)), groups[compared])
        found = share(rows, np.random.default_rng(0)).interval
    other = Interval(1 - found.value, 1 - found.high, 1 - found.low, found.method)
    return SearchFault(compared, is_search, found, other)


def fault_of(table: PairTable, *, groups: np.ndarray | None = None) -> SearchFault | None:
    """`find_fault` for a table of pairs."""
    return find_fault(table.score, table.reference_score, table.errors > 0, table.reachable, groups=groups)


def tags_of(found: SearchFault) -> list[Tag]:
    """The two sides as tags of wrong answers."""
    everywhere = np.ones(len(found.is_wrong), bool)
    sides = ((SEARCH, found.is_search), (MODEL, found.is_wrong & ~found.is_search))
    return [Tag(name, KIND, marked, everywhere, MEANINGS[name]) for name, marked in sides if marked.any()]


def fault_text(found: SearchFault) -> str:
    """One sentence: how often which is at fault, and what follows."""
    counts = (
        f"of {found.count:,} wrong answers the search is at fault in {_percent(found.search)}, "
        f"the model in {_percent(found.model)}"
    )
    if found.search.low > HALF:
        return f"{counts}: widen the beam before you change the model"
    if found.search.high < HALF:
        tail = "; a wider beam is worth a try all the same" if found.search.value >= WORTHWHILE else ""
        return f"{counts}: a better model is needed{tail}"
    return f"{counts}: too close to say which comes first; a wider beam is the cheaper try"


def _percent(one: Interval) -> str:
    return f"{100 * one.value:.1f} % [{100 * one.low:.1f}, {100 * one.high:.1f}]"


def advise_wider(found: SearchFault, beam: int, command: Callable[[int], str]) -> Advice | None:
    """To widen the beam, where enough answers were lost in it. `command`: to paste, for a width."""
    if found.search.value < WORTHWHILE:
        return None
    wider = WIDER * beam
    return Advice(
        f"widen the beam: {beam} -> {wider}",
        f"in {_percent(found.search)} of {found.count:,} wrong answers the model scores the reference higher than what "
        "the search found; nothing has to be trained again",
        "fit-dev", basis="measured", command=command(wider),
    )  # fmt: skip


def apply_fault(
    diagnosis: Diagnosis, found: SearchFault | None, beam: int, command: Callable[[int], str]
) -> Diagnosis:  # fmt: skip
    """The diagnosis with what is at fault as a note; a wider beam comes first where the search is at fault most often.

    Where it rather is the model, the wider beam comes last: its advice is what the ladder says about the model.
    """
    if found is None or diagnosis.verdict.cause == "unfinished":
        return diagnosis
    wider, advice = advise_wider(found, beam, command), diagnosis.advice
    if wider is not None:
        is_first = found.search.high >= HALF
        advice = (wider, *advice[: MOST - 1]) if is_first else (*advice[: MOST - 1], wider)
    return replace(diagnosis, advice=advice, notes=(fault_text(found), *diagnosis.notes))
