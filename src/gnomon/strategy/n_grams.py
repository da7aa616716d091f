"""The reference for texts: how often a piece followed the few before it in train, and what that makes a text cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

ORDER = 5  # the piece, and the four before it
CODES = 62  # bits that the pieces of an n-gram may take together
Starts = np.ndarray | int  # (N,) how many of the first pieces of each text are only looked back at
LEAST_DISCOUNT = 0.05  # where no n-gram came once: what never came must have a probability, too


def order_for(num_ids: int, most: int = ORDER) -> int:
    """The longest n-grams whose codes fit into 62 bits: four words of a large vocabulary."""
    return max(1, min(most, int(CODES / math.log2(max(num_ids, 2)))))


def n_gram_bits(
    train: np.ndarray, train_lengths: np.ndarray, dev: np.ndarray, dev_lengths: np.ndarray, *, num_ids: int, order: int,
    before: int, outcomes: int, train_starts: Starts = 0, dev_starts: Starts = 0,
) -> np.ndarray:  # fmt: skip
    """(M,) bits per piece of each text in `dev` (M, L), by an n-gram with interpolated Kneser-Ney smoothing.

    Ids are below `num_ids`; only the first `lengths` of a row are there, and before it `before` stands again and again.
    Those before `starts` are only looked back at: they are neither counted nor costed.
    `outcomes`: how many ids there may be, of which each is as likely as another where nothing else is known. An order
    of 1 is the frequency of each piece. Source: Kneser & Ney 1995; Chen & Goodman 1999, section 2.7; the discount
    n1 / (n1 + 2 n2): Ney, Essen & Kneser 1994.
    """
    nats = np.log(probabilities(
        train, train_lengths, dev, dev_lengths, num_ids=num_ids, order=order, before=before, outcomes=outcomes,
        train_starts=train_starts, dev_starts=dev_starts,
    ))  # fmt: skip
    is_there = _is_there(dev, dev_lengths, dev_starts)
    sums = np.zeros(is_there.shape)
    sums[is_there] = -nats
    bits: np.ndarray = sums.sum(axis=1) / np.maximum(dev_lengths - dev_starts, 1) / math.log(2)
    return bits


def probabilities(
    train: np.ndarray, train_lengths: np.ndarray, dev: np.ndarray, dev_lengths: np.ndarray, *, num_ids: int, order: int,
    before: int, outcomes: int, train_starts: Starts = 0, dev_starts: Starts = 0,
) -> np.ndarray:  # fmt: skip
    """The probability of each piece of `dev` that is there, row by row: as `n_gram_bits`.

    With c(hw) how often w came after h, and t(h) how many different pieces did:
    P(w | h) = max(c(hw) - d, 0) / c(h) + d t(h) / c(h) * P(w | h without its first piece).
    For shorter n-grams, c(hw) is before how many different pieces hw came, as it is asked where longer ones failed.
    """
    grams, counts = np.unique(
        _codes(train, train_lengths, train_starts, num_ids, order, before), return_counts=True
    )  # fmt: skip
    known = [_Counts.of(grams, counts, num_ids)]
    for length in range(order - 1, 0, -1):
        grams, counts = np.unique(known[-1].grams % num_ids**length, return_counts=True)
        known.append(_Counts.of(grams, counts, num_ids))
    asked = _codes(dev, dev_lengths, dev_starts, num_ids, order, before)
    found = np.full(len(asked), 1 / outcomes)
    for length, one in enumerate(reversed(known), start=1):
        found = one.given(asked % num_ids**length, num_ids, found)
    return found


@dataclass(frozen=True)
class _Counts:
    """The n-grams of one length, in order, and what is known of what stands before their last piece."""

    grams: np.ndarray  # codes
    counts: np.ndarray
    contexts: np.ndarray
    totals: np.ndarray
    followers: np.ndarray  # how many different pieces came after each context
    discount: float

    @classmethod
    def of(cls, grams: np.ndarray, counts: np.ndarray, num_ids: int) -> Self:
        contexts, first = np.unique(grams // num_ids, return_index=True)
        once, twice = int((counts == 1).sum()), int((counts == 2).sum())
        discount = max(once / max(once + 2 * twice, 1), LEAST_DISCOUNT)
        followers = np.diff(np.append(first, len(grams)))
        return cls(grams, counts, contexts, np.add.reduceat(counts, first), followers, discount)

    def given(self, asked: np.ndarray, num_ids: int, shorter: np.ndarray) -> np.ndarray:
        """The probability of the last piece of each n-gram; `shorter`: without its first piece."""
        count = _looked_up(self.grams, self.counts, asked)
        total, followers = (_looked_up(self.contexts, of, asked // num_ids) for of in (self.totals, self.followers))
        found = (np.maximum(count - self.discount, 0) + self.discount * followers * shorter) / np.maximum(total, 1)
        return np.where(total > 0, found, shorter)


def _codes(
    ids: np.ndarray, lengths: np.ndarray, starts: Starts, num_ids: int, order: int, before: int
) -> np.ndarray:  # fmt: skip
    """A number for each piece that is there, of it and the order - 1 before it; the last piece is the lowest digit."""
    rows, places = np.nonzero(_is_there(ids, lengths, starts))
    codes = np.zeros(len(rows), np.int64)
    for back in range(order - 1, -1, -1):
        at = places - back
        codes *= num_ids
        codes += np.where(at >= 0, ids[rows, np.maximum(at, 0)], before)
    return codes


def _is_there(ids: np.ndarray, lengths: np.ndarray, starts: Starts) -> np.ndarray:
    places = np.arange(ids.shape[1])
    found: np.ndarray = (places < lengths[:, None]) & (places >= np.reshape(starts, (-1, 1)))
    return found


def _looked_up(keys: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """0 for what is not among the sorted keys."""
    at = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[at] == asked, values[at], 0)
