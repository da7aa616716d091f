"""Texts that are nearly the same: they share most pairs of neighbouring words.

Words count in lower case (of ASCII letters) and without punctuation. Of two texts, the share of word pairs that both
have among those that either has is the similarity (Jaccard's). Candidates are found by MinHash: Broder 1997.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

ALIKE = 0.8  # similarity of a near copy: of 20 words, one may be another
FEWEST_PAIRS = 4  # of words: shorter texts are alike by chance
BANDS, ROWS = 8, 3  # of a signature: similarity 0.8 makes a candidate of 99.7 %, 0.3 of 20 %
BLOCK = 1 << 22  # bytes of text that are hashed together
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it can be divided by modulo 2^64
OTHER = np.uint64(0xC2B2AE3D27D4EB4F)


@dataclass(frozen=True)
class WordPairs:
    """Of N texts, the hashes of their word pairs: those of text i are values[offsets[i] : offsets[i + 1]], rising."""

    values: np.ndarray  # uint64
    offsets: np.ndarray  # (N + 1,) int64

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def of(self, text: int) -> np.ndarray:
        found: np.ndarray = self.values[self.offsets[text] : self.offsets[text + 1]]
        return found


def word_pairs(texts: Iterable[bytes]) -> WordPairs:
    """The word pairs of texts in UTF-8."""
    values, counts, block, size = [np.empty(0, np.uint64)], [np.zeros(1, np.int64)], list[bytes](), 0
    for text in itertools.chain(texts, [None]):
        if text is None or (block and size + len(text) > BLOCK):
            if block:
                found = _of_block(block)
                values.append(found[0])
                counts.append(found[1])
            block, size = [], 0
        if text is not None:
            block.append(text)
            size += len(text)
    return WordPairs(np.concatenate(values), np.cumsum(np.concatenate(counts)))


def near_copies(here: WordPairs, there: WordPairs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(positions in `here`, their near copies in `there`, similarity): for each the most similar one, if any."""
    ours, theirs = _signatures(here), _signatures(there)
    best: dict[int, tuple[float, int]] = {}
    for first in range(0, BANDS * ROWS, ROWS):
        keys, other_keys = (_joined(each[:, first : first + ROWS]) for each in (ours, theirs))
        known, places = np.unique(other_keys, return_index=True)
        at = np.minimum(np.searchsorted(known, keys), max(len(known) - 1, 0))
        is_long = np.diff(here.offsets) >= FEWEST_PAIRS
        rows = np.flatnonzero(is_long & (known[at] == keys)) if len(known) else np.empty(0, np.int64)
        for row, other in zip(rows.tolist(), places[at[rows]].tolist(), strict=True):
            similarity = _similarity(here.of(row), there.of(other))
            if similarity >= ALIKE:
                best[row] = max(best.get(row, (0.0, -1)), (similarity, other))
    copied = sorted(best)
    found = [best[row] for row in copied]
    return (
        np.array(copied, np.int64), np.array([other for _, other in found], np.int64),
        np.array([similarity for similarity, _ in found], np.float32),
    )  # fmt: skip


def _similarity(one: np.ndarray, other: np.ndarray) -> float:
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / max(len(one) + len(other) - shared, 1)


def _signatures(pairs: WordPairs) -> np.ndarray:
    """(N, BANDS * ROWS) uint64: the least hash of each text's pairs, by so many functions."""
    signatures = np.zeros((len(pairs), BANDS * ROWS), np.uint64)
    filled = np.flatnonzero(np.diff(pairs.offsets))
    if not len(filled):
        return signatures
    factors = np.random.default_rng(0).integers(1, 2**63, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    for place, factor in enumerate(factors):
        hashes = pairs.values * factor
        hashes ^= hashes >> np.uint64(32)
        signatures[filled, place] = np.minimum.reduceat(hashes * OTHER, pairs.offsets[filled])
    return signatures


def _joined(columns: np.ndarray) -> np.ndarray:
    """(N,) uint64 from (N, ROWS)."""
    found = np.zeros(len(columns), np.uint64)
    for column in columns.T:
        found = (found ^ column) * FACTOR
    return found


# Each byte as part of a word: ASCII letters in lower case, digits, and all that is not ASCII; 0 between words.
_PART = np.array([ord(chr(code).lower()) if code > 127 or chr(code).isalnum() else 0 for code in range(256)], np.uint64)
_PART[128:] = np.arange(128, 256, dtype=np.uint64)


def _of_block(texts: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of the word pairs of some texts, rising within each, and how many each has."""
    parts = _PART[np.frombuffer(b"\n".join(texts) + b"\n", np.uint8)]
    is_part = parts > 0
    change = np.diff(is_part, prepend=False)
    starts, ends = np.flatnonzero(change & is_part), np.flatnonzero(change & ~is_part)
    # the hash of a word is a polynomial in its bytes: a difference of sums, shifted to where the word begins
    powers = np.multiply.accumulate(np.full(len(parts) + 1, FACTOR))
    inverse = np.multiply.accumulate(np.full(len(parts) + 1, np.uint64(pow(int(FACTOR), -1, 2**64))))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(parts * powers[:-1], dtype=np.uint64)])
    words = (sums[ends] - sums[starts]) * inverse[starts]
    bounds = np.cumsum([len(text) + 1 for text in texts])
    text_of = np.searchsorted(bounds, starts, side="right")
    is_pair = text_of[1:] == text_of[:-1]
    pairs, owner = (words[:-1] * OTHER ^ words[1:])[is_pair], text_of[1:][is_pair]
    order = np.lexsort((pairs, owner))
    pairs, owner = pairs[order], owner[order]
    is_first = np.ones(len(pairs), bool)
    is_first[1:] = (pairs[1:] != pairs[:-1]) | (owner[1:] != owner[:-1])
    return pairs[is_first], np.bincount(owner[is_first], minlength=len(texts)).astype(np.int64)
