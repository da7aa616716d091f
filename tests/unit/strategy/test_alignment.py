"""Alignments as people read them: pieces joined to words, shares summed over sources, averaged over answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.strategy.alignment import END, Alignment, in_words, looked_at


def aligned(source, answer, weights=None):
    if weights is None:
        weights = np.full((len(answer), len(source)), 1 / len(source))
    return Alignment("a", "", "", tuple(source), tuple(answer), np.asarray(weights, np.float64))


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        (["The", "▁qu", "ick", "▁fox", ".", END], ["The", "quick", "fox", ".", END]),
        (["Ein", "▁M", "<0xC3>", "<0xA4>", "dchen", END], ["Ein", "Mädchen", END]),
        (["a", "▁", "b", "c", END], ["a", "bc", END]),
        (["saftig", "-", "grün", END], ["saftig", "-", "grün", END]),
        ([END], [END]),
    ],
)
def test_pieces_become_the_words_of_their_text(pieces, words):
    found = in_words(aligned(pieces, [END]))
    assert list(found.source_pieces) == words
    assert list(in_words(aligned([END], pieces)).answer_pieces) == words


def test_a_word_has_the_sum_of_its_pieces_and_asks_with_their_mean():
    # by hand: of "qu" and "ick" .2 + .3; of the answers "Fü" and "chse" the mean of .5 and .1
    weights = [[0.2, 0.3, 0.4, 0.1], [0.1, 0.0, 0.1, 0.8], [0.0, 0.0, 0.0, 1.0]]
    found = in_words(aligned(["qu", "ick", "▁fox", END], ["Fü", "chse", END], weights))
    assert found.weights == pytest.approx(np.array([[0.3, 0.25, 0.45], [0.0, 0.0, 1.0]]))


@given(st.lists(st.sampled_from(["▁a", "b", "▁", ".", "<0xC3>", "▁<"]), max_size=8), st.integers(0, 9))
def test_every_row_still_sums_to_one_and_no_text_is_lost(pieces, seed):
    rng = np.random.default_rng(seed)
    source, answer = [*pieces, END], [*pieces[::-1], END]
    weights = rng.dirichlet(np.ones(len(source)), size=len(answer))
    found = in_words(aligned(source, answer, weights))
    assert found.weights.sum(axis=1) == pytest.approx(1)
    assert found.weights.shape == (len(found.answer_pieces), len(found.source_pieces))
    assert "".join(found.source_pieces).count("a") == pieces.count("▁a")


def test_what_was_looked_at_most_is_named_first_and_little_is_not():
    found = aligned(["one", "two", "three", END], ["eins", END], [[0.5, 0.3, 0.1, 0.1], [0.1, 0.1, 0.1, 0.7]])
    assert looked_at(found) == [("eins", [("one", 0.5), ("two", 0.3)]), (END, [(END, 0.7)])]
