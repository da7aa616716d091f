"""What needs no net: the source itself, the usual target, and what the most similar source of train became."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import scipy.sparse

MOST_TRAIN = 50_000  # pairs in which the nearest is looked for
AT_ONCE = 256  # sources that are compared with all of these


def usual_target(targets: Sequence[str]) -> str:
    """The most frequent; of equally frequent ones the first in the order of code points."""
    counts = Counter(targets)
    return min(counts, key=lambda one: (-counts[one], one))


def nearest_targets(sources: Sequence[str], targets: Sequence[str], asked: Sequence[str]) -> list[str]:
    """For each asked text the target of the source whose words are most similar: rare words count more.

    Similarity is the cosine of the words' logarithmic inverse document frequencies; of equal ones the first counts.
    """
    sources, targets = sources[:MOST_TRAIN], targets[:MOST_TRAIN]
    places: dict[str, int] = {}
    for text in sources:
        for word in _words(text):
            places.setdefault(word, len(places))
    known, wanted = _presence(sources, places), _presence(asked, places)
    seen = np.asarray(known.sum(axis=0)).ravel()
    rarity = np.log(1 + len(sources) / np.maximum(seen, 1))
    known, wanted = _unit(known, rarity), _unit(wanted, rarity)
    found: list[str] = []
    for start in range(0, len(asked), AT_ONCE):
        likeness = (wanted[start : start + AT_ONCE] @ known.T).toarray()
        found += [targets[row] for row in likeness.argmax(axis=1).tolist()]
    return found


def _words(text: str) -> list[str]:
    """In lower case; of a text of one word its characters, which dates and spellings share."""
    words = text.lower().split()
    return words if len(words) > 1 else list(text.lower())


def _presence(texts: Sequence[str], places: dict[str, int]) -> scipy.sparse.csr_array:
    rows = [[places[word] for word in set(_words(text)) if word in places] for text in texts]
    counts = [len(row) for row in rows]
    columns = np.array([place for row in rows for place in row], np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return scipy.sparse.csr_array(
        (np.ones(len(columns)), columns, offsets), shape=(len(texts), max(len(places), 1))
    )  # fmt: skip


def _unit(presence: scipy.sparse.csr_array, rarity: np.ndarray) -> scipy.sparse.csr_array:
    """Rows of length 1, each word weighted by its rarity."""
    if not len(rarity):
        return presence
    weighted = presence.multiply(rarity[None, : presence.shape[1]]).tocsr()
    lengths = np.sqrt(np.asarray(weighted.power(2).sum(axis=1)).ravel())
    return scipy.sparse.diags_array(1 / np.maximum(lengths, 1e-12)).tocsr() @ weighted
