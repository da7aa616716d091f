"""Words with the way they are written."""

from __future__ import annotations

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
