"""Batches of pairs of words that were seen together, for GloVe: shuffled once, each pass in the same order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from gnomon.core.seeds import generator
from gnomon.data.text.cooccurrence import Pairs, count_pairs
from gnomon.data.text.corpus import Corpus, frequent

GLOVE_BATCH = 16_384  # pairs: an optimiser's step over all vectors costs as much as some thousand pairs


@final
@dataclass(frozen=True)
class PairBatches:
    """Pairs, and the order in which they are taken."""

    pairs: Pairs
    order: np.ndarray  # (P,)
    batch_size: int

    def __len__(self) -> int:
        return max(1, -(-len(self.order) // self.batch_size))

    def take(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """The two words of each pair of batch `step`, and how often it was seen."""
        chosen = self.order[step * self.batch_size : (step + 1) * self.batch_size]
        pairs = self.pairs
        own, other = (torch.from_numpy(one[chosen].astype(np.int64)) for one in (pairs.own, pairs.other))
        return own, other, torch.from_numpy(pairs.seen[chosen])


def pairs_of(corpus: Corpus, *, min_count: int, window: int, batch_size: int, seed: int) -> PairBatches:
    """All pairs of frequent words, counted; in a random order."""
    pairs = count_pairs(corpus.ids, corpus.lines, frequent(corpus, min_count), window)
    return PairBatches(pairs, generator(seed, "pairs").permutation(len(pairs.seen)), batch_size)
