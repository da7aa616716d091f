"""Spans that tags mark in a sentence: schemes of tags, what breaks them, precision, recall and F1 of what is found.

A tag is O, or a letter and a type, "B-person". BIO (also IOB2): B begins a span, I goes on. IOB1: I begins a span, too,
and B only one that follows another of its type. IOBES: E ends a span, S is one of a single token; BILOU says L and U.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, final

import numpy as np

from gnomon.core.seeds import generator
from gnomon.metrics.interval import Interval
from gnomon.metrics.resampling import (
    ROUNDS_OF_CALLS,
    accelerated_interval,
    left_out_counts,
    resampled_counts,
)

OUTSIDE = "O"
SCHEMES = ("BIO", "IOB1", "IOBES", "BILOU")
UNNAMED = "span"  # the type where tags are letters alone
_TAG = re.compile(r"([BIESLU])(?:-(.*))?", re.DOTALL)
_AS_IOBES = {"L": "E", "U": "S"}


@final
class Span(NamedTuple):
    """Tokens, or characters, from `start` up to `end`, which is not in it."""

    start: int
    end: int
    type: str


def parts_of(tag: str) -> tuple[str, str] | None:
    """The letter, as in IOBES, and the type of a tag; ("O", "") for one outside; None for what is no such tag."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    found = _TAG.fullmatch(tag)
    if found is None or found[2] == "":
        return None
    return _AS_IOBES.get(found[1], found[1]), found[2] or UNNAMED


def spans_of(tags: Sequence[str]) -> list[Span]:
    """The spans of one sentence, in order, in any scheme.

    Broken tags are read as conlleval and seqeval's default mode do: I and E begin a span where none of their type goes
    on; a span ends before whatever does not continue it. What is no tag counts as outside. Source: Tjong Kim Sang and
    Buchholz 2000 (conlleval).
    """
    found: list[Span] = []
    start, kind, is_closed = -1, "", True
    for place, tag in enumerate((*tags, OUTSIDE)):
        letter, own = parts_of(tag) or (OUTSIDE, "")
        goes_on = letter in "IE" and not is_closed and own == kind
        if not goes_on:
            if start >= 0:
                found.append(Span(start, place, kind))
            start, kind = (-1, "") if letter == OUTSIDE else (place, own)
        is_closed = letter in "OES"
    return found


def breaks(tags: Sequence[str], scheme: str) -> list[int]:
    """The places of one sentence whose tag the scheme does not allow there; tags of other letters are among them."""
    found, before, kind_before = [], OUTSIDE, ""
    letters = "OBI" if scheme in ("BIO", "IOB1") else "OBIES"
    for place, tag in enumerate(tags):
        parts = parts_of(tag)
        letter, kind = parts or (OUTSIDE, "")
        is_right = parts is not None and letter in letters
        if is_right and scheme == "BIO":
            is_right = letter != "I" or (before != OUTSIDE and kind == kind_before)
        elif is_right and scheme == "IOB1":
            is_right = letter != "B" or (before != OUTSIDE and kind == kind_before)
        elif is_right:
            is_open = before in "BI"
            is_right = (letter in "IE" and kind == kind_before) if is_open else letter not in "IE"
        if not is_right:
            found.append(place)
        before, kind_before = letter, kind
    if scheme in ("IOBES", "BILOU") and before in "BI" and (not found or found[-1] != len(tags) - 1):
        found.append(len(tags) - 1)  # the sentence ends inside a span
    return found


def detect(sentences: Iterable[Sequence[str]]) -> str:
    """The scheme that these tags break least: IOBES or BILOU by their letters, else BIO, or IOB1 if it fits better."""
    sentences = list(sentences)
    letters = {found[1] for tags in sentences for tag in set(tags) if (found := _TAG.fullmatch(tag))}
    if letters & {"L", "U"}:
        return "BILOU"
    if letters & {"E", "S"}:
        return "IOBES"
    bio, iob1 = (sum(len(breaks(tags, scheme)) for tags in sentences) for scheme in ("BIO", "IOB1"))
    return "IOB1" if iob1 < bio else "BIO"


def as_tags(spans: Iterable[Span], length: int, scheme: str = "BIO") -> list[str]:
    """(length,) tags of spans in tokens, which do not overlap, in any of SCHEMES."""
    tags = [OUTSIDE] * length
    after: dict[int, str] = {}  # the type of the span that ends at a place
    for start, end, kind in sorted(spans):
        letters = ["I"] * (end - start)
        if scheme != "IOB1" or after.get(start) == kind:
            letters[0] = "B"
        if scheme in ("IOBES", "BILOU"):
            last, single = ("E", "S") if scheme == "IOBES" else ("L", "U")
            letters[-1] = last if len(letters) > 1 else single
        tags[start:end] = [f"{letter}-{kind}" for letter in letters]
        after[end] = kind
    return tags


def pieces_of(text: str, spans: Iterable[Sequence[Any]]) -> list[tuple[str, str | None]]:
    """A text in pieces, each with the type of the span that it is, in characters; None between spans.

    Of spans that overlap, the first counts.
    """
    found, place = list[tuple[str, str | None]](), 0
    for start, end, kind in sorted((one[0], one[1], one[2]) for one in spans):
        if place <= start < end <= len(text):
            found += [(text[place:start], None), (text[start:end], kind)]
            place = end
    return [(piece, kind) for piece, kind in (*found, (text[place:], None)) if piece]


@final
class SpanCounts(NamedTuple):
    """Of N sentences and K types: spans of the truth, spans that were answered, and those in both, type and ends."""

    types: tuple[str, ...]
    wanted: np.ndarray  # (N, K)
    said: np.ndarray
    right: np.ndarray
    right_ends: np.ndarray  # (N,) spans in both, whatever their type


def count(truths: Sequence[Iterable[Span]], answers: Sequence[Iterable[Span]]) -> SpanCounts:
    """The same span twice in a sentence counts once."""
    pairs = [(set(one), set(other)) for one, other in zip(truths, answers, strict=True)]
    types = tuple(sorted({span.type for pair in pairs for side in pair for span in side}))
    place = {kind: number for number, kind in enumerate(types)}
    wanted, said, right = (np.zeros((len(pairs), len(types))) for _ in range(3))
    right_ends = np.zeros(len(pairs))
    for row, (truth, answer) in enumerate(pairs):
        for table, spans in ((wanted, truth), (said, answer), (right, truth & answer)):
            for span in spans:
                table[row, place[span.type]] += 1
        right_ends[row] = len({span[:2] for span in truth} & {span[:2] for span in answer})
    return SpanCounts(types, wanted, said, right, right_ends)


def f1(right: np.ndarray, wanted: np.ndarray, said: np.ndarray) -> np.ndarray:
    """2 right / (wanted + said), in [0, 1]; NaN where there is neither."""
    return _ratio(2 * right, wanted + said)


MICRO = ("F1", "precision", "recall", "F1 of the ends alone", "mean F1 of the types")


def scores(counts: SpanCounts, groups: np.ndarray | None = None, *, seed: int = 0) -> dict[str, Interval]:
    """MICRO, then F1, precision and recall of each type, each with an interval by redrawing sentences, or groups (N,).

    "F1 of the ends alone" does not ask for the type; the mean of the types is over those that occur. What cannot be
    measured (precision, where nothing was answered) is left out.
    """
    columns = np.concatenate([counts.wanted, counts.said, counts.right, counts.right_ends[:, None]], axis=1)
    rng = generator(seed, "bootstrap", "sentences")
    num_rows = len(columns)
    if not num_rows:
        return {}
    values = _measures(columns.sum(axis=0)[None])[0]
    drawn, left_out = (
        _measures(np.array([times @ columns for times in some]))
        for some in (
            resampled_counts(num_rows, groups, ROUNDS_OF_CALLS, rng), left_out_counts(num_rows, groups, rng)
        )
    )  # fmt: skip
    units = num_rows if groups is None else len(np.unique(groups))
    method = f"bootstrap over {units:,} {'sentences' if groups is None else 'groups of sentences'}"
    names = [*MICRO, *(f"{what} of {kind}" for what in MICRO[:3] for kind in counts.types)]
    return {
        name: accelerated_interval(float(value), draws, left, units, method)
        for name, value, draws, left in zip(names, values, drawn.T, left_out.T, strict=True)
        if np.isfinite(value)
    }


def _measures(sums: np.ndarray) -> np.ndarray:
    """(R, 3 K + 1) sums of what is wanted, said and right by type, and of right ends -> (R, 5 + 3 K)."""
    wanted, said, right = np.split(sums[:, :-1], 3, axis=1)
    each = f1(right, wanted, said)
    known = np.isfinite(each)
    mean = _ratio(np.where(known, each, 0.0).sum(axis=1), known.sum(axis=1))
    all_wanted, all_said, all_right = (side.sum(axis=1) for side in (wanted, said, right))
    whole = [
        f1(all_right, all_wanted, all_said), _ratio(all_right, all_said), _ratio(all_right, all_wanted),
        f1(sums[:, -1], all_wanted, all_said), mean,
    ]  # fmt: skip
    return np.concatenate([np.stack(whole, axis=1), each, _ratio(right, said), _ratio(right, wanted)], axis=1)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    found: np.ndarray = np.divide(above, below, out=np.full(np.broadcast(above, below).shape, np.nan), where=below > 0)
    return found
