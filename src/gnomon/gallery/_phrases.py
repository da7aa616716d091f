"""Shared by claims about made-up sentences: their ids, a recurrent net, and a training that answers once for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.seeds import generator
from gnomon.nn.recurrent import Recurrent

BATCH = 50


@dataclass(frozen=True)
class Phrases:
    """Sentences as ids, padded with 0 to the longest."""

    ids: Tensor  # (N, T)
    lengths: Tensor  # (N,) words
    labels: Tensor  # (N,) what is to be answered
    kinds: np.ndarray  # (N,) of each sentence, by which errors are counted


@final
class Reader(nn.Module):
    """(B, T) ids -> (B, num_outputs), from the state of a GRU after the last word."""

    def __init__(self, num_words: int, num_outputs: int, *, embedding: int, units: int) -> None:
        super().__init__()
        self.words = nn.Embedding(num_words, embedding)
        self.layers = Recurrent(embedding, units, cell="gru")
        self.head = nn.Linear(units, num_outputs)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        outputs, _ = self.layers(self.words(ids), lengths)
        logits: Tensor = self.head(self.layers.last(outputs, lengths))
        return logits


def errors_of(
    make: Callable[[], nn.Module], train: Phrases, dev: Phrases, *, rate: float, epochs: int, seed: int
) -> np.ndarray:
    """(N,) bool: which sentences of `dev` a net answers wrongly, after epochs of Adam on `train`; `seed` starts it."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = make()
    rng = generator(seed, "order of sentences")
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    for _ in range(epochs):
        for rows in torch.from_numpy(rng.permutation(len(train.ids))).split(BATCH):
            optimiser.zero_grad()
            logits = net(train.ids[rows], train.lengths[rows])
            functional.cross_entropy(logits, train.labels[rows]).backward()
            optimiser.step()
    with torch.no_grad():
        answers = net(dev.ids, dev.lengths).argmax(dim=1)
    wrong: np.ndarray = (answers != dev.labels).numpy()
    return wrong
