"""chrF and TER by sacrebleu: its counts of each sentence, which add up to those of a corpus.

chrF: F-score of character n-grams up to six, recall counting twice as much, spaces left out (Popović 2015). TER: edits
per word of the reference, moves of words among them (Snover et al. 2006); above 100 % where a text is far too long.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

BETA = 2  # of the F-score: recall counts as much more


def chrf_counts(texts: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """(N, 18): n-grams of the text, of its best reference, and in both, for each order."""
    from sacrebleu.metrics import CHRF  # lazily: only translations need it

    return _counts(CHRF(), texts, references)


def ter_counts(texts: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """(N, 2): edits, and words of the reference: of several their mean."""
    from sacrebleu.metrics import TER  # lazily: only translations need it

    return _counts(TER(), texts, references)


def _counts(metric: Any, texts: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    streams = list(zip_longest(*references))  # sacrebleu's order: the first of each sentence, then the second; None
    found = metric._extract_corpus_statistics(list(texts), streams) if texts else []
    return np.array(found, np.float64).reshape(len(texts), -1)


def chrf(sums: np.ndarray) -> np.ndarray:
    """(R,) in [0, 1], from (R, 18) sums of `chrf_counts`: orders that a side has no n-grams of are left out."""
    said, wanted, right = (sums[:, start::3] for start in range(3))
    counts = (said > 0) & (wanted > 0)
    orders = np.maximum(counts.sum(axis=1), 1)
    precision, recall = (
        np.divide(right, side, out=np.zeros_like(right), where=counts).sum(axis=1) / orders for side in (said, wanted)
    )
    below = BETA**2 * precision + recall
    found: np.ndarray = np.divide((1 + BETA**2) * precision * recall, below, out=np.zeros_like(below), where=below > 0)
    return found


def ter(sums: np.ndarray) -> np.ndarray:
    """(R,) at least 0, as a share, from (R, 2) sums of `ter_counts`; where all references are empty, 1 for any edit."""
    edits, words = sums.T
    found: np.ndarray = np.divide(edits, words, out=(edits > 0).astype(np.float64), where=words > 0)
    return found


def sentence_chrf(texts: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """(N,) float64 in [0, 1]: chrF of each sentence; 1 where it is one of its references, even an empty one."""
    if not texts:
        return np.zeros(0)
    is_equal = np.array([text in others for text, others in zip(texts, references, strict=True)])
    return np.where(is_equal, 1.0, chrf(chrf_counts(texts, references)))
