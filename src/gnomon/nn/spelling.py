"""Words with the way they are written: a vector for each word that is known, and features of the characters of all."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from gnomon.nn.words import WordVectors

CHARACTER = 24  # numbers that stand for a character
FEATURES = 48  # of the characters of a word
REACH = 3  # characters that a feature sees


@final
class SpelledWords(nn.Module):
    """(B, T, 1 + W) ids of each word and of W of its characters -> (B, T, embedding + FEATURES).

    A feature is its largest value over the places of the word; 0 pads words and texts. A word that is left out
    (WordVectors) keeps its characters. Source: Ma and Hovy 2016,
    section 2.1 (characters by convolution), in whose place Lample et al. 2016 have a recurrent net.
    """

    def __init__(self, words: WordVectors, embedding: int, num_characters: int) -> None:
        super().__init__()
        self.words = words
        self.characters = nn.Embedding(num_characters, CHARACTER)
        self.convolution = nn.Conv1d(CHARACTER, FEATURES, REACH, padding=REACH // 2)
        self.width = embedding + FEATURES

    def forward(self, ids: Tensor) -> Tensor:
        words, characters = ids[..., 0], ids[..., 1:].flatten(0, 1)  # (B, T), (B T, W)
        is_there = (characters > 0)[:, None]
        spelled = (self.characters(characters) * is_there.mT).mT  # (B T, C, W)
        found = self.convolution(spelled).relu() * is_there  # of no character: 0
        return torch.cat([self.words(words), found.amax(dim=2).unflatten(0, words.shape)], dim=2)
