"""Texts as numbers: characters, words or subwords by their place in a vocabulary that comes from train alone."""

from __future__ import annotations

import itertools
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gnomon.data.text import subwords

PADDING, UNKNOWN, END = 0, 1, 2  # END also stands before every text
SPECIAL = 3  # ids before those of the vocabulary
TOGETHER = 1 << 22  # characters that are counted at a time
_WORDS = re.compile(r"\w+(?:['’]\w+)*|\n|[^\w\s]")  # words with their apostrophes, newlines, single marks
SHOWN = {PADDING: "", UNKNOWN: "\N{REPLACEMENT CHARACTER}", END: ""}


def normalised(text: str, forms: Sequence[str]) -> str:
    """The text in these forms, one after the other: "nfc" and "nfkc" of Unicode, "lower" case."""
    for form in forms:
        text = text.lower() if form == "lower" else unicodedata.normalize(form.upper(), text)  # type: ignore[arg-type]
    return text


def split(text: str, level: str) -> Sequence[str]:
    """The pieces of a text: its characters, or its words, punctuation marks and newlines; other space divides."""
    return text if level == "character" else _WORDS.findall(text)


def beginning(text: str, level: str, count: int) -> str:
    """The part of a text that its first `count` pieces are in."""
    if level == "character":
        return text[:count]
    last = next(itertools.islice(_WORDS.finditer(text), count - 1, None), None)
    return text if last is None else text[: last.end()]


def vocabulary_of(texts: Iterable[str], level: str, most: int, least: int) -> tuple[str, ...]:
    """The pieces that occur at least `least` times, the `most` frequent, the most frequent first.

    Of equally frequent ones the first in the order of code points.
    """
    counts = _characters(texts) if level == "character" else _words(texts, level)
    ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return tuple(piece for piece, count in ranked[:most] if count >= least)


def _words(texts: Iterable[str], level: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split(text, level))
    return counts


def _characters(texts: Iterable[str]) -> Counter[str]:
    """By code points, many texts at a time: twenty times as fast as one character after the other."""
    total = np.zeros(sys.maxunicode + 1, np.int64)
    waiting, size = list[str](), 0
    for text in texts:
        waiting.append(text)
        size += len(text)
        if size > TOGETHER:
            total += _codes(waiting)
            waiting, size = [], 0
    total += _codes(waiting)
    return Counter({chr(code): int(total[code]) for code in np.flatnonzero(total)})


def _codes(texts: list[str]) -> np.ndarray:
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), "<u4")
    return np.bincount(codes, minlength=sys.maxunicode + 1)


class Numbering:
    """From pieces to ids, and back. `learned`: the model of subwords (subwords.py); `forms`: as in `normalised`."""

    def __init__(self, vocabulary: Sequence[str], level: str, learned: str = "", forms: Sequence[str] = ()) -> None:
        self.vocabulary, self.level, self.forms = vocabulary, level, forms
        self._subwords = subwords.model_of(learned) if level == "subword" else None
        self._places = {piece: number + SPECIAL for number, piece in enumerate(vocabulary)}
        self._by_code = np.full(0, UNKNOWN, np.int32)
        if level == "character":
            codes = [ord(piece) for piece in vocabulary]
            self._by_code = np.full(max(codes, default=0) + 2, UNKNOWN, np.int32)
            self._by_code[codes] = np.arange(SPECIAL, SPECIAL + len(codes))

    def ids(self, text: str) -> np.ndarray:
        """(T,) int32; UNKNOWN for pieces that are not in the vocabulary."""
        text = normalised(text, self.forms)
        if self.level == "character":
            codes = np.frombuffer(text.encode("utf-32-le"), "<u4")
            found: np.ndarray = self._by_code[np.minimum(codes, len(self._by_code) - 1)]  # the last is UNKNOWN
            return found
        if self._subwords is not None:
            return np.array(self._subwords.encode(text), np.int32)
        return np.array([self._places.get(piece, UNKNOWN) for piece in split(text, self.level)], np.int32)

    def beginning(self, text: str, count: int) -> str:
        """The part of a text, in its forms, that its first `count` pieces are in."""
        text = normalised(text, self.forms)
        if self._subwords is not None:
            return subwords.beginning(self._subwords, text, count)
        return beginning(text, self.level, count)

    def text(self, ids: Iterable[int]) -> str:
        """Words are joined by spaces, as those between them were not kept."""
        if self._subwords is not None:
            found: str = self._subwords.decode([int(one) for one in ids if one >= SPECIAL])
            return found
        pieces = [SHOWN[one] if one < SPECIAL else self.vocabulary[one - SPECIAL] for one in ids]
        if self.level == "character":
            return "".join(pieces)
        return " ".join(piece for piece in pieces if piece).replace(" \n ", "\n")


def smallest_type(largest: int) -> type[np.integer[Any]]:
    """The smallest integers that hold ids up to this one and that torch can look up."""
    return next(kind for kind in (np.uint8, np.int16, np.int32) if largest <= np.iinfo(kind).max)
