"""Texts that are nearly the same are found across splits; others are not."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from gnomon.core.example import index_frame
from gnomon.data.leakage import find_leaks
from gnomon.data.near_texts import near_copies, word_pairs
from gnomon.data.text.examples import TextExamples

WORDS = [f"w{n}" for n in range(400)]


def drawn(count: int, length: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, length)) for _ in range(count)]


def changed(text: str, at: int, word: str = "else") -> str:
    words = text.split()
    return " ".join([*words[:at], word, *words[at + 1 :]])


def jaccard(one: str, other: str) -> float:
    """By sets of pairs, as the definition says."""
    a, b = ({*itertools.pairwise(w)} for w in (re.findall(r"[a-z0-9]+", t.lower()) for t in (one, other)))
    return len(a & b) / len(a | b)


def test_a_text_with_one_other_word_is_found_with_its_similarity():
    train = drawn(300, 25, seed=0)
    dev = [*drawn(50, 25, seed=1), changed(train[7], 12), train[9].upper() + "!", changed(changed(train[11], 3), 15)]
    here, there, similarity = near_copies(*(word_pairs(t.encode() for t in texts) for texts in (dev, train)))
    assert list(zip(here, there, strict=True)) == [
        (50, 7),
        (51, 9),
        *([(52, 11)] if jaccard(dev[52], train[11]) >= 0.8 else []),
    ]
    expected = [jaccard(dev[i], train[j]) for i, j in zip(here, there, strict=True)]
    np.testing.assert_allclose(similarity, expected, rtol=1e-6)


def test_pairs_are_those_of_the_words_and_none_reaches_into_the_next_text():
    pairs = word_pairs([b"One, two; ONE two", b"", b"three", "caf\u00e9 noir".encode(), b"one two"])
    assert np.diff(pairs.offsets).tolist() == [2, 0, 0, 1, 1]  # one-two and two-one, each once
    assert pairs.of(4)[0] in pairs.of(0)


def test_short_texts_and_windows_are_no_near_copies():
    few = word_pairs([b"a good film"])
    assert [len(part) for part in near_copies(few, few)] == [0, 0, 0]
    texts = drawn(4, 20, seed=2)
    index = index_frame([str(n) for n in range(4)])
    assert TextExamples.of(texts, index, "window").word_pairs() is None


@pytest.mark.parametrize("label", ["a", "b"])
def test_near_copies_across_splits_are_reported_with_their_targets(label):
    texts = drawn(30, 20, seed=3)
    train = TextExamples.of(texts, index_frame([f"t{n}" for n in range(30)], label=["a"] * 30), "line")
    dev = TextExamples.of(
        [texts[4], texts[5] + " .", *drawn(5, 20, seed=4)],
        index_frame([f"d{n}" for n in range(7)], label=[label] * 7),
        "line",
    )
    found = find_leaks({"train": train, "dev": dev})
    rows = found.pairs.select("kind", "id", "other_id", "same_target").rows()
    assert rows == [("exact", "d0", "t4", label == "a"), ("near", "d1", "t5", label == "a")]
    assert found.copies_in_train.tolist() == [4, 5]
