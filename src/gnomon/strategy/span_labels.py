"""Which labelled spans are likely missing, of the wrong type or cut wrongly, by a model that has not seen them.

How confident an answer must be is learned from the data, as for classes and boxes (`labels.py`, `box_labels.py`): as
confident as three of four answers of its type that agree with their labels. Spans that should not be there are not
found: where a model marks nothing, it does not say how sure it is of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from gnomon.metrics.span_table import SpanTable
from gnomon.metrics.spans import Span
from gnomon.strategy.span_tags import SPURIOUS, WRONG_ENDS, WRONG_TYPE, find_errors

MISSING_LABEL, OTHER_TYPE, OTHER_ENDS = "missing label", "wrong type", "other ends"
SUSPICIONS = {  # by the kind of the false answer
    SPURIOUS: MISSING_LABEL,  # a confident answer where no label is
    WRONG_TYPE: OTHER_TYPE,
    WRONG_ENDS: OTHER_ENDS,
}
FEWEST = 10  # right answers from which a type learns its own threshold; with fewer, those of all types count
CONFIDENT = 0.25  # quantile of the scores of right answers


@final
@dataclass(frozen=True)
class SpanSuspect:
    """One place where labels and answers contradict each other."""

    sentence: int  # row of the table
    kind: str  # of SUSPICIONS
    given: Span | None  # None: the label is missing
    suggested: Span
    sureness: float  # score of the answer, in [0, 1]


def find_suspects(table: SpanTable) -> tuple[SpanSuspect, ...]:
    """Most suspect first; at most one for each label. Predictions are to be out of sample."""
    scores = {
        (row, span): score
        for row, (spans, own) in enumerate(zip(table.answers, table.scores, strict=True))
        for span, score in zip(spans, own, strict=True)
    }
    right = [(span.type, score) for (row, span), score in scores.items() if span in table.truths[row]]
    found = [
        SpanSuspect(one.sentence, SUSPICIONS[one.kind], one.about, one.answer, scores[one.sentence, one.answer])
        for one in find_errors(table).found
        if one.answer is not None
        and one.kind in SUSPICIONS
        and scores[one.sentence, one.answer] >= _least(right, one.answer.type)
    ]
    found.sort(key=lambda one: (-one.sureness, one.sentence, one.suggested))
    seen, kept = set[tuple[int, Span]](), list[SpanSuspect]()
    for suspect in found:
        if suspect.given is None or (suspect.sentence, suspect.given) not in seen:
            kept.append(suspect)
        if suspect.given is not None:
            seen.add((suspect.sentence, suspect.given))
    return tuple(kept)


def _least(right: list[tuple[str, float]], kind: str) -> float:
    """The score that counts as confident; more than any where no answer is right."""
    own = [score for one, score in right if one == kind]
    chosen = own if len(own) >= FEWEST else [score for _, score in right]
    return float(np.quantile(chosen, CONFIDENT)) if chosen else np.inf
