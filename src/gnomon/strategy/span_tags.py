"""Sentences with spans: what is wrong with false answers, what spans that are not found have in common, and ceilings.

A tag counts answers or spans, not sentences; a sentence has it if one of them does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from gnomon.metrics.interval import Interval
from gnomon.metrics.span_table import UNKNOWN, UNSEEN, SpanTable
from gnomon.metrics.spans import Span
from gnomon.strategy.error_analysis import Inside, Tag

MISSED, WRONG_ENDS, WRONG_TYPE, BOTH, SPURIOUS = "missed", "wrong ends", "wrong type", "wrong type and ends", "spurious"
MEANINGS = {
    MISSED: "A span of the label that no answer is about.",
    WRONG_ENDS: "It overlaps a span of its type, but begins or ends elsewhere.",
    WRONG_TYPE: "It begins and ends as a span of the label, which has another type.",
    BOTH: "It overlaps a span of another type, and begins or ends elsewhere.",
    SPURIOUS: "It touches no span of the label. Check whether the label is missing.",
}
KINDS = tuple(MEANINGS)
LONG = 3  # words of a span that count as many
PROPERTIES: dict[str, tuple[str, Callable[[str, str], bool]]] = {  # of the words of a span, and its flags
    "span unseen in train": ("Train has no such span, in any case.", lambda _, flags: UNSEEN in flags),
    "unknown word": ("It has a word that the model does not tell apart.", lambda _, flags: UNKNOWN in flags),
    "long span": (f"It has {LONG} words or more.", lambda words, _: len(words.split()) >= LONG),
    "no capitals": ("None of its letters is a capital.", lambda words, _: words == words.lower()),
}
ANSWERS, SPANS, TOKENS = "false answers", "spans not found", "wrong tokens"
MOST_CONFUSIONS, FEWEST = 6, 2  # pairs of types that become tags; false answers that such a pair needs


@dataclass(frozen=True, slots=True)
class FalseSpan:
    """One false answer, or a span that was missed."""

    sentence: int
    kind: str  # of KINDS
    answer: Span | None  # None: missed
    about: Span | None  # the span of the label that it is about; None: spurious


@final
@dataclass(frozen=True)
class SpanErrors:
    """N sentences, and every false answer in them."""

    table: SpanTable
    found: tuple[FalseSpan, ...]

    @cached_property
    def totals(self) -> tuple[int, int, int]:
        """Spans that are right, wanted, answered."""
        counts = self.table.counts
        return int(counts.right.sum()), int(counts.wanted.sum()), int(counts.said.sum())

    @cached_property
    def are_tokens(self) -> bool:
        """Whether every token is a span: then the error is the share of those with the wrong tag."""
        return all(one.kind == WRONG_TYPE for one in self.found) and self.totals[1] == self.totals[2]

    @property
    def error(self) -> float:
        """1 - F1; 0 where there is nothing to find and nothing is found."""
        return _error(*self.totals)

    def error_without(self, chosen: Sequence[FalseSpan]) -> float:
        """1 - F1 if these were right: the spans that they are about found, each once, and other answers gone."""
        right, wanted, said = self.totals
        found = {(one.sentence, one.about) for one in chosen if one.about is not None}
        gone = sum(one.answer is not None for one in chosen)
        new = sum(about not in self.table.answers[sentence] for sentence, about in found)
        return _error(right + new, wanted, said - gone + new)


def _error(right: int, wanted: int, said: int) -> float:
    return 1 - 2 * right / (wanted + said) if wanted + said else 0.0


def find_errors(table: SpanTable) -> SpanErrors:
    """Every false answer with its kind, and every span of the label that no answer, right or wrong, is about."""
    found: list[FalseSpan] = []
    for sentence, (truths, answers) in enumerate(zip(table.truths, table.answers, strict=True)):
        true, said = sorted(set(truths)), sorted(set(answers))
        wrong = [FalseSpan(sentence, *_about(answer, true)) for answer in said if answer not in true]
        lost = set(true) - set(said) - {one.about for one in wrong}
        found += [*wrong, *(FalseSpan(sentence, MISSED, None, one) for one in sorted(lost))]
    return SpanErrors(table, tuple(found))


def _about(answer: Span, truths: Sequence[Span]) -> tuple[str, Span, Span | None]:
    """What is wrong with an answer, itself, and the span that it is about: of its own ends, else of its type, else any.

    Of several the one that it shares most with.
    """
    touched = [one for one in truths if _shared(one, answer)]
    same_ends = [one for one in touched if one[:2] == answer[:2]]
    same_type = [one for one in touched if one.type == answer.type]
    for kind, some in ((WRONG_TYPE, same_ends), (WRONG_ENDS, same_type), (BOTH, touched)):
        if some:
            return kind, answer, max(some, key=lambda one: _shared(one, answer))
    return SPURIOUS, answer, None


def _shared(one: Span, other: Span) -> int:
    """Characters in both."""
    return max(0, min(one.end, other.end) - max(one.start, other.start))


def from_spans(errors: SpanErrors) -> list[Tag]:
    """All tags that follow from labels and answers alone."""
    kinds = [] if errors.are_tokens else [(kind, MEANINGS[kind]) for kind in KINDS]
    tags = [_tag(errors, kind, meaning, [one for one in errors.found if one.kind == kind]) for kind, meaning in kinds]
    tags += _confusions(errors)
    tags += [_of_property(errors, name, *how) for name, how in PROPERTIES.items()]
    return [tag for tag in tags if tag is not None]


def _confusions(errors: SpanErrors) -> list[Tag | None]:
    pairs: dict[tuple[str, str], list[FalseSpan]] = {}
    for one in errors.found:
        if one.kind == WRONG_TYPE and one.about is not None and one.answer is not None:
            pairs.setdefault((one.about.type, one.answer.type), []).append(one)
    common = sorted(pairs.items(), key=lambda pair: (-len(pair[1]), pair[0]))[:MOST_CONFUSIONS]
    return [
        _tag(errors, f"{true} taken for {said}", f"The label is {true}, the answer {said}.", some)
        for (true, said), some in common
        if len(some) >= FEWEST
    ]


def _tag(errors: SpanErrors, name: str, meaning: str, some: Sequence[FalseSpan]) -> Tag | None:
    """None where there is none of it."""
    if not some:
        return None
    total = len(errors.found)
    what = TOKENS if errors.are_tokens else ANSWERS
    inside = Inside(what, len(some), total, total, _known(len(some), total), _removed(errors, some))
    return Tag(name, "answers", _marked(errors, {one.sentence for one in some}), _everywhere(errors), meaning, inside)


def _of_property(errors: SpanErrors, name: str, meaning: str, has: Callable[[str, str], bool]) -> Tag | None:
    """Of spans of the label: among those not found, and among those that are; None where none is not found."""
    table = errors.table
    lost, kept = set[tuple[int, Span]](), 0
    num_lost = 0
    for sentence, (truths, flags) in enumerate(zip(table.truths, table.flags, strict=True)):
        said, text = set(table.answers[sentence]), table.texts[sentence]
        for span, own in zip(truths, flags, strict=True):
            tagged = has(text[span.start : span.end], own)
            num_lost += span not in said
            if tagged and span not in said:
                lost.add((sentence, span))
            kept += tagged and span in said
    if not lost:
        return None
    about = [one for one in errors.found if (one.sentence, one.about) in lost]
    what = TOKENS if errors.are_tokens else SPANS
    inside = Inside(
        what, len(lost), num_lost, num_lost, _known(len(lost), num_lost), _removed(errors, about),
        right_tagged=kept, right=errors.totals[0],
    )  # fmt: skip
    return Tag(name, "span", _marked(errors, {row for row, _ in lost}), _everywhere(errors), meaning, inside)


def _removed(errors: SpanErrors, some: Sequence[FalseSpan]) -> float:
    """Share of the error that would be gone."""
    return max(errors.error - errors.error_without(some), 0.0) / errors.error if errors.error > 0 else 0.0


def _known(count: int, total: int) -> Interval:
    return Interval(count / total, count / total, count / total, "all counted")


def _marked(errors: SpanErrors, sentences: set[int]) -> np.ndarray:
    found = np.zeros(len(errors.table.texts), bool)
    found[sorted(sentences)] = True
    return found


def _everywhere(errors: SpanErrors) -> np.ndarray:
    return np.broadcast_to(np.True_, len(errors.table.texts))
