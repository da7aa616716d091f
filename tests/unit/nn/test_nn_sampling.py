"""Sampling is a distribution: the softmax at a temperature, narrowed as said; probability 0 never comes."""

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import chisquare

from gnomon.nn.sampling import drawn, narrowed

LOGITS = torch.tensor([[1.0, 3.0, 0.5, 2.0, 2.5, -1.0]])
NONE = torch.tensor([], dtype=torch.int64)
DRAWS = 20_000


def narrow(*, temperature=1.0, top_k=0, top_p=1.0, never=NONE):
    return narrowed(LOGITS, temperature=temperature, top_k=top_k, top_p=top_p, never=never)[0]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_without_limits_it_is_the_softmax_at_that_temperature(temperature):
    expected = softmax(LOGITS[0].numpy().astype(float) / temperature)
    np.testing.assert_allclose(narrow(temperature=temperature).numpy(), expected, rtol=1e-12)


def test_top_k_keeps_the_likeliest_in_proportion():
    whole = softmax(LOGITS[0].numpy().astype(float))
    expected = np.where(np.isin(np.arange(6), [1, 4, 3]), whole, 0)
    np.testing.assert_allclose(narrow(top_k=3).numpy(), expected / expected.sum(), rtol=1e-12)


def test_top_p_keeps_the_fewest_that_make_it_up():
    # by hand: e to the 3, 2.5, 2, 1, 0.5 over the sum of all, 44.39, add up to 0.452, 0.727, 0.893, 0.955, 0.992
    kept = {p: set(narrow(top_p=p).nonzero()[:, 0].tolist()) for p in (0.4, 0.46, 0.72, 0.73, 0.9, 0.98, 1.0)}
    assert kept[0.4] == {1}
    assert kept[0.46] == kept[0.72] == {1, 4}
    assert kept[0.73] == {1, 4, 3}
    assert kept[0.9] == {1, 4, 3, 0}
    assert kept[0.98] == {1, 4, 3, 0, 2}
    assert kept[1.0] == set(range(6))


def test_the_share_of_top_p_is_of_what_top_k_left():
    # of the two likeliest, 0.452 and 0.274, the first makes up 62 %
    assert narrow(top_k=2, top_p=0.6).nonzero()[:, 0].tolist() == [1]
    assert sorted(narrow(top_k=2, top_p=0.65).nonzero()[:, 0].tolist()) == [1, 4]


def test_rejected_ids_leave_their_share_to_the_others():
    expected = softmax(np.where(np.arange(6) == 1, -np.inf, LOGITS[0].numpy().astype(float)))
    np.testing.assert_allclose(narrow(never=torch.tensor([1])).numpy(), expected, rtol=1e-12)
    assert narrow(never=torch.tensor([1]), top_k=1).argmax() == 4


def test_temperature_zero_is_the_likeliest_that_is_not_rejected():
    assert narrow(temperature=0.0).tolist() == [0, 1, 0, 0, 0, 0]
    assert narrow(temperature=0.0, never=torch.tensor([1])).tolist() == [0, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.5])
def test_draws_follow_the_distribution(temperature):
    probabilities = narrow(temperature=temperature)
    ids = drawn(probabilities.expand(DRAWS, -1), torch.from_numpy(np.random.default_rng(4).random(DRAWS)))
    expected = DRAWS * softmax(LOGITS[0].numpy().astype(float) / temperature)
    assert chisquare(np.bincount(ids.numpy(), minlength=6), expected).pvalue > 0.001


def test_what_has_probability_zero_is_never_drawn_not_even_at_the_ends():
    probabilities = torch.tensor([[0.0, 0.3, 0.0, 0.7, 0.0]], dtype=torch.float64)
    ends = torch.tensor([0.0, 1e-300, 0.3, np.nextafter(0.3, 0), np.nextafter(1.0, 0)], dtype=torch.float64)
    many = torch.cat([ends, torch.from_numpy(np.random.default_rng(5).random(DRAWS))])
    ids = drawn(probabilities.expand(len(many), -1), many)
    assert set(ids.tolist()) == {1, 3}
    assert ids[:5].tolist() == [1, 1, 3, 1, 3]
