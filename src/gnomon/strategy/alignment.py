"""Which pieces of a source each piece of an answer looked at; pieces of words joined to words, which people read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

START = "\u2581"  # with which sentencepiece begins a word
END = "(end)"
BYTE = re.compile("<0x[0-9A-F]{2}>")  # of a character that train lacks
NAMED = 0.15  # of what a piece looks at: a source piece with less is not named
MOST_NAMED = 2


@final
@dataclass(frozen=True)
class Alignment:
    """A source and its answer in pieces, T and S of them; the last piece of both is their end."""

    id: str
    source: str
    answer: str
    source_pieces: tuple[str, ...]
    answer_pieces: tuple[str, ...]
    weights: np.ndarray  # (T, S) float64; each row sums to 1


def in_words(found: Alignment) -> Alignment:
    """Subwords joined: a word of the source has the sum of what its pieces have, one of the answer their mean."""
    rows, columns = _words(found.answer_pieces), _words(found.source_pieces)
    weights = np.stack([found.weights[row].mean(axis=0) for row in rows])
    weights = np.stack([weights[:, column].sum(axis=1) for column in columns], axis=1)
    return replace(
        found, weights=weights, source_pieces=_joined(found.source_pieces, columns),
        answer_pieces=_joined(found.answer_pieces, rows),
    )  # fmt: skip


def _words(pieces: Sequence[str]) -> list[list[int]]:
    """The places of the pieces of each word: one begins at START, at a mark and behind it, and at the end."""
    found: list[list[int]] = []
    for place, piece in enumerate(pieces):
        before = pieces[place - 1] if place else START
        goes_on = before == START if found else False  # a space alone belongs to what follows it
        if not goes_on and found:
            goes_on = not _is_mark(piece) and not _is_mark(before)
        if goes_on and not piece.startswith(START) and piece != END:
            found[-1].append(place)
        else:
            found.append([place])
    return found


def _is_mark(piece: str) -> bool:
    """Whether it is punctuation alone: no letter, no number, no byte of one."""
    bare = piece.removeprefix(START)
    return bool(bare) and not any(one.isalnum() for one in bare)


def _joined(pieces: Sequence[str], words: Sequence[Sequence[int]]) -> tuple[str, ...]:
    return tuple(_text([pieces[place] for place in word]) for word in words)


def _text(pieces: Sequence[str]) -> str:
    """Pieces as a text: spaces for START, bytes as what they write."""
    raw = b"".join(bytes([int(piece[3:5], 16)]) if BYTE.fullmatch(piece) else piece.encode() for piece in pieces)
    return raw.decode(errors="replace").replace(START, " ").strip() or "␣"


def looked_at(found: Alignment) -> list[tuple[str, list[tuple[str, float]]]]:
    """Each piece of the answer with the pieces of the source that it looked at most, and the shares of these."""
    rows = []
    for piece, weights in zip(found.answer_pieces, found.weights, strict=True):
        best = [int(place) for place in np.argsort(-weights, kind="stable")[:MOST_NAMED]]
        kept = [place for number, place in enumerate(best) if number == 0 or weights[place] >= NAMED]
        rows.append((piece, [(found.source_pieces[place], float(weights[place])) for place in kept]))
    return rows
