"""Words with the way they are written."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnomon.nn.spelling import FEATURES, SpelledWords
from gnomon.nn.words import WordVectors


def spelled() -> SpelledWords:
    torch.manual_seed(0)
    return SpelledWords(WordVectors(10, 4, dropout=0.0), 4, 20)


def test_features_of_characters_are_the_largest_over_a_word_by_hand():
    model = spelled()
    ids = torch.tensor([[[3, 5, 6, 7, 0, 0]]])
    found = model(ids)[0, 0]
    assert found.shape == (4 + FEATURES,)
    torch.testing.assert_close(found[:4], model.words.vectors.weight[3])
    padded = torch.zeros(5, 24)
    padded[1:4] = model.characters.weight[[5, 6, 7]]
    weight, bias = model.convolution.weight, model.convolution.bias  # (F, C, 3)
    places = [sum(weight[:, :, tap] @ padded[at + tap] for tap in range(3)) + bias for at in range(3)]
    torch.testing.assert_close(found[4:], torch.stack(places).amax(dim=0).clamp_min(0))


def test_padding_behind_a_word_changes_nothing():
    model = spelled()
    short, long = torch.tensor([[[3, 5, 6]]]), torch.tensor([[[3, 5, 6, 0, 0, 0]]])
    torch.testing.assert_close(model(short), model(long))


def test_unknown_words_differ_by_their_characters():
    model = spelled()
    one, other = (model(torch.tensor([[[1, *characters]]])) for characters in ((5, 6), (6, 5)))
    assert not torch.allclose(one, other)


def test_vectors_from_elsewhere_keep_their_scale_beside_characters_and_nowhere_else():
    values = np.random.default_rng(0).normal(0, 2.0, (6, 4)).astype(np.float32)
    for keeps_scale, expected in ((True, 2.0), (False, 0.1)):
        words = WordVectors(9, 4, dropout=0.0, num_fixed=2, keeps_scale=keeps_scale)
        words.take(values, 3, are_learned=True)
        found = words(torch.arange(3, 9)).detach()
        assert float(found.std()) == pytest.approx(expected, rel=0.25)
        torch.testing.assert_close(found * (values[0, 0] / found[0, 0].item()), torch.from_numpy(values))
