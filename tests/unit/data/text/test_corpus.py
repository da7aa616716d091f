"""A text as word vectors learn from it: words by frequency, what is left out, the tree, pairs that stand together."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.data.text import cooccurrence, corpus
from gnomon.data.text.cooccurrence import count_pairs
from gnomon.data.text.corpus import corpus_of, drawn_shares, frequent, huffman, kept_shares, lowered
from gnomon.data.text.files import Text

TEXT = "The cat, the dog.\n\nA cat's hat; the END\n"


def test_words_are_ranked_and_marks_left_out(monkeypatch):
    for part in (corpus.PART, 3):
        monkeypatch.setattr(corpus, "PART", part)
        found = corpus_of([Text("a", TEXT.encode())])
        assert found.words == ("the", "A", "END", "The", "cat", "cat's", "dog", "hat")
        assert found.counts.tolist() == [2, 1, 1, 1, 1, 1, 1, 1]
        assert [found.words[i] for i in found.ids] == ["The", "cat", "the", "dog", "A", "cat's", "hat", "the", "END"]
        assert found.lines.tolist() == [0, 4, 9]
        assert frequent(found, 2) == 1
    low = lowered(found)
    assert low.words[0] == "the"
    assert low.counts.tolist() == [3, 1, 1, 1, 1, 1, 1]
    assert [low.words[i] for i in low.ids] == TEXT.lower().replace(",", "").replace(".", "").replace(";", "").split()


def test_a_long_line_is_read_as_several(monkeypatch):
    monkeypatch.setattr(corpus, "LONGEST", 3)
    assert corpus_of([Text("a", b"a b c d e f g\nh")]).lines.tolist() == [0, 3, 6, 7, 8]


def test_shares_are_those_of_word2vec():
    # word2vec.c: (sqrt(f / (t N)) + 1) (t N) / f; of 1,000 words "the" 100 times at t = 0.001: (10 + 1) / 100
    assert kept_shares(np.array([100, 1]), 1000, 1e-3) == pytest.approx([0.11, 1.0])
    assert kept_shares(np.array([100, 1]), 1000, 0).tolist() == [1, 1]
    # 16^0.75 = 8, 1^0.75 = 1
    assert drawn_shares(np.array([16, 1])) == pytest.approx([8 / 9, 1])


@given(st.lists(st.integers(1, 50), min_size=2, max_size=40))
@settings(max_examples=60, deadline=None)
def test_no_way_through_a_huffman_tree_can_be_shorter_on_the_whole(counts):
    counts = np.sort(np.array(counts))[::-1]
    tree = huffman(counts)
    lengths = np.abs(tree.turns).sum(1)
    assert (2.0 ** -lengths.astype(float)).sum() == pytest.approx(1)  # Kraft: a full tree
    weights = sorted(counts.tolist())  # Huffman's own construction, its cost alone
    cost = 0
    while len(weights) > 1:
        joined = weights.pop(0) + weights.pop(0)
        cost += joined
        weights = sorted([*weights, joined])
    assert (lengths * counts).sum() == cost
    ways = {
        tuple(zip(n[:k].tolist(), t[:k].tolist(), strict=True))
        for n, t, k in zip(tree.nodes, tree.turns, lengths, strict=True)
    }
    assert len(ways) == len(counts)
    assert (tree.nodes[:, 0] == len(counts) - 2).all()  # the root


@pytest.mark.parametrize("most", [1 << 24, 5])
def test_pairs_are_counted_in_memory_and_on_disk(most, monkeypatch):
    monkeypatch.setattr(cooccurrence, "MOST_PAIRS", most)
    monkeypatch.setattr(cooccurrence, "PART", 7)
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 6, 90).astype(np.int32)
    lines = np.array([0, 4, 5, 30, 31, 90])
    found = count_pairs(ids, lines, 5, window=3)  # word 5 is rare
    expected = Counter()
    for start, end in itertools.pairwise(lines):
        line = [int(one) for one in ids[start:end] if one < 5]
        for i, own in enumerate(line):
            for j, other in enumerate(line):
                if 0 < abs(i - j) <= 3:
                    expected[own, other] += 1 / abs(i - j)
    counted = {(int(a), int(b)): float(x) for a, b, x in zip(found.own, found.other, found.seen, strict=True)}
    assert len(counted) == len(found.own)
    assert counted == pytest.approx(expected)
    assert list(counted) == sorted(counted)
