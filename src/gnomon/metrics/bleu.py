"""BLEU with its counts written out: n-grams of a text that its references have, each clipped to how often they have it.

Source: Papineni et al. 2002; smoothing of orders without a match as in mteval-v13a and sacrebleu ("exp").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

ORDERS = 4  # n-grams of one to four tokens
RIGHT, TOTAL, LENGTH, WANTED = slice(0, ORDERS), slice(ORDERS, 2 * ORDERS), 2 * ORDERS, 2 * ORDERS + 1  # columns


def counts(
    texts: Sequence[str], references: Sequence[Sequence[str]], tokenise: Callable[[str], list[str]]
) -> np.ndarray:
    """(N, 10) int64: clipped matches by order, n-grams of the text by order, its tokens, those of its reference.

    `references`: one or more for each text. Of several the length counts that is closest to the text's, of two equally
    close ones the shorter.
    """
    found = np.zeros((len(texts), 2 * ORDERS + 2), np.int64)
    for row, text, others in zip(found, texts, references, strict=True):
        words, wanted = tokenise(text), [tokenise(one) for one in others]
        for order in range(1, ORDERS + 1):
            own = _n_grams(words, order)
            most = Counter[tuple[str, ...]]()
            for one in wanted:
                most |= _n_grams(one, order)  # the union of multisets: of each n-gram the most that a reference has
            row[order - 1] = (own & most).total()
            row[ORDERS + order - 1] = own.total()
        row[LENGTH] = len(words)
        row[WANTED] = min((len(one) for one in wanted), key=lambda size: (abs(size - len(words)), size))
    return found


def _n_grams(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(order)), strict=False))


def bleu(sums: np.ndarray) -> np.ndarray:
    """(R,) in [0, 100], from (R, 10) sums of `counts` over the sentences of R corpora.

    0 where no token matches, or no text has four tokens.
    """
    right, total = np.asarray(sums[:, RIGHT], np.float64), np.asarray(sums[:, TOTAL], np.float64)
    length, wanted = np.asarray(sums[:, LENGTH], np.float64), np.asarray(sums[:, WANTED], np.float64)
    is_missing = (right == 0) & (total > 0)
    smoothed = np.where(is_missing, 0.5 ** np.cumsum(is_missing, axis=1), right)  # 1/2, 1/4 ... of a match
    is_defined = (total[:, -1] > 0) & (right.sum(axis=1) > 0)
    precision = np.divide(smoothed, total, out=np.ones_like(right), where=is_defined[:, None])
    ratio = np.divide(wanted, length, out=np.ones_like(length), where=length > 0)
    score: np.ndarray = 100 * np.exp(np.log(precision).mean(axis=1) + np.minimum(1 - ratio, 0))
    return np.where(is_defined, score, 0.0)
