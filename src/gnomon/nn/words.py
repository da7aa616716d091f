"""Vectors of words: looked up, small at the start, and in training with whole words left out."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

UNKNOWN = 1  # the id of what the vocabulary lacks (gnomon.data.text.tokens)
SMALL = 0.1  # standard deviation at the start: with 1, what is drawn outweighs what is learned (docs/log.md)


@final
class WordVectors(nn.Module):
    """(B, T) ids -> (B, T, D). In training, `dropout` is the probability that a word is read as an unknown one.

    So no answer hangs on one word, and the vector of unknown words is learned. Source: Iyyer et al. 2015, section 3.1.
    """

    def __init__(self, num_ids: int, width: int, *, dropout: float) -> None:
        super().__init__()
        self.vectors = nn.Embedding(num_ids, width)
        self.dropout = dropout

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:  # noqa: ARG002  nothing is drawn here
        self.vectors.weight.mul_(SMALL / max(float(self.vectors.weight.std()), SMALL))

    def forward(self, ids: Tensor) -> Tensor:
        if self.training and self.dropout:
            is_left_out = (torch.rand(ids.shape, device=ids.device) < self.dropout) & (ids > UNKNOWN)
            ids = ids.masked_fill(is_left_out, UNKNOWN)
        found: Tensor = self.vectors(ids)
        return found
