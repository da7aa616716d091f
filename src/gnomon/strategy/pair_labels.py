"""Which pairs of texts are likely wrong: not translated, of an odd length, other numbers, contradicted, unlikely.

What is usual is learned from the pairs themselves: how long targets are for their sources, whether numbers stay what
they are, how many words both sides share, how likely the model finds targets that it has not seen. So nothing is said
of numbers where a date is written out, and nothing of equal sides where words are taken over. The shares behind the
limits are of pairs that are right; up to a third of wrong ones does not move them much.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from gnomon.metrics.chrf import sentence_chrf
from gnomon.strategy.translation_tags import numbers_of, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gnomon.metrics.pair_table import PairTable

UNTRANSLATED, LENGTH, NUMBERS = "not translated", "lengths do not fit", "numbers differ"
CONTRADICTED, UNLIKELY = "another target elsewhere", "unlikely target"
COPIED = 0.7  # of the words of a target, which are words of the source ...
RARELY = 0.05  # ... where no larger share of the pairs has as many; of sources with several targets
FEWEST_WORDS = 3  # of a target: a name or a single word may stay
AGREE = 0.8  # of the pairs with numbers, whose numbers are the same on both sides; and fewest of such pairs
FEWEST_NUMBERS = 10
FAR = 4.0  # robust standard deviations of a length from what is usual: 1 in 16,000 by chance
UNUSUAL = 3.0  # of the logarithm of a loss
FEWEST = 20  # pairs that say what is usual
MAD = 1.4826  # of a normal distribution: its standard deviation by its median absolute deviation


@final
@dataclass(frozen=True)
class PairSuspect:
    """One pair that is likely wrong."""

    row: int  # of the table
    kind: str  # the surest of those that it has
    sureness: float  # in [0, 1], from all of them together


def find_suspects(table: PairTable, losses: np.ndarray | None = None) -> tuple[PairSuspect, ...]:
    """Most suspect first. `losses` (N,): nats for each piece of the target, by a model that has not seen the pair.

    A pair that the model answers exactly as its target is never suspect.
    """
    signs: dict[int, dict[str, float]] = defaultdict(dict)
    for kind, some in (
        (UNTRANSLATED, _untranslated(table)), (LENGTH, _lengths(table)), (NUMBERS, _numbers(table)),
        (CONTRADICTED, _contradicted(table, losses)), (UNLIKELY, _unlikely(losses)),
    ):  # fmt: skip
        for row, sureness in some:
            if table.answers[row] not in table.references[row]:
                signs[row][kind] = min(sureness, 0.999)
    found = [
        PairSuspect(row, max(own, key=lambda kind: own[kind]), float(1 - np.prod([1 - one for one in own.values()])))
        for row, own in signs.items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.sureness, one.row)))


def _untranslated(table: PairTable) -> Iterable[tuple[int, float]]:
    shares = np.array([_copied(*pair) for pair in _pairs(table)])
    is_copied = shares >= COPIED
    usual = float(is_copied.mean())
    return [(int(row), 1 - usual) for row in np.flatnonzero(is_copied)] if usual <= 2 * RARELY else []


def _pairs(table: PairTable) -> Iterable[tuple[str, str]]:
    """Sources with the first of their references."""
    return zip(table.sources, (some[0] for some in table.references), strict=True)


def _copied(source: str, target: str) -> float:
    """The share of the target's words that are the source's; 0 of fewer than FEWEST_WORDS."""
    words, given = words_of(target), Counter(words_of(source))
    return (Counter(words) & given).total() / len(words) if len(words) >= FEWEST_WORDS else 0.0


def _lengths(table: PairTable) -> Iterable[tuple[int, float]]:
    """Characters of targets against those of their sources, whose difference varies as the root of the length.

    Source: Gale and Church 1993, section 3 (the difference is normal with a variance in proportion to the length).
    """
    source, target = np.array([(len(one), len(other)) for one, other in _pairs(table)], np.float64).reshape(-1, 2).T
    if len(source) < FEWEST:
        return []
    ratio = float(np.median((target + 1) / (source + 1)))
    return _far((target - ratio * source) / np.sqrt(source + target + 1), FAR, both=True)


def _far(values: np.ndarray, limit: float, *, both: bool) -> list[tuple[int, float]]:
    """Rows beyond `limit` robust standard deviations above the median, or below it as well, and how sure that is."""
    middle = float(np.median(values))
    spread = MAD * float(np.median(np.abs(values - middle)))
    if spread <= 0:
        return []
    away = (values - middle) / spread
    away = np.abs(away) if both else away
    return [(int(row), float(away[row] / (away[row] + limit))) for row in np.flatnonzero(away > limit)]


def _numbers(table: PairTable) -> Iterable[tuple[int, float]]:
    rows = []
    for row, (source, others) in enumerate(zip(table.sources, table.references, strict=True)):
        own = numbers_of(source)
        if own or any(map(numbers_of, others)):
            rows.append((row, any(numbers_of(one) == own for one in others)))
    agree = sum(same for _, same in rows) / max(len(rows), 1)
    return [(row, agree) for row, same in rows if not same] if len(rows) >= FEWEST_NUMBERS and agree >= AGREE else []


def _contradicted(table: PairTable, losses: np.ndarray | None) -> Iterable[tuple[int, float]]:
    """Of targets of the same source that have least in common, the one that the model finds less likely."""
    same: dict[tuple[str, ...], list[tuple[int, str]]] = defaultdict(list)
    for row, (source, others) in enumerate(zip(table.sources, table.references, strict=True)):
        same[tuple(words_of(source)) or (source,)] += [(row, one) for one in others]
    several = [some for some in same.values() if len({text for _, text in some}) > 1]
    likeness = np.array([_likeness([text for _, text in some]) for some in several])
    if len(several) > RARELY * len(same):  # the data has several targets for a source: only the least alike are odd
        is_odd = likeness < min(float(np.quantile(likeness, RARELY)), 0.5)
    else:
        is_odd = likeness < 1
    cost = np.zeros(len(table.sources)) if losses is None else np.nan_to_num(losses)
    worst = [max((row for row, _ in some), key=lambda row: (cost[row], row)) for some in several]
    return [(row, 1 - float(like)) for row, like, odd in zip(worst, likeness, is_odd, strict=True) if odd]


def _likeness(texts: list[str]) -> float:
    """The chrF of the two that are least alike."""
    pairs = [(one, other) for place, one in enumerate(texts) for other in texts[:place]]
    return float(sentence_chrf([one for one, _ in pairs], [[other] for _, other in pairs]).min())


def _unlikely(losses: np.ndarray | None) -> Iterable[tuple[int, float]]:
    if losses is None or np.isfinite(losses).sum() < FEWEST:
        return []
    known = np.flatnonzero(np.isfinite(losses))
    scaled = np.log(np.maximum(losses[known], 1e-3))
    return [(int(known[row]), sureness) for row, sureness in _far(scaled, UNUSUAL, both=False)]
