"""Cheap taggers: the usual tag of each word, and a linear model of a word and the words around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

MOST_WORDS = 50_000  # of train that the linear model learns from: some ten seconds
NUM_FEATURES = 1 << 18  # that features of words are hashed into
PASSES = 5
PENALTY = 1e-5
OUTSIDE = "\0"  # the words before and after a sentence


def frequent_tags(
    words: Sequence[Sequence[str]], tags: Sequence[np.ndarray], asked: Sequence[Sequence[str]], plain: int | None
) -> list[np.ndarray]:
    """For each asked sentence (T,) the tag that each word, in any case, has most often; `plain` for unknown words.

    `plain` None: the most frequent tag of all. Of equally frequent tags the first counts.
    """
    counts: dict[str, Counter[int]] = {}
    for sentence, own in zip(words, tags, strict=True):
        for word, tag in zip(sentence, own.tolist(), strict=True):
            counts.setdefault(word.lower(), Counter())[tag] += 1
    usual = {word: _first(each) for word, each in counts.items()}
    other = _first(sum(counts.values(), Counter[int]())) if plain is None else plain
    return [np.array([usual.get(word.lower(), other) for word in sentence], np.int64) for sentence in asked]


def _first(counts: Counter[int]) -> int:
    return min(counts, key=lambda tag: (-counts[tag], tag))


def by_words(
    words: Sequence[Sequence[str]], tags: Sequence[np.ndarray], asked: Sequence[Sequence[str]]
) -> list[np.ndarray]:
    """For each asked sentence (T,) what a logistic regression says of each word, by it, its form and its neighbours."""
    from sklearn.feature_extraction import FeatureHasher
    from sklearn.linear_model import SGDClassifier

    hasher = FeatureHasher(NUM_FEATURES, input_type="string")
    kept, total = list[tuple[Sequence[str], np.ndarray]](), 0
    for sentence, own in zip(words, tags, strict=True):
        if total + len(sentence) > MOST_WORDS and kept:
            break
        kept.append((sentence, own))
        total += len(sentence)
    targets = np.concatenate([own for _, own in kept])
    if len(np.unique(targets)) < 2:
        return [np.full(len(sentence), targets[0]) for sentence in asked]
    model = SGDClassifier(loss="log_loss", alpha=PENALTY, max_iter=PASSES, tol=None, random_state=0, average=True)
    model.fit(hasher.transform([row for sentence, _ in kept for row in features(sentence)]), targets)
    ends = np.cumsum([len(sentence) for sentence in asked])
    found = model.predict(hasher.transform([row for sentence in asked for row in features(sentence)]))
    return np.split(found, ends[:-1])


def features(sentence: Sequence[str]) -> list[list[str]]:
    """What is known of each word: itself, its ends, how it is written; the same of the words before and after."""
    own = [_of_word(word) for word in sentence]
    beyond = [f"word {OUTSIDE}"]
    around = [beyond, *own, beyond]
    return [
        [
            "bias",
            *(f"0 {one}" for one in around[at]),
            *(f"-1 {one}" for one in around[at - 1]),
            *(f"1 {one}" for one in around[at + 1]),
        ]
        for at in range(1, len(own) + 1)
    ]


def _of_word(word: str) -> list[str]:
    lower = word.lower()
    shape = "".join("X" if one.isupper() else "x" if one.islower() else "d" if one.isdigit() else one for one in word)
    short = "".join(one for place, one in enumerate(shape) if not place or one != shape[place - 1])
    return [f"word {lower}", f"ends {lower[-3:]}", f"begins {lower[:3]}", f"shape {short}"]
