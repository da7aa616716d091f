"""The n-gram beside a language model: equal to counting by hand, its probabilities sum to 1, nothing is impossible."""

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.strategy.n_grams import n_gram_bits, order_for, probabilities

IDS, END = 6, 2
TEXTS = st.lists(st.lists(st.integers(1, IDS - 1), min_size=1, max_size=12), min_size=1, max_size=6)


def packed(texts):
    lengths = np.array([len(text) for text in texts])
    ids = np.zeros((len(texts), lengths.max()), np.uint8)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
    return ids, lengths


def by_counting(train, history, piece, order):
    """Kneser and Ney's probability of a piece after a history, from dictionaries of tuples."""
    grams = defaultdict(int)
    for text in train:
        padded = [END] * (order - 1) + text
        for end in range(order, len(padded) + 1):
            grams[tuple(padded[end - order : end])] += 1
    by_length = {order: dict(grams)}
    for length in range(order - 1, 0, -1):
        shorter = defaultdict(int)
        for gram in by_length[length + 1]:
            shorter[gram[1:]] += 1
        by_length[length] = dict(shorter)
    found = 1 / (IDS - 1)
    for length in range(1, order + 1):
        counts = by_length[length]
        once, twice = (sum(count == many for count in counts.values()) for many in (1, 2))
        discount = max(once / max(once + 2 * twice, 1), 0.05)
        context = tuple(([END] * order + history)[len(history) + order - (length - 1) :])
        after = {gram[-1]: count for gram, count in counts.items() if gram[:-1] == context}
        if after:
            total = sum(after.values())
            found = max(after.get(piece, 0) - discount, 0) / total + discount * len(after) / total * found
    return found


@given(TEXTS, TEXTS, st.integers(1, 4))
def test_it_is_what_counting_gives(train, dev, order):
    found = probabilities(*packed(train), *packed(dev), num_ids=IDS, order=order, before=END, outcomes=IDS - 1)
    expected = [by_counting(train, text[:place], text[place], order) for text in dev for place in range(len(text))]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@given(TEXTS, st.lists(st.integers(1, IDS - 1), max_size=8), st.integers(1, 5))
def test_after_any_history_the_probabilities_sum_to_one(train, history, order):
    dev = packed([[*history, piece] for piece in range(1, IDS)])
    found = probabilities(*packed(train), *dev, num_ids=IDS, order=order, before=END, outcomes=IDS - 1)
    last = found.reshape(IDS - 1, len(history) + 1)[:, -1]
    assert last.sum() == pytest.approx(1)
    assert (last > 0).all()


def test_bits_are_the_mean_over_the_pieces_of_a_text():
    train, dev = packed([[3, 4, 3, 4]]), packed([[3, 4, 3], [5]])
    found = probabilities(*train, *dev, num_ids=IDS, order=2, before=END, outcomes=IDS - 1)
    bits = n_gram_bits(*train, *dev, num_ids=IDS, order=2, before=END, outcomes=IDS - 1)
    assert bits == pytest.approx([-np.log2(found[:3]).mean(), -math.log2(found[3])])


def test_what_stands_beyond_a_text_does_not_count():
    ids, lengths = packed([[3, 4, 5], [4]])
    other = ids.copy()
    other[1, 1:] = 5
    options = {"num_ids": IDS, "order": 3, "before": END, "outcomes": IDS - 1}
    assert np.array_equal(
        n_gram_bits(ids, lengths, ids, lengths, **options), n_gram_bits(other, lengths, other, lengths, **options)
    )


@given(TEXTS, TEXTS, st.integers(1, 3))
def test_what_is_only_looked_back_at_is_neither_counted_nor_costed(train, dev, order):
    """Two halves of a text, the second with the first before it, are the text."""
    options = {"num_ids": IDS, "order": order, "before": END, "outcomes": IDS - 1}
    halves, starts = [], []
    for text in train:
        halves += [text[: len(text) // 2 or 1], text]
        starts += [0, len(text) // 2 or 1]
    begun = np.array([len(text) - 1 for text in dev])
    found = probabilities(
        *packed(halves), *packed(dev), train_starts=np.array(starts), dev_starts=begun, **options
    )  # fmt: skip
    whole = probabilities(*packed(train), *packed(dev), **options)
    last = np.cumsum([len(text) for text in dev]) - 1
    np.testing.assert_allclose(found, whole[last])


def test_codes_of_words_fit_into_their_bits():
    assert order_for(68) == 5
    assert order_for(20_003) == 4  # 14.3 bits each
    assert order_for(1_000_003) == 3
